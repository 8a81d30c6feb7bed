/**
 * What other PoPs say that their endpoints hold: chunk hashes cut to 24 bits, each with its set of
 * rows. Most are held by one or two rows and name them in the slot; shared ones have a mask. Open
 * addressing, linear probing, deletion by shifting back: no tombstones, no rehash, no growth. A
 * full table or an empty pool refuses what is new, so it never says more than it was told. It is a
 * set: two chunks of a row with equal bits are one hash, told until both are gone.
 *
 *     slot u32 × 2: hash + 1 (0 = empty) │ kind 2 bits, rows 2 × 12 bits or number of the mask;
 *                   a single row stands twice
 *     mask u64[words]; a free one begins with the number of the next + 1
 *     row record u32 × 8: held (the rest is feed.ts)
 */
import { place, rows, textWindow, told, words } from "./columns";
import { FEED_SEGMENT_BYTES, placeFeed } from "./feed";

const ROW_BYTES: u64 = 32;
const SLOT_BYTES: u64 = 8;
const SLOTS_MAX: u64 = 1 << 24;
const SLOTS_MIN: u64 = 64;
const MASKS_MIN: u64 = 4;
const SEGMENTS_MIN: u64 = 4;
const HASHES: u32 = 0xffffff;

const TWO: u32 = 1 << 30;
export const WIDE: u32 = 2 << 30;
const KIND: u32 = 3 << 30;
/** In place of holders: the hash is not there. */
export const UNKNOWN: u32 = 0xffffffff;

let rowsAt: usize = 0;
let slotsAt: usize = 0;
let masksAt: usize = 0;
let slots: u32 = 0;
let masks: u32 = 0;
let bytesUsed: u64 = 0;
/** Three quarters of the slots: probes stay short. */
let entriesMax: u32 = 0;
/** A quarter of that: no PoP crowds out the others. */
let rowMax: u32 = 0;
let masksUsedOnce: u32 = 0;
let freeMasks: u32 = 0;

let entries: u32 = 0;
let refused: f64 = 0;
/** (hash, row) pairs: 0 = decisions need not look here. */
export let pairs: u32 = 0;

/** Places the tables under the byte cap; 0 = none. False: the cap is too small for any use. */
export function layoutDigests(digestBytes: u64): bool {
  if (digestBytes === 0) return true;
  const fixed = <u64>rows * ROW_BYTES;
  const rest = digestBytes < fixed ? 0 : digestBytes - fixed;
  const maskBytes = <u64>words << 3;
  const segmentCount = rest / 16 / FEED_SEGMENT_BYTES;
  const maskCount = (rest * 5) / 16 / maskBytes;
  const left = rest - segmentCount * FEED_SEGMENT_BYTES - maskCount * maskBytes;
  const slotCount = min<u64>(left / SLOT_BYTES, SLOTS_MAX);
  if (segmentCount < SEGMENTS_MIN || maskCount < MASKS_MIN || slotCount < SLOTS_MIN) return false;
  rowsAt = place(<usize>fixed);
  slotsAt = place(<usize>(slotCount * SLOT_BYTES));
  masksAt = place(<usize>(maskCount * maskBytes));
  slots = <u32>slotCount;
  masks = <u32>maskCount;
  entriesMax = <u32>((slotCount * 3) / 4);
  rowMax = entriesMax / 4;
  bytesUsed = fixed + slotCount * SLOT_BYTES + maskCount * maskBytes
    + segmentCount * FEED_SEGMENT_BYTES;
  placeFeed(rowsAt, <u32>segmentCount);
  return true;
}

// @ts-ignore: decorator
@inline
function slotAt(slot: u32): usize {
  return slotsAt + (<usize>slot << 3);
}

// @ts-ignore: decorator
@inline
function homeOf(hash: u32): u32 {
  return <u32>((<u64>hash * slots) >> 24);
}

// @ts-ignore: decorator
@inline
function after(slot: u32): u32 {
  return slot + 1 === slots ? 0 : slot + 1;
}

/** The hash's slot, else the empty one where it would stand. */
// @ts-ignore: decorator
@inline
function probe(hash: u32): u32 {
  const key = hash + 1;
  let slot = homeOf(hash);
  for (let seen = load<u32>(slotAt(slot)); seen !== key && seen !== 0; ) {
    slot = after(slot);
    seen = load<u32>(slotAt(slot));
  }
  return slot;
}

// @ts-ignore: decorator
@inline
export function maskOf(rowsOf: u32): usize {
  return masksAt + (<usize>(rowsOf & ~KIND) * words << 3);
}

// @ts-ignore: decorator
@inline
export function firstOf(rowsOf: u32): u32 {
  return rowsOf & 0xfff;
}

// @ts-ignore: decorator
@inline
export function secondOf(rowsOf: u32): u32 {
  return (rowsOf >> 12) & 0xfff;
}

// @ts-ignore: decorator
@inline
function isIn(set: usize, row: u32): bool {
  return ((load<u64>(set + ((row >> 6) << 3)) >> (row & 63)) & 1) !== 0;
}

// @ts-ignore: decorator
@inline
function include(set: usize, row: u32): void {
  const at = set + ((row >> 6) << 3);
  store<u64>(at, load<u64>(at) | ((<u64>1) << (row & 63)));
}

// @ts-ignore: decorator
@inline
function exclude(set: usize, row: u32): void {
  const at = set + ((row >> 6) << 3);
  store<u64>(at, load<u64>(at) & ~((<u64>1) << (row & 63)));
}

// @ts-ignore: decorator
@inline
function isHolder(rowsOf: u32, row: u32): bool {
  if (rowsOf >= WIDE) return isIn(maskOf(rowsOf), row);
  return firstOf(rowsOf) === row || secondOf(rowsOf) === row;
}

export function digestHolds(hash: u64, row: u32): bool {
  if (pairs === 0) return false;
  const at = slotAt(probe(<u32>hash & HASHES));
  return load<u32>(at) !== 0 && isHolder(load<u32>(at, 4), row);
}

/** What the slot says of a hash's holders, or `UNKNOWN`. */
// @ts-ignore: decorator
@inline
export function holdersIn(hash: u64): u32 {
  const at = slotAt(probe(<u32>hash & HASHES));
  return load<u32>(at) === 0 ? UNKNOWN : load<u32>(at, 4);
}

/** Takes the hash's holders out of a set. */
export function removeHolders(hash: u64, set: usize): void {
  const rowsOf = holdersIn(hash);
  if (rowsOf === UNKNOWN) return;
  if (rowsOf < WIDE) {
    exclude(set, firstOf(rowsOf));
    exclude(set, secondOf(rowsOf));
    return;
  }
  const mask = maskOf(rowsOf);
  for (let at: usize = 0; at < <usize>words << 3; at += 16) {
    v128.store(set + at, v128.andnot(v128.load(set + at), v128.load(mask + at)));
  }
}

// @ts-ignore: decorator
@inline
function heldAt(row: u32): usize {
  return rowsAt + <usize>row * <usize>ROW_BYTES;
}

function countIn(row: u32): void {
  const held = load<u32>(heldAt(row));
  store<u32>(heldAt(row), held + 1);
  if (held === 0) include(told, row);
  ++pairs;
}

function countOut(row: u32): void {
  const held = load<u32>(heldAt(row)) - 1;
  store<u32>(heldAt(row), held);
  if (held === 0) exclude(told, row);
  --pairs;
}

/** The window's first `count` hashes join the row's digest. */
export function addDigest(count: u32, row: u32): void {
  if (slots === 0) return;
  for (let index: u32 = 0; index < count; ++index) {
    if (!addHash(load<u32>(textWindow + (<usize>index << 2)) & HASHES, row)) refused += 1;
  }
}

/** The window's first `count` hashes leave the row's digest. */
export function dropDigest(count: u32, row: u32): void {
  if (slots === 0) return;
  for (let index: u32 = 0; index < count; ++index) {
    const slot = probe(load<u32>(textWindow + (<usize>index << 2)) & HASHES);
    const at = slotAt(slot);
    if (load<u32>(at) !== 0 && isHolder(load<u32>(at, 4), row)) dropHolder(slot, row);
  }
}

/** The row has no digest any more. */
export function clearDigest(row: u32): void {
  if (slots === 0) return;
  for (let slot: u32 = 0; load<u32>(heldAt(row)) !== 0; ) {
    if (slot + 8 <= slots && !mayHold(slot, row)) {
      slot += 8;
      continue;
    }
    const at = slotAt(slot);
    // A slot that is emptied takes over a later one: it is looked at again.
    if (load<u32>(at) !== 0 && isHolder(load<u32>(at, 4), row)) dropHolder(slot, row);
    else ++slot;
  }
}

/** One look at eight slots: false when none of them has the row, or a mask. */
// @ts-ignore: decorator
@inline
function mayHold(slot: u32, row: u32): bool {
  const at = slotAt(slot);
  return v128.any_true(v128.or(mayHoldFour(at, row), mayHoldFour(at + 32, row)));
}

// @ts-ignore: decorator
@inline
function mayHoldFour(at: usize, row: u32): v128 {
  const a = v128.load(at);
  const b = v128.load(at, 16);
  const rowsOf = v128.shuffle<i32>(a, b, 1, 3, 5, 7);
  const wanted = i32x4.splat(row);
  const twelve = i32x4.splat(0xfff);
  const first = i32x4.eq(v128.and(rowsOf, twelve), wanted);
  const second = i32x4.eq(v128.and(i32x4.shr_u(rowsOf, 12), twelve), wanted);
  const wide = i32x4.shr_s(rowsOf, 31);
  const found = v128.or(v128.or(first, second), wide);
  if (row !== 0) return found;
  // An empty slot looks like row 0.
  const keys = v128.shuffle<i32>(a, b, 0, 2, 4, 6);
  return v128.andnot(found, i32x4.eq(keys, i32x4.splat(0)));
}

/** False: no room for it. */
function addHash(hash: u32, row: u32): bool {
  const at = slotAt(probe(hash));
  const isNew = load<u32>(at) === 0;
  const rowsOf = load<u32>(at, 4);
  if (!isNew && isHolder(rowsOf, row)) return true;
  if (load<u32>(heldAt(row)) >= rowMax) return false;
  if (isNew) {
    if (entries >= entriesMax) return false;
    ++entries;
    store<u32>(at, hash + 1);
    store<u32>(at, row | (row << 12), 4);
  } else if (rowsOf < TWO) {
    store<u32>(at, TWO | firstOf(rowsOf) | (row << 12), 4);
  } else if (rowsOf < WIDE) {
    if (!widen(at, rowsOf, row)) return false;
  } else {
    include(maskOf(rowsOf), row);
  }
  countIn(row);
  return true;
}

/** A third row: from now on the slot names a mask. */
function widen(at: usize, rowsOf: u32, row: u32): bool {
  if (freeMasks === 0 && masksUsedOnce === masks) return false;
  let mask: u32;
  if (freeMasks !== 0) {
    mask = freeMasks - 1;
    freeMasks = load<u32>(maskOf(mask));
  } else {
    mask = masksUsedOnce++;
  }
  memory.fill(maskOf(mask), 0, words << 3);
  include(maskOf(mask), firstOf(rowsOf));
  include(maskOf(mask), secondOf(rowsOf));
  include(maskOf(mask), row);
  store<u32>(at, WIDE | mask, 4);
  return true;
}

/** Takes a holder out of a slot; the last one empties it. */
function dropHolder(slot: u32, row: u32): void {
  const at = slotAt(slot);
  const rowsOf = load<u32>(at, 4);
  countOut(row);
  if (rowsOf >= WIDE) {
    exclude(maskOf(rowsOf), row);
    narrow(at, rowsOf & ~KIND);
  } else if (rowsOf >= TWO) {
    const other = firstOf(rowsOf) === row ? secondOf(rowsOf) : firstOf(rowsOf);
    store<u32>(at, other | (other << 12), 4);
  } else {
    empty(slot);
  }
}

/** Two rows need no mask: it goes back to the pool. */
function narrow(at: usize, mask: u32): void {
  let left: u32 = 0;
  let both: u32 = 0;
  for (let word: u32 = 0; word < words && left < 3; ++word) {
    for (let bits = load<u64>(maskOf(mask) + (<usize>word << 3)); bits !== 0; bits &= bits - 1) {
      both = (both << 12) | ((word << 6) + <u32>ctz(bits));
      if (++left === 3) return;
    }
  }
  store<u32>(at, TWO | both, 4);
  store<u32>(maskOf(mask), freeMasks);
  freeMasks = mask + 1;
}

/** Empties a slot and shifts back whoever probed past it. */
function empty(slot: u32): void {
  let hole = slot;
  for (let next = after(slot); load<u32>(slotAt(next)) !== 0; next = after(next)) {
    const home = homeOf(load<u32>(slotAt(next)) - 1);
    if (distance(home, next) < distance(hole, next)) continue;
    store<u64>(slotAt(hole), load<u64>(slotAt(next)));
    hole = next;
  }
  store<u64>(slotAt(hole), 0);
  --entries;
}

// @ts-ignore: decorator
@inline
function distance(from: u32, to: u32): u32 {
  return to >= from ? to - from : to + slots - from;
}

/** 5 hashes, 6 most of them, 7 (hash, row) pairs, 8 refused, 9 bytes of all tables. */
export function digestStat(which: i32): f64 {
  switch (which) {
    case 5: return <f64>entries;
    case 6: return <f64>entriesMax;
    case 7: return <f64>pairs;
    case 8: return refused;
    case 9: return <f64>bytesUsed;
    default: return 0;
  }
}
