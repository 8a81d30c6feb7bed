/**
 * The decision: filter, score, pick. One interface, two implementations that agree bit for bit:
 * `wasm.ts` over `wasm/kernel.wasm`, and `reference.ts`, the TypeScript twin, oracle and floor.
 * The kernel owns the endpoint columns, the prefix index and the scratch space of a prompt.
 */
import type { Candidate, Decision } from "../grid/decision.ts";
import type { Millis, Row, Tokens, Usd } from "../grid/units.ts";
import type { EndpointColumns } from "../state/endpoint-table.ts";

/** Number of interned models and regions that a kernel can tell apart. */
export const MODELS_MAX = 256;
export const REGIONS_MAX = 256;
/** Rows that one request can exclude: those tried, and all of a PoP that refused. */
export const TRIED_MAX = 64;

export interface KernelOptions {
  /** 256, 1,024 or 4,096 rows. */
  rows: 256 | 1024 | 4096;
  /** Bytes of prompt text per chunk, 64..4,096, a power of two. Default 512 (about 128 tokens). */
  chunkBytes: number;
  /** Byte cap of the prefix index (all of its tables). */
  indexBytes: number;
  /**
   * Byte cap of the digests of other PoPs and of the feed of our own, 0..256 MiB. 0 = none: digests
   * are ignored and every drain asks for a snapshot. Default 16 MiB.
   */
  digestBytes?: number;
  /** Longest prompt that is hashed; the tail of a longer one counts as uncached. */
  promptBytesMax: number;
}

/** Constants of the cost, each explained where it stands in `weights.ts`. */
export interface Weights {
  lambda: number;
  kvWaitMs: Millis;
  sessionMarginTokens: Tokens;
  sessionMarginPressure: number;
  priceTie: number;
  socialTie: number;
  socialTieMs: Millis;
  stalePenaltyMs: Millis;
  staleAfterMs: Millis;
}

/** The task as the kernel sees it. All strings are interned. */
export interface Ask {
  model: number;
  needs: number;
  /** Allowed regions as a 256-bit set (8 words); undefined = anywhere. */
  regions: Uint32Array | undefined;
  /** One bit; matched against the row's tenant mask. */
  tenant: number;
  /** Highest tier allowed: 0 edge .. 2 core. */
  tierCeiling: number;
  promptTokens: Tokens;
  /** Tokens in one chunk, learned per model. */
  tokensPerChunk: number;
  /** Expected output, for the price. */
  outTokens: Tokens;
  /** Prompt plus requested output: must fit the context window. */
  contextNeed: Tokens;
  /** +Infinity = no SLO. */
  sloTtftMs: Millis;
  /** +Infinity = no bound. */
  maxCostUsd: Usd;
  chain: Uint32Array;
  /** Row that the session is pinned to, -1 = none. */
  sessionRow: Row;
  tried: readonly Row[];
  /** False: rows at their in-flight cap are excluded as saturated. */
  mayWait: boolean;
  /** Fresh random 32 bits, for ties. */
  random: number;
}

export interface HashedPrompt {
  /** (lo, hi) per whole chunk; a copy that the caller may keep. */
  chain: Uint32Array;
  /** UTF-8 bytes of the whole prompt, also beyond `promptBytesMax`. */
  bytes: number;
}

export interface IndexStats {
  entries: number;
  capacity: number;
  bytes: number;
  evicted: number;
  /** (chunk, endpoint) pairs now held. */
  held: number;
  /** Distinct hashes in the digests of other PoPs, and how many have room. */
  digestEntries: number;
  digestCapacity: number;
  digestBytes: number;
  /** (hash, endpoint) pairs now held in digests. */
  digestHeld: number;
  /** Hashes that were told but found no room. */
  digestRefused: number;
}

/** What changed in a digest: chain hashes cut to 24 bits, ascending, each once. */
export interface DigestDelta {
  added: Uint32Array;
  removed: Uint32Array;
}

export interface Kernel {
  readonly name: "wasm" | "reference";
  readonly abi: number;
  readonly options: Readonly<KernelOptions>;
  readonly columns: EndpointColumns;

  /** As last set. */
  readonly weights: Readonly<Weights>;
  setWeights(weights: Weights): void;
  /** Says whether a row serves a model. */
  setModelRow(model: number, row: Row, serves: boolean): void;

  /** Hashes the prompt in chunks, chained, seeded by `seedKey` (model, adapter, tenant salt). */
  hash(prompt: readonly string[], seedKey: string): HashedPrompt;
  /** The same for bytes that are UTF-8 already. */
  hashBytes(prompt: Uint8Array, seedKey: string): HashedPrompt;
  /** Match, filter, score, pick. The result object is reused by the next call. */
  decide(ask: Ask, nowMs: Millis): Decision;
  /** The same with every row in use; for `/grid/explain`, not for the hot path. */
  explain(ask: Ask, nowMs: Millis): Candidate[];

  /** The row is now expected to hold the chain's first `chunks` (default all). */
  learn(chain: Uint32Array, row: Row, nowMs: Millis, chunks?: number): void;
  /** The row does not hold the chain from `fromChunk` on. */
  forget(chain: Uint32Array, row: Row, fromChunk: number): void;
  /** Forgets everything a row holds (engine restart), its digest and its mirror size. */
  clearRow(row: Row): void;
  /** Bound of chunks that a row's KV cache can hold, mirrored as LRU; 0 = unknown, no mirror. */
  setRowChunks(row: Row, chunks: number): void;
  /** Chunks of the chain that the row is expected to hold (index or digest), from the root. */
  matchedChunks(chain: Uint32Array, row: Row): number;
  stats(): IndexStats;

  /**
   * Another PoP's word on what the row holds, in place of what it said before. Bits 0..23 of each
   * hash count (of the chain's low word). It stands beside `learn`: a chunk is held when either
   * says so, and `forget` does not touch it, since only the owner knows. A hash that finds no room
   * is refused and counted: the kernel never believes more than it was told. Two chunks with the
   * same bits are one hash: of a row with n hashes, n in 2^24 unknown chunks look held.
   */
  setDigest(row: Row, hashes: Uint32Array): void;
  /** The same as a change; `removed` goes first. Hashes that are not there are no error. */
  changeDigest(row: Row, added: Uint32Array, removed: Uint32Array): void;
  /** What `learn` and `forget` left of a row, as a digest to publish: ascending, each hash once. */
  digestOf(row: Row): Uint32Array;
  /**
   * What changed in `digestOf(row)` since the last drain. "snapshot": take `digestOf` now, before
   * anything else changes; so at the first drain of a row, after `clearRow`, and when more changed
   * than the kernel's log holds.
   */
  drainDigestChanges(row: Row): DigestDelta | "snapshot";
}
