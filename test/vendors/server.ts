/**
 * One vendor on loopback: HTTP around a protocol. It keeps what it was asked, does with each
 * request what the test's plot says, and can break an answer behind any of its events. The bytes
 * of a broken answer are flushed before the break, so that "behind event n" means what it says.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Asked, type Break, type Dialect, type Plot, Refusal, type Scene } from "./scene.ts";

export interface VendorRequest {
  method: string;
  /** Without the query. */
  path: string;
  query: URLSearchParams;
  headers: Record<string, string | undefined>;
  /** Parsed JSON; undefined without a body. */
  body: unknown;
  models: readonly string[];
}

export type Reading =
  | { kind: "generate"; asked: Asked; contentType?: string }
  | { kind: "reply"; body: unknown };

/** A vendor's protocol: no sockets, no time. */
export interface Protocol {
  dialect: Dialect;
  key(request: VendorRequest): string | undefined;
  /** @throws Refusal for what the vendor refuses */
  read(request: VendorRequest): Reading;
  whole(scene: Scene, asked: Asked): unknown;
  /** The whole answer as the frames of a stream, in order. */
  events(scene: Scene, asked: Asked): string[];
  errorBody(refusal: Refusal): unknown;
  /** What ends a stream that has failed. */
  errorEvent(refusal: Refusal, asked: Asked): string[];
  headers(): Record<string, string>;
  /** Takes over a WebSocket, where the vendor has one. */
  upgrade?(server: VendorServer, request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export type Director = (asked: Asked) => Plot;

const BODY_BYTES_MAX = 16 * 1024 * 1024;
/** Long enough for what was sent to be read by the other side before the connection breaks. */
const SETTLE_MS = 4;

export class VendorServer {
  readonly protocol: Protocol;
  readonly models: string[];
  /** The key that callers must show. */
  readonly key: string;
  base = "";
  director: Director;
  /** Inference requests that were understood, the last last. */
  readonly asked: Asked[] = [];
  /** Every request as it came. */
  readonly requests: VendorRequest[] = [];
  /** What was refused as no valid request, probes aside: a proxy must never cause one. */
  readonly refused: Refusal[] = [];
  /** Generations being answered. */
  active = 0;
  /** Generations that the caller left, on `performance.now()`. */
  readonly leftAtMs: number[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(protocol: Protocol, options: VendorOptions) {
    this.protocol = protocol;
    this.models = options.models ?? ["m"];
    this.key = options.key ?? "vendor-key";
    this.director = options.director;
    this.#server = createServer((incoming, outgoing) => void this.#handle(incoming, outgoing));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
    });
    this.#server.on("upgrade", (request, socket, head) => {
      if (protocol.upgrade === undefined) socket.end("HTTP/1.1 426 Upgrade Required\r\n\r\n");
      else protocol.upgrade(this, request, socket, head);
    });
  }

  static start(protocol: Protocol, options: VendorOptions): Promise<VendorServer> {
    const vendor = new VendorServer(protocol, options);
    return new Promise((resolve, reject) => {
      vendor.#server.once("error", reject);
      vendor.#server.listen(0, "127.0.0.1", () => {
        vendor.base = `http://127.0.0.1:${(vendor.#server.address() as AddressInfo).port}`;
        resolve(vendor);
      });
    });
  }

  /** Events of the last answer that was understood, were it whole. */
  eventsOf(scene: Scene): number {
    return this.protocol.events(scene, this.asked.at(-1) as Asked).length;
  }

  forget(): void {
    for (const list of [this.asked, this.requests, this.refused, this.leftAtMs]) list.length = 0;
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      const request = await this.#request(incoming);
      this.requests.push(request);
      if (this.protocol.key(request) !== this.key) {
        throw new Refusal(401, "Incorrect API key provided.", { code: "invalid_api_key" });
      }
      const reading = this.protocol.read(request);
      if (reading.kind === "reply") return this.#json(outgoing, 200, reading.body);
      this.asked.push(reading.asked);
      await this.#play(outgoing, reading.asked, reading.contentType ?? "text/event-stream");
    } catch (cause) {
      const refusal = cause instanceof Refusal ? cause : new Refusal(500, String(cause));
      if (incoming.method === "POST") this.refused.push(refusal);
      this.#json(outgoing, refusal.status, this.protocol.errorBody(refusal));
    }
  }

  async #request(incoming: IncomingMessage): Promise<VendorRequest> {
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of incoming as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > BODY_BYTES_MAX) throw new Refusal(413, "The request is too large.");
      parts.push(part);
    }
    const url = new URL(incoming.url ?? "/", this.base);
    return {
      method: incoming.method ?? "GET",
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      headers: incoming.headers as Record<string, string | undefined>,
      body: parseBody(Buffer.concat(parts).toString()),
      models: this.models,
    };
  }

  async #play(outgoing: ServerResponse, asked: Asked, type: string): Promise<void> {
    const plot = this.director(asked);
    if (plot.kind === "refuses") {
      const body = this.protocol.errorBody(plot.refusal);
      return this.#json(outgoing, plot.refusal.status, body, plot.headers);
    }
    this.active++;
    let left: boolean = false;
    outgoing.on("close", () => {
      this.active--;
      left = !outgoing.writableFinished;
      const waits = plot.kind === "answers" || plot.how === "silent";
      if (left && waits) this.leftAtMs.push(performance.now());
    });
    if (plot.kind === "answers" && !asked.stream) {
      return this.#json(outgoing, 200, this.protocol.whole(plot.scene, asked), plot.headers);
    }
    if (plot.kind === "breaks" && !asked.stream) return this.#breakWhole(outgoing, plot, asked);
    if (plot.kind === "breaks" && plot.after === "request") return breakOff(outgoing, plot.how);
    const extra = plot.kind === "answers" ? plot.headers : {};
    outgoing.writeHead(200, { ...this.protocol.headers(), ...extra, "content-type": type });
    outgoing.flushHeaders();
    const events = this.protocol.events(plot.scene, asked);
    const upTo = plot.kind === "breaks" ? (plot.after as number) : events.length;
    for (const event of events.slice(0, upTo)) {
      if (left || !(await written(outgoing, event))) return;
      if (plot.kind === "answers" && plot.gapMs !== undefined) await sleep(plot.gapMs);
    }
    if (plot.kind === "answers") outgoing.end();
    else await this.#break(outgoing, plot.how, asked);
  }

  async #break(outgoing: ServerResponse, how: Break, asked: Asked): Promise<void> {
    if (how === "error") {
      const refusal = new Refusal(503, "The model is overloaded.", { code: "overloaded" });
      for (const event of this.protocol.errorEvent(refusal, asked)) outgoing.write(event);
      outgoing.end();
      return;
    }
    await sleep(SETTLE_MS);
    await breakOff(outgoing, how);
  }

  /** A plain answer breaks in the middle of its body. */
  async #breakWhole(
    outgoing: ServerResponse,
    plot: Extract<Plot, { kind: "breaks" }>,
    asked: Asked,
  ): Promise<void> {
    if (plot.after !== "request") {
      const body = JSON.stringify(this.protocol.whole(plot.scene, asked));
      const headers = { "content-type": "application/json", "content-length": body.length };
      outgoing.writeHead(200, headers);
      await written(outgoing, body.slice(0, body.length / 2));
      await sleep(SETTLE_MS);
    }
    await breakOff(outgoing, plot.how === "clean" ? "fin" : plot.how);
  }

  #json(outgoing: ServerResponse, status: number, value: unknown, headers = {}): void {
    if (outgoing.headersSent) return void outgoing.destroy();
    const own = this.protocol.headers();
    outgoing.writeHead(status, { ...own, ...headers, "content-type": "application/json" });
    outgoing.end(JSON.stringify(value));
  }
}

export interface VendorOptions {
  models?: string[];
  key?: string;
  director: Director;
}

function parseBody(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, "We could not parse the JSON body of your request.");
  }
}

async function breakOff(outgoing: ServerResponse, how: Break): Promise<void> {
  if (how === "reset") outgoing.socket?.resetAndDestroy();
  else if (how === "fin") outgoing.socket?.end();
  else if (how === "clean") outgoing.end();
}

function written(outgoing: ServerResponse, text: string): Promise<boolean> {
  if (outgoing.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => outgoing.write(text, (error) => resolve(!error)));
}

export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
