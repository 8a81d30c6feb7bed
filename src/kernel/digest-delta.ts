/**
 * From a log of changes to what is worth telling: a chunk that came and went between two drains
 * is no news. Both kernels keep the log in their own memory and share this last step.
 */
import type { DigestDelta } from "./kernel.ts";

/**
 * @param log records of (hash 24 bits, came 1 bit) in any order; of one hash, comings and goings
 *   alternate, so that their difference is what is left of them. Sorted in place.
 */
export function netDelta(log: Uint32Array): DigestDelta {
  log.sort();
  const added = new Uint32Array(log.length);
  const removed = new Uint32Array(log.length);
  let adds = 0;
  let removes = 0;
  for (let from = 0, to = 0; from < log.length; from = to) {
    const hash = log[from] >>> 1;
    let balance = 0;
    for (; to < log.length && log[to] >>> 1 === hash; to++) balance += (log[to] & 1) * 2 - 1;
    if (balance > 0) added[adds++] = hash;
    else if (balance < 0) removed[removes++] = hash;
  }
  return { added: added.slice(0, adds), removed: removed.slice(0, removes) };
}
