/**
 * Exports of the kernel and nothing else: what the host may call, in the order of a decision.
 * Nothing is imported and nothing is allocated after `init`.
 */
import { ABI, RESULT_CODE, WINDOW_BYTES, grow, layout, matched, resultWords } from "./columns";
import { askedChunks, codeOf, filter, startFromModel } from "./filter";
import { pick, writeScore } from "./pick";
import { digestStat, layoutDigests } from "./digest";
import { match, matchedChunks as countMatched } from "./match";
import { indexStat, layoutIndex } from "./prefix";
import { score, scoreAll } from "./score";

export { blockAt, columnAt } from "./columns";
export { absorb, begin, chunkCount, hashKey } from "./hash";
export { setModelRow } from "./filter";
export { clearRow, forget, learn, setRowChunks } from "./learn";
export { addDigest, clearDigest, dropDigest } from "./digest";
export { startFeed, takeFeed } from "./feed";
export { listHashes } from "./prefix";

export function abi(): u32 {
  return ABI;
}

export function windowBytes(): u32 {
  return WINDOW_BYTES;
}

/**
 * Once, first. 0 = ready, 1 = the index's byte cap is too small, 2 = no memory, 3 = the digests'
 * byte cap is too small.
 */
export function init(
  rows: u32,
  chunkBytes: u32,
  chunkLimit: u32,
  indexBytes: f64,
  digestBytes: f64,
): u32 {
  layout(rows, chunkBytes, chunkLimit);
  if (!layoutIndex(<u64>indexBytes)) return 1;
  if (!layoutDigests(<u64>digestBytes)) return 3;
  return grow() ? 0 : 2;
}

/** Match, filter, score, pick; the host has written ask and chain, and reads the result. */
export function decide(): void {
  startFromModel();
  filter();
  match(askedChunks());
  scoreAll();
  pick();
}

/** Code and cost of one row after `decide`. */
export function explain(row: u32): void {
  const code = codeOf(row);
  if (code === 1) store<u32>(matched + (<usize>row << 2), 0);
  store<u32>(resultWords, code, RESULT_CODE);
  score(row);
  writeScore();
}

export function matchedChunks(chunks: u32, row: u32): u32 {
  return countMatched(chunks, row);
}

export function stat(which: i32): f64 {
  return which < 5 ? indexStat(which) : digestStat(which);
}
