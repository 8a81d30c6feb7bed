/**
 * The longest match of every row, in one pass from the root: a row that a chunk's holders lack
 * drops out with the length so far. Holders are the index's and the digests' together; digests
 * are asked only for rows that the index would drop, and not at all while there are none.
 */
import { active, lost, matched, nobody, told, words } from "./columns";
import {
  UNKNOWN, WIDE, digestHolds, firstOf, holdersIn, maskOf, pairs, removeHolders, secondOf,
} from "./digest";
import { HEADER, bucketAt, bucketOf, find, hashAt, holds, ways } from "./prefix";

/**
 * Matches every row in `active`, which is used up; lengths end up in `matched`. The pass ends when
 * nobody is left.
 */
export function match(chunks: u32): void {
  if (pairs !== 0 && words === 4) matchBoth256(chunks);
  else if (pairs !== 0) matchBoth(chunks);
  else if (words === 4) match256(chunks);
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

/** `match256` with digests. */
function matchBoth256(chunks: u32): void {
  const toldLow = v128.load(told);
  const toldHigh = v128.load(told, 16);
  let low = v128.load(active);
  let high = v128.load(active, 16);
  let chunk: u32 = 0;
  for (; chunk < chunks; ++chunk) {
    const hash = hashAt(chunk);
    const holders = holdersOf(hash, 32);
    let lostLow = v128.andnot(low, v128.load(holders));
    let lostHigh = v128.andnot(high, v128.load(holders, 16));
    const asked = v128.or(v128.and(lostLow, toldLow), v128.and(lostHigh, toldHigh));
    if (v128.any_true(asked)) {
      const rowsOf = holdersIn(hash);
      lostLow = v128.andnot(lostLow, digestPair(rowsOf, 0));
      lostHigh = v128.andnot(lostHigh, digestPair(rowsOf, 2));
    }
    if (!v128.any_true(v128.or(lostLow, lostHigh))) continue;
    settlePair(0, lostLow, chunk);
    settlePair(128, lostHigh, chunk);
    low = v128.xor(low, lostLow);
    high = v128.xor(high, lostHigh);
    if (!v128.any_true(v128.or(low, high))) return;
  }
  settlePair(0, low, chunk);
  settlePair(128, high, chunk);
}

/** Two words of the row set that a slot of the digests stands for. */
// @ts-ignore: decorator
@inline
function digestPair(rowsOf: u32, word: u32): v128 {
  if (rowsOf === UNKNOWN) return i64x2.splat(0);
  if (rowsOf >= WIDE) return v128.load(maskOf(rowsOf) + (word << 3));
  return v128.or(bitPair(firstOf(rowsOf), word), bitPair(secondOf(rowsOf), word));
}

/** One row as two words of a set. */
// @ts-ignore: decorator
@inline
function bitPair(row: u32, word: u32): v128 {
  const words = v128.or(i64x2.splat(word), i64x2(0, 1));
  const bit = i64x2.splat((<u64>1) << (row & 63));
  return v128.and(i64x2.eq(i64x2.splat(row >> 6), words), bit);
}

/** `matchAny` with digests. */
function matchBoth(chunks: u32): void {
  const bytes = <usize>words << 3;
  let chunk: u32 = 0;
  for (; chunk < chunks; ++chunk) {
    const hash = hashAt(chunk);
    const missing = lose(holdersOf(hash, bytes), bytes);
    if (missing === 0) continue;
    if (missing === 2) removeHolders(hash, lost);
    if (!dropLost(bytes, chunk)) return;
  }
  for (let at: usize = 0; at < bytes; at += 16) {
    settlePair(<u32>at << 3, v128.load(active + at), chunk);
  }
}

// @ts-ignore: decorator
@inline
function holdersOf(hash: u64, bytes: usize): usize {
  const bucket = bucketAt(bucketOf(hash));
  const found = ways(bucket, hash);
  return found === 0 ? nobody : bucket + HEADER + <usize>ctz(found) * bytes;
}

/** Sets `lost` to the active rows that are no holders. 0 = none, 2 = one of them has a digest. */
// @ts-ignore: decorator
@inline
function lose(holders: usize, bytes: usize): u32 {
  let any = i64x2.splat(0);
  let asked = any;
  for (let at: usize = 0; at < bytes; at += 16) {
    const gone = v128.andnot(v128.load(active + at), v128.load(holders + at));
    any = v128.or(any, gone);
    asked = v128.or(asked, v128.and(gone, v128.load(told + at)));
    v128.store(lost + at, gone);
  }
  if (v128.any_true(asked)) return 2;
  return v128.any_true(any) ? 1 : 0;
}

/** Takes the rows in `lost` out of `active`; says whether anybody is left. */
// @ts-ignore: decorator
@inline
function dropLost(bytes: usize, chunk: u32): bool {
  let left = i64x2.splat(0);
  for (let at: usize = 0; at < bytes; at += 16) {
    const gone = v128.load(lost + at);
    const stays = v128.xor(v128.load(active + at), gone);
    settlePair(<u32>at << 3, gone, chunk);
    v128.store(active + at, stays);
    left = v128.or(left, stays);
  }
  return v128.any_true(left);
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
    const isHeld = entry >= 0 && holds(entry, row);
    if (!isHeld && !digestHolds(hashAt(chunk), row)) return chunk;
  }
  return chunks;
}
