/**
 * Exchange on Request and Response, for the runtimes where those are the server's own form: Bun,
 * Deno, workerd. An answer that is whole when it comes becomes a Response of bytes, the cheapest
 * there is; anything else becomes a stream whose queue is the buffer that `write` speaks of.
 */
import { GridError } from "../src/grid/errors.ts";
import type { BodyRoom, Exchange, Headers } from "../src/grid/exchange.ts";
import type { DoorSocket, SocketListener, SocketTerms, Upgrade } from "../src/grid/socket.ts";
import { malformed, type Pop } from "../src/index.ts";
import { badBody, leftWhileSending, tooLarge, tooSlow } from "./body-errors.ts";
import { offeredProtocols } from "./door-socket.ts";
import type { LocalFleet } from "./fleet.ts";
import { type AnswerBody, type BodyWriter, QueuedBody } from "./web-body.ts";

/** What a runtime knows of a request beside the Request itself. */
export interface WebPeer {
  remoteAddress?(): string | undefined;
  /** Makes the connection a socket; returns what the runtime's handler must return then. */
  takeSocket?(terms: SocketTerms, opened: (socket: DoorSocket) => SocketListener): Response;
  /**
   * Where only a write that fails tells that a client has left: a comment into event streams that
   * are silent for so long. 0 or undefined: never.
   */
  heartbeatMs?: number;
  /** For a runtime that has no bound of its own for headers. */
  headerBytesMax?: number;
  /** The PoP leaves: the client is told to end the connection with this answer. */
  leaving?: boolean;
  /** The body of a streamed answer; default: the standard's. */
  makeBody?(writer: BodyWriter): AnswerBody;
  /** What a Response is given as headers; default: the plain object. */
  makeHeaders?(headers: Headers): HeadersInit;
  /** The path, where the runtime's own router has found it. */
  path?: string;
}

/** Who answers what comes in at a server. */
export interface WebHost {
  answer(exchange: WebExchange): Promise<Response>;
  gossip: LocalFleet | undefined;
  leaving?: boolean;
}

/** Hono holds a marker; the answer is the Exchange's. */
const SENT = new Response(null);
/** On Node such a body comes with its head. */
const SMALL_BYTES = 65_536;
const encoder = new TextEncoder();
const HEARTBEAT = encoder.encode(":\n\n");
/** Statuses that may not have a body, which Response's constructor insists on. */
const BODILESS = [204, 205, 304];

interface UrlParts {
  readonly url: string;
  readonly path: string;
  readonly query: string;
}

/** Nearly all requests of a PoP have the same URL: its parts are made once. */
let lastParts: UrlParts = { url: "", path: "/", query: "" };

function partsOf(url: string): UrlParts {
  if (url === lastParts.url) return lastParts;
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const mark = url.indexOf("?", start);
  const path = start < 0 ? "/" : url.slice(start, mark < 0 ? undefined : mark);
  lastParts = { url, path, query: mark < 0 ? "" : url.slice(mark + 1) };
  return lastParts;
}

/** Lets a PoP answer a Request. */
export function answer(pop: Pop, exchange: WebExchange): Promise<Response> {
  const { method, path } = exchange;
  if (exchange.headersTooLarge) {
    const { status, body } = malformed("HPE_HEADER_OVERFLOW", "");
    exchange.head(status, { "content-type": "application/json" });
    exchange.end(encoder.encode(body));
    return exchange.response;
  }
  void pop.fetch({ method, url: `http://pop${path}` } as Request, { exchange, sent: SENT });
  return exchange.response;
}

export class WebExchange implements Exchange, BodyWriter {
  readonly method: string;
  readonly path: string;
  /** Settles when there is something to send. */
  readonly response: Promise<Response>;
  headSent = false;
  closed = false;
  private readonly request: Request;
  private readonly peer: WebPeer;
  private read: Headers | undefined;
  private respond!: (response: Response) => void;
  private status = 0;
  private answerHeaders: Headers = {};
  private sink: AnswerBody | undefined;
  private goneListener: (() => void) | undefined;
  private drainListener: (() => void) | undefined;
  private bodyListener: (() => void) | undefined;
  private gone = false;
  private heartbeat: ReturnType<typeof setInterval> | undefined;
  private silent = false;
  private room: BodyRoom | undefined;
  private taken = 0;

  constructor(request: Request, peer: WebPeer) {
    this.request = request;
    this.peer = peer;
    this.method = request.method;
    this.path = peer.path ?? partsOf(request.url).path;
    this.response = new Promise((resolve) => {
      this.respond = resolve;
    });
    request.signal.addEventListener("abort", () => this.left());
  }

  get query(): string {
    return partsOf(this.request.url).query;
  }

  get headers(): Headers {
    this.read ??= objectOf(this.request.headers);
    return this.read;
  }

  get upgrade(): Upgrade | undefined {
    const { takeSocket } = this.peer;
    if (takeSocket === undefined || this.headers["upgrade"]?.toLowerCase() !== "websocket") {
      return undefined;
    }
    return {
      protocols: offeredProtocols(this.headers["sec-websocket-protocol"]),
      accept: (terms, opened) => {
        if (this.closed) return;
        this.closed = true;
        this.respond(takeSocket(terms, opened));
      },
    };
  }

  get headersTooLarge(): boolean {
    const { headerBytesMax } = this.peer;
    if (headerBytesMax === undefined) return false;
    let size = 0;
    for (const name in this.headers) size += name.length + (this.headers[name] as string).length;
    return size > headerBytesMax;
  }

  get remoteAddress(): string | undefined {
    return this.peer.remoteAddress?.();
  }

  body(limitBytes: number, timeoutMs: number, room?: BodyRoom): Promise<Uint8Array> {
    const promised = this.headers["content-length"];
    const length = Number(promised ?? 0);
    if (length > limitBytes) return Promise.reject(tooLarge(limitBytes));
    this.room = room;
    try {
      if (length > SMALL_BYTES) this.take(length);
    } catch (error) {
      return Promise.reject(error);
    }
    const { request } = this;
    // Asking for `body` makes a stream of it, which a body of known length does not need.
    if (promised === undefined && request.body === null) return Promise.resolve(new Uint8Array(0));
    return new Promise((resolve, reject) => {
      const take = (bytes: number) => this.take(bytes);
      const reading: Reading = { size: 0, reader: undefined, take };
      const timer = setTimeout(() => fail(tooSlow(timeoutMs, reading.size)), timeoutMs);
      const finish = (): void => {
        clearTimeout(timer);
        this.bodyListener = undefined;
      };
      const fail = (cause: unknown): void => {
        finish();
        reading.reader?.cancel().catch(() => {});
        if (cause instanceof GridError) reject(cause);
        else reject(request.signal.aborted ? leftWhileSending() : badBody(cause));
      };
      this.bodyListener = () => fail(leftWhileSending());
      const whole =
        promised === undefined
          ? piecesOf(request.body as ReadableStream<Uint8Array>, limitBytes, reading)
          : request.bytes();
      whole.then((bytes) => {
        finish();
        resolve(bytes);
      }, fail);
    });
  }

  private take(bytes: number): void {
    if (this.closed) return;
    this.room?.take(bytes);
    this.taken += bytes;
  }

  /** Nothing is read or sent any more. */
  private over(): void {
    this.closed = true;
    if (this.taken > 0) this.room?.give(this.taken);
    this.taken = 0;
  }

  onGone(listener: () => void): void {
    if (this.gone) listener();
    else this.goneListener = listener;
  }

  head(status: number, headers: Headers): void {
    if (this.closed || this.headSent) return;
    this.headSent = true;
    this.status = status;
    this.answerHeaders = this.peer.leaving ? { ...headers, connection: "close" } : headers;
    // A head alone goes out, too, unless the answer is already whole.
    queueMicrotask(() => {
      if (!this.closed) this.stream();
    });
  }

  write(chunk: Uint8Array): boolean {
    if (this.closed) return true;
    const sink = this.stream();
    this.silent = false;
    sink.write(chunk);
    return !sink.full;
  }

  onDrain(listener: () => void): void {
    this.drainListener = listener;
  }

  end(chunk?: Uint8Array): void {
    if (this.closed) return;
    this.over();
    if (this.sink === undefined) {
      this.respond(this.responseOf((chunk as BodyInit | undefined) ?? null));
      return;
    }
    if (chunk !== undefined) this.sink.write(chunk);
    this.sink.end();
  }

  destroy(error: Error): void {
    if (this.closed) return;
    this.over();
    if (this.sink !== undefined) return this.sink.fail(error);
    // Nothing said yet: no status would be the better break, but a Request must have an answer.
    const status = error instanceof GridError ? error.status : 500;
    this.respond(new Response(null, { status, headers: { connection: "close" } }));
  }

  private stream(): AnswerBody {
    if (this.sink !== undefined) return this.sink;
    const { makeBody } = this.peer;
    this.sink = makeBody === undefined ? new QueuedBody(this) : makeBody(this);
    this.respond(this.responseOf(this.sink.stream));
    this.beat();
    return this.sink;
  }

  drained(): void {
    this.drainListener?.();
  }

  private beat(): void {
    const { heartbeatMs = 0 } = this.peer;
    const type = this.answerHeaders["content-type"] ?? "";
    if (heartbeatMs === 0 || !type.startsWith("text/event-stream")) return;
    this.heartbeat = setInterval(() => {
      if (this.closed) clearInterval(this.heartbeat);
      else if (this.silent && this.sink?.full === false) this.sink.write(HEARTBEAT);
      this.silent = true;
    }, heartbeatMs);
  }

  private responseOf(body: BodyInit | null): Response {
    const { status, answerHeaders } = this;
    const headers = this.peer.makeHeaders?.(answerHeaders) ?? answerHeaders;
    const bare = body === null || this.method === "HEAD" || BODILESS.includes(status);
    return new Response(bare ? null : body, { status: status || 500, headers });
  }

  left(): void {
    if (this.closed) return;
    this.over();
    this.gone = true;
    this.bodyListener?.();
    this.goneListener?.();
  }
}

/** Bun has a quick way of its own. */
export function objectOf(headers: Request["headers"]): Headers {
  const { toJSON } = headers as { toJSON?: () => Headers };
  return toJSON === undefined ? (Object.fromEntries(headers) as Headers) : toJSON.call(headers);
}

interface Reading {
  size: number;
  /** @throws GridError saturated */
  take(bytes: number): void;
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
}

/** A body of unknown length, up to the bound. */
async function piecesOf(
  body: ReadableStream<Uint8Array>,
  limitBytes: number,
  reading: Reading,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const reader = body.getReader();
  reading.reader = reader;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    reading.size += value.byteLength;
    if (reading.size > limitBytes) throw tooLarge(limitBytes);
    reading.take(value.byteLength);
    pieces.push(value);
  }
  const whole = new Uint8Array(reading.size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}
