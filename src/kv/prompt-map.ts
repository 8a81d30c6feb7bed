/**
 * Which chunk of prompt text is which block of tokens. The kernel knows a prompt by chained hashes
 * of its bytes, an engine by blocks of token ids; whenever the ids of a prompt become known, each
 * of its chunks is written down here with its place in tokens and the name (`token-chain.ts`) of
 * the last whole block in it. Both chains name whole prefixes, so one entry stands for everything
 * before it, and the first prompt that shows a prefix settles it for all that share it.
 *
 * Where a chunk ends in tokens is read off the straight line between the nearest known places: the
 * chunks before, and the whole prompt. Equal text means equal blocks; where a later prompt finds
 * another block at the place noted, the place lies past what both share, and moves back a block.
 *
 *     entry: chunk u64 │ block tokens │ tokens │ block name u64 │ next entry with this block │ past
 *
 * Bounded: a new entry takes the place of the oldest that was of no use since (second chance).
 */
import { PairMap } from "./pair-map.ts";

const NONE = -1;
const START_ENTRIES = 1_024;

export class PromptMap {
  private readonly capacity: number;
  /** Hears of an entry just before it goes. */
  private readonly onForget: (entry: number) => void;
  private readonly byChunk = new PairMap();
  private readonly byBlock = new PairMap();
  private lows = new Uint32Array(START_ENTRIES);
  private highs = new Uint32Array(START_ENTRIES);
  private sizes = new Uint32Array(START_ENTRIES);
  private places = new Float32Array(START_ENTRIES);
  private blockLows = new Uint32Array(START_ENTRIES);
  private blockHighs = new Uint32Array(START_ENTRIES);
  private nexts = new Int32Array(START_ENTRIES);
  private pasts = new Float32Array(START_ENTRIES);
  private marks = new Uint8Array(START_ENTRIES);
  private used = 0;
  private hand = 0;

  constructor(capacity: number, onForget: (entry: number) => void) {
    this.capacity = capacity;
    this.onForget = onForget;
  }

  get size(): number {
    return this.used;
  }

  /** Entry of a chunk for engines of this block size, or -1. */
  find(low: number, high: number, blockTokens: number): number {
    return this.byChunk.get(low, keyHigh(high, blockTokens)) ? this.byChunk.first : NONE;
  }

  /** It was of use: it stays when its turn comes. */
  touch(entry: number): void {
    this.marks[entry] = 1;
  }

  /** First entry of a block, or -1; go on with `nextOf`. */
  firstOf(blockLow: number, blockHigh: number): number {
    return this.byBlock.get(blockLow, blockHigh) ? this.byBlock.first : NONE;
  }

  nextOf(entry: number): number {
    return this.nexts[entry];
  }

  chunkLow(entry: number): number {
    return this.lows[entry];
  }

  chunkHigh(entry: number): number {
    return this.highs[entry];
  }

  blockLow(entry: number): number {
    return this.blockLows[entry];
  }

  blockHigh(entry: number): number {
    return this.blockHighs[entry];
  }

  blockTokensOf(entry: number): number {
    return this.sizes[entry];
  }

  /** Tokens of the prompt up to the chunk's end. */
  tokensOf(entry: number): number {
    return this.places[entry];
  }

  /** Tokens up to the end of the entry's block. */
  blockEnd(entry: number): number {
    return (blockOf(this.places[entry], this.sizes[entry]) + 1) * this.sizes[entry];
  }

  /** How far engines' matches went on past the chunk when it was the last; NaN = never seen. */
  pastOf(entry: number): number {
    return this.pasts[entry];
  }

  setPast(entry: number, tokens: number): void {
    this.pasts[entry] = tokens;
  }

  /** Notes, or changes, a chunk's place and block. Returns its entry. */
  put(
    low: number,
    high: number,
    blockTokens: number,
    tokens: number,
    blockLow: number,
    blockHigh: number,
  ): number {
    let entry = this.find(low, high, blockTokens);
    if (entry >= 0) this.unlink(entry);
    else entry = this.place(low, high, blockTokens);
    this.places[entry] = tokens;
    this.blockLows[entry] = blockLow;
    this.blockHighs[entry] = blockHigh;
    this.pasts[entry] = Number.NaN;
    this.nexts[entry] = this.firstOf(blockLow, blockHigh);
    this.byBlock.set(blockLow, blockHigh, entry);
    return entry;
  }

  private place(low: number, high: number, blockTokens: number): number {
    const entry = this.used < this.capacity ? this.grown() : this.evicted();
    this.lows[entry] = low;
    this.highs[entry] = high;
    this.sizes[entry] = blockTokens;
    this.marks[entry] = 0;
    this.byChunk.set(low, keyHigh(high, blockTokens), entry);
    return entry;
  }

  private grown(): number {
    if (this.used === this.lows.length) this.resize(Math.min(this.used * 2, this.capacity));
    return this.used++;
  }

  private evicted(): number {
    for (;;) {
      const entry = this.hand;
      this.hand = (entry + 1) % this.capacity;
      if (this.marks[entry] === 0) {
        this.onForget(entry);
        this.unlink(entry);
        this.byChunk.delete(this.lows[entry], keyHigh(this.highs[entry], this.sizes[entry]));
        return entry;
      }
      this.marks[entry] = 0;
    }
  }

  /** Out of the list of its block. */
  private unlink(entry: number): void {
    const low = this.blockLows[entry];
    const high = this.blockHighs[entry];
    const next = this.nexts[entry];
    let at = this.firstOf(low, high);
    if (at === entry) {
      if (next === NONE) this.byBlock.delete(low, high);
      else this.byBlock.set(low, high, next);
      return;
    }
    while (at !== NONE && this.nexts[at] !== entry) at = this.nexts[at];
    if (at !== NONE) this.nexts[at] = next;
  }

  private resize(entries: number): void {
    const grow = <T extends Uint32Array | Int32Array | Float32Array | Uint8Array>(old: T): T => {
      const larger = new (old.constructor as new (length: number) => T)(entries);
      larger.set(old);
      return larger;
    };
    this.lows = grow(this.lows);
    this.highs = grow(this.highs);
    this.sizes = grow(this.sizes);
    this.places = grow(this.places);
    this.blockLows = grow(this.blockLows);
    this.blockHighs = grow(this.blockHighs);
    this.nexts = grow(this.nexts);
    this.pasts = grow(this.pasts);
    this.marks = grow(this.marks);
  }
}

/** Number of the last block that ends at or before a place; the first one at least. */
export function blockOf(tokens: number, blockTokens: number): number {
  return Math.max(Math.floor(tokens / blockTokens), 1) - 1;
}

/** The same chunk is another block for an engine with blocks of another size. */
function keyHigh(high: number, blockTokens: number): number {
  return (high ^ Math.imul(blockTokens, 0x9e3779b1)) >>> 0;
}
