/**
 * Which rows are expected to hold which chunk: the twin's index in plain TypeScript, which does
 * step by step what the kernel's does in its own memory (its form is drawn in
 * `assembly/prefix.ts`). Buckets of eight entries, each entry with the set of rows that hold the
 * chunk; a full bucket gives up its oldest entry. Byte cap, no tombstones, no rehash. A hash is a
 * pair of 32-bit halves; 0 is an empty entry.
 */
import type { DigestFeed } from "./digest-feed.ts";
import type { DigestTable } from "./digest-table.ts";
import { RowRecency } from "./row-recency.ts";

export interface PrefixIndexOptions {
  /** Multiple of 64. */
  rows: number;
  /** Byte cap of all tables. */
  indexBytes: number;
}

const WAYS = 8;
const BUCKETS_MAX = 1 << 21;
const BUCKETS_MIN = 16;
const ROW_BYTES = 32;
/** Hashes, stamps and first uses of a bucket. */
const HEADER_BYTES = 192;
const USES_PER_BUCKET = 24;
const USE_BYTES = 20;
/** Let go of at once when the uses of all rows have run out: finding whose is not cheap. */
const DROPPED_AT_ONCE = 64;
/** Bits of a hash that digests carry; they also name its bucket. */
const HASHES = 0xffffff;
const TWO_24 = 2 ** 24;

/** A bucket with its part of the uses. */
function bucketBytes(rows: number): number {
  return HEADER_BYTES + rows + USES_PER_BUCKET * USE_BYTES;
}

/** Buckets that fit under the cap, 0 when it is too small for any use. */
export function bucketsFor(options: PrefixIndexOptions): number {
  const each = bucketBytes(options.rows);
  const fitting = Math.floor((options.indexBytes - options.rows * ROW_BYTES) / each);
  return fitting < BUCKETS_MIN ? 0 : Math.min(fitting, BUCKETS_MAX);
}

export class PrefixIndex {
  readonly #rows: number;
  readonly #words: number;
  readonly #buckets: number;
  readonly #lows: Uint32Array;
  readonly #highs: Uint32Array;
  readonly #stamps: Float64Array;
  readonly #holders: Uint32Array;
  readonly #held: Uint32Array;
  readonly #recency: RowRecency;
  readonly #feed: DigestFeed;
  readonly #digests: DigestTable;
  /** Rows that the chunk just looked at has lost. */
  readonly #lost: Uint32Array;
  #clock = 0;
  #entries = 0;
  #evicted = 0;
  #pairs = 0;

  /** @throws RangeError when the byte cap is too small. */
  constructor(options: PrefixIndexOptions, digests: DigestTable, feed: DigestFeed) {
    const buckets = bucketsFor(options);
    if (buckets === 0) {
      throw new RangeError(`indexBytes is ${options.indexBytes}: too small; raise it`);
    }
    const entries = buckets * WAYS;
    this.#rows = options.rows;
    this.#words = options.rows / 32;
    this.#buckets = buckets;
    this.#lows = new Uint32Array(entries);
    this.#highs = new Uint32Array(entries);
    this.#stamps = new Float64Array(entries);
    this.#holders = new Uint32Array(entries * this.#words);
    this.#held = new Uint32Array(options.rows);
    this.#recency = new RowRecency(options.rows, entries, buckets * USES_PER_BUCKET);
    this.#feed = feed;
    this.#digests = digests;
    this.#lost = new Uint32Array(this.#words);
  }

  get bytes(): number {
    return this.#rows * ROW_BYTES + this.#buckets * bucketBytes(this.#rows);
  }

  get capacity(): number {
    return this.#lows.length;
  }

  get entries(): number {
    return this.#entries;
  }

  get evicted(): number {
    return this.#evicted;
  }

  /** (chunk, row) pairs held. */
  get pairs(): number {
    return this.#pairs;
  }

  holds(entry: number, row: number): boolean {
    const word = this.#holders[entry * this.#words + (row >>> 5)];
    return ((word >>> (row & 31)) & 1) !== 0;
  }

  /** The row does not hold the entry any more; an entry that nobody holds is free. */
  release(entry: number, row: number): void {
    if (this.#feed.isFed(row)) this.#noteChange(entry, row, false);
    if (this.#recency.limitOf(row) !== 0) this.#recency.remove(entry, row);
    const first = entry * this.#words;
    this.#holders[first + (row >>> 5)] &= ~(1 << (row & 31));
    this.#held[row]--;
    this.#pairs--;
    for (let word = first; word < first + this.#words; word++) {
      if (this.#holders[word] !== 0) return;
    }
    this.#clearHash(entry);
  }

  #clearHash(entry: number): void {
    this.#lows[entry] = 0;
    this.#highs[entry] = 0;
    this.#entries--;
  }

  #bucketOf(low: number): number {
    return Math.floor(((low & HASHES) * this.#buckets) / TWO_24);
  }

  /** Number of the entry with this hash, -1 when there is none. */
  find(low: number, high: number): number {
    const first = this.#bucketOf(low) * WAYS;
    const lows = this.#lows;
    const highs = this.#highs;
    for (let entry = first; entry < first + WAYS; entry++) {
      if (lows[entry] === low && highs[entry] === high) return entry;
    }
    return -1;
  }

  #insert(low: number, high: number): number {
    const first = this.#bucketOf(low) * WAYS;
    let entry = this.#emptyWay(first);
    if (entry < 0) {
      entry = first;
      for (let other = first + 1; other < first + WAYS; other++) {
        if (this.#stamps[other] < this.#stamps[entry]) entry = other;
      }
      this.#evict(entry);
    }
    this.#lows[entry] = low;
    this.#highs[entry] = high;
    this.#entries++;
    return entry;
  }

  #emptyWay(first: number): number {
    for (let entry = first; entry < first + WAYS; entry++) {
      if (this.#lows[entry] === 0 && this.#highs[entry] === 0) return entry;
    }
    return -1;
  }

  #evict(entry: number): void {
    const first = entry * this.#words;
    for (let word = 0; word < this.#words; word++) {
      for (let bits = this.#holders[first + word]; bits !== 0; bits &= bits - 1) {
        const row = word * 32 + 31 - Math.clz32(bits & -bits);
        if (this.#feed.isFed(row)) this.#noteChange(entry, row, false);
        if (this.#recency.limitOf(row) !== 0) this.#recency.remove(entry, row);
        this.#held[row]--;
        this.#pairs--;
      }
    }
    this.#holders.fill(0, first, first + this.#words);
    this.#clearHash(entry);
    this.#evicted++;
  }

  #noteChange(entry: number, row: number, came: boolean): void {
    const hash = this.#lows[entry] & HASHES;
    if (!this.#isListed(entry, row, WAYS)) this.#feed.note(row, hash, came);
  }

  /** Another chunk of the row, in one of the bucket's first ways, has the entry's 24 bits. */
  #isListed(entry: number, row: number, ways: number): boolean {
    const first = entry - (entry % WAYS);
    for (let other = first; other < first + ways; other++) {
      const isSame = ((this.#lows[other] ^ this.#lows[entry]) & HASHES) === 0;
      if (other !== entry && isSame && this.holds(other, row)) return true;
    }
    return false;
  }

  /** What the row holds, as a digest: each hash once, ascending. */
  hashesOf(row: number): Uint32Array {
    const hashes = new Uint32Array(this.#held[row]);
    let count = 0;
    for (let entry = 0; count < hashes.length && entry < this.capacity; entry++) {
      if (!this.holds(entry, row) || this.#isListed(entry, row, entry % WAYS)) continue;
      hashes[count++] = this.#lows[entry] & HASHES;
    }
    return hashes.slice(0, count).sort();
  }

  /**
   * Longest match of every row of `active` (one bit per row, used up) into `matched`, in one pass
   * from the root. A row holds what the index or its digest says.
   */
  match(chain: Uint32Array, chunks: number, active: Uint32Array, matched: Uint32Array): void {
    let chunk = 0;
    for (; chunk < chunks; chunk++) {
      if (!this.#lose(this.find(chain[chunk * 2], chain[chunk * 2 + 1]), active)) continue;
      if (this.#digests.knows(this.#lost)) {
        this.#digests.removeHolders(chain[chunk * 2], this.#lost);
      }
      if (!dropOut(this.#lost, active, chunk, matched)) return;
    }
    for (let word = 0; word < this.#words; word++) settle(word, active[word], chunk, matched);
  }

  /** Sets `lost` to the active rows that do not hold the entry (-1 = none); says if there are. */
  #lose(entry: number, active: Uint32Array): boolean {
    const first = entry * this.#words;
    let any = 0;
    for (let word = 0; word < this.#words; word++) {
      const holders = entry < 0 ? 0 : this.#holders[first + word];
      this.#lost[word] = active[word] & ~holders;
      any |= this.#lost[word];
    }
    return any !== 0;
  }

  /** Chunks of the chain that one row holds, from the root. */
  matchedChunks(chain: Uint32Array, chunks: number, row: number): number {
    for (let chunk = 0; chunk < chunks; chunk++) {
      const low = chain[chunk * 2];
      const entry = this.find(low, chain[chunk * 2 + 1]);
      const isHeld = entry >= 0 && this.holds(entry, row);
      if (!isHeld && !this.#digests.holds(low, row)) return chunk;
    }
    return chunks;
  }

  /** The row holds the chain's first chunks from now on; deepest first. */
  learn(chain: Uint32Array, chunks: number, row: number): void {
    const limit = this.#recency.limitOf(row);
    const count = limit === 0 ? chunks : Math.min(chunks, limit);
    this.#clock += count;
    for (let chunk = count - 1; chunk >= 0; chunk--) {
      this.#learnOne(chain[chunk * 2], chain[chunk * 2 + 1], row, limit, this.#clock - chunk);
    }
  }

  #learnOne(low: number, high: number, row: number, limit: number, time: number): void {
    let entry = this.find(low, high);
    if (entry >= 0 && this.holds(entry, row)) {
      this.#stamps[entry] = time;
      if (limit !== 0) this.#recency.renew(entry, row);
      return;
    }
    if (limit !== 0) {
      this.#shrink(row, limit - 1);
      this.#reserve();
      // Making room may have freed the entry that was found.
      entry = this.find(low, high);
    }
    if (entry < 0) entry = this.#insert(low, high);
    this.#stamps[entry] = time;
    this.#holders[entry * this.#words + (row >>> 5)] |= 1 << (row & 31);
    this.#held[row]++;
    this.#pairs++;
    if (this.#feed.isFed(row)) this.#noteChange(entry, row, true);
    if (limit !== 0) this.#recency.add(entry, row);
  }

  /** Lets go of the row's oldest chunks until it holds so many at most. */
  #shrink(row: number, most: number): void {
    while (this.#held[row] > most) if (!this.#dropOldest(row)) return;
  }

  /** Makes sure that a use can be added; may cost the row with most of them its oldest. */
  #reserve(): void {
    if (this.#recency.hasFree) return;
    const row = this.#recency.largest();
    for (let left = DROPPED_AT_ONCE; left > 0; left--) if (!this.#dropOldest(row)) return;
  }

  #dropOldest(row: number): boolean {
    const entry = this.#recency.oldestOf(row);
    if (entry >= 0) this.release(entry, row);
    return entry >= 0;
  }

  /** The row does not hold the chain from a chunk on. */
  forget(chain: Uint32Array, chunks: number, row: number, fromChunk: number): void {
    for (let chunk = fromChunk; chunk < chunks; chunk++) {
      const entry = this.find(chain[chunk * 2], chain[chunk * 2 + 1]);
      if (entry >= 0 && this.holds(entry, row)) this.release(entry, row);
    }
  }

  /** The row lost everything; its queue has no bound until it is told again. */
  clearRow(row: number): void {
    if (this.#recency.limitOf(row) !== 0) {
      while (this.#dropOldest(row));
      this.#recency.setLimit(row, 0);
      return;
    }
    for (let entry = 0; entry < this.capacity; entry++) {
      if (this.holds(entry, row)) this.release(entry, row);
    }
  }

  /** Bounds what a row may hold; 0 = unknown. What is held before counts as used now. */
  setRowChunks(row: number, limit: number): void {
    const recency = this.#recency;
    const before = recency.limitOf(row);
    recency.setLimit(row, limit);
    if (limit === 0) {
      let entry = recency.oldestOf(row);
      for (; entry >= 0; entry = recency.oldestOf(row)) recency.remove(entry, row);
      return;
    }
    for (let entry = 0; before === 0 && entry < this.capacity; entry++) {
      if (!this.holds(entry, row)) continue;
      this.#reserve();
      // Making place may have cost this very entry.
      if (this.holds(entry, row)) recency.add(entry, row);
    }
    this.#shrink(row, limit);
  }
}

/** Takes the lost rows out of `active`; says whether anybody is left. */
function dropOut(
  lost: Uint32Array,
  active: Uint32Array,
  chunk: number,
  matched: Uint32Array,
): boolean {
  let left = 0;
  for (let word = 0; word < active.length; word++) {
    settle(word, lost[word], chunk, matched);
    active[word] &= ~lost[word];
    left |= active[word];
  }
  return left !== 0;
}

function settle(word: number, set: number, chunk: number, matched: Uint32Array): void {
  for (let bits = set; bits !== 0; bits &= bits - 1) {
    matched[word * 32 + 31 - Math.clz32(bits & -bits)] = chunk;
  }
}
