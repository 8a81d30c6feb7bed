/**
 * What the engines of a PoP hold, exactly, in the words of the kernel's index. The hot path knows
 * prompts as chunks of bytes, since no tokeniser is fast enough to stand in it; engines publish
 * blocks of token ids. So nothing is translated while a request waits. The ids of a prompt come
 * from the engine beside the request (its tokenizer, or the answer), the prompt map then says which
 * chunk is which block, and from there on an event about a block is an event about chunks, for
 * every endpoint that publishes, whoever sent the prompt there.
 *
 * Three sources in order of truth: events; `cached_tokens` of an answer, which says what was held
 * when the request was admitted; and the credit that the kernel gives when a request is sent. A
 * credit that events do not confirm is taken back once the request is over (`settle`), where the
 * stream is whole; where it is not, `cached_tokens` and the mirrored eviction go on as for engines
 * that publish nothing.
 *
 * The ids also tell the prompt's length and the exact place of each chunk in tokens, which makes
 * the prediction right to a block instead of to the model's mean bytes per token; how far a match
 * went on past its last whole chunk is learned per chunk, since that repeats (a system prompt ends
 * where it ends).
 */
import type { Row, Tokens } from "../grid/units.ts";
import { BlockTable } from "./block-table.ts";
import { MEDIUM } from "./events.ts";
import { blockOf, PromptMap } from "./prompt-map.ts";
import { TokenChain } from "./token-chain.ts";

/** The kernel's index, one chunk at a time. */
export interface ChunkIndex {
  /** `media`: the set of media that it lies in. */
  hold(low: number, high: number, row: Row, media: number): void;
  drop(low: number, high: number, row: Row): void;
}

/** A prompt whose token ids became known. */
export interface KnownPrompt {
  /** Chunk hashes, (low, high). */
  chain: Uint32Array;
  /** Bytes of the canonical text. */
  bytes: number;
  tokenIds: ArrayLike<number>;
  /** The model's name where it is an adapter, else empty. */
  adapter: string;
  salt: string;
}

/** What is known of a prompt before it is sent. */
export interface PromptPlace {
  /** Leading chunks whose place is known. */
  chunks: number;
  /** Tokens at the end of the last of them. */
  tokens: Tokens;
  /** Tokens that a match of all of them is expected to bring. */
  expected: Tokens;
}

/**
 * What a hit is worth by the fastest medium that has it, as a share of the prefill that it saves:
 * from host memory a block comes over PCIe several times faster than it is computed, from disks
 * and over a network at about half the gain. llm-d weighs GPU 1.0 and CPU 0.8.
 */
const WORTH: [media: number, worth: number][] = [
  [MEDIUM.device, 1],
  [MEDIUM.device | MEDIUM.host, 0.8],
  [MEDIUM.device | MEDIUM.host | MEDIUM.disk, 0.5],
  [MEDIUM.device | MEDIUM.host | MEDIUM.disk | MEDIUM.fabric, 0.5],
];
/** Different block sizes among the endpoints; more are not looked up. */
const BLOCK_SIZES_MAX = 4;
/** Weight of a new sample of how far a match goes on. */
const LEARN = 0.5;

export class KvKnowledge {
  readonly prompts: PromptMap;
  private readonly index: ChunkIndex;
  private readonly chunkBytes: number;
  private readonly tables: { row: Row; table: BlockTable }[] = [];
  /** The same by row: a table per rank. */
  private readonly ofRow: (BlockTable[] | undefined)[] = [];
  /** Rows that had blocks in slower media only when last looked at. */
  private readonly hasSlow: boolean[] = [];
  /** Tokens per block that engines here have. */
  private sizes: number[] = [];
  private readonly chain = new TokenChain();

  /** @param chunksMax bound of the prompt map */
  constructor(index: ChunkIndex, chunkBytes: number, chunksMax: number) {
    this.index = index;
    this.chunkBytes = chunkBytes;
    this.prompts = new PromptMap(chunksMax, (entry) => this.forgotten(entry));
  }

  /** A table for one publisher of the row. */
  addTable(row: Row): BlockTable {
    const table = new BlockTable({
      onHeld: (low, high) => this.held(row, low, high),
      onGone: (low, high) => this.gone(row, low, high),
      onBlockSize: () => this.findSizes(),
    });
    this.tables.push({ row, table });
    this.ofRow[row] = [...(this.ofRow[row] ?? []), table];
    return table;
  }

  removeTable(table: BlockTable): void {
    const at = this.tables.findIndex((one) => one.table === table);
    if (at < 0) return;
    const [{ row }] = this.tables.splice(at, 1);
    const left = this.ofRow[row]?.filter((one) => one !== table) ?? [];
    this.ofRow[row] = left.length === 0 ? undefined : left;
    this.findSizes();
  }

  /** Writes down which chunk is which block, for every block size in use. */
  learnPrompt(prompt: KnownPrompt): void {
    if (prompt.tokenIds.length === 0) return;
    for (const blockTokens of this.sizes) this.learnFor(prompt, blockTokens);
  }

  /** Where the prompt's known part ends; undefined when nothing of it is known. */
  place(chain: Uint32Array): PromptPlace | undefined {
    if (this.prompts.size === 0) return undefined;
    for (const blockTokens of this.sizes) {
      const chunks = this.knownChunks(chain, blockTokens);
      if (chunks === 0) continue;
      const entry = this.entryOf(chain, chunks - 1, blockTokens);
      const tokens = this.prompts.tokensOf(entry);
      const past = this.prompts.pastOf(entry);
      // Never seen as the last one: a match goes on for half a chunk on average.
      const expected = tokens + (Number.isNaN(past) ? tokens / chunks / 2 : past);
      return { chunks, tokens, expected };
    }
    return undefined;
  }

  /**
   * For each row with blocks in slower media: which part of the prompt's hit there is lost to them,
   * 0..1. Engines free the fastest medium from the end, so that each medium has a prefix.
   */
  discounts(chain: Uint32Array, set: (row: Row, discount: number) => void): void {
    for (let row = 0; row < this.ofRow.length; row++) {
      if (!this.hasSlow[row]) continue;
      const isSlow = this.ofRow[row]?.some(({ slow }) => slow > 0) ?? false;
      this.hasSlow[row] = isSlow;
      set(row, isSlow ? this.discountOf(row, chain) : 0);
    }
  }

  private discountOf(row: Row, chain: Uint32Array): number {
    const blockTokens = this.blockTokensOf(row);
    let chunks = 0;
    let worth = 0;
    for (const [media, share] of WORTH) {
      const until = this.prefixIn(row, chain, blockTokens, media, chunks);
      worth += (until - chunks) * share;
      chunks = until;
    }
    return chunks === 0 ? 0 : 1 - worth / chunks;
  }

  /** Leading chunks that the row holds in one of the media, by halving; at least `least`. */
  private prefixIn(
    row: Row,
    chain: Uint32Array,
    blockTokens: number,
    media: number,
    least: number,
  ): number {
    let low = least;
    let high = chain.length >>> 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const entry = this.entryOf(chain, middle - 1, blockTokens);
      const { prompts } = this;
      const held =
        entry < 0 ? 0 : this.mediaOf(row, prompts.blockLow(entry), prompts.blockHigh(entry));
      if ((held & media) !== 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Leading chunks whose place is known: all of them means that no ids are needed. */
  knownFor(row: Row, chain: Uint32Array): number {
    const blockTokens = this.blockTokensOf(row);
    return blockTokens === 0 ? 0 : this.knownChunks(chain, blockTokens);
  }

  /**
   * An answer said that so many of its prompt's tokens were held when it was admitted: they are
   * held now. The rest has been computed since, and comes with its events. `isLive`: events come,
   * so that the table also hears when a block goes. Returns whether the table knew less.
   */
  confirm(
    row: Row,
    chain: Uint32Array,
    matchedChunks: number,
    cachedTokens: Tokens,
    isLive: boolean,
  ): boolean {
    const blockTokens = this.blockTokensOf(row);
    const table = this.tableOf(row);
    if (blockTokens === 0 || table === undefined) return false;
    let knewLess = false;
    for (let chunk = 0; isLive && chunk * 2 < chain.length; chunk++) {
      const entry = this.entryOf(chain, chunk, blockTokens);
      if (entry < 0 || this.prompts.blockEnd(entry) > cachedTokens) break;
      const low = this.prompts.blockLow(entry);
      const high = this.prompts.blockHigh(entry);
      if (this.mediaOf(row, low, high) !== 0) continue;
      knewLess = true;
      table.hold(low, high, MEDIUM.device);
    }
    if (matchedChunks > 0) this.learnPast(chain, matchedChunks - 1, blockTokens, cachedTokens);
    return knewLess;
  }

  /** The request is over and its events have come: the index says what the tables say. */
  settle(row: Row, chain: Uint32Array, isWhole: boolean): void {
    const blockTokens = this.blockTokensOf(row);
    for (let chunk = 0; blockTokens !== 0 && chunk * 2 < chain.length; chunk++) {
      const entry = this.entryOf(chain, chunk, blockTokens);
      if (entry < 0) continue;
      const { prompts, index } = this;
      prompts.touch(entry);
      const media = this.mediaOf(row, prompts.blockLow(entry), prompts.blockHigh(entry));
      const low = chain[chunk * 2];
      const high = chain[chunk * 2 + 1];
      if (media !== 0) index.hold(low, high, row, media);
      else if (isWhole) index.drop(low, high, row);
    }
  }

  /** Tokens per block of the row's engine; 0 = it has not said. */
  blockTokensOf(row: Row): number {
    return this.tableOf(row)?.blockTokens ?? 0;
  }

  private tableOf(row: Row): BlockTable | undefined {
    return this.ofRow[row]?.[0];
  }

  /** Of all ranks of the row. */
  private mediaOf(row: Row, low: number, high: number): number {
    let media = 0;
    for (const table of this.ofRow[row] ?? []) media |= table.mediaOf(low, high);
    return media;
  }

  private findSizes(): void {
    const sizes = new Set(this.tables.map(({ table }) => table.blockTokens));
    sizes.delete(0);
    this.sizes = [...sizes].slice(0, BLOCK_SIZES_MAX);
  }

  private entryOf(chain: Uint32Array, chunk: number, blockTokens: number): number {
    return this.prompts.find(chain[chunk * 2], chain[chunk * 2 + 1], blockTokens);
  }

  /** By halving: a known chunk is not known without those before it. */
  private knownChunks(chain: Uint32Array, blockTokens: number): number {
    let low = 0;
    let high = chain.length >>> 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.entryOf(chain, middle - 1, blockTokens) >= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private learnFor(prompt: KnownPrompt, blockTokens: number): void {
    const { chain, bytes, tokenIds } = prompt;
    const names = this.blockNames(prompt, blockTokens);
    const blocks = names.length / 2;
    if (blocks === 0) return;
    let atBytes = 0;
    let atTokens = 0;
    for (let chunk = 0; chunk * 2 < chain.length; chunk++) {
      const end = (chunk + 1) * this.chunkBytes;
      const entry = this.entryOf(chain, chunk, blockTokens);
      if (entry >= 0 && this.agrees(entry, names)) {
        this.prompts.touch(entry);
        atBytes = end;
        atTokens = this.prompts.tokensOf(entry);
        continue;
      }
      const slope = (tokenIds.length - atTokens) / Math.max(bytes - atBytes, 1);
      let tokens = atTokens + (end - atBytes) * slope;
      if (entry >= 0) tokens = Math.min(tokens, this.prompts.tokensOf(entry) - blockTokens);
      const block = Math.min(blockOf(tokens, blockTokens), blocks - 1);
      this.note(chain, chunk, blockTokens, Math.max(tokens, 1), names, block);
    }
  }

  private note(
    chain: Uint32Array,
    chunk: number,
    blockTokens: number,
    tokens: Tokens,
    names: Uint32Array,
    block: number,
  ): void {
    const low = chain[chunk * 2];
    const high = chain[chunk * 2 + 1];
    const nameLow = names[block * 2];
    const nameHigh = names[block * 2 + 1];
    this.prompts.put(low, high, blockTokens, tokens, nameLow, nameHigh);
    for (const { row, table } of this.tables) {
      if (table.blockTokens !== blockTokens) continue;
      const media = table.mediaOf(nameLow, nameHigh);
      if (media !== 0) this.index.hold(low, high, row, media);
    }
  }

  /** Names of the prompt's whole blocks. */
  private blockNames(prompt: KnownPrompt, blockTokens: number): Uint32Array {
    const { tokenIds, adapter, salt } = prompt;
    const blocks = Math.floor(tokenIds.length / blockTokens);
    const names = new Uint32Array(blocks * 2);
    const { chain } = this;
    chain.begin(adapter);
    if (salt !== "") chain.text(salt);
    for (let block = 0; block < blocks; block++) {
      chain.pushAll(tokenIds, block * blockTokens, (block + 1) * blockTokens);
      names[block * 2] = chain.low;
      names[block * 2 + 1] = chain.high;
    }
    return names;
  }

  /** The prompt has the entry's block at the entry's place. */
  private agrees(entry: number, names: Uint32Array): boolean {
    const { prompts } = this;
    const last = names.length / 2 - 1;
    const block = Math.min(blockOf(prompts.tokensOf(entry), prompts.blockTokensOf(entry)), last);
    return (
      names[block * 2] === prompts.blockLow(entry) &&
      names[block * 2 + 1] === prompts.blockHigh(entry)
    );
  }

  private learnPast(
    chain: Uint32Array,
    chunk: number,
    blockTokens: number,
    cachedTokens: Tokens,
  ): void {
    const entry = this.entryOf(chain, chunk, blockTokens);
    if (entry < 0) return;
    const { prompts } = this;
    const past = cachedTokens - prompts.tokensOf(entry);
    // Less than the chunk itself: part of it was gone, which says nothing of where matches end.
    if (past < -blockTokens) return;
    const before = prompts.pastOf(entry);
    prompts.setPast(entry, Number.isNaN(before) ? past : before + LEARN * (past - before));
  }

  private held(row: Row, low: number, high: number): void {
    const { prompts } = this;
    const media = this.mediaOf(row, low, high);
    if ((media & MEDIUM.device) === 0) this.hasSlow[row] = true;
    for (let entry = prompts.firstOf(low, high); entry >= 0; entry = prompts.nextOf(entry)) {
      this.index.hold(prompts.chunkLow(entry), prompts.chunkHigh(entry), row, media);
    }
  }

  private gone(row: Row, low: number, high: number): void {
    const media = this.mediaOf(row, low, high);
    if (media !== 0) return this.held(row, low, high);
    const { prompts } = this;
    for (let entry = prompts.firstOf(low, high); entry >= 0; entry = prompts.nextOf(entry)) {
      this.index.drop(prompts.chunkLow(entry), prompts.chunkHigh(entry), row);
    }
  }

  /** Nobody could tell any more when the chunk's block goes: nobody is said to hold it. */
  private forgotten(entry: number): void {
    const { prompts, index } = this;
    for (const { row } of this.tables) {
      index.drop(prompts.chunkLow(entry), prompts.chunkHigh(entry), row);
    }
  }
}
