/**
 * A minimal HTTP/1.1 client for the load generator. It does what a measurement needs and no more
 * (one request at a time per connection, chunked or counted bodies, first content and event
 * times), because a general client costs more CPU than the proxies that it would measure.
 */
import { connect, type Socket } from "node:net";
import { monotonicMs } from "./clock.ts";

const CONTENT = Buffer.from('"content":"t');
const EVENT_END = Buffer.from("\n\n");
const DONE = Buffer.from("[DONE]");
const MOST_HEAD_BYTES = 64 * 1024;

export interface Timing {
  startMs: number;
  /** First content token; 0 = none came. */
  firstMs: number;
  endMs: number;
  status: number;
  events: number;
  /** The `[DONE]` event came. */
  done: boolean;
}

export interface Listener {
  /** A read that held `count` whole events, at `atMs`. */
  onEvents?(atMs: number, count: number): void;
  onFirst?(timing: Timing): void;
  /** Exactly once. `failure` is undefined when the response ended as HTTP says. */
  onEnd(timing: Timing, failure: string | undefined): void;
}

type State = "idle" | "head" | "size" | "data" | "tail" | "counted" | "closed";

/** One keep-alive connection. `send` only while `idle`. */
export class Connection {
  readonly #socket: Socket;
  #state: State = "idle";
  #rest: Buffer | undefined;
  /** Bytes left of the chunk or body that is being read. */
  #left = 0;
  #lastChunk = false;
  #timing: Timing = { startMs: 0, firstMs: 0, endMs: 0, status: 0, events: 0, done: false };
  #listener: Listener | undefined;

  constructor(host: string, port: number, onOpen?: (failure?: Error) => void) {
    this.#socket = connect({ host, port, noDelay: true });
    if (onOpen !== undefined) {
      this.#socket.once("connect", () => onOpen());
      this.#socket.once("error", onOpen);
    }
    this.#socket.on("data", (bytes: Buffer) => this.#onData(bytes));
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#finish("connection closed in mid-response", "closed"));
  }

  get idle(): boolean {
    return this.#state === "idle";
  }

  get closed(): boolean {
    return this.#state === "closed" || this.#socket.destroyed;
  }

  send(request: Buffer, listener: Listener): void {
    if (this.#state !== "idle") throw new Error(`send on a connection that is ${this.#state}`);
    this.#state = "head";
    this.#listener = listener;
    this.#timing = {
      startMs: monotonicMs(),
      firstMs: 0,
      endMs: 0,
      status: 0,
      events: 0,
      done: false,
    };
    this.#socket.write(request);
  }

  /** Leaves: the listener of a request in flight hears no more. */
  destroy(): void {
    this.#listener = undefined;
    this.#state = "closed";
    this.#socket.destroy();
  }

  #finish(failure: string | undefined, next: State): void {
    if (this.#state === "closed") return;
    this.#state = next;
    const listener = this.#listener;
    this.#listener = undefined;
    this.#timing.endMs = monotonicMs();
    listener?.onEnd(this.#timing, failure);
  }

  #fail(why: string): void {
    this.#finish(why, "closed");
    this.#socket.destroy();
  }

  #onData(bytes: Buffer): void {
    const atMs = monotonicMs();
    let buffer = this.#rest === undefined ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#rest = undefined;
    while (buffer.length > 0) {
      const used = this.#step(buffer, atMs);
      if (used === 0) break;
      buffer = buffer.subarray(used);
    }
    if (buffer.length === 0 || this.closed) return;
    if (buffer.length > MOST_HEAD_BYTES) this.#fail("head or chunk size line too long");
    else this.#rest = buffer;
  }

  /** Reads one piece; returns the bytes used, 0 = wants more. */
  #step(buffer: Buffer, atMs: number): number {
    switch (this.#state) {
      case "head":
        return this.#head(buffer);
      case "size":
        return this.#size(buffer);
      case "data":
      case "counted":
        return this.#body(buffer, atMs);
      case "tail":
        if (buffer.length < 2) return 0;
        if (this.#lastChunk) this.#finish(undefined, "idle");
        else this.#state = "size";
        return 2;
      default:
        this.#fail("bytes after the response");
        return 0;
    }
  }

  #head(buffer: Buffer): number {
    const end = buffer.indexOf("\r\n\r\n");
    if (end < 0) return 0;
    const head = buffer.toString("latin1", 0, end);
    this.#timing.status = Number(head.slice(9, 12));
    this.#lastChunk = false;
    if (/\r\ntransfer-encoding: *chunked/i.test(head)) this.#state = "size";
    else {
      this.#left = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? -1);
      if (this.#left < 0) this.#left = Number.POSITIVE_INFINITY;
      this.#state = "counted";
      if (this.#left === 0) this.#finish(undefined, "idle");
    }
    return end + 4;
  }

  #size(buffer: Buffer): number {
    const end = buffer.indexOf("\r\n");
    if (end < 0) return 0;
    this.#left = Number.parseInt(buffer.toString("latin1", 0, end), 16);
    if (!(this.#left >= 0)) {
      this.#fail("bad chunk size");
      return 0;
    }
    this.#lastChunk = this.#left === 0;
    this.#state = this.#lastChunk ? "tail" : "data";
    return end + 2;
  }

  #body(buffer: Buffer, atMs: number): number {
    const size = Math.min(this.#left, buffer.length);
    this.#observe(size === buffer.length ? buffer : buffer.subarray(0, size), atMs);
    this.#left -= size;
    if (this.#left > 0) return size;
    if (this.#state === "counted") this.#finish(undefined, "idle");
    else this.#state = "tail";
    return size;
  }

  /** Events are counted by their ends; an end split over two reads is rare and costs one count. */
  #observe(bytes: Buffer, atMs: number): void {
    const timing = this.#timing;
    let count = 0;
    for (let at = bytes.indexOf(EVENT_END); at >= 0; at = bytes.indexOf(EVENT_END, at + 2)) count++;
    timing.events += count;
    if (timing.firstMs === 0 && bytes.includes(CONTENT)) {
      timing.firstMs = atMs;
      this.#listener?.onFirst?.(timing);
    }
    if (!timing.done && bytes.includes(DONE)) timing.done = true;
    if (count > 0) this.#listener?.onEvents?.(atMs, count);
  }
}

/** Opens `count` connections and waits until all stand. */
export function openConnections(base: string, count: number): Promise<Connection[]> {
  const { hostname, port } = new URL(base);
  const one = (): Promise<Connection> =>
    new Promise((resolve, reject) => {
      const connection = new Connection(hostname, Number(port), (failure) => {
        if (failure === undefined) resolve(connection);
        else reject(failure);
      });
    });
  return Promise.all(Array.from({ length: count }, one));
}

/** A chat completion request as bytes. `wish` reaches the upstream as the body's `user`. */
export function chatRequest(
  base: string,
  stream: boolean,
  wish: string,
  headers: Record<string, string>,
  prompt = "What does a point of presence of an AI grid decide?",
): Buffer {
  const body = JSON.stringify({
    model: "bench",
    stream,
    user: wish,
    max_tokens: 200,
    messages: [
      { role: "system", content: "You answer in one short sentence." },
      { role: "user", content: prompt },
    ],
  });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: ${new URL(base).host}\r\n` +
      `content-type: application/json\r\nauthorization: Bearer bench\r\n${lines.join("")}` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
