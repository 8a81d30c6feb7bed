/**
 * The frames. Each is one MessagePack array whose first item is its kind. A frame is read as a
 * whole (`read-frame.ts`) before any of it counts, so a broken one changes but a counter.
 *
 *      1 HELLO    version | grid id | certificate | epoch | instance | nonce 16 B | role
 *      2 AUTH     signature over both hellos
 *      3 WELCOME  state | claim, 3 items: what I remember of you;   or nil: nothing
 *      4 GOAWAY   reason | retry after (ms, 0: as you like)
 *      5 HOT      sent at (ms, sender's clock) | { ref | seq | age (10 ms) | payload } ...
 *      6 COLD     { body | signature } ...
 *      7 SUM      64 bucket hashes of 32 bits, big-endian, 256 B
 *      8 HAVE     buckets asked, bits, 8 B | { nid | epoch | inc | cold digest | gone 0|1 } ...
 *      9 PING     sent at (ms, sender's clock)
 *     10 PONG     sent at, as in the ping
 *     11 ACCUSE   { body | signature } ...
 *     12 MEMBER   { body | signature | certificate } ...
 *     13 PREFIX   seq | part | parts (0: a delta) | count | churn | added, coded | removed, coded
 *     14 FOLLOW   1: send me your prefixes, 0: no more
 *     15 RELAY    0|1: all load reports | nid of others wanted ...
 *     16 WANT     nid ...
 *     17 ALIAS    { ref | nid | epoch } ...
 *     18 CALL     id | kind | body
 *     19 ANSWER   id | 1: done, 0: refused | body
 *     20 REBIND   ref ...   refs of yours that nothing bound here: announce them again
 *
 * A HOT record is about 26 B: the origin is named by a small `ref` that ALIAS bound, on this link,
 * to (nid, epoch); the age replaces a timestamp, so that no two clocks need to agree.
 */
import type { Millis } from "../grid/units.ts";
import { Writer } from "./codec.ts";
import { type Nid, nidToBytes } from "./identity.ts";
import type { Accusation, Claim, ColdRecord, Signed } from "./statement.ts";

export const PROTOCOL_VERSION = 1;
export const SUM_BUCKETS = 64;
/** Load reports per frame. */
export const MAX_HOT = 256;

export interface Hello {
  version: number;
  gridId: string;
  certificate: Uint8Array;
  epoch: number;
  instance: number;
  nonce: Uint8Array;
  /** 0: a neighbour, 1: follows prefixes only. */
  role: number;
}

/** What one PoP says that it knows of another. */
export interface Have {
  nid: Nid;
  epoch: number;
  inc: number;
  digest: number;
  gone: boolean;
}

export interface HotItem {
  ref: number;
  seq: number;
  ageMs: number;
  payload: Uint8Array;
}

/**
 * The load reports of one frame, as columns: of most of them the news came by another neighbour,
 * so that telling so must not cost an object each. Valid until the next frame is read.
 */
export class HotReports {
  count = 0;
  readonly refs = new Uint16Array(MAX_HOT);
  readonly seqs = new Float64Array(MAX_HOT);
  readonly agesMs = new Float64Array(MAX_HOT);
  private bytes: Uint8Array = new Uint8Array();
  private readonly starts = new Uint32Array(MAX_HOT);
  private readonly ends = new Uint32Array(MAX_HOT);

  begin(bytes: Uint8Array): this {
    this.bytes = bytes;
    this.count = 0;
    return this;
  }

  add(ref: number, seq: number, ageMs: Millis, start: number, end: number): void {
    const at = this.count++;
    this.refs[at] = ref;
    this.seqs[at] = seq;
    this.agesMs[at] = ageMs;
    this.starts[at] = start;
    this.ends[at] = end;
  }

  /** A copy. */
  payload(at: number): Uint8Array {
    return this.bytes.slice(this.starts[at], this.ends[at]);
  }
}

export interface PrefixPart {
  seq: number;
  part: number;
  parts: number;
  count: number;
  churn: number;
  added: Uint8Array;
  removed: Uint8Array;
}

export interface Alias {
  ref: number;
  nid: Nid;
  epoch: number;
}

export type Frame =
  | { kind: "hello"; hello: Hello }
  | { kind: "auth"; signature: Uint8Array }
  | { kind: "welcome"; remembered: Claim | undefined; gone: boolean }
  | { kind: "goaway"; reason: string; retryAfterMs: number }
  | { kind: "hot"; sentMs: number; reports: HotReports }
  | { kind: "cold"; records: ColdRecord[] }
  | { kind: "sum"; hashes: Uint32Array }
  | { kind: "have"; buckets: Uint8Array; entries: Have[] }
  | { kind: "ping" | "pong"; sentMs: number }
  | { kind: "accuse"; accusations: Accusation[] }
  | { kind: "member"; claims: Claim[] }
  | { kind: "prefix"; part: PrefixPart }
  | { kind: "follow"; on: boolean }
  | { kind: "relay"; all: boolean; nids: Nid[] }
  | { kind: "want"; nids: Nid[] }
  | { kind: "alias"; aliases: Alias[] }
  | { kind: "rebind"; refs: number[] }
  | { kind: "call"; id: number; call: number; body: Uint8Array }
  | { kind: "answer"; id: number; done: boolean; body: Uint8Array };

const writer = new Writer();
const start = (kind: number, items: number) =>
  writer
    .reset()
    .array(items + 1)
    .int(kind);

export function helloFrame(hello: Hello): Uint8Array {
  return start(1, 7)
    .int(hello.version)
    .str(hello.gridId)
    .bin(hello.certificate)
    .int(hello.epoch)
    .int(hello.instance)
    .bin(hello.nonce)
    .int(hello.role)
    .bytes();
}

export const authFrame = (signature: Uint8Array) => start(2, 1).bin(signature).bytes();

export function welcomeFrame(remembered: Claim | undefined, gone: boolean): Uint8Array {
  if (remembered === undefined) return start(3, 1).nil().bytes();
  start(3, 4).int(gone ? 1 : 0);
  return writer.bin(remembered.body).bin(remembered.signature).bin(remembered.certificate).bytes();
}

export const goawayFrame = (reason: string, retryAfterMs: number) =>
  start(4, 2).str(reason).int(retryAfterMs).bytes();

/** A HOT frame from records whose `ref` is already bound. `sentMs` wraps at 2^32. */
export function hotFrame(sentMs: number, items: readonly HotItem[]): Uint8Array {
  start(5, 1 + 4 * items.length).int(Math.floor(sentMs) % 0x1_0000_0000);
  for (const { ref, seq, ageMs, payload } of items) {
    // Rounded up: an age may be told too high, never too low.
    writer
      .int(ref)
      .int(seq)
      .int(Math.min(0xffffff, Math.ceil(ageMs / 10)))
      .bin(payload);
  }
  return writer.bytes();
}

/** Up to three load reports, by the frame's first bytes: whether they can be read is not known. */
export function isHotFrame(bytes: Uint8Array): boolean {
  return ((bytes[0] as number) & 0xf0) === 0x90 && bytes[1] === 5;
}

/** COLD, ACCUSE or, with certificates, MEMBER. */
export function signedFrame(
  kind: "cold" | "accuse" | "member",
  statements: readonly (Signed & { certificate?: Uint8Array })[],
): Uint8Array {
  const size = kind === "member" ? 3 : 2;
  start(kind === "cold" ? 6 : kind === "accuse" ? 11 : 12, statements.length * size);
  for (const { body, signature, certificate } of statements) {
    writer.bin(body).bin(signature);
    if (certificate !== undefined) writer.bin(certificate);
  }
  return writer.bytes();
}

export function sumFrame(hashes: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(SUM_BUCKETS * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < SUM_BUCKETS; i++) view.setUint32(4 * i, hashes[i]);
  return start(7, 1).bin(bytes).bytes();
}

export function haveFrame(buckets: Uint8Array, entries: readonly Have[]): Uint8Array {
  start(8, 1 + 5 * entries.length).bin(buckets);
  for (const { nid, epoch, inc, digest, gone } of entries) {
    writer
      .bin(nidToBytes(nid))
      .int(epoch)
      .int(inc)
      .int(digest)
      .int(gone ? 1 : 0);
  }
  return writer.bytes();
}

export const pingFrame = (kind: "ping" | "pong", sentMs: number) =>
  start(kind === "ping" ? 9 : 10, 1)
    .int(Math.floor(sentMs) % 0x1_0000_0000)
    .bytes();

export function prefixFrame(part: PrefixPart): Uint8Array {
  return start(13, 7)
    .int(part.seq)
    .int(part.part)
    .int(part.parts)
    .int(part.count)
    .int(part.churn)
    .bin(part.added)
    .bin(part.removed)
    .bytes();
}

export const followFrame = (on: boolean) =>
  start(14, 1)
    .int(on ? 1 : 0)
    .bytes();

export function relayFrame(all: boolean, nids: readonly Nid[]): Uint8Array {
  start(15, 1 + nids.length).int(all ? 1 : 0);
  for (const nid of nids) writer.bin(nidToBytes(nid));
  return writer.bytes();
}

export function wantFrame(nids: readonly Nid[]): Uint8Array {
  start(16, nids.length);
  for (const nid of nids) writer.bin(nidToBytes(nid));
  return writer.bytes();
}

export function aliasFrame(aliases: readonly Alias[]): Uint8Array {
  start(17, 3 * aliases.length);
  for (const { ref, nid, epoch } of aliases) writer.int(ref).bin(nidToBytes(nid)).int(epoch);
  return writer.bytes();
}

export function rebindFrame(refs: readonly number[]): Uint8Array {
  start(20, refs.length);
  for (const ref of refs) writer.int(ref);
  return writer.bytes();
}

export const callFrame = (id: number, call: number, body: Uint8Array) =>
  start(18, 3).int(id).int(call).bin(body).bytes();

export const answerFrame = (id: number, done: boolean, body: Uint8Array) =>
  start(19, 3)
    .int(id)
    .int(done ? 1 : 0)
    .bin(body)
    .bytes();
