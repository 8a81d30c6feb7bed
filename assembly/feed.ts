/**
 * What own rows came to hold or let go of since somebody last asked: the other side of digests,
 * for publishing. A row is fed once it was asked for: rows that nobody publishes cost one bit. When
 * the pool is used up, the row with the longest log loses it and starts again with a snapshot.
 *
 *     segment u32 × 64: next segment + 1 │ 63 records          record: hash 24 bits │ came 1 bit
 *     row record u32 × 8 (shared with digest.ts): held, head, tail, tailPos, segments
 */
import { WINDOW_BYTES, fed, place, rows, textWindow } from "./columns";

export const FEED_SEGMENT_BYTES: usize = 256;
const RECORDS_END: u32 = 64;
const ROW_BYTES: usize = 32;
const HEAD: usize = 4;
const TAIL: usize = 8;
const TAIL_POS: usize = 12;
const SEGMENTS: usize = 16;

let rowsAt: usize = 0;
let segmentsAt: usize = 0;
let segments: u32 = 0;
let usedOnce: u32 = 0;
let freeList: u32 = 0;

export function placeFeed(recordsAt: usize, count: u32): void {
  rowsAt = recordsAt;
  segments = count;
  segmentsAt = place(<usize>count * FEED_SEGMENT_BYTES);
}

// @ts-ignore: decorator
@inline
function record(row: u32): usize {
  return rowsAt + <usize>row * ROW_BYTES;
}

// @ts-ignore: decorator
@inline
function segmentAt(numberPlusOne: u32): usize {
  return segmentsAt + <usize>(numberPlusOne - 1) * FEED_SEGMENT_BYTES;
}

// @ts-ignore: decorator
@inline
export function isFed(row: u32): bool {
  return ((load<u64>(fed + ((row >> 6) << 3)) >> (row & 63)) & 1) !== 0;
}

/** From now on the row's changes are logged. False: they were already. */
export function startFeed(row: u32): bool {
  if (isFed(row)) return false;
  if (segments === 0) return true;
  const at = fed + ((row >> 6) << 3);
  store<u64>(at, load<u64>(at) | ((<u64>1) << (row & 63)));
  return true;
}

/** Drops the row's log; the next who asks is told to take a snapshot. */
export function stopFeed(row: u32): void {
  if (!isFed(row)) return;
  const at = fed + ((row >> 6) << 3);
  store<u64>(at, load<u64>(at) & ~((<u64>1) << (row & 63)));
  while (load<u32>(record(row), HEAD) !== 0) freeHead(record(row));
}

function freeHead(own: usize): void {
  const head = load<u32>(own, HEAD);
  const next = load<u32>(segmentAt(head));
  store<u32>(segmentAt(head), freeList);
  freeList = head;
  store<u32>(own, next, HEAD);
  if (next === 0) store<u32>(own, 0, TAIL);
  store<u32>(own, load<u32>(own, SEGMENTS) - 1, SEGMENTS);
}

/** Logs one change of a fed row. */
export function note(row: u32, change: u32): void {
  const own = record(row);
  if (load<u32>(own, TAIL) === 0 || load<u32>(own, TAIL_POS) === RECORDS_END) {
    if (!addSegment(row)) return;
  }
  const position = load<u32>(own, TAIL_POS);
  store<u32>(segmentAt(load<u32>(own, TAIL)) + (<usize>position << 2), change);
  store<u32>(own, position + 1, TAIL_POS);
}

/** False: it was the row itself that had to give up its log. */
function addSegment(row: u32): bool {
  if (freeList === 0 && usedOnce === segments) {
    const longest = longestLog();
    stopFeed(longest);
    if (longest === row) return false;
  }
  let segment = freeList;
  if (segment !== 0) freeList = load<u32>(segmentAt(segment));
  else segment = ++usedOnce;
  store<u32>(segmentAt(segment), 0);
  const own = record(row);
  const tail = load<u32>(own, TAIL);
  if (tail !== 0) store<u32>(segmentAt(tail), segment);
  else store<u32>(own, segment, HEAD);
  store<u32>(own, segment, TAIL);
  store<u32>(own, 1, TAIL_POS);
  store<u32>(own, load<u32>(own, SEGMENTS) + 1, SEGMENTS);
  return true;
}

function longestLog(): u32 {
  let longest: u32 = 0;
  for (let row: u32 = 1; row < rows; ++row) {
    if (load<u32>(record(row), SEGMENTS) > load<u32>(record(longest), SEGMENTS)) longest = row;
  }
  return longest;
}

/** Moves records of a fed row to the window, oldest first; 0 when the log is empty. */
export function takeFeed(row: u32): u32 {
  const own = record(row);
  let count: u32 = 0;
  while (load<u32>(own, HEAD) !== 0 && ((count + RECORDS_END) << 2) <= WINDOW_BYTES) {
    const head = load<u32>(own, HEAD);
    const end = head === load<u32>(own, TAIL) ? load<u32>(own, TAIL_POS) : RECORDS_END;
    memory.copy(textWindow + (<usize>count << 2), segmentAt(head) + 4, <usize>(end - 1) << 2);
    count += end - 1;
    freeHead(own);
  }
  return count;
}
