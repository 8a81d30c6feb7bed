/**
 * What each engine's own cache throws away, mirrored: a row with a known KV cache never holds
 * more chunks than fit there. Exact LRU would cost a stamp per chunk and row; a queue per row with
 * a second chance costs one slot and one bit. `learn` enqueues the deepest chunk first, so a tail
 * goes before its root, as engines free blocks. Slots may outlive their entry: a slot whose tag
 * or holder bit does not fit is skipped when it comes up.
 *
 *     segment u32 × 64: next segment + 1 │ 63 slots            slot: tag 8 bits │ entry 24 bits
 *     row:  head ──► segment ──► segment ──► tail              a row takes from head, adds at tail
 */
import { rows } from "./columns";
import {
  SEGMENT_BYTES, bucketCount, entryHash, entryHolders, holds, recentOffset, release, rowRecord,
  segmentsAt,
} from "./prefix";

const SLOTS_END: u32 = 64;
const LIMIT: usize = 4;
const SLOTS: usize = 8;
const SEGMENTS: usize = 12;
const HEAD: usize = 16;
const TAIL: usize = 20;
const HEAD_POS: usize = 24;
const TAIL_POS: usize = 28;

/** Segments that were given out once, and the list of those given back (+ 1; 0 = none). */
let usedOnce: u32 = 0;
let freeList: u32 = 0;

// @ts-ignore: decorator
@inline
function segmentAt(numberPlusOne: u32): usize {
  return segmentsAt + <usize>(numberPlusOne - 1) * SEGMENT_BYTES;
}

export function limitOf(row: u32): u32 {
  return load<u32>(rowRecord(row), LIMIT);
}

export function setLimit(row: u32, limit: u32): void {
  store<u32>(rowRecord(row), limit, LIMIT);
}

function slotOf(entry: u32): u32 {
  return entry | (<u32>(load<u64>(entryHash(entry)) >> 56) << 24);
}

/** True when the slot still stands for a chunk that the row holds. */
function stands(slot: u32, row: u32): bool {
  const entry = slot & 0xffffff;
  return load<u64>(entryHash(entry)) !== 0 && slotOf(entry) === slot && holds(entry, row);
}

/** Marks a chunk as used again. */
export function touch(entry: u32, row: u32): void {
  const at = entryHolders(entry) + recentOffset() + ((row >> 6) << 3);
  store<u64>(at, load<u64>(at) | ((<u64>1) << (row & 63)));
}

/** Clears the mark; says whether it was set. */
function takeMark(entry: u32, row: u32): bool {
  const at = entryHolders(entry) + recentOffset() + ((row >> 6) << 3);
  const word = load<u64>(at);
  const bit = (<u64>1) << (row & 63);
  store<u64>(at, word & ~bit);
  return (word & bit) !== 0;
}

/** Lets go of the row's oldest chunks until one more fits. */
export function makeRoom(row: u32): void {
  const record = rowRecord(row);
  const limit = load<u32>(record, LIMIT);
  while (load<u32>(record) >= limit || load<u32>(record, SLOTS) >= limit << 1) passOne(row);
}

/** The same after a lower limit. */
export function shrink(row: u32): void {
  const record = rowRecord(row);
  const limit = load<u32>(record, LIMIT);
  while (load<u32>(record) > limit || load<u32>(record, SLOTS) > limit << 1) passOne(row);
}

function passOne(row: u32): void {
  const slot = pop(row);
  if (!stands(slot, row)) return;
  const entry = slot & 0xffffff;
  if (takeMark(entry, row)) {
    reserve(row);
    push(row, slot);
  } else {
    release(entry, row);
  }
}

function pop(row: u32): u32 {
  const record = rowRecord(row);
  const position = load<u32>(record, HEAD_POS);
  const slot = load<u32>(segmentAt(load<u32>(record, HEAD)) + (<usize>position << 2));
  store<u32>(record, position + 1, HEAD_POS);
  const left = load<u32>(record, SLOTS) - 1;
  store<u32>(record, left, SLOTS);
  if (left === 0 || position + 1 === SLOTS_END) freeHead(record);
  return slot;
}

function freeHead(record: usize): void {
  const head = load<u32>(record, HEAD);
  const next = load<u32>(segmentAt(head));
  store<u32>(segmentAt(head), freeList);
  freeList = head;
  store<u32>(record, load<u32>(record, SEGMENTS) - 1, SEGMENTS);
  store<u32>(record, next, HEAD);
  store<u32>(record, 1, HEAD_POS);
  if (next === 0) store<u32>(record, 0, TAIL);
}

/** Makes sure that `push` finds a place; may cost the row with most segments its oldest one. */
export function reserve(row: u32): void {
  const record = rowRecord(row);
  if (load<u32>(record, TAIL) !== 0 && load<u32>(record, TAIL_POS) < SLOTS_END) return;
  if (freeList === 0 && usedOnce === bucketCount()) dropSegment(largestRow());
  let segment: u32;
  if (freeList !== 0) {
    segment = freeList;
    freeList = load<u32>(segmentAt(segment));
  } else {
    segment = ++usedOnce;
  }
  store<u32>(segmentAt(segment), 0);
  const tail = load<u32>(record, TAIL);
  if (tail !== 0) {
    store<u32>(segmentAt(tail), segment);
  } else {
    store<u32>(record, segment, HEAD);
    store<u32>(record, 1, HEAD_POS);
  }
  store<u32>(record, segment, TAIL);
  store<u32>(record, 1, TAIL_POS);
  store<u32>(record, load<u32>(record, SEGMENTS) + 1, SEGMENTS);
}

function largestRow(): u32 {
  let largest: u32 = 0;
  for (let row: u32 = 1; row < rows; ++row) {
    if (load<u32>(rowRecord(row), SEGMENTS) > load<u32>(rowRecord(largest), SEGMENTS)) {
      largest = row;
    }
  }
  return largest;
}

/** Gives up the row's oldest segment with all that stands in it. */
function dropSegment(row: u32): void {
  const record = rowRecord(row);
  const before = load<u32>(record, SEGMENTS);
  while (load<u32>(record, SEGMENTS) === before) {
    if (load<u32>(record, SLOTS) === 0) freeHead(record);
    else dropOne(row);
  }
}

function dropOne(row: u32): void {
  const slot = pop(row);
  if (stands(slot, row)) release(slot & 0xffffff, row);
}

/** After `reserve`. */
function push(row: u32, slot: u32): void {
  const record = rowRecord(row);
  const position = load<u32>(record, TAIL_POS);
  store<u32>(segmentAt(load<u32>(record, TAIL)) + (<usize>position << 2), slot);
  store<u32>(record, position + 1, TAIL_POS);
  store<u32>(record, load<u32>(record, SLOTS) + 1, SLOTS);
}

export function enqueue(row: u32, entry: u32): void {
  push(row, slotOf(entry));
}

/** Empties the queue; the chunks stay held. */
export function forgetQueue(row: u32): void {
  const record = rowRecord(row);
  while (load<u32>(record, SLOTS) !== 0) pop(row);
}

/** Empties the queue and lets go of all that it names. */
export function dropAll(row: u32): void {
  const record = rowRecord(row);
  while (load<u32>(record, SLOTS) !== 0) dropOne(row);
}
