/**
 * In which order each row used its chunks: what mirror.ts takes the oldest from. A chunk held by a
 * mirrored row is one use; the uses of a row are a list from the oldest to the newest, and those
 * of an entry, one per such row, hang together, so that a use is found and goes with its entry.
 * The order is exact, as the engines' is. With a second chance in its place, small caches were
 * mispredicted so often that the agentic trace (half its blocks fit) had 4 times the mean TTFT.
 *
 *     use u32 × 5:         older │ newer │ next of the entry │ row │ entry
 *     row record u32 × 8:  held │ limit │ uses │ oldest │ newest       links are numbers + 1
 */
import { place, rows } from "./columns";

export const USE_BYTES: usize = 20;
/** Three rows may hold each entry; beyond that the row with most uses loses its oldest. */
export const USES_PER_BUCKET: u32 = 24;
export const ROW_BYTES: usize = 32;
const NEWER: usize = 4;
const NEXT: usize = 8;
const ROW: usize = 12;
const ENTRY: usize = 16;
const LIMIT: usize = 4;
const COUNT: usize = 8;
const OLDEST: usize = 12;
const NEWEST: usize = 16;

let rowsAt: usize = 0;
let usesAt: usize = 0;
let most: u32 = 0;
/** Uses that were given out once, and the list of those given back. */
let usedOnce: u32 = 0;
let freeList: u32 = 0;

export function layoutUses(count: u32): void {
  most = count;
  rowsAt = place(<usize>rows * ROW_BYTES);
  usesAt = place(<usize>count * USE_BYTES);
}

// @ts-ignore: decorator
@inline
export function rowRecord(row: u32): usize {
  return rowsAt + (<usize>row) * ROW_BYTES;
}

// @ts-ignore: decorator
@inline
function useAt(numberPlusOne: u32): usize {
  return usesAt + <usize>(numberPlusOne - 1) * USE_BYTES;
}

export function limitOf(row: u32): u32 {
  return load<u32>(rowRecord(row), LIMIT);
}

export function setLimit(row: u32, limit: u32): void {
  store<u32>(rowRecord(row), limit, LIMIT);
}

export function hasFreeUse(): bool {
  return freeList !== 0 || usedOnce < most;
}

/** Entry that the row has not used for longest, -1 = it has none. */
export function oldestEntry(row: u32): i32 {
  const oldest = load<u32>(rowRecord(row), OLDEST);
  return oldest === 0 ? -1 : load<i32>(useAt(oldest), ENTRY);
}

/** Row with most uses. */
export function largestRow(): u32 {
  let largest: u32 = 0;
  for (let row: u32 = 1; row < rows; ++row) {
    if (load<u32>(rowRecord(row), COUNT) > load<u32>(rowRecord(largest), COUNT)) largest = row;
  }
  return largest;
}

/** The newest use of the row, of an entry that it had no use of. There is a free one. */
export function addUse(first: usize, entry: u32, row: u32): void {
  const use = freeList !== 0 ? freeList : ++usedOnce;
  const at = useAt(use);
  if (use === freeList) freeList = load<u32>(at, NEXT);
  store<u32>(at, load<u32>(first), NEXT);
  store<u32>(at, row, ROW);
  store<u32>(at, entry, ENTRY);
  store<u32>(first, use);
  append(use, row);
  const record = rowRecord(row);
  store<u32>(record, load<u32>(record, COUNT) + 1, COUNT);
}

/** Makes the row's use the newest. */
export function renewUse(first: usize, row: u32): void {
  let use = load<u32>(first);
  while (use !== 0 && load<u32>(useAt(use), ROW) !== row) use = load<u32>(useAt(use), NEXT);
  if (use === 0 || use === load<u32>(rowRecord(row), NEWEST)) return;
  unlink(use, row);
  append(use, row);
}

/** Takes the row's use out; nothing happens when there is none. */
export function removeUse(first: usize, row: u32): void {
  let link = first;
  let use = load<u32>(link);
  while (use !== 0 && load<u32>(useAt(use), ROW) !== row) {
    link = useAt(use) + NEXT;
    use = load<u32>(link);
  }
  if (use === 0) return;
  store<u32>(link, load<u32>(useAt(use), NEXT));
  unlink(use, row);
  store<u32>(useAt(use), freeList, NEXT);
  freeList = use;
  const record = rowRecord(row);
  store<u32>(record, load<u32>(record, COUNT) - 1, COUNT);
}

function append(use: u32, row: u32): void {
  const record = rowRecord(row);
  const newest = load<u32>(record, NEWEST);
  store<u32>(useAt(use), newest);
  store<u32>(useAt(use), 0, NEWER);
  if (newest !== 0) store<u32>(useAt(newest), use, NEWER);
  else store<u32>(record, use, OLDEST);
  store<u32>(record, use, NEWEST);
}

function unlink(use: u32, row: u32): void {
  const record = rowRecord(row);
  const older = load<u32>(useAt(use));
  const newer = load<u32>(useAt(use), NEWER);
  if (older !== 0) store<u32>(useAt(older), newer, NEWER);
  else store<u32>(record, newer, OLDEST);
  if (newer !== 0) store<u32>(useAt(newer), older);
  else store<u32>(record, older, NEWEST);
}
