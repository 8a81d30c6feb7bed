/**
 * How the prefix index learns: what was sent to a row, what turned out not to be there, what a
 * restart lost. Stamps count chunks learned, not time, and a parent's stamp is always above its
 * children's, so that a bucket gives up a tail before the root that makes it reachable.
 */
import { chunkLimit, words } from "./columns";
import { clearDigest } from "./digest";
import { stopFeed } from "./feed";
import { dropAll, enqueue, forgetUses, makeRoom, reserve, shrink, touch } from "./mirror";
import { bucketCount, find, hashAt, hold, holds, insert, release, stamp } from "./prefix";
import { limitOf, setLimit } from "./recency";

let clock: f64 = 0;

/** The row holds the chain's first chunks from now on; deepest first (see mirror.ts). */
export function learn(chunks: u32, row: u32): void {
  const limit = limitOf(row);
  let count = min<u32>(chunks, chunkLimit);
  if (limit !== 0) count = min<u32>(count, limit);
  clock += <f64>count;
  for (let chunk = count; chunk-- > 0; ) learnOne(hashAt(chunk), row, limit, clock - <f64>chunk);
}

function learnOne(hash: u64, row: u32, limit: u32, time: f64): void {
  let entry = find(hash);
  if (entry >= 0 && holds(entry, row)) {
    stamp(entry, time);
    if (limit !== 0) touch(entry, row);
    return;
  }
  if (limit !== 0) {
    makeRoom(row);
    reserve();
    // Making room may have freed the entry that was found.
    entry = find(hash);
  }
  const place = entry < 0 ? insert(hash) : <u32>entry;
  stamp(place, time);
  hold(place, row);
  if (limit !== 0) enqueue(row, place);
}

/** The row does not hold the chain from a chunk on. */
export function forget(chunks: u32, row: u32, fromChunk: u32): void {
  for (let chunk = fromChunk; chunk < chunks; ++chunk) {
    const entry = find(hashAt(chunk));
    if (entry >= 0 && holds(entry, row)) release(entry, row);
  }
}

/** The row lost everything, digest too; its mirror has no bound until it is told again. */
export function clearRow(row: u32): void {
  stopFeed(row);
  clearDigest(row);
  if (limitOf(row) !== 0) {
    dropAll(row);
    setLimit(row, 0);
    return;
  }
  const total = bucketCount() << 3;
  for (let entry: u32 = 0; entry < total; ++entry) {
    if (holds(entry, row)) release(entry, row);
  }
}

/** Bounds what a row may hold; 0 = unknown. What is held before counts as used now. */
export function setRowChunks(row: u32, limit: u32): void {
  const before = limitOf(row);
  setLimit(row, limit);
  if (limit === 0) {
    forgetUses(row);
    return;
  }
  if (before === 0) adopt(row);
  shrink(row, limit);
}

function adopt(row: u32): void {
  const total = bucketCount() << 3;
  for (let entry: u32 = 0; entry < total; ++entry) {
    if (!holds(entry, row)) continue;
    reserve();
    // Making place may have cost this very entry.
    if (holds(entry, row)) enqueue(row, entry);
  }
}
