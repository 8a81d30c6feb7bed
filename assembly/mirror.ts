/**
 * What each engine's own cache throws away, mirrored: a row with a known KV cache never holds
 * more chunks than fit there, and lets go of the least recently used first. `learn` uses the
 * deepest chunk first, so a tail goes before its root, as engines free blocks.
 */
import {
  addUse, hasFreeUse, largestRow, limitOf, oldestEntry, removeUse, renewUse, rowRecord,
} from "./recency";
import { entryUses, release } from "./prefix";

/** Let go of at once when the uses of all rows have run out: finding whose is not cheap. */
const DROPPED_AT_ONCE: i32 = 64;

/** The row used the chunk again. */
export function touch(entry: u32, row: u32): void {
  renewUse(entryUses(entry), row);
}

/** Lets go of the row's oldest chunks until one more fits. */
export function makeRoom(row: u32): void {
  shrink(row, limitOf(row) - 1);
}

/** Lets go of the row's oldest chunks until it holds so many at most. */
export function shrink(row: u32, most: u32): void {
  while (load<u32>(rowRecord(row)) > most) if (!dropOldest(row)) return;
}

/** Makes sure that `enqueue` finds a place; may cost the row with most chunks its oldest. */
export function reserve(): void {
  if (hasFreeUse()) return;
  const row = largestRow();
  for (let left = DROPPED_AT_ONCE; left > 0; --left) if (!dropOldest(row)) return;
}

/** After `reserve`: the row holds the chunk and had not. */
export function enqueue(row: u32, entry: u32): void {
  addUse(entryUses(entry), entry, row);
}

/** Forgets the order; the chunks stay held. */
export function forgetUses(row: u32): void {
  for (let entry = oldestEntry(row); entry >= 0; entry = oldestEntry(row)) {
    removeUse(entryUses(entry), row);
  }
}

/** Lets go of all that the row holds. */
export function dropAll(row: u32): void {
  while (dropOldest(row));
}

function dropOldest(row: u32): bool {
  const entry = oldestEntry(row);
  if (entry < 0) return false;
  release(entry, row);
  return true;
}
