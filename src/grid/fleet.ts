/**
 * The grid as one PoP sees it: what gossip brings, in the words that decisions use. How it came
 * (full mesh, overlay, NATS) is the bus's business; how old it is stands beside every number.
 */
import type { AdmissionState, Tier } from "./endpoint.ts";
import type { Millis, Tokens, UsdPerMTok } from "./units.ts";

/** Slow knowledge of one endpoint of another PoP, or of several of one tier taken together. */
export interface EndpointCard {
  id: string;
  tier: Tier;
  region: string;
  models: string[];
  /** CAPABILITY mask. */
  capabilities: number;
  contextTokens: Tokens | undefined;
  /** Tenants that it is reserved for; empty = all. */
  tenants: string[];
  admission: AdmissionState;
  priceIn: UsdPerMTok;
  priceCached: UsdPerMTok;
  priceOut: UsdPerMTok;
  maxInFlight: number;
  /** 1, or how many endpoints this card stands for. */
  replicas: number;
}

/** Slow knowledge of one PoP, signed by it. */
export interface PopCard {
  id: string;
  /** Base URL of its door for hand-overs, e.g. `http://127.0.0.1:8802`. */
  url: string;
  tier: Tier;
  region: string;
  zone: string;
  /** Bytes per prefix chunk: digests of PoPs with another value cannot be compared. */
  chunkBytes: number;
  draining: boolean;
  endpoints: EndpointCard[];
  /** Grows with every change; loads name the revision that their order follows. */
  revision: number;
}

/** Fast knowledge of one endpoint, in the order of the card's `endpoints`. */
export interface EndpointLoad {
  up: boolean;
  /** Uncached prefill tokens queued or running there, also those waiting in that PoP. */
  queuedTokens: Tokens;
  inFlight: number;
  /** 0..1 */
  kvUsage: number;
  /** Tokens per millisecond. */
  prefillRate: number;
  itlMs: Millis;
}

/** Size classes of the wait histogram: class i is of requests of 2^i..2^(i+1)-1 uncached tokens. */
export const QUEUE_CLASSES = 20;

export interface PopLoad {
  seq: number;
  /** When it was true, on the receiver's clock: age is measured hop by hop, not by wall clocks. */
  atMs: Millis;
  revision: number;
  endpoints: EndpointLoad[];
  /** Uncached tokens waiting in that PoP's queue, by the class below which a newcomer passes. */
  queueClasses: number[];
}

export type PopState = "alive" | "suspect" | "down" | "left";

export interface FleetPop {
  card: PopCard;
  /** Undefined until the first one arrives. */
  load: PopLoad | undefined;
  /** Measured round trip and its mean deviation. */
  rttMs: Millis;
  jitterMs: Millis;
  state: PopState;
  /** This PoP itself can reach it now. */
  reachable: boolean;
}

/** Which chunks a PoP's caches hold: chain hashes cut to 24 bits (bits 0..23 of the low word). */
export interface DigestChange {
  pop: string;
  /** Index in the card's `endpoints`. */
  endpoint: number;
  /** True: `added` is everything, what was known before is forgotten. */
  snapshot: boolean;
  added: Uint32Array;
  removed: Uint32Array;
  /** 0..1: share of the digest that is expected to be gone already, from age and churn. */
  discount: number;
}

/** What `pop.ts` listens to. All calls are synchronous and must not throw. */
export interface FleetListener {
  /** Card, load, round trip, state or reachability of a PoP changed. */
  onPop(pop: FleetPop): void;
  /** Of a PoP that was told before nothing but its load changed: a hundred times a second. */
  onLoad(pop: FleetPop): void;
  onDigest(change: DigestChange): void;
}

/** What `pop.ts` says to the grid. */
export interface Fleet {
  listen(listener: FleetListener): void;
  publishCard(card: PopCard): void;
  publishLoad(load: Omit<PopLoad, "atMs" | "seq">): void;
  /** Chunks that an own endpoint came to hold or dropped since the last call. */
  publishDigest(change: Omit<DigestChange, "pop" | "discount">): void;
  pops(): Iterable<FleetPop>;
  /**
   * Hands on the loads that came since the last call; where missing, each is handed on at once. To
   * be called whenever the PoP is awake for its own upkeep: the fleet does its own then, too.
   */
  settle?(): void;
  /** Counters and gauges by name, where the bus has any: what was refused, links, bytes. */
  stats?(): Record<string, number>;
  /** Says goodbye and closes. */
  leave(): Promise<void>;
}
