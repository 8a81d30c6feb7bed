/**
 * The TypeScript twin of the kernel: oracle of the property test, floor of the bench, fallback
 * where WebAssembly is forbidden. It gives the same bits as `wasm/kernel.wasm` for the same calls,
 * on plain typed arrays and without tricks that the kernel could not use as well.
 */
import { CHOICES, EXCLUSIONS, type Candidate, type Decision } from "../grid/decision.ts";
import type { Millis, Row } from "../grid/units.ts";
import type { EndpointColumns } from "../state/endpoint-table.ts";
import { DigestFeed } from "../state/digest-feed.ts";
import { type DigestSizes, digestSizes, DigestTable } from "../state/digest-table.ts";
import { bucketsFor, PrefixIndex } from "../state/prefix-index.ts";
import {
  BYTE_COLUMNS,
  KERNEL_ABI,
  NUMBER_COLUMNS,
  ROW_CHUNKS_MAX,
  WORD_COLUMNS,
  checkIndex,
  checkOptions,
  digestBytesOf,
  digestsTooSmall,
  indexTooSmall,
  toCount,
} from "./abi.ts";
import { netDelta } from "./digest-delta.ts";
import {
  MODELS_MAX,
  TRIED_MAX,
  type Ask,
  type DigestDelta,
  type HashedPrompt,
  type IndexStats,
  type Kernel,
  type KernelOptions,
  type Weights,
} from "./kernel.ts";
import { type EncodeInto, PromptFeed, SeedMemory } from "./prompt-feed.ts";
import { ReferenceHash } from "./reference-hash.ts";
import {
  blankScored,
  type Cost,
  draw,
  exclusionOf,
  openPool,
  orSession,
  type Pool,
  scoreRow,
  winsByPrefix,
} from "./reference-score.ts";
import { DEFAULT_WEIGHTS } from "./weights.ts";

const WINDOW_BYTES = 65536;
const MODEL_CODE = 1;
const COST_CODE = 12;

/**
 * @param encodeInto `TextEncoder.encodeInto`
 * @throws RangeError for a bad option
 */
export function createReferenceKernel(options: KernelOptions, encodeInto: EncodeInto): Kernel {
  checkOptions(options);
  if (bucketsFor(options) === 0) throw indexTooSmall(options);
  const sizes = digestSizes(options.rows, digestBytesOf(options));
  if (sizes === undefined) throw digestsTooSmall(options);
  return new ReferenceKernel(options, encodeInto, sizes);
}

function blankColumns(rows: number): EndpointColumns {
  const columns: Record<string, Uint8Array | Uint32Array | Float64Array> = {};
  for (const name of BYTE_COLUMNS) columns[name] = new Uint8Array(rows);
  for (const name of WORD_COLUMNS) columns[name] = new Uint32Array(rows);
  for (const name of NUMBER_COLUMNS) columns[name] = new Float64Array(rows);
  return { capacity: rows, ...columns } as unknown as EndpointColumns;
}

function blankDecision(): Decision {
  return {
    row: -1,
    choice: "none",
    ttftMs: 0,
    waitMs: 0,
    prefillMs: 0,
    socialMs: 0,
    priceUsd: 0,
    matchedTokens: 0,
    uncachedTokens: 0,
    candidates: 0,
    excluded: new Uint32Array(EXCLUSIONS.length),
  };
}

function blankCost(): Cost {
  return { ttft: 0, wait: 0, prefill: 0, social: 0, price: 0, matched: 0, hit: 0, uncached: 0 };
}

class ReferenceKernel implements Kernel {
  readonly name = "reference";
  readonly abi = KERNEL_ABI;
  readonly options: Readonly<KernelOptions>;
  readonly columns: EndpointColumns;
  readonly #chunkLimit: number;
  readonly #hash: ReferenceHash;
  readonly #feed: PromptFeed;
  readonly #seeds: SeedMemory;
  readonly #digests: DigestTable;
  readonly #changes: DigestFeed;
  readonly #index: PrefixIndex;
  readonly #words: number;
  /** One set of rows per model. */
  readonly #models: Uint32Array;
  readonly #active: Uint32Array;
  readonly #matched: Uint32Array;
  readonly #codes: Uint8Array;
  readonly #scored;
  readonly #cost = blankCost();
  readonly #pool: Pool = { met: false, ttftLimit: 0, priceLimit: 0, pooled: 0, affordable: 0 };
  readonly #decision = blankDecision();
  #weights: Weights = DEFAULT_WEIGHTS;

  constructor(options: KernelOptions, encodeInto: EncodeInto, sizes: DigestSizes) {
    const { rows, chunkBytes, promptBytesMax } = options;
    this.options = { ...options };
    this.columns = blankColumns(rows);
    this.#chunkLimit = Math.floor(promptBytesMax / chunkBytes);
    const hash = new ReferenceHash(WINDOW_BYTES, chunkBytes, this.#chunkLimit);
    this.#hash = hash;
    this.#feed = new PromptFeed(hash.window, encodeInto, (filled) => hash.absorb(filled));
    this.#seeds = new SeedMemory(hash.window, encodeInto, (bytes) => hash.hashKey(bytes));
    this.#digests = new DigestTable(rows, sizes);
    this.#changes = new DigestFeed(rows, sizes.segments);
    this.#index = new PrefixIndex(options, this.#digests, this.#changes);
    this.#words = rows / 32;
    this.#models = new Uint32Array(MODELS_MAX * this.#words);
    this.#active = new Uint32Array(this.#words);
    this.#matched = new Uint32Array(rows);
    this.#codes = new Uint8Array(rows);
    this.#scored = blankScored(rows);
  }

  get weights(): Readonly<Weights> {
    return this.#weights;
  }

  setWeights(weights: Weights): void {
    this.#weights = { ...weights };
  }

  setModelRow(model: number, row: Row, serves: boolean): void {
    checkIndex("model", model, MODELS_MAX);
    checkIndex("row", row, this.options.rows);
    const at = model * this.#words + (row >>> 5);
    const bit = 1 << (row & 31);
    if (serves) this.#models[at] |= bit;
    else this.#models[at] &= ~bit;
  }

  hash(prompt: readonly string[], seedKey: string): HashedPrompt {
    this.#hash.begin(this.#seeds.of(seedKey));
    return this.#hashed(this.#feed.text(prompt));
  }

  hashBytes(prompt: Uint8Array, seedKey: string): HashedPrompt {
    this.#hash.begin(this.#seeds.of(seedKey));
    return this.#hashed(this.#feed.raw(prompt));
  }

  #hashed(bytes: number): HashedPrompt {
    return { chain: this.#hash.chain.slice(0, this.#hash.count * 2), bytes };
  }

  decide(ask: Ask, nowMs: Millis): Decision {
    this.#startFromModel(ask.model >>> 0);
    this.#filter(ask, nowMs);
    this.#index.match(ask.chain, this.#chunks(ask.chain), this.#active, this.#matched);
    this.#scoreAll(ask, nowMs);
    this.#pick(ask, nowMs);
    return this.#decision;
  }

  #servesModel(model: number, word: number): number {
    return model < MODELS_MAX ? this.#models[model * this.#words + word] : 0;
  }

  #startFromModel(model: number): void {
    const { inUse } = this.columns;
    const { excluded } = this.#decision;
    excluded.fill(0);
    for (let word = 0; word < this.#words; word++) {
      const able = this.#servesModel(model, word);
      let set = 0;
      for (let bit = 0; bit < 32; bit++) {
        if (inUse[word * 32 + bit] === 0) continue;
        if ((able >>> bit) & 1) set |= 1 << bit;
        else excluded[MODEL_CODE]++;
      }
      this.#active[word] = set;
    }
  }

  #filter(ask: Ask, nowMs: Millis): void {
    const tried = Math.min(ask.tried.length, TRIED_MAX);
    const scored = this.#scored;
    scored.count = 0;
    for (let word = 0; word < this.#words; word++) {
      for (let bits = this.#active[word]; bits !== 0; bits &= bits - 1) {
        const row = word * 32 + 31 - Math.clz32(bits & -bits);
        const code = exclusionOf(this.columns, row, ask, tried, nowMs);
        this.#codes[row] = code;
        if (code === 0) scored.rows[scored.count++] = row;
        else this.#decision.excluded[code]++;
      }
    }
  }

  #score(row: Row, ask: Ask, nowMs: Millis): Cost {
    scoreRow(this.columns, row, this.#matched[row], ask, nowMs, this.#weights, this.#cost);
    return this.#cost;
  }

  #scoreAll(ask: Ask, nowMs: Millis): void {
    const scored = this.#scored;
    let kept = 0;
    for (let index = 0; index < scored.count; index++) {
      const row = scored.rows[index];
      const cost = this.#score(row, ask, nowMs);
      if (cost.price > ask.maxCostUsd) {
        this.#codes[row] = COST_CODE;
        this.#decision.excluded[COST_CODE]++;
        continue;
      }
      scored.rows[kept] = row;
      scored.ttfts[kept] = cost.ttft;
      scored.socials[kept] = cost.social;
      scored.prices[kept++] = cost.price;
    }
    scored.count = kept;
  }

  #pick(ask: Ask, nowMs: Millis): void {
    const decision = this.#decision;
    const scored = this.#scored;
    decision.candidates = scored.count;
    decision.excluded[0] = scored.count;
    if (scored.count === 0) {
      decision.row = -1;
      decision.choice = "none";
      writeScore(blankCost(), decision);
      return;
    }
    openPool(scored, ask.sloTtftMs, this.#weights, this.#pool);
    const drawn = draw(scored, ask.random, this.#weights, this.#pool);
    const winner = orSession(
      scored,
      drawn,
      ask.sessionRow,
      this.columns,
      this.#weights,
      this.#pool,
    );
    const row = scored.rows[winner];
    writeScore(this.#score(row, ask, nowMs), decision);
    decision.row = row;
    decision.choice = CHOICES[this.#choiceOf(winner, row, ask)];
  }

  #choiceOf(winner: number, row: Row, ask: Ask): number {
    const pool = this.#pool;
    const scored = this.#scored;
    if (!pool.met) return 6;
    if (scored.count === 1) return 1;
    if (row === ask.sessionRow) return 2;
    if (winsByPrefix(scored, winner, this.#cost, ask, this.columns, this.#weights, pool)) return 3;
    return pool.affordable < pool.pooled ? 4 : 5;
  }

  explain(ask: Ask, nowMs: Millis): Candidate[] {
    const chosen = this.decide(ask, nowMs).row;
    const { inUse, rttMs } = this.columns;
    const all: Candidate[] = [];
    for (let row = 0; row < this.options.rows; row++) {
      if (inUse[row] === 0) continue;
      const able = this.#servesModel(ask.model >>> 0, row >>> 5);
      const code = (able >>> (row & 31)) & 1 ? this.#codes[row] : MODEL_CODE;
      if (code === MODEL_CODE) this.#matched[row] = 0;
      const score = blankDecision();
      writeScore(this.#score(row, ask, nowMs), score);
      const { excluded: _, candidates: __, choice: ___, ...numbers } = score;
      const exclusion = EXCLUSIONS[code];
      all.push({ ...numbers, row, exclusion, rttMs: rttMs[row], chosen: row === chosen });
    }
    return all;
  }

  learn(chain: Uint32Array, row: Row, _nowMs: Millis, chunks = Number.POSITIVE_INFINITY): void {
    checkIndex("row", row, this.options.rows);
    this.#index.learn(chain, toCount(chunks, this.#chunks(chain)), row);
  }

  forget(chain: Uint32Array, row: Row, fromChunk: number): void {
    checkIndex("row", row, this.options.rows);
    const given = this.#chunks(chain);
    this.#index.forget(chain, given, row, toCount(fromChunk, given));
  }

  clearRow(row: Row): void {
    checkIndex("row", row, this.options.rows);
    this.#changes.stop(row);
    this.#digests.clear(row);
    this.#index.clearRow(row);
  }

  setRowChunks(row: Row, chunks: number): void {
    checkIndex("row", row, this.options.rows);
    this.#index.setRowChunks(row, toCount(chunks, ROW_CHUNKS_MAX));
  }

  matchedChunks(chain: Uint32Array, row: Row): number {
    checkIndex("row", row, this.options.rows);
    return this.#index.matchedChunks(chain, this.#chunks(chain), row);
  }

  stats(): IndexStats {
    const { entries, capacity, bytes, evicted, pairs } = this.#index;
    const digests = this.#digests;
    return {
      entries,
      capacity,
      bytes,
      evicted,
      held: pairs,
      digestEntries: digests.entries,
      digestCapacity: digests.capacity,
      digestBytes: digests.bytes,
      digestHeld: digests.pairs,
      digestRefused: digests.refused,
    };
  }

  setDigest(row: Row, hashes: Uint32Array): void {
    checkIndex("row", row, this.options.rows);
    this.#digests.clear(row);
    this.#digests.add(hashes, row);
  }

  changeDigest(row: Row, added: Uint32Array, removed: Uint32Array): void {
    checkIndex("row", row, this.options.rows);
    this.#digests.drop(removed, row);
    this.#digests.add(added, row);
  }

  digestOf(row: Row): Uint32Array {
    checkIndex("row", row, this.options.rows);
    return this.#index.hashesOf(row);
  }

  drainDigestChanges(row: Row): DigestDelta | "snapshot" {
    checkIndex("row", row, this.options.rows);
    if (this.#changes.start(row)) return "snapshot";
    return netDelta(this.#changes.take(row));
  }

  #chunks(chain: Uint32Array): number {
    return Math.min(chain.length >>> 1, this.#chunkLimit);
  }
}

function writeScore(cost: Cost, into: Decision): void {
  into.ttftMs = cost.ttft;
  into.waitMs = cost.wait;
  into.prefillMs = cost.prefill;
  into.socialMs = cost.social;
  into.priceUsd = cost.price;
  into.matchedTokens = cost.matched;
  into.uncachedTokens = cost.uncached;
}
