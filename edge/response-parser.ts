/**
 * HTTP/1.1 answers out of a connection's bytes, by llhttp: the parser of Node and undici, in the
 * WebAssembly build that undici carries (its own client does not run well on every runtime).
 * One instance for all connections; what a connection's parser remembers lies in its memory.
 */
import { ERROR, TYPE } from "undici/lib/llhttp/constants.js";
import bytes from "undici/lib/llhttp/llhttp_simd-wasm.js";
import type { Headers } from "../src/grid/exchange.ts";
import { SHARED_BYTES_MAX } from "./tcp.ts";
import { CodedError } from "./transport-errors.ts";
import { type WholeAnswer, wholeAnswer } from "./whole-answer.ts";

/** Who hears what was parsed. It must not throw, and not parse from inside a call. */
export interface ResponseSink {
  /** False: nobody asked for an answer, and the bytes are an error. */
  onBegin(): boolean;
  /** Once per answer; interim ones (1xx) are passed over. */
  onHead(status: number, headers: Headers): void;
  /** The bytes are the receiver's. */
  onBody(chunk: Uint8Array): void;
  /** @param reusable the connection can carry another */
  onComplete(reusable: boolean): void;
}

/** Names and values of one head, in bytes; Node's own bound. */
const HEAD_BYTES_MAX = 16 * 1024;
/** Bytes parsed at once. */
const SLICE_BYTES = 64 * 1024;
const STOP = -1;
/** So much of what comes is made text at once when it has a head. */
const HEAD_TEXT_MAX = 1_024;
const CR = 0x0d;
const LF = 0x0a;
/** Of a chunk that is not left to llhttp. */
const SIZE_DIGITS_MAX = 7;

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

/** Few bytes may be there during the call only. And a view is dearer: on Bun 550 ns, not 154. */
function pieceOf(bytes: Buffer, start: number, end: number): Uint8Array {
  if (end - start > SHARED_BYTES_MAX) return bytes.subarray(start, end);
  const piece = Buffer.allocUnsafe(end - start);
  bytes.copy(piece, 0, start, end);
  return piece;
}

/** Set by `dataStart`. */
let chunkSize = 0;

/** Where the data of the chunk at `at` begins, whose head is its size alone; -1: it has another. */
function dataStart(bytes: Buffer, at: number): number {
  chunkSize = 0;
  for (let digits = 0; digits <= SIZE_DIGITS_MAX; digits++, at++) {
    const byte = bytes[at];
    if (byte === CR) return chunkSize > 0 && bytes[at + 1] === LF ? at + 2 : -1;
    const digit = hexDigit(byte);
    if (digit < 0) return -1;
    chunkSize = chunkSize * 16 + digit;
  }
  return -1;
}

/** -1: it is none. */
function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
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
  /** The first of it as text, where a head was asked for. */
  private headText: string | undefined;
  private headers: Headers = {};
  private headBytes = 0;
  private name = "";
  private value = "";
  private inValue = false;
  private status = 0;
  private reusable = false;
  /** llhttp stands before the first byte of an answer. */
  private between = true;
  /** The body is chunked (RFC 9112, 7.1), and what comes next is the size of a chunk. */
  private chunked = false;
  private aligned = false;
  /** Where the last piece of a body ended in `slice`. */
  private bodyEnd = 0;

  constructor(sink: ResponseSink) {
    llhttp ??= load();
    this.wasm = llhttp;
    this.sink = sink;
    this.parser = llhttp.llhttp_alloc(TYPE.RESPONSE);
  }

  /**
   * @param chunk as it comes out of a TcpSocket
   * @returns what is wrong with it; nothing may be parsed afterwards
   */
  execute(chunk: Buffer): CodedError | undefined {
    const whole = this.between && this.sink.onBegin() ? wholeAnswer(chunk) : undefined;
    if (whole !== undefined) return this.passWhole(chunk, whole);
    const { memory } = this.wasm;
    const start = this.aligned ? this.passChunks(chunk) : 0;
    for (let at = start; at < chunk.byteLength; at += SLICE_BYTES) {
      const single = at === 0 && chunk.byteLength <= SLICE_BYTES;
      this.slice = single ? chunk : chunk.subarray(at, at + SLICE_BYTES);
      this.bodyEnd = 0;
      this.headText = undefined;
      // The memory moves when it grows.
      if (place.buffer !== memory.buffer) place = new Uint8Array(memory.buffer, input, SLICE_BYTES);
      place.set(this.slice);
      current = this;
      const result = this.wasm.llhttp_execute(this.parser, input, this.slice.byteLength);
      if (result !== ERROR.OK) return this.failure(result);
      this.aligned = this.chunked && this.endsChunk();
    }
    this.slice = EMPTY;
    return undefined;
  }

  /** llhttp sees nothing of it and stands between two answers as before. */
  private passWhole(bytes: Buffer, { headers, bodyAt }: WholeAnswer): undefined {
    this.sink.onHead(200, headers);
    const size = bytes.byteLength;
    if (size > bodyAt) this.sink.onBody(pieceOf(bytes, bodyAt, size));
    this.sink.onComplete(true);
  }

  /**
   * Hands on the whole chunks that `bytes` starts with, which is how engines write tokens. llhttp
   * sees nothing of them and stands between two chunks as before; it gets what is left: the last
   * chunk, one that is cut, or one with more in its head than its size.
   * @returns where that begins
   */
  private passChunks(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      const start = dataStart(bytes, at);
      const end = start + chunkSize;
      if (start < 0 || end + 2 > bytes.byteLength) return at;
      if (bytes[end] !== CR || bytes[end + 1] !== LF) return at;
      this.sink.onBody(pieceOf(bytes, start, end));
      at = end + 2;
    }
  }

  /** A piece of a body that ends before the slice does was the rest of its chunk. */
  private endsChunk(): boolean {
    const { slice, bodyEnd } = this;
    const whole = bodyEnd > 0 && bodyEnd + 2 === slice.byteLength;
    return whole && slice[bodyEnd] === CR && slice[bodyEnd + 1] === LF;
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
    this.between = false;
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
    this.chunked = headers["transfer-encoding"]?.toLowerCase() === "chunked";
    if (status >= 200) this.sink.onHead(status, headers);
    return 0;
  }

  onBody(at: number, length: number): number {
    const start = at - input;
    this.bodyEnd = start + length;
    this.sink.onBody(pieceOf(this.slice, start, this.bodyEnd));
    return 0;
  }

  onMessage(): number {
    // Trailers, which nobody asked for.
    this.forgetHead();
    this.chunked = false;
    this.aligned = false;
    this.between = this.reusable;
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
    const end = start + length;
    if (end > HEAD_TEXT_MAX) return this.slice.toString("latin1", start, end);
    this.headText ??= this.slice.toString("latin1", 0, HEAD_TEXT_MAX);
    return this.headText.slice(start, end);
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
