/**
 * ZMTP 3.1, one connection, sans I/O: bytes in, messages out. NULL mechanism only; 3.0 peers are
 * served in their own words (a subscription is a message there, and there are no heartbeats).
 * Both sides of PUB/SUB and of DEALER/ROUTER, as KV events and their replay need them.
 *
 *     greeting 64: FF 00×8 7F │ major minor │ mechanism ×20 │ as-server │ filler ×31
 *     frame:       flags (1 more, 2 long, 4 command) │ size u8, or u64 when long │ body
 *     command:     name size u8 │ name │ data
 *
 * Source: rfc.zeromq.org 23 (3.0) and 37 (3.1); tried against libzmq 4.3.5. Every size that a peer
 * can announce has a bound; a breach is a ZmtpError, after which the connection must be closed.
 */
import type { Millis } from "../grid/units.ts";
import { ByteQueue } from "./byte-queue.ts";

export class ZmtpError extends Error {}

/** Who may talk to whom (RFC 37, socket types). */
const PARTNERS = {
  SUB: ["PUB", "XPUB"],
  PUB: ["SUB", "XSUB"],
  DEALER: ["ROUTER", "DEALER", "REP"],
  ROUTER: ["DEALER", "REQ", "ROUTER"],
} as const;
export type ZmtpType = keyof typeof PARTNERS;

export interface ZmtpLimits {
  /** Largest frame, bytes. */
  frameBytes: number;
  /** Largest message, all of its frames together, bytes. */
  messageBytes: number;
  /** Most frames of a message. */
  frames: number;
  /** Longest time until the peer is ready, ms. */
  handshakeMs: Millis;
  /** So often a PING goes out. */
  pingMs: Millis;
  /** Silent for so long: dead. Only for peers that answer PINGs (3.1). */
  silenceMs: Millis;
}

/** A batch of vLLM is one step's blocks: 10,000 blocks of 16 ids are about 1 MB. */
export const ZMTP_LIMITS: ZmtpLimits = {
  frameBytes: 16 * 1024 * 1024,
  messageBytes: 16 * 1024 * 1024,
  frames: 16,
  handshakeMs: 5_000,
  pingMs: 2_000,
  silenceMs: 8_000,
};

export interface ZmtpHandler {
  write(bytes: Uint8Array): void;
  /** The handshake is done: messages may be sent. */
  ready(): void;
  /** One message; the frames are the receiver's own. */
  message(frames: Uint8Array[]): void;
  /** For publishers: the peer wants, or no longer wants, topics that start so. */
  subscribed?(topic: Uint8Array, on: boolean): void;
}

const GREETING_BYTES = 64;
const MORE = 1;
const LONG = 2;
const COMMAND = 4;
/** Commands are small: a READY of libzmq has about 40 bytes. */
const COMMAND_BYTES_MAX = 4_096;
const PING_CONTEXT_MAX = 16;
/** How long the peer may take us for dead after our last word, in tenths of a second. */
const PING_TTL = Uint8Array.of(0, 100);

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function greeting(): Uint8Array {
  const bytes = new Uint8Array(GREETING_BYTES);
  bytes[0] = 0xff;
  bytes[9] = 0x7f;
  bytes.set([3, 1], 10);
  bytes.set(ascii("NULL"), 12);
  return bytes;
}

/** One frame with its header. */
function frame(flags: number, body: Uint8Array): Uint8Array {
  const isLong = body.length > 0xff;
  const head = new Uint8Array(isLong ? 9 : 2);
  head[0] = flags | (isLong ? LONG : 0);
  if (isLong) new DataView(head.buffer).setBigUint64(1, BigInt(body.length));
  else head[1] = body.length;
  return joined([head, body]);
}

function command(name: string, data: Uint8Array): Uint8Array {
  return frame(COMMAND, joined([Uint8Array.of(name.length), ascii(name), data]));
}

function property(name: string, value: string): Uint8Array {
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, value.length);
  return joined([Uint8Array.of(name.length), ascii(name), size, ascii(value)]);
}

export class ZmtpConnection {
  private readonly type: ZmtpType;
  private readonly handler: ZmtpHandler;
  private readonly limits: ZmtpLimits;
  private readonly queue = new ByteQueue();
  private state: "greeting" | "handshake" | "ready" = "greeting";
  /** Minor version of the peer. */
  private minor = 0;
  private parts: Uint8Array[] = [];
  private partBytes = 0;
  private readonly startedMs: Millis;
  private heardMs: Millis;
  private pingedMs: Millis;

  /** Sends the greeting. */
  constructor(
    type: ZmtpType,
    handler: ZmtpHandler,
    nowMs: Millis,
    limits: ZmtpLimits = ZMTP_LIMITS,
  ) {
    this.type = type;
    this.handler = handler;
    this.limits = limits;
    this.startedMs = nowMs;
    this.heardMs = nowMs;
    this.pingedMs = nowMs;
    handler.write(greeting());
  }

  get isReady(): boolean {
    return this.state === "ready";
  }

  /** @throws ZmtpError when the peer breaks the protocol or a bound */
  receive(bytes: Uint8Array, nowMs: Millis): void {
    this.heardMs = nowMs;
    this.queue.push(bytes);
    if (this.state === "greeting" && !this.readGreeting()) return;
    while (this.readFrame());
  }

  /** One message of one or more frames. Only when ready. */
  send(frames: readonly Uint8Array[]): void {
    const last = frames.length - 1;
    this.handler.write(joined(frames.map((body, at) => frame(at < last ? MORE : 0, body))));
  }

  /** Asks for every topic that starts so; empty = all. Only when ready. */
  subscribe(topic: Uint8Array): void {
    const ask = this.minor >= 1 ? command("SUBSCRIBE", topic) : undefined;
    this.handler.write(ask ?? frame(0, joined([Uint8Array.of(1), topic])));
  }

  /** @throws ZmtpError when the peer has been silent for too long */
  tick(nowMs: Millis): void {
    if (this.state !== "ready") {
      if (nowMs - this.startedMs < this.limits.handshakeMs) return;
      throw new ZmtpError(`no ZMTP handshake within ${this.limits.handshakeMs} ms`);
    }
    if (this.minor === 0) return;
    const silentMs = nowMs - this.heardMs;
    if (silentMs >= this.limits.silenceMs) {
      throw new ZmtpError(`silent for ${Math.round(silentMs)} ms`);
    }
    // However much the peer has to say: libzmq closes when no word of ours comes within the TTL of
    // our last PING, and a subscriber has no other words.
    if (nowMs - this.pingedMs < this.limits.pingMs) return;
    this.pingedMs = nowMs;
    this.handler.write(command("PING", PING_TTL));
  }

  private readGreeting(): boolean {
    const { queue } = this;
    // The signature shows at once that somebody else listens there (an HTTP server, TLS).
    for (const at of [0, 9]) {
      if (queue.length > at && queue.at(at) !== (at === 0 ? 0xff : 0x7f)) {
        throw new ZmtpError("the peer does not speak ZMTP: check the address");
      }
    }
    if (queue.length > 10 && queue.at(10) < 3) {
      throw new ZmtpError("the peer speaks ZMTP 2 or older (libzmq 3); 3.0 is needed");
    }
    if (queue.length < GREETING_BYTES) return false;
    const bytes = queue.take(GREETING_BYTES);
    this.minor = bytes[10] > 3 ? 1 : bytes[11];
    const mechanism = textOf(bytes.subarray(12, 32)).replace(/\0+$/, "");
    if (mechanism !== "NULL") {
      const shown = mechanism.replace(/[^\x20-\x7e]/g, "?");
      throw new ZmtpError(`the peer wants the mechanism ${shown}; only NULL is supported`);
    }
    this.state = "handshake";
    this.handler.write(command("READY", property("Socket-Type", this.type)));
    return true;
  }

  /** Reads one whole frame; false when more bytes are needed. */
  private readFrame(): boolean {
    const { queue, limits } = this;
    if (queue.length < 2) return false;
    const flags = queue.at(0);
    if ((flags & ~(MORE | LONG | COMMAND)) !== 0 || (flags & (MORE | COMMAND)) === 5) {
      throw new ZmtpError(`frame with reserved flags 0x${flags.toString(16)}`);
    }
    const isLong = (flags & LONG) !== 0;
    const head = isLong ? 9 : 2;
    if (queue.length < head) return false;
    const size = isLong ? queue.size64(1) : queue.at(1);
    const most = (flags & COMMAND) !== 0 ? COMMAND_BYTES_MAX : limits.frameBytes;
    if (size > most) throw new ZmtpError(`frame of ${size} bytes; at most ${most} are taken`);
    if (queue.length < head + size) return false;
    queue.skip(head);
    const body = queue.take(size);
    if ((flags & COMMAND) !== 0) this.readCommand(body);
    else this.readPart(body, (flags & MORE) !== 0);
    return true;
  }

  private readPart(body: Uint8Array, more: boolean): void {
    if (this.state !== "ready") throw new ZmtpError("a message before READY");
    this.parts.push(body);
    this.partBytes += body.length;
    const { frames, messageBytes } = this.limits;
    if (this.parts.length > frames || this.partBytes > messageBytes) {
      throw new ZmtpError(`message over ${frames} frames or ${messageBytes} bytes`);
    }
    if (more) return;
    const message = this.parts;
    this.parts = [];
    this.partBytes = 0;
    // In ZMTP 3.0 a subscription is a message: 1 or 0, then the topic.
    const first = message[0];
    if (this.type === "PUB" && message.length === 1 && first.length > 0 && first[0] <= 1) {
      this.handler.subscribed?.(first.subarray(1), first[0] === 1);
    } else if (this.type !== "PUB") this.handler.message(message);
  }

  private readCommand(body: Uint8Array): void {
    const size = body[0] ?? 0;
    if (body.length < 1 + size) throw new ZmtpError("a command that is cut short");
    const name = textOf(body.subarray(1, 1 + size));
    const data = body.subarray(1 + size);
    switch (name) {
      case "READY":
        return this.readReady(data);
      case "ERROR":
        throw new ZmtpError(`the peer refuses: ${textOf(data.subarray(1)).slice(0, 200)}`);
      case "PING":
        // The context, if any, comes back.
        return this.handler.write(command("PONG", data.slice(2, 2 + PING_CONTEXT_MAX)));
      case "SUBSCRIBE":
      case "CANCEL":
        return this.handler.subscribed?.(data, name === "SUBSCRIBE");
      default:
        // PONG has done its work by coming; what later versions add is not for us.
        return;
    }
  }

  private readReady(data: Uint8Array): void {
    if (this.state === "ready") throw new ZmtpError("READY a second time");
    const type = metadata(data).get("socket-type") ?? "";
    if (!(PARTNERS[this.type] as readonly string[]).includes(type)) {
      const wanted = PARTNERS[this.type].join(" or ");
      throw new ZmtpError(`the peer is a ${type.slice(0, 16)} socket; ${wanted} is needed`);
    }
    this.state = "ready";
    this.handler.ready();
  }
}

/** Properties of a READY; names are case-insensitive. */
function metadata(data: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < data.length; ) {
    const nameEnd = at + 1 + data[at];
    if (nameEnd + 4 > data.length) throw new ZmtpError("a READY that is cut short");
    const valueEnd = nameEnd + 4 + view.getUint32(nameEnd);
    if (valueEnd > data.length) throw new ZmtpError("a READY that is cut short");
    const name = textOf(data.subarray(at + 1, nameEnd)).toLowerCase();
    found.set(name, textOf(data.subarray(nameEnd + 4, valueEnd)));
    at = valueEnd;
  }
  return found;
}
