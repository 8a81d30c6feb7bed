/**
 * The kernel over `wasm/kernel.wasm`. It is handed the exports of an instance and never names
 * the runtime's WebAssembly, so that it runs wherever an adapter can instantiate a module. The
 * memory never grows after `init`: every view made here stays valid for the kernel's life.
 */
import { CHOICES, EXCLUSIONS, type Candidate, type Decision } from "../grid/decision.ts";
import type { Millis, Row } from "../grid/units.ts";
import type { EndpointColumns } from "../state/endpoint-table.ts";
import {
  BLOCK,
  BYTE_COLUMNS,
  KERNEL_ABI,
  NUMBER_COLUMNS,
  ROW_CHUNKS_MAX,
  WEIGHTS,
  WORD_COLUMNS,
  checkIndex,
  checkOptions,
  digestBytesOf,
  digestsTooSmall,
  indexTooSmall,
  toCount,
} from "./abi.ts";
import { type DigestExports, DigestPages } from "./digest-pages.ts";
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
import { DEFAULT_WEIGHTS } from "./weights.ts";

/** Exports of `wasm/kernel.wasm`; addresses are unsigned and come as signed: read with `>>> 0`. */
export interface KernelExports extends DigestExports {
  readonly memory: { readonly buffer: ArrayBufferLike };
  abi(): number;
  windowBytes(): number;
  init(
    rows: number,
    chunkBytes: number,
    chunkLimit: number,
    indexBytes: number,
    digestBytes: number,
  ): number;
  columnAt(index: number): number;
  blockAt(index: number): number;
  hashKey(bytes: number): void;
  begin(seedLow: number, seedHigh: number): void;
  absorb(filled: number): number;
  chunkCount(): number;
  setModelRow(model: number, row: number, serves: number): void;
  decide(): void;
  explain(row: number): void;
  learn(chunks: number, row: number): void;
  forget(chunks: number, row: number, fromChunk: number): void;
  clearRow(row: number): void;
  setRowChunks(row: number, limit: number): void;
  matchedChunks(chunks: number, row: number): number;
  stat(which: number): number;
}

const INIT_INDEX_TOO_SMALL = 1;
const INIT_DIGESTS_TOO_SMALL = 3;

/**
 * @param options checked; see `KernelOptions`
 * @param exports of a fresh instance of `wasm/kernel.wasm`: one instance is one kernel
 * @param encodeInto `TextEncoder.encodeInto`
 * @throws RangeError for a bad option, Error when the module's ABI is not ours
 */
export function createWasmKernel(
  options: KernelOptions,
  exports: KernelExports,
  encodeInto: EncodeInto,
): Kernel {
  checkOptions(options);
  const abi = exports.abi();
  if (abi !== KERNEL_ABI) {
    throw new Error(
      `kernel.wasm has ABI ${abi}, this host wants ${KERNEL_ABI}: run npm run build:kernel`,
    );
  }
  const chunkLimit = Math.floor(options.promptBytesMax / options.chunkBytes);
  const { rows, chunkBytes, indexBytes } = options;
  const digestBytes = digestBytesOf(options);
  const failed = exports.init(rows, chunkBytes, chunkLimit, indexBytes, digestBytes);
  if (failed === INIT_INDEX_TOO_SMALL) throw indexTooSmall(options);
  if (failed === INIT_DIGESTS_TOO_SMALL) throw digestsTooSmall(options);
  if (failed !== 0) {
    const bytes = `${indexBytes} bytes of index and ${digestBytes} of digests`;
    throw new Error(`no memory for ${bytes}: lower indexBytes or digestBytes`);
  }
  const kernel = new WasmKernel(options, exports, encodeInto, chunkLimit);
  kernel.setWeights(DEFAULT_WEIGHTS);
  return kernel;
}

function viewColumns(exports: KernelExports, rows: number): EndpointColumns {
  const { buffer } = exports.memory;
  const views: Record<string, Uint8Array | Uint32Array | Float64Array> = {};
  let index = 0;
  const next = () => exports.columnAt(index++) >>> 0;
  for (const name of BYTE_COLUMNS) views[name] = new Uint8Array(buffer, next(), rows);
  for (const name of WORD_COLUMNS) views[name] = new Uint32Array(buffer, next(), rows);
  for (const name of NUMBER_COLUMNS) views[name] = new Float64Array(buffer, next(), rows);
  return { capacity: rows, ...views } as unknown as EndpointColumns;
}

class WasmKernel implements Kernel {
  readonly name = "wasm";
  readonly abi = KERNEL_ABI;
  readonly options: Readonly<KernelOptions>;
  readonly columns: EndpointColumns;
  readonly #exports: KernelExports;
  readonly #chunkLimit: number;
  readonly #askWords: Uint32Array;
  readonly #askNumbers: Float64Array;
  readonly #regions: Uint32Array;
  readonly #tried: Uint32Array;
  readonly #weights: Float64Array;
  readonly #resultWords: Uint32Array;
  readonly #resultNumbers: Float64Array;
  readonly #chain: Uint32Array;
  readonly #digests: DigestPages;
  readonly #feed: PromptFeed;
  readonly #seeds: SeedMemory;
  readonly #decision: Decision;

  constructor(
    options: KernelOptions,
    exports: KernelExports,
    encodeInto: EncodeInto,
    chunkLimit: number,
  ) {
    const { buffer } = exports.memory;
    const at = (block: keyof typeof BLOCK) => exports.blockAt(BLOCK[block]) >>> 0;
    this.options = { ...options };
    this.columns = viewColumns(exports, options.rows);
    this.#exports = exports;
    this.#chunkLimit = chunkLimit;
    this.#askWords = new Uint32Array(buffer, at("askWords"), 16);
    this.#askNumbers = new Float64Array(buffer, at("askNumbers"), 8);
    this.#regions = new Uint32Array(buffer, at("regions"), 8);
    this.#tried = new Uint32Array(buffer, at("tried"), TRIED_MAX);
    this.#weights = new Float64Array(buffer, at("weights"), WEIGHTS.length);
    this.#resultWords = new Uint32Array(buffer, at("resultWords"), 32);
    this.#resultNumbers = new Float64Array(buffer, at("resultNumbers"), 8);
    this.#chain = new Uint32Array(buffer, at("chain"), chunkLimit * 2);
    const text = new Uint8Array(buffer, at("window"), exports.windowBytes());
    const hashes = new Uint32Array(buffer, text.byteOffset, text.length / 4);
    this.#digests = new DigestPages(exports, hashes);
    this.#feed = new PromptFeed(text, encodeInto, (filled) => exports.absorb(filled));
    this.#seeds = new SeedMemory(text, encodeInto, (bytes) => this.#hashKey(bytes));
    this.#decision = blankDecision(
      new Uint32Array(buffer, at("resultWords") + 16, EXCLUSIONS.length),
    );
  }

  #hashKey(bytes: number): { low: number; high: number } {
    this.#exports.hashKey(bytes);
    return { low: this.#chain[0], high: this.#chain[1] };
  }

  get weights(): Readonly<Weights> {
    const named = WEIGHTS.map((name, index) => [name, this.#weights[index]]);
    return Object.fromEntries(named) as unknown as Weights;
  }

  setWeights(weights: Weights): void {
    for (let index = 0; index < WEIGHTS.length; index++) {
      this.#weights[index] = weights[WEIGHTS[index]];
    }
  }

  setModelRow(model: number, row: Row, serves: boolean): void {
    checkIndex("model", model, MODELS_MAX);
    checkIndex("row", row, this.options.rows);
    this.#exports.setModelRow(model, row, serves ? 1 : 0);
  }

  hash(prompt: readonly string[], seedKey: string): HashedPrompt {
    this.#begin(seedKey);
    return this.#hashed(this.#feed.text(prompt));
  }

  hashBytes(prompt: Uint8Array, seedKey: string): HashedPrompt {
    this.#begin(seedKey);
    return this.#hashed(this.#feed.raw(prompt));
  }

  #begin(seedKey: string): void {
    const seed = this.#seeds.of(seedKey);
    this.#exports.begin(seed.low, seed.high);
  }

  #hashed(bytes: number): HashedPrompt {
    return { chain: this.#chain.slice(0, this.#exports.chunkCount() * 2), bytes };
  }

  decide(ask: Ask, nowMs: Millis): Decision {
    this.#writeAsk(ask, nowMs);
    this.#exports.decide();
    const words = this.#resultWords;
    const decision = this.#decision;
    decision.row = words[0] | 0;
    decision.choice = CHOICES[words[1]];
    decision.candidates = words[2];
    readScore(this.#resultNumbers, decision);
    return decision;
  }

  explain(ask: Ask, nowMs: Millis): Candidate[] {
    const chosen = this.decide(ask, nowMs).row;
    const { inUse, rttMs } = this.columns;
    const all: Candidate[] = [];
    for (let row = 0; row < this.options.rows; row++) {
      if (inUse[row] === 0) continue;
      this.#exports.explain(row);
      const exclusion = EXCLUSIONS[this.#resultWords[3]];
      const candidate = {
        ...blankScore(),
        row,
        exclusion,
        rttMs: rttMs[row],
        chosen: row === chosen,
      };
      readScore(this.#resultNumbers, candidate);
      all.push(candidate);
    }
    return all;
  }

  learn(chain: Uint32Array, row: Row, _nowMs: Millis, chunks = Number.POSITIVE_INFINITY): void {
    checkIndex("row", row, this.options.rows);
    const given = this.#writeChain(chain);
    this.#exports.learn(toCount(chunks, given), row);
  }

  forget(chain: Uint32Array, row: Row, fromChunk: number): void {
    checkIndex("row", row, this.options.rows);
    const given = this.#writeChain(chain);
    this.#exports.forget(given, row, toCount(fromChunk, given));
  }

  clearRow(row: Row): void {
    checkIndex("row", row, this.options.rows);
    this.#exports.clearRow(row);
  }

  setRowChunks(row: Row, chunks: number): void {
    checkIndex("row", row, this.options.rows);
    this.#exports.setRowChunks(row, toCount(chunks, ROW_CHUNKS_MAX));
  }

  matchedChunks(chain: Uint32Array, row: Row): number {
    checkIndex("row", row, this.options.rows);
    return this.#exports.matchedChunks(this.#writeChain(chain), row);
  }

  stats(): IndexStats {
    const stat = (which: number) => this.#exports.stat(which);
    return {
      entries: stat(0),
      capacity: stat(1),
      bytes: stat(2),
      evicted: stat(3),
      held: stat(4),
      digestEntries: stat(5),
      digestCapacity: stat(6),
      digestHeld: stat(7),
      digestRefused: stat(8),
      digestBytes: stat(9),
    };
  }

  setDigest(row: Row, hashes: Uint32Array): void {
    checkIndex("row", row, this.options.rows);
    this.#digests.replace(row, hashes);
  }

  changeDigest(row: Row, added: Uint32Array, removed: Uint32Array): void {
    checkIndex("row", row, this.options.rows);
    this.#digests.change(row, added, removed);
  }

  digestOf(row: Row): Uint32Array {
    checkIndex("row", row, this.options.rows);
    return this.#digests.read(row, this.#exports.stat(1));
  }

  drainDigestChanges(row: Row): DigestDelta | "snapshot" {
    checkIndex("row", row, this.options.rows);
    return this.#digests.drain(row);
  }

  /** Returns the chunks written: the chain's, at most what a prompt of full length has. */
  #writeChain(chain: Uint32Array): number {
    const chunks = Math.min(chain.length >>> 1, this.#chunkLimit);
    const isWhole = chain.length === chunks * 2;
    this.#chain.set(isWhole ? chain : chain.subarray(0, chunks * 2));
    return chunks;
  }

  #writeAsk(ask: Ask, nowMs: Millis): void {
    const words = this.#askWords;
    words[0] = ask.model;
    words[1] = ask.needs;
    words[2] = ask.tenant;
    words[3] = ask.tierCeiling;
    words[4] = this.#writeChain(ask.chain);
    words[5] = ask.sessionRow;
    const tried = Math.min(ask.tried.length, TRIED_MAX);
    words[6] = tried;
    for (let index = 0; index < tried; index++) this.#tried[index] = ask.tried[index];
    words[7] = ask.mayWait ? 1 : 0;
    words[8] = ask.random;
    words[9] = ask.regions === undefined ? 1 : 0;
    if (ask.regions !== undefined) this.#regions.set(ask.regions);
    const numbers = this.#askNumbers;
    numbers[0] = ask.promptTokens;
    numbers[1] = ask.tokensPerChunk;
    numbers[2] = ask.outTokens;
    numbers[3] = ask.contextNeed;
    numbers[4] = ask.sloTtftMs;
    numbers[5] = ask.maxCostUsd;
    numbers[6] = nowMs;
  }
}

interface Score {
  ttftMs: number;
  waitMs: number;
  prefillMs: number;
  socialMs: number;
  priceUsd: number;
  matchedTokens: number;
  uncachedTokens: number;
}

function blankScore(): Score {
  return {
    ttftMs: 0,
    waitMs: 0,
    prefillMs: 0,
    socialMs: 0,
    priceUsd: 0,
    matchedTokens: 0,
    uncachedTokens: 0,
  };
}

function blankDecision(excluded: Uint32Array): Decision {
  return { ...blankScore(), row: -1, choice: "none", candidates: 0, excluded };
}

function readScore(numbers: Float64Array, into: Score): void {
  into.ttftMs = numbers[0];
  into.waitMs = numbers[1];
  into.prefillMs = numbers[2];
  into.socialMs = numbers[3];
  into.priceUsd = numbers[4];
  into.matchedTokens = numbers[5];
  into.uncachedTokens = numbers[6];
}
