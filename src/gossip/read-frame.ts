/**
 * Reads frames: the strict half of `message.ts`, where they are drawn. Every count and length has a
 * bound that is checked before anything of that size is made.
 */
import { Reader, SchemaError } from "./codec.ts";
import { MAX_CERTIFICATE_BYTES, MAX_SIGNATURE_BYTES, type Nid, nidFromBytes } from "./identity.ts";
import type { GossipLimits } from "./limits.ts";
import { type Frame, HotReports, MAX_HOT, SUM_BUCKETS } from "./message.ts";
import { readAccusation, readClaim, readCold } from "./statement.ts";

const MAX_ITEMS = 4096;
const NONCE_BYTES = 16;

/** Reads one item group after another until the array is used up. */
function groups<T>(items: number, size: number, read: () => T): T[] {
  if (items % size !== 0) throw new SchemaError(`items in groups of ${size} expected`);
  return Array.from({ length: items / size }, read);
}

const readNid = (reader: Reader): Nid => nidFromBytes(reader.bin(8, 8));

/** A ref is a slot of the sender's member table, so a link never binds more of them than that. */
const readRef = (reader: Reader, limits: GossipLimits): number =>
  reader.int(0, limits.maxMembers - 1);

function readHello(reader: Reader): Frame {
  const version = reader.int(1, 255);
  const gridId = reader.str(1, 64);
  const certificate = reader.bin(1, MAX_CERTIFICATE_BYTES).slice();
  const epoch = reader.int(1);
  const instance = reader.int(0, 0xffffffff);
  const nonce = reader.bin(NONCE_BYTES, NONCE_BYTES).slice();
  const role = reader.int(0, 1);
  return { kind: "hello", hello: { version, gridId, certificate, epoch, instance, nonce, role } };
}

function readWelcome(reader: Reader, items: number): Frame {
  if (items === 1 && reader.nil()) return { kind: "welcome", remembered: undefined, gone: false };
  if (items !== 4) throw new SchemaError("welcome has 1 or 4 items");
  const gone = reader.int(0, 1) === 1;
  return { kind: "welcome", gone, remembered: readClaim(reader) };
}

const reports = new HotReports();

function readHot(reader: Reader, items: number, limits: GossipLimits, bytes: Uint8Array): Frame {
  const sentMs = reader.int(0, 0xffffffff);
  if (items - 1 > 4 * MAX_HOT) throw new SchemaError(`more than ${MAX_HOT} load reports`);
  if ((items - 1) % 4 !== 0) throw new SchemaError("items in groups of 4 expected");
  reports.begin(bytes);
  for (let left = items - 1; left > 0; left -= 4) {
    const ref = readRef(reader, limits);
    const seq = reader.int(1);
    const ageMs = reader.int(0, 0xffffff) * 10;
    const start = reader.skipBin(0, limits.hotBytes);
    reports.add(ref, seq, ageMs, start, reader.offset);
  }
  return { kind: "hot", sentMs, reports };
}

function readHave(reader: Reader, items: number): Frame {
  const buckets = reader.bin(8, 8);
  const entries = groups(items - 1, 5, () => ({
    nid: readNid(reader),
    epoch: reader.int(1),
    inc: reader.int(0, 0xffffffff),
    digest: reader.int(0, 0xffffffff),
    gone: reader.int(0, 1) === 1,
  }));
  return { kind: "have", buckets, entries };
}

function readSum(reader: Reader): Frame {
  const bytes = reader.bin(SUM_BUCKETS * 4, SUM_BUCKETS * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const hashes = Uint32Array.from({ length: SUM_BUCKETS }, (_, i) => view.getUint32(4 * i));
  return { kind: "sum", hashes };
}

function readPrefix(reader: Reader, limits: GossipLimits): Frame {
  const part = {
    seq: reader.int(),
    part: reader.int(0, 255),
    parts: reader.int(0, 255),
    count: reader.int(0, limits.maxPrefix),
    churn: reader.int(0, 0xffffffff),
    added: reader.bin(0, limits.frameBytes),
    removed: reader.bin(0, limits.frameBytes),
  };
  return { kind: "prefix", part };
}

const FIXED_ITEMS: Record<number, number> = {
  1: 7,
  2: 1,
  4: 2,
  7: 1,
  9: 1,
  10: 1,
  13: 7,
  14: 1,
  18: 3,
  19: 3,
};

function readBody(
  kind: number,
  reader: Reader,
  items: number,
  limits: GossipLimits,
  bytes: Uint8Array,
): Frame {
  const fixed = FIXED_ITEMS[kind];
  if (fixed !== undefined && items !== fixed) {
    throw new SchemaError(`frame ${kind} has ${fixed} items`);
  }
  switch (kind) {
    case 1:
      return readHello(reader);
    case 2:
      return { kind: "auth", signature: reader.bin(1, MAX_SIGNATURE_BYTES) };
    case 3:
      return readWelcome(reader, items);
    case 4:
      return { kind: "goaway", reason: reader.str(0, 64), retryAfterMs: reader.int(0, 86_400_000) };
    case 5:
      return readHot(reader, items, limits, bytes);
    case 6:
      return { kind: "cold", records: groups(items, 2, () => readCold(reader, limits.valueBytes)) };
    case 7:
      return readSum(reader);
    case 8:
      return readHave(reader, items);
    case 9:
    case 10:
      return { kind: kind === 9 ? "ping" : "pong", sentMs: reader.int(0, 0xffffffff) };
    case 11:
      return { kind: "accuse", accusations: groups(items, 2, () => readAccusation(reader)) };
    case 12:
      return { kind: "member", claims: groups(items, 3, () => readClaim(reader)) };
    default:
      return readRare(kind, reader, items, limits);
  }
}

function readRare(kind: number, reader: Reader, items: number, limits: GossipLimits): Frame {
  switch (kind) {
    case 13:
      return readPrefix(reader, limits);
    case 14:
      return { kind: "follow", on: reader.int(0, 1) === 1 };
    case 15: {
      const all = reader.int(0, 1) === 1;
      return { kind: "relay", all, nids: groups(items - 1, 1, () => readNid(reader)) };
    }
    case 16:
      return { kind: "want", nids: groups(items, 1, () => readNid(reader)) };
    case 17:
      return {
        kind: "alias",
        aliases: groups(items, 3, () => ({
          ref: readRef(reader, limits),
          nid: readNid(reader),
          epoch: reader.int(1),
        })),
      };
    case 18:
      return {
        kind: "call",
        id: reader.int(),
        call: reader.int(0, 255),
        body: callBody(reader, limits),
      };
    case 19:
      return {
        kind: "answer",
        id: reader.int(),
        done: reader.int(0, 1) === 1,
        body: callBody(reader, limits),
      };
    case 20:
      return { kind: "rebind", refs: groups(items, 1, () => readRef(reader, limits)) };
    default:
      throw new SchemaError(`unknown frame ${kind}`);
  }
}

const callBody = (reader: Reader, limits: GossipLimits) => reader.bin(0, limits.callBytes).slice();

/** @throws SchemaError when the frame is not exactly of the form drawn above. */
export function readFrame(bytes: Uint8Array, limits: GossipLimits): Frame {
  if (bytes.length > limits.frameBytes) {
    throw new SchemaError(`frame of ${bytes.length} bytes is over ${limits.frameBytes}`);
  }
  const reader = new Reader(bytes);
  const items = reader.array(2, MAX_ITEMS);
  const frame = readBody(reader.int(1, 255), reader, items - 1, limits, bytes);
  reader.end();
  return frame;
}
