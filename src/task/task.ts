/** One inference request after parsing: everything admission, kernel and forward need to know. */
import type { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import type { Handover } from "../grid/handover.ts";
import type { Millis, Row, Tokens, Usd } from "../grid/units.ts";
import type { Fields } from "./body-fields.ts";
import type { Route } from "./route.ts";

export const PRIORITIES = ["interactive", "default", "batch"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** What the body says, before headers and tenant are known. Result of a dialect's `parse`. */
export interface ParsedBody {
  route: Route;
  model: string;
  stream: boolean;
  /** The bytes for the engine: the caller's own, or with one splice (`usageAdded`). */
  body: Uint8Array;
  /** The body as parsed, for an engine that speaks another dialect. */
  fields: Fields;
  /** Pieces of the canonical prompt text, in order; prefix hashing runs over their UTF-8 bytes. */
  prompt: string[];
  /** Mask of `CAPABILITY` bits that the endpoint must have. */
  needs: number;
  /** `max_completion_tokens` or `max_tokens`; undefined when the caller did not say. */
  maxTokens: Tokens | undefined;
  /** Number of choices, 1 unless `n` says more. */
  choices: number;
  /** We added `stream_options.include_usage`; the usage event is taken out of the stream again. */
  usageAdded: boolean;
  /** The caller wants to see the usage of a stream, whether or not its dialect lets it choose. */
  usageShown: boolean;
  /** `prompt_cache_key` or `user`-level key for stickiness, if the body has one. */
  cacheKey: string | undefined;
  serviceTier: string | undefined;
  /** JSON Schema that the answer must follow, where the caller asked for strict output. */
  schema?: unknown;
  /** Where the body says the data may go, in the caller's own API; undefined = it does not. */
  region?: string | undefined;
}

export interface Task extends ParsedBody {
  /** Request id, `x-request-id` of the answer. */
  id: string;
  tenant: string;
  /** Session key; undefined = none given (then the deepest unshared prefix chunk serves). */
  session: string | undefined;
  /** Models that may still serve it, in order, where it asked for an alias. */
  models?: string[] | undefined;
  /** Its first result was no result and it was tried elsewhere for that: once is enough. */
  resultRetried?: boolean;
  /** Where it was sent last. */
  sentTo?: Row | undefined;
  /** How its last attempt failed. */
  failure?: GridError | undefined;
  /** Path and query at the door, for a peer's. */
  path: string;
  /** The PoPs that it came by, as `x-grid-via` lists them; undefined = none. */
  via: string | undefined;
  /** Headers that belong to the dialect, see `DIALECT_HEADERS`. */
  dialectHeaders: Headers;
  /** Regions where the data may go; empty = anywhere. */
  regions: string[];
  priority: Priority;
  sloTtftMs: Millis;
  sloItlMs: Millis;
  maxCostUsd: Usd;
  /** Network slice the request came on, as the caller says. */
  slice: string | undefined;
  /** Set when another PoP handed it over: it runs here or nowhere behind this door. */
  handover: Handover | undefined;
  arrivedMs: Millis;
  /** When it last had to wait in the PoP's queue; 0 = never. */
  queuedSinceMs: Millis;
  /** Time to first token with which it was let in to wait; undefined = it did not wait. */
  promisedTtftMs: Millis | undefined;
  /** Where it failed before it is decided (again). */
  tried: readonly Row[];
  /** UTF-8 bytes of the canonical prompt. */
  promptBytes: number;
  /** Estimated prompt tokens, from bytes and the learned bytes per token of the model. */
  promptTokens: Tokens;
  /** Tokens in one chunk of its known prefix, else on average of the model. */
  tokensPerChunk: number;
  expectedOutTokens: Tokens;
  /** Chained 64-bit hashes of the prompt's whole chunks: little-endian (lo, hi) pairs. */
  chain: Uint32Array;
}
