/**
 * HTTP/1.1 answers out of a connection's bytes, by llhttp: the parser of Node and undici, in the
 * WebAssembly build that undici carries (its own client does not run well on every runtime).
 * One instance for all connections; what a connection's parser remembers lies in its memory.
 */
import { ERROR, TYPE } from "undici/lib/llhttp/constants.js";
import bytes from "undici/lib/llhttp/llhttp_simd-wasm.js";
import type { Headers } from "../src/grid/exchange.ts";
import { CodedError } from "./transport-errors.ts";

/** Who hears what was parsed. It must not throw, and not parse from inside a call. */
export interface ResponseSink {
  /** False: nobody asked for an answer, and the bytes are an error. */
  onBegin(): boolean;
  /** Once per answer; interim ones (1xx) are passed over. */
  onHead(status: number, headers: Headers): void;
  /** A view of the bytes that were given to `execute`. */
  onBody(chunk: Uint8Array): void;
  /** @param reusable the connection can carry another */
  onComplete(reusable: boolean): void;
}

/** Names and values of one head, in bytes; Node's own bound. */
const HEAD_BYTES_MAX = 16 * 1024;
/** Bytes parsed at once. */
const SLICE_BYTES = 64 * 1024;
const STOP = -1;

interface Llhttp {
  memory: WebAssembly.Memory;
  _initialize(): void;
  malloc(bytes: number): number;
  llhttp_alloc(type: number): number;
  llhttp_free(parser: number): void;
  llhttp_execute(parser: number, at: number, bytes: number): number;
  llhttp_finish(parser: number): number;
  llhttp_get_error_reason(parser: number): number;
}

const EMPTY = Buffer.alloc(0);

let llhttp: Llhttp | undefined;
/** Where the bytes lie that are parsed, and a view of that place. */
let input = 0;
let place = new Uint8Array(0);
/** Whose bytes are parsed. */
let current: ResponseParser;

function load(): Llhttp {
  const env = {
    wasm_on_message_begin: () => current.onBegin(),
    wasm_on_url: () => 0,
    wasm_on_status: () => 0,
    wasm_on_header_field: (_: number, at: number, length: number) => current.onName(at, length),
    wasm_on_header_value: (_: number, at: number, length: number) => current.onValue(at, length),
    wasm_on_headers_complete: (_: number, status: number, _upgrade: number, keep: number) =>
      current.onHeaders(status, keep === 1),
    wasm_on_body: (_: number, at: number, length: number) => current.onBody(at, length),
    wasm_on_message_complete: () => current.onMessage(),
  };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env });
  const loaded = exports as unknown as Llhttp;
  loaded._initialize();
  input = loaded.malloc(SLICE_BYTES);
  return loaded;
}

function claimsBody(headers: Headers): boolean {
  return "transfer-encoding" in headers || Number(headers["content-length"] ?? 0) > 0;
}

export class ResponseParser {
  private readonly sink: ResponseSink;
  private readonly wasm: Llhttp;
  private readonly parser: number;
  /** What is parsed now, as it lies in `input`. */
  private slice: Buffer = EMPTY;
  private headers: Headers = {};
  private headBytes = 0;
  private name = "";
  private value = "";
  private inValue = false;
  private status = 0;
  private reusable = false;

  constructor(sink: ResponseSink) {
    llhttp ??= load();
    this.wasm = llhttp;
    this.sink = sink;
    this.parser = llhttp.llhttp_alloc(TYPE.RESPONSE);
  }

  /** @returns what is wrong with them; nothing may be parsed afterwards */
  execute(chunk: Buffer): CodedError | undefined {
    const { memory } = this.wasm;
    for (let at = 0; at < chunk.byteLength; at += SLICE_BYTES) {
      const whole = chunk.byteLength <= SLICE_BYTES;
      this.slice = whole ? chunk : chunk.subarray(at, at + SLICE_BYTES);
      // The memory moves when it grows.
      if (place.buffer !== memory.buffer) place = new Uint8Array(memory.buffer, input, SLICE_BYTES);
      place.set(this.slice);
      current = this;
      const result = this.wasm.llhttp_execute(this.parser, input, this.slice.byteLength);
      if (result !== ERROR.OK) return this.failure(result);
    }
    this.slice = EMPTY;
    return undefined;
  }

  /** The other side has said its last: the end of an answer of no stated length. */
  finish(): CodedError | undefined {
    current = this;
    const result = this.wasm.llhttp_finish(this.parser);
    return result === ERROR.OK ? undefined : this.failure(result);
  }

  /** Gives its memory back; it must not be used afterwards. */
  free(): void {
    this.wasm.llhttp_free(this.parser);
  }

  onBegin(): number {
    return this.sink.onBegin() ? 0 : STOP;
  }

  onName(at: number, length: number): number {
    if (this.inValue) this.keepHeader();
    this.name += this.text(at, length);
    return this.count(length);
  }

  onValue(at: number, length: number): number {
    this.inValue = true;
    this.value += this.text(at, length);
    return this.count(length);
  }

  onHeaders(status: number, keepAlive: boolean): number {
    if (this.inValue) this.keepHeader();
    const { headers } = this;
    this.forgetHead();
    this.status = status;
    // No body may follow these: one that does would be taken for the next answer.
    const bare = status === 204 || status === 304;
    this.reusable = keepAlive && !(bare && claimsBody(headers));
    if (status >= 200) this.sink.onHead(status, headers);
    return 0;
  }

  onBody(at: number, length: number): number {
    const start = at - input;
    this.sink.onBody(this.slice.subarray(start, start + length));
    return 0;
  }

  onMessage(): number {
    // Trailers, which nobody asked for.
    this.forgetHead();
    if (this.status >= 200) this.sink.onComplete(this.reusable);
    return 0;
  }

  private keepHeader(): void {
    const { name, value, headers } = this;
    const key = name.toLowerCase();
    headers[key] = Object.hasOwn(headers, key) ? `${headers[key]}, ${value}` : value;
    this.name = "";
    this.value = "";
    this.inValue = false;
  }

  private forgetHead(): void {
    this.headers = {};
    this.headBytes = 0;
    this.name = "";
    this.value = "";
    this.inValue = false;
  }

  private text(at: number, length: number): string {
    const start = at - input;
    return this.slice.toString("latin1", start, start + length);
  }

  private count(length: number): number {
    this.headBytes += length;
    return this.headBytes > HEAD_BYTES_MAX ? STOP : 0;
  }

  private failure(result: number): CodedError {
    if (this.headBytes > HEAD_BYTES_MAX) {
      const why = `the answer's head is longer than ${HEAD_BYTES_MAX} bytes`;
      return new CodedError("UND_ERR_HEADERS_OVERFLOW", why);
    }
    const name = Object.keys(ERROR).find((one) => ERROR[one] === result);
    const reason = this.wasm.llhttp_get_error_reason(this.parser);
    const memory = Buffer.from(this.wasm.memory.buffer);
    const why = reason === 0 ? "" : memory.toString("latin1", reason, memory.indexOf(0, reason));
    return new CodedError(`HPE_${name}`, `the answer is not HTTP/1.1: ${why}`);
  }
}
