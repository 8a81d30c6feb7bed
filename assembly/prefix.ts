/**
 * Which rows are expected to hold which chunk. A set-associative table: the chunk's hash names a
 * bucket of eight entries, and the eight hashes of a bucket fill exactly one cache line, so a
 * look-up is one line, one SIMD compare and the row set of the entry found. A full bucket gives
 * up its oldest entry: no tombstones, no rehash, no growth.
 *
 *     bucket ┌──────────────┬──────────────┬────────────────────────┬────────────────────────┐
 *            │ hash u64 × 8 │ stamp f64× 8 │ holders u64[words] × 8 │ recent u64[words] × 8  │
 *            └──────────────┴──────────────┴────────────────────────┴────────────────────────┘
 *     hash 0 = empty; recent = touched since the row's mirror last looked (mirror.ts)
 *
 *     row record u32 × 8: held, limit, slots, segments, head, tail, headPos, tailPos
 */
import { active, chain, matched, place, rows, words } from "./columns";

const HEADER: usize = 128;
/** An entry's number has 24 bits in a mirror's slot. */
const BUCKETS_MAX: u64 = 1 << 21;
const BUCKETS_MIN: u64 = 16;
export const SEGMENT_BYTES: usize = 256;
const ROW_BYTES: usize = 32;

let buckets: u64 = 0;
let bucketsAt: usize = 0;
let bucketBytes: usize = 0;
let rowsAt: usize = 0;
export let segmentsAt: usize = 0;

let entries: u32 = 0;
let evicted: f64 = 0;
let heldPairs: u32 = 0;

/** Places the tables under the byte cap. False: the cap is too small to hold anything. */
export function layoutIndex(indexBytes: u64): bool {
  bucketBytes = HEADER + <usize>words * 128;
  const fixed = <u64>rows * ROW_BYTES;
  const each = <u64>bucketBytes + SEGMENT_BYTES;
  buckets = indexBytes < fixed ? 0 : min<u64>((indexBytes - fixed) / each, BUCKETS_MAX);
  if (buckets < BUCKETS_MIN) return false;
  rowsAt = place(<usize>rows * ROW_BYTES);
  bucketsAt = place(<usize>buckets * bucketBytes);
  segmentsAt = place(<usize>buckets * SEGMENT_BYTES);
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
export function rowRecord(row: u32): usize {
  return rowsAt + (<usize>row) * ROW_BYTES;
}

// @ts-ignore: decorator
@inline
function bucketOf(hash: u64): usize {
  return <usize>(((hash & 0xffffffff) * buckets) >> 32);
}

// @ts-ignore: decorator
@inline
function bucketAt(bucket: usize): usize {
  return bucketsAt + bucket * bucketBytes;
}

/** One bit for each of the bucket's eight ways that has this hash. */
// @ts-ignore: decorator
@inline
function ways(bucket: usize, hash: u64): i32 {
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

/** Distance from an entry's holders to its recent bits. */
export function recentOffset(): usize {
  return <usize>words << 6;
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
}

/** The row does not hold the entry any more; an entry that nobody holds is free. */
export function release(entry: u32, row: u32): void {
  const at = entryHolders(entry);
  const own = at + ((row >> 6) << 3);
  const keep = ~((<u64>1) << (row & 63));
  store<u64>(own, load<u64>(own) & keep);
  store<u64>(own + recentOffset(), load<u64>(own + recentOffset()) & keep);
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
      const record = rowRecord((word << 6) + <u32>ctz(bits));
      store<u32>(record, load<u32>(record) - 1);
    }
  }
  memory.fill(at, 0, words << 3);
  memory.fill(at + recentOffset(), 0, words << 3);
  store<u64>(entryHash(entry), 0);
  --entries;
  evicted += 1;
}

/**
 * Longest match of every row in `active`, in one pass from the root: a row that a chunk's holders
 * lack drops out with the length so far; the pass ends when nobody is left or a chunk is unknown.
 * Rows end up in `matched`; `active` is used up.
 */
export function match(chunks: u32): void {
  if (words === 4) match256(chunks);
  else matchAny(chunks);
}

function match256(chunks: u32): void {
  let low = v128.load(active);
  let high = v128.load(active, 16);
  let chunk: u32 = 0;
  for (; chunk < chunks; ++chunk) {
    const hash = hashAt(chunk);
    const bucket = bucketAt(bucketOf(hash));
    const found = ways(bucket, hash);
    if (found === 0) break;
    const holders = bucket + HEADER + ((<usize>ctz(found)) << 5);
    const lostLow = v128.andnot(low, v128.load(holders));
    const lostHigh = v128.andnot(high, v128.load(holders, 16));
    if (v128.any_true(v128.or(lostLow, lostHigh))) {
      settlePair(0, lostLow, chunk);
      settlePair(128, lostHigh, chunk);
      low = v128.xor(low, lostLow);
      high = v128.xor(high, lostHigh);
      if (!v128.any_true(v128.or(low, high))) return;
    }
  }
  settlePair(0, low, chunk);
  settlePair(128, high, chunk);
}

function matchAny(chunks: u32): void {
  const bytes = <usize>words << 3;
  let chunk: u32 = 0;
  for (; chunk < chunks; ++chunk) {
    const hash = hashAt(chunk);
    const bucket = bucketAt(bucketOf(hash));
    const found = ways(bucket, hash);
    if (found === 0) break;
    const holders = bucket + HEADER + <usize>ctz(found) * bytes;
    let lost = i64x2.splat(0);
    for (let at: usize = 0; at < bytes; at += 32) {
      const one = v128.andnot(v128.load(active + at), v128.load(holders + at));
      const two = v128.andnot(v128.load(active + at, 16), v128.load(holders + at, 16));
      lost = v128.or(lost, v128.or(one, two));
    }
    if (v128.any_true(lost) && !dropOut(holders, bytes, chunk)) return;
  }
  for (let at: usize = 0; at < bytes; at += 16) {
    settlePair(<u32>at << 3, v128.load(active + at), chunk);
  }
}

/** Takes the rows that are no holders out of `active`; says whether anybody is left. */
function dropOut(holders: usize, bytes: usize, chunk: u32): bool {
  let left = i64x2.splat(0);
  for (let at: usize = 0; at < bytes; at += 16) {
    const before = v128.load(active + at);
    const after = v128.and(before, v128.load(holders + at));
    settlePair(<u32>at << 3, v128.xor(before, after), chunk);
    v128.store(active + at, after);
    left = v128.or(left, after);
  }
  return v128.any_true(left);
}

// @ts-ignore: decorator
@inline
function settlePair(firstRow: u32, pair: v128, chunk: u32): void {
  settle(firstRow, i64x2.extract_lane(pair, 0), chunk);
  settle(firstRow + 64, i64x2.extract_lane(pair, 1), chunk);
}

// @ts-ignore: decorator
@inline
function settle(firstRow: u32, set: u64, chunk: u32): void {
  for (let bits = set; bits !== 0; bits &= bits - 1) {
    store<u32>(matched + ((<usize>firstRow + <usize>ctz(bits)) << 2), chunk);
  }
}

/** Chunks of the chain that one row holds, from the root. */
export function matchedChunks(chunks: u32, row: u32): u32 {
  for (let chunk: u32 = 0; chunk < chunks; ++chunk) {
    const entry = find(hashAt(chunk));
    if (entry < 0 || !holds(entry, row)) return chunk;
  }
  return chunks;
}

/** 0 entries, 1 capacity, 2 bytes of all tables, 3 evicted, 4 held pairs. */
export function stat(which: i32): f64 {
  switch (which) {
    case 0: return <f64>entries;
    case 1: return <f64>(buckets * 8);
    case 2: return <f64>(<u64>rows * ROW_BYTES + buckets * (<u64>bucketBytes + SEGMENT_BYTES));
    case 3: return evicted;
    case 4: return <f64>heldPairs;
    default: return 0;
  }
}
