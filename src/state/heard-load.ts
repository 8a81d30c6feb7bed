/**
 * What a PoP heard of another's load, written where the kernel reads. A load is old when it comes:
 * what was sent since it was true is added, what drained since then the kernel takes off by the
 * sample's age. Of what waits in that PoP's queue only the part counts that a request of the
 * given size would wait behind.
 */
import type { EndpointLoad } from "../grid/fleet.ts";
import type { Millis, Tokens } from "../grid/units.ts";
import type { EndpointColumns } from "./endpoint-table.ts";
import { type PeerRow, tokensAhead } from "./pop-table.ts";

/** Bounds of what a load may claim: beyond them it is a fault, not a fact. */
const TOKENS_MAX = 1e9;
const RATE_MIN = 1e-3;
const RATE_MAX = 1e5;
const UNKNOWN_KV_USAGE = 0.5;

export type HeardRow = Pick<PeerRow, "row" | "sends" | "queuedTokens" | "waitingTokens">;

export interface HeardAt {
  /** When it was true, on this PoP's clock. */
  atMs: Millis;
  rttMs: Millis;
  /** Of the tokens of all endpoints there, the share that waits in that PoP's queue. */
  waitingShare: number;
}

export function hearLoad(c: EndpointColumns, peer: HeardRow, one: EndpointLoad, at: HeardAt): void {
  const { row } = peer;
  peer.queuedTokens = within(one.queuedTokens, 0, TOKENS_MAX, 0);
  peer.waitingTokens = peer.queuedTokens * at.waitingShare;
  c.queuedTokens[row] = peer.queuedTokens;
  // What was sent later than this had not arrived when the load was true.
  c.sentTokens[row] = peer.sends.since(at.atMs - at.rttMs / 2);
  c.sampleAtMs[row] = at.atMs;
  c.kvUsage[row] = within(one.kvUsage, 0, 1, UNKNOWN_KV_USAGE);
  c.prefillRate[row] = within(one.prefillRate, RATE_MIN, RATE_MAX, c.prefillRate[row] as number);
}

export function waitingShareOf(
  endpoints: readonly EndpointLoad[],
  queueClasses: readonly Tokens[],
): number {
  const queued = endpoints.reduce(
    (sum, { queuedTokens }) => sum + within(queuedTokens, 0, TOKENS_MAX, 0),
    0,
  );
  return queued > 0 ? Math.min(sumOf(queueClasses) / queued, 1) : 0;
}

/** Before a decision about a request with so many uncached tokens at that row. */
export function sizeQueue(
  c: EndpointColumns,
  peer: HeardRow,
  queueClasses: readonly Tokens[],
  uncached: Tokens,
): void {
  const share = Math.min(tokensAhead(queueClasses, uncached) / sumOf(queueClasses), 1);
  c.queuedTokens[peer.row] = peer.queuedTokens - peer.waitingTokens * (1 - share);
}

export function within(value: number, min: number, max: number, otherwise: number): number {
  return Number.isFinite(value) ? Math.min(Math.max(value, min), max) : otherwise;
}

function sumOf(classes: readonly Tokens[]): Tokens {
  let sum = 0;
  for (const value of classes) sum += within(value, 0, TOKENS_MAX, 0);
  return sum;
}
