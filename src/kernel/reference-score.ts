/**
 * The twin's filter, score and pick: the same questions, the same f64 operations in the same order
 * as `assembly/filter.ts`, `score.ts` and `pick.ts`, on plain typed arrays.
 */
import { backlogAt, over, under } from "../state/backlog.ts";
import type { EndpointColumns } from "../state/endpoint-table.ts";
import type { Ask, Weights } from "./kernel.ts";

export const KV_USAGE_MAX = 0.999;
export const RATE_MIN = 0.000001;
const UNKNOWN_CONTEXT = 0xffffffff;
const EXISTING_ONLY = 1;

/** Index in EXCLUSIONS: the first question that the row does not pass, 0 when it passes all. */
export function exclusionOf(
  columns: EndpointColumns,
  row: number,
  ask: Ask,
  tried: number,
  nowMs: number,
): number {
  const needs = ask.needs >>> 0;
  if ((columns.capabilities[row] & needs) >>> 0 !== needs) return 2;
  if (ask.regions !== undefined && !isInSet(ask.regions, columns.region[row])) return 3;
  if ((columns.tenants[row] & ask.tenant) === 0) return 4;
  if (columns.tier[row] > ask.tierCeiling >>> 0) return 5;
  if (columns.down[row] !== 0) return 6;
  const state = columns.admission[row];
  if (state !== 0 && (state !== EXISTING_ONLY || row !== ask.sessionRow)) return 7;
  if (nowMs > columns.freshUntilMs[row]) return 8;
  const room = columns.contextTokens[row];
  if (room !== UNKNOWN_CONTEXT && ask.contextNeed > room) return 9;
  for (let index = 0; index < tried; index++) if (ask.tried[index] === row) return 10;
  if (!ask.mayWait && columns.inFlight[row] >= columns.inFlightCap[row]) return 11;
  return 0;
}

function isInSet(set: Uint32Array, id: number): boolean {
  return ((set[id >>> 5] >>> (id & 31)) & 1) !== 0;
}

/** The cost of one row; reused from row to row. */
export interface Cost {
  ttft: number;
  wait: number;
  prefill: number;
  social: number;
  price: number;
  matched: number;
  hit: number;
  uncached: number;
}

export function rateOf(columns: EndpointColumns, row: number): number {
  return over(columns.prefillRate[row], RATE_MIN);
}

function waitOf(
  columns: EndpointColumns,
  row: number,
  rate: number,
  nowMs: number,
  weights: Weights,
): number {
  const sampledAt = columns.sampleAtMs[row];
  const isOld = sampledAt > Number.NEGATIVE_INFINITY && nowMs - sampledAt > weights.staleAfterMs;
  const penalty = isOld ? weights.stalePenaltyMs : 0;
  const backlog = backlogAt(columns, row, rate, nowMs);
  const usage = columns.kvUsage[row];
  const used = under(usage, KV_USAGE_MAX);
  const pressure = weights.kvWaitMs * (used / (1 - used));
  return (backlog + columns.waitingTokens[row]) / rate + pressure + penalty;
}

/** Writes the row's cost for the ask into `cost`. */
export function scoreRow(
  columns: EndpointColumns,
  row: number,
  matchedChunks: number,
  ask: Ask,
  nowMs: number,
  weights: Weights,
  cost: Cost,
): void {
  const prompt = ask.promptTokens;
  const rate = rateOf(columns, row);
  const found = matchedChunks * ask.tokensPerChunk;
  cost.matched = under(found, prompt);
  cost.hit = columns.trust[row] * (1 - columns.digestDiscount[row]) * cost.matched;
  const missing = prompt - cost.hit;
  cost.uncached = over(missing, 1);
  cost.prefill = cost.uncached / rate;
  cost.wait = waitOf(columns, row, rate, nowMs, weights);
  cost.ttft = columns.rttMs[row] + columns.jitterMs[row] + cost.wait + cost.prefill;
  cost.social = cost.ttft + weights.lambda * cost.prefill;
  cost.price =
    cost.uncached * columns.priceIn[row] +
    cost.hit * columns.priceCached[row] +
    ask.outTokens * columns.priceOut[row];
}

/** Candidates with their scores, by candidate index. */
export interface Scored {
  count: number;
  rows: Uint32Array;
  ttfts: Float64Array;
  socials: Float64Array;
  prices: Float64Array;
  ties: Uint32Array;
}

export function blankScored(rows: number): Scored {
  return {
    count: 0,
    rows: new Uint32Array(rows),
    ttfts: new Float64Array(rows),
    socials: new Float64Array(rows),
    prices: new Float64Array(rows),
    ties: new Uint32Array(rows),
  };
}

/** What the choice is made within: bounds, and how many candidates they let through. */
export interface Pool {
  met: boolean;
  ttftLimit: number;
  priceLimit: number;
  pooled: number;
  affordable: number;
}

/** Pool of those that meet the SLO, of all when nobody does. */
export function openPool(scored: Scored, sloTtftMs: number, weights: Weights, pool: Pool): void {
  let cheapest = Number.POSITIVE_INFINITY;
  pool.pooled = 0;
  for (let index = 0; index < scored.count; index++) {
    if (!(scored.ttfts[index] <= sloTtftMs)) continue;
    pool.pooled++;
    if (scored.prices[index] < cheapest) cheapest = scored.prices[index];
  }
  pool.met = pool.pooled > 0;
  pool.ttftLimit = pool.met ? sloTtftMs : Number.POSITIVE_INFINITY;
  pool.priceLimit = pool.met ? cheapest * (1 + weights.priceTie) : Number.POSITIVE_INFINITY;
}

function isAffordable(scored: Scored, index: number, pool: Pool): boolean {
  return scored.ttfts[index] <= pool.ttftLimit && scored.prices[index] <= pool.priceLimit;
}

/** Index of the least social cost among the affordable, near-equals drawn at random. */
export function draw(scored: Scored, random: number, weights: Weights, pool: Pool): number {
  let best = Number.POSITIVE_INFINITY;
  pool.affordable = 0;
  for (let index = 0; index < scored.count; index++) {
    if (!isAffordable(scored, index, pool)) continue;
    pool.affordable++;
    if (scored.socials[index] < best) best = scored.socials[index];
  }
  const limit = best * (1 + weights.socialTie) + weights.socialTieMs;
  let tied = 0;
  for (let index = 0; index < scored.count; index++) {
    if (!isAffordable(scored, index, pool) || !(scored.socials[index] <= limit)) continue;
    scored.ties[tied++] = index;
  }
  if (tied === 0) return 0;
  return scored.ties[Math.floor(((random >>> 0) * tied) / 2 ** 32)];
}

/** The winner's index, or the session row's in its place. */
export function orSession(
  scored: Scored,
  winner: number,
  sessionRow: number,
  columns: EndpointColumns,
  weights: Weights,
  pool: Pool,
): number {
  if (sessionRow < 0 || scored.rows[winner] === sessionRow) return winner;
  let pinned = 0;
  while (pinned < scored.count && scored.rows[pinned] !== sessionRow) pinned++;
  if (pinned === scored.count || !(scored.ttfts[pinned] <= pool.ttftLimit)) return winner;
  const margin = weights.sessionMarginTokens;
  const tolerated =
    scored.prices[winner] * (1 + weights.priceTie) + margin * columns.priceIn[sessionRow];
  if (pool.met && scored.prices[pinned] > tolerated) return winner;
  const saved = scored.socials[pinned] - scored.socials[winner];
  const leaves =
    saved > margin / rateOf(columns, sessionRow) &&
    scored.socials[pinned] > weights.sessionMarginPressure * scored.socials[winner];
  return leaves ? winner : pinned;
}

/** Would somebody else have won, were nothing of the prompt cached at the winner? */
export function winsByPrefix(
  scored: Scored,
  winner: number,
  cost: Cost,
  ask: Ask,
  columns: EndpointColumns,
  weights: Weights,
  pool: Pool,
): boolean {
  if (!(cost.matched > 0)) return false;
  const row = scored.rows[winner];
  const bare = ask.promptTokens * columns.priceIn[row] + ask.outTokens * columns.priceOut[row];
  const slower = cost.social + (1 + weights.lambda) * (cost.hit / rateOf(columns, row));
  const scale = 1 + weights.priceTie;
  for (let index = 0; index < scored.count; index++) {
    if (index === winner || !(scored.ttfts[index] <= pool.ttftLimit)) continue;
    if (bare > scored.prices[index] * scale) return true;
    if (slower >= scored.socials[index] && scored.prices[index] <= bare * scale) return true;
  }
  return false;
}
