/**
 * Which rows are expected to hold which chunk. A set-associative table: the chunk's hash names a
 * bucket of eight entries, and the eight hashes of a bucket fill exactly one cache line, so a
 * look-up is one line, one SIMD compare and the row set of the entry found. A full bucket gives
 * up its oldest entry: no tombstones, no rehash, no growth. The bucket is named by the 24 bits that
 * digests carry, so that chunks which a digest cannot tell apart stand side by side.
 *
 *     bucket ┌──────────────┬──────────────┬───────────────┬───────┬────────────────────────┐
 *            │ hash u64 × 8 │ stamp f64× 8 │ uses u32 × 8  │ empty │ holders u64[words] × 8 │
 *            └──────────────┴──────────────┴───────────────┴───────┴────────────────────────┘
 *     hash 0 = empty; uses = first of the entry's uses by mirrored rows + 1 (recency.ts)
 */
import { chain, place, rows, textWindow, words } from "./columns";
import { isFed, note } from "./feed";
import { ROW_BYTES, USES_PER_BUCKET, USE_BYTES, layoutUses, limitOf, removeUse, rowRecord }
  from "./recency";

export const HEADER: usize = 192;
const USES: usize = 128;
const BUCKETS_MAX: u64 = 1 << 21;
const BUCKETS_MIN: u64 = 16;

let buckets: u64 = 0;
let bucketsAt: usize = 0;
let bucketBytes: usize = 0;

let entries: u32 = 0;
let evicted: f64 = 0;
let heldPairs: u32 = 0;

/** Places the tables under the byte cap. False: the cap is too small to hold anything. */
export function layoutIndex(indexBytes: u64): bool {
  bucketBytes = HEADER + (<usize>words << 6);
  const fixed = <u64>rows * ROW_BYTES;
  const each = <u64>bucketBytes + USES_PER_BUCKET * USE_BYTES;
  buckets = indexBytes < fixed ? 0 : min<u64>((indexBytes - fixed) / each, BUCKETS_MAX);
  if (buckets < BUCKETS_MIN) return false;
  bucketsAt = place(<usize>buckets * bucketBytes);
  layoutUses(<u32>buckets * USES_PER_BUCKET);
  return true;
}

export function bucketCount(): u32 {
  return <u32>buckets;
}

// @ts-ignore: decorator
@inline
export function hashAt(chunk: u32): u64 {
  return load<u64>(chain + ((<usize>chunk) << 3));
}

// @ts-ignore: decorator
@inline
export function bucketOf(hash: u64): usize {
  return <usize>(((hash & 0xffffff) * buckets) >> 24);
}

// @ts-ignore: decorator
@inline
export function bucketAt(bucket: usize): usize {
  return bucketsAt + bucket * bucketBytes;
}

/** One bit for each of the bucket's eight ways that has this hash. */
// @ts-ignore: decorator
@inline
export function ways(bucket: usize, hash: u64): i32 {
  const wanted = i64x2.splat(hash);
  const a = i64x2.bitmask(i64x2.eq(v128.load(bucket), wanted));
  const b = i64x2.bitmask(i64x2.eq(v128.load(bucket, 16), wanted));
  const c = i64x2.bitmask(i64x2.eq(v128.load(bucket, 32), wanted));
  const d = i64x2.bitmask(i64x2.eq(v128.load(bucket, 48), wanted));
  return a | (b << 2) | (c << 4) | (d << 6);
}

/** Number of the entry with this hash, -1 when there is none. */
export function find(hash: u64): i32 {
  const bucket = bucketOf(hash);
  const found = ways(bucketAt(bucket), hash);
  return found === 0 ? -1 : <i32>(bucket << 3) + ctz(found);
}

export function entryHash(entry: u32): usize {
  return bucketAt(entry >> 3) + ((entry & 7) << 3);
}

export function entryHolders(entry: u32): usize {
  return bucketAt(entry >> 3) + HEADER + (<usize>(entry & 7) * words << 3);
}

/** Where an entry's first use by a mirrored row stands. */
export function entryUses(entry: u32): usize {
  return bucketAt(entry >> 3) + USES + (<usize>(entry & 7) << 2);
}

export function stamp(entry: u32, time: f64): void {
  store<f64>(entryHash(entry), time, 64);
}

export function holds(entry: u32, row: u32): bool {
  const word = load<u64>(entryHolders(entry) + ((row >> 6) << 3));
  return ((word >> (row & 63)) & 1) !== 0;
}

export function hold(entry: u32, row: u32): void {
  const at = entryHolders(entry) + ((row >> 6) << 3);
  store<u64>(at, load<u64>(at) | ((<u64>1) << (row & 63)));
  const record = rowRecord(row);
  store<u32>(record, load<u32>(record) + 1);
  ++heldPairs;
  if (isFed(row)) noteChange(entry, row, true);
}

/** The row does not hold the entry any more; an entry that nobody holds is free. */
export function release(entry: u32, row: u32): void {
  if (isFed(row)) noteChange(entry, row, false);
  if (limitOf(row) !== 0) removeUse(entryUses(entry), row);
  const at = entryHolders(entry);
  const own = at + ((row >> 6) << 3);
  store<u64>(own, load<u64>(own) & ~((<u64>1) << (row & 63)));
  const record = rowRecord(row);
  store<u32>(record, load<u32>(record) - 1);
  --heldPairs;
  let left: u64 = 0;
  for (let word: usize = 0; word < words; ++word) left |= load<u64>(at + (word << 3));
  if (left === 0) {
    store<u64>(entryHash(entry), 0);
    --entries;
  }
}

/** Entry for a hash that the table does not have: an empty way of its bucket, else the oldest. */
export function insert(hash: u64): u32 {
  const bucket = bucketOf(hash);
  const at = bucketAt(bucket);
  let way = 0;
  const empty = ways(at, 0);
  if (empty !== 0) {
    way = ctz(empty);
  } else {
    for (let other = 1; other < 8; ++other) {
      if (load<f64>(at + (other << 3), 64) < load<f64>(at + (way << 3), 64)) way = other;
    }
    evict(<u32>(bucket << 3) + way);
  }
  store<u64>(at + (way << 3), hash);
  ++entries;
  return <u32>(bucket << 3) + way;
}

function evict(entry: u32): void {
  const at = entryHolders(entry);
  for (let word: u32 = 0; word < words; ++word) {
    let bits = load<u64>(at + (word << 3));
    heldPairs -= <u32>popcnt(bits);
    for (; bits !== 0; bits &= bits - 1) {
      const row = (word << 6) + <u32>ctz(bits);
      if (isFed(row)) noteChange(entry, row, false);
      if (limitOf(row) !== 0) removeUse(entryUses(entry), row);
      const record = rowRecord(row);
      store<u32>(record, load<u32>(record) - 1);
    }
  }
  memory.fill(at, 0, words << 3);
  store<u64>(entryHash(entry), 0);
  --entries;
  evicted += 1;
}

/** No other chunk of the row has the entry's 24 bits; such chunks share a bucket. */
function isAlone(entry: u32, row: u32): bool {
  const low = digestHash(entry);
  const first = entry & ~7;
  for (let other = first; other < first + 8; ++other) {
    if (other !== entry && digestHash(other) === low && holds(other, row)) return false;
  }
  return true;
}

/** An empty entry gives 0, but nobody holds it. */
// @ts-ignore: decorator
@inline
function digestHash(entry: u32): u32 {
  return load<u32>(entryHash(entry)) & 0xffffff;
}

function noteChange(entry: u32, row: u32, came: bool): void {
  if (isAlone(entry, row)) note(row, (digestHash(entry) << 1) | <u32>came);
}

/** Writes what the row holds of the entries from `first` to `end` to the window, each hash once. */
export function listHashes(row: u32, first: u32, end: u32): u32 {
  let count: u32 = 0;
  if (load<u32>(rowRecord(row)) === 0) return 0;
  for (let entry = first; entry < end; ++entry) {
    if (!holds(entry, row) || isListed(entry, row)) continue;
    store<u32>(textWindow + (<usize>count << 2), digestHash(entry));
    ++count;
  }
  return count;
}

/** An earlier entry of the bucket stands for the same 24 bits. */
function isListed(entry: u32, row: u32): bool {
  const low = digestHash(entry);
  for (let other = entry & ~7; other < entry; ++other) {
    if (digestHash(other) === low && holds(other, row)) return true;
  }
  return false;
}

/** 0 entries, 1 capacity, 2 bytes of all tables, 3 evicted, 4 held pairs. */
export function indexStat(which: i32): f64 {
  switch (which) {
    case 0: return <f64>entries;
    case 1: return <f64>(buckets * 8);
    case 2: {
      const each = <u64>bucketBytes + USES_PER_BUCKET * USE_BYTES;
      return <f64>(<u64>rows * ROW_BYTES + buckets * each);
    }
    case 3: return evicted;
    case 4: return <f64>heldPairs;
    default: return 0;
  }
}
