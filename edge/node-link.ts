/**
 * A link of gossip on a socket of `ws`. Thirty PoPs see a hundred frames a second each way, nearly
 * all of them small, whole and binary, and each costs what code it runs through: those are read
 * and written here, straight on the stream. Everything else is `ws`'s: the handshake, long and
 * fragmented messages, pings, closing, and whatever breaks the protocol (RFC 6455).
 */
import type { Duplex } from "node:stream";
import type { IncomingMessage } from "node:http";
import type { WebSocket } from "ws";
import type { LinkSocket } from "../src/mesh/link.ts";
import { bufferedRandom } from "./random.ts";

/** FIN, no extension, opcode 2. */
const WHOLE_BINARY = 0x82;
const MASKED = 0x80;
/** Longest payload whose length is in the header's second byte. */
const SHORT_BYTES = 125;
const OPEN = 1;

export class NodeLinkSocket implements LinkSocket {
  binaryType = "nodebuffer";
  onopen: (() => void) | undefined;
  onmessage: ((message: { data: unknown }) => void) | undefined;
  onclose: (() => void) | undefined;
  onerror: (() => void) | undefined;
  private readonly socket: WebSocket;
  private readonly dialled: boolean;
  private stream: Duplex | undefined;
  /**
   * Bytes that `ws` was given, less those of the messages that it told of: 0, it holds none. A
   * message in parts has headers that it does not tell of: that link stays with it.
   */
  private withLibrary = 0;

  /** @param stream what an open socket came on; undefined: this end dials */
  constructor(socket: WebSocket, stream?: Duplex) {
    this.socket = socket;
    this.dialled = stream === undefined;
    if (stream === undefined) {
      socket.once("upgrade", ({ socket: to }: IncomingMessage) => {
        socket.once("open", () => this.shorten(to));
      });
    } else this.shorten(stream);
    socket.on("open", () => this.onopen?.());
    socket.on("message", (data: Buffer, isBinary) => {
      this.told(data);
      this.onmessage?.({ data: isBinary ? data : data.toString() });
    });
    socket.on("ping", (data) => this.told(data));
    socket.on("pong", (data) => this.told(data));
    socket.on("close", () => this.onclose?.());
    socket.on("error", () => this.onerror?.());
  }

  get bufferedAmount(): number {
    return this.socket.bufferedAmount;
  }

  get readyState(): number {
    return this.socket.readyState;
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    const { stream } = this;
    if (stream === undefined || bytes.length > SHORT_BYTES || this.socket.readyState !== OPEN) {
      this.socket.send(bytes);
    } else stream.write(this.dialled ? maskedFrame(bytes) : plainFrame(bytes));
  }

  close(code?: number, reason?: string): void {
    this.socket.close(code, reason);
  }

  terminate(): void {
    this.socket.terminate();
  }

  /** A stream of Node is handed what came by its `push`; past it lies all that a reader costs. */
  private shorten(stream: Duplex): void {
    this.stream = stream;
    // What came with the handshake waits there for `ws`.
    this.withLibrary = stream.readableLength;
    const push = stream.push.bind(stream);
    stream.push = (chunk: Buffer | null) => {
      const rest = chunk === null || this.withLibrary > 0 ? chunk : this.takeWhole(chunk);
      if (rest === undefined) return true;
      if (rest !== null) this.withLibrary += rest.length;
      return push(rest);
    };
  }

  /** Takes short whole messages off the front. Returns the rest; undefined: nothing is left. */
  private takeWhole(chunk: Buffer): Buffer | undefined {
    let at = 0;
    while (at < chunk.length) {
      const next = this.takeOne(chunk, at);
      if (next === at) return chunk.subarray(at);
      at = next;
    }
    return undefined;
  }

  /** @returns where the next message begins; `at`: this one is not for here */
  private takeOne(chunk: Buffer, at: number): number {
    if (chunk[at] !== WHOLE_BINARY) return at;
    // A server takes masked frames only, a client plain ones.
    const maskBytes = this.dialled ? 0 : 4;
    const length = (chunk[at + 1] as number) ^ (this.dialled ? 0 : MASKED);
    const start = at + 2 + maskBytes;
    const end = start + length;
    if (!(length <= SHORT_BYTES) || end > chunk.length) return at;
    for (let i = 0; maskBytes > 0 && i < length; i++) {
      (chunk[start + i] as number) ^= chunk[start - 4 + (i & 3)] as number;
    }
    this.onmessage?.({ data: new Uint8Array(chunk.buffer, chunk.byteOffset + start, length) });
    return end;
  }

  private told({ length }: Buffer): void {
    const lengthBytes = length <= SHORT_BYTES ? 0 : length < 0x1_0000 ? 2 : 8;
    this.withLibrary -= 2 + lengthBytes + (this.dialled ? 0 : 4) + length;
  }
}

const random = bufferedRandom();

/** Bytes are xored with a mask that nobody can foresee, as a client's must be. */
function maskedFrame(bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(6 + bytes.length);
  frame[0] = WHOLE_BINARY;
  frame[1] = MASKED | bytes.length;
  frame.writeUInt32BE(random(), 2);
  for (let i = 0; i < bytes.length; i++) {
    frame[6 + i] = (bytes[i] as number) ^ (frame[2 + (i & 3)] as number);
  }
  return frame;
}

/** The frame made last: a report goes to all links as the same bytes. */
let framed: { bytes: Uint8Array; frame: Buffer } | undefined;

function plainFrame(bytes: Uint8Array): Buffer {
  if (framed?.bytes === bytes) return framed.frame;
  const frame = Buffer.allocUnsafe(2 + bytes.length);
  frame[0] = WHOLE_BINARY;
  frame[1] = bytes.length;
  frame.set(bytes, 2);
  framed = { bytes, frame };
  return frame;
}
