/**
 * The cost of a candidate in milliseconds and money (design: one cost for queue, cache, distance):
 *
 *     hit      = trust · (1 − discount) · min(matched chunks · tokensPerChunk, prompt)
 *     uncached = max(prompt − hit, 1)
 *     done     = max(rate · (now − busySince) − busyTokens, 0)
 *     own      = ours − min(done, max(2 · ours − done, 0))
 *     backlog  = max(queued + sent − rate · age of the sample, own, 0) + waiting
 *     wait     = backlog / rate + kvWait · k / (1 − k) + penalty of a stale sample
 *     ttft     = rtt + jitter + wait + uncached / rate
 *     social   = ttft + lambda · uncached / rate
 *     price    = uncached · in + hit · cached + expected output · out
 *
 * All arithmetic is f64 without reordering, so the TypeScript twin gets the same bits. A row whose
 * sample time is −Infinity has no load source: its backlog is what we ourselves have outstanding.
 * Ours drains as the busy period goes on; one overdue by as much again counts in full.
 */
import {
  ASK_MAX_COST, ASK_NOW, ASK_OUT_TOKENS, ASK_PROMPT_TOKENS, ASK_TOKENS_PER_CHUNK, WEIGHT_KV_WAIT,
  WEIGHT_LAMBDA, WEIGHT_STALE_AFTER, WEIGHT_STALE_PENALTY, askNumbers, busySinceMs, busyTokens,
  candidates, digestDiscount, jitterMs, kvUsage, matched, ownTokens, prefillRate, priceCached,
  priceIn, priceOut, prices, queuedTokens, rttMs, sampleAtMs, sentTokens, socials, trust, ttfts,
  waitingTokens, weights,
} from "./columns";
import { COST, count, countExclusion, setCount } from "./filter";

const KV_USAGE_MAX: f64 = 0.999;
/** Tokens per ms: a rate of nought would make every cost infinite and all rows equal. */
const RATE_MIN: f64 = 0.000001;

export let ttft: f64 = 0;
export let wait: f64 = 0;
export let prefill: f64 = 0;
export let social: f64 = 0;
export let price: f64 = 0;
export let matchedTokens: f64 = 0;
export let hitTokens: f64 = 0;
export let uncached: f64 = 0;

// @ts-ignore: decorator
@inline
function cell(column: usize, row: u32): f64 {
  return load<f64>(column + (<usize>row << 3));
}

export function rateOf(row: u32): f64 {
  const rate = cell(prefillRate, row);
  return rate > RATE_MIN ? rate : RATE_MIN;
}

/** Our own requests in prefill there, less what should be done of them. */
// @ts-ignore: decorator
@inline
function ownBacklog(row: u32, rate: f64, now: f64): f64 {
  const own = cell(ownTokens, row);
  const through = rate * (now - cell(busySinceMs, row)) - cell(busyTokens, row);
  const done: f64 = through > 0 ? through : 0;
  const owed = 2 * own - done;
  const most: f64 = owed > 0 ? owed : 0;
  return own - (done < most ? done : most);
}

// @ts-ignore: decorator
@inline
function waitMs(row: u32, rate: f64, now: f64): f64 {
  const sampledAt = cell(sampleAtMs, row);
  const age = now - sampledAt;
  let backlog: f64 = 0;
  let penalty: f64 = 0;
  if (sampledAt > -Infinity) {
    backlog = cell(queuedTokens, row) + cell(sentTokens, row) - (age > 0 ? rate * age : 0);
    if (age > load<f64>(weights, WEIGHT_STALE_AFTER)) {
      penalty = load<f64>(weights, WEIGHT_STALE_PENALTY);
    }
  }
  const own = ownBacklog(row, rate, now);
  if (!(backlog > own)) backlog = own;
  if (!(backlog > 0)) backlog = 0;
  const usage = cell(kvUsage, row);
  const used = usage < KV_USAGE_MAX ? usage : KV_USAGE_MAX;
  const pressure = load<f64>(weights, WEIGHT_KV_WAIT) * (used / (1 - used));
  return (backlog + cell(waitingTokens, row)) / rate + pressure + penalty;
}

/** Leaves the row's cost in the exported variables. */
// @ts-ignore: decorator
@inline
export function score(row: u32): void {
  const prompt = load<f64>(askNumbers, ASK_PROMPT_TOKENS);
  const chunkTokens = load<f64>(askNumbers, ASK_TOKENS_PER_CHUNK);
  const rate = rateOf(row);
  const found = <f64>load<u32>(matched + (<usize>row << 2)) * chunkTokens;
  matchedTokens = found < prompt ? found : prompt;
  hitTokens = cell(trust, row) * (1 - cell(digestDiscount, row)) * matchedTokens;
  const missing = prompt - hitTokens;
  uncached = missing > 1 ? missing : 1;
  prefill = uncached / rate;
  wait = waitMs(row, rate, load<f64>(askNumbers, ASK_NOW));
  ttft = cell(rttMs, row) + cell(jitterMs, row) + wait + prefill;
  social = ttft + load<f64>(weights, WEIGHT_LAMBDA) * prefill;
  price = uncached * cell(priceIn, row) + hitTokens * cell(priceCached, row)
    + load<f64>(askNumbers, ASK_OUT_TOKENS) * cell(priceOut, row);
}

// @ts-ignore: decorator
@inline
function cells(column: usize, row: u32): v128 {
  return v128.load(column + (<usize>row << 3));
}

/** `over` where it is the greater (false for NaN), else `floor`. */
// @ts-ignore: decorator
@inline
function atLeast(over: v128, floor: v128): v128 {
  return v128.bitselect(over, floor, f64x2.gt(over, floor));
}

/** `ownBacklog` of two neighbours. */
// @ts-ignore: decorator
@inline
function ownPair(row: u32, rate: v128, now: v128): v128 {
  const zero = f64x2.splat(0);
  const own = cells(ownTokens, row);
  const busy = f64x2.mul(rate, f64x2.sub(now, cells(busySinceMs, row)));
  const done = atLeast(f64x2.sub(busy, cells(busyTokens, row)), zero);
  const most = atLeast(f64x2.sub(f64x2.mul(f64x2.splat(2), own), done), zero);
  return f64x2.sub(own, v128.bitselect(done, most, f64x2.lt(done, most)));
}

/** `waitMs` of two neighbours. */
// @ts-ignore: decorator
@inline
function waitPair(row: u32, rate: v128): v128 {
  const zero = f64x2.splat(0);
  const sampledAt = cells(sampleAtMs, row);
  const now = f64x2.splat(load<f64>(askNumbers, ASK_NOW));
  const age = f64x2.sub(now, sampledAt);
  const polled = f64x2.gt(sampledAt, f64x2.splat(-Infinity));
  const drained = v128.bitselect(f64x2.mul(rate, age), zero, f64x2.gt(age, zero));
  const told = f64x2.sub(f64x2.add(cells(queuedTokens, row), cells(sentTokens, row)), drained);
  const own = ownPair(row, rate, now);
  const backlog = atLeast(atLeast(v128.and(told, polled), own), zero);
  const old = f64x2.gt(age, f64x2.splat(load<f64>(weights, WEIGHT_STALE_AFTER)));
  const penalty = f64x2.splat(load<f64>(weights, WEIGHT_STALE_PENALTY));
  const usage = cells(kvUsage, row);
  const most = f64x2.splat(KV_USAGE_MAX);
  const used = v128.bitselect(usage, most, f64x2.lt(usage, most));
  const pressure = f64x2.mul(
    f64x2.splat(load<f64>(weights, WEIGHT_KV_WAIT)),
    f64x2.div(used, f64x2.sub(f64x2.splat(1), used)),
  );
  const queue = f64x2.div(f64x2.add(backlog, cells(waitingTokens, row)), rate);
  return f64x2.add(f64x2.add(queue, pressure), v128.and(penalty, v128.and(old, polled)));
}

/** `score` of two neighbours, stored as candidates from `to` on; false when one is too dear. */
// @ts-ignore: decorator
@inline
function scorePair(row: u32, to: usize, limit: f64): bool {
  const prompt = f64x2.splat(load<f64>(askNumbers, ASK_PROMPT_TOKENS));
  const rate = atLeast(cells(prefillRate, row), f64x2.splat(RATE_MIN));
  const chunks = f64x2.convert_low_i32x4_u(v128.load64_zero(matched + (<usize>row << 2)));
  const found = f64x2.mul(chunks, f64x2.splat(load<f64>(askNumbers, ASK_TOKENS_PER_CHUNK)));
  const known = v128.bitselect(found, prompt, f64x2.lt(found, prompt));
  const still = f64x2.sub(f64x2.splat(1), cells(digestDiscount, row));
  const hit = f64x2.mul(f64x2.mul(cells(trust, row), still), known);
  const missing = atLeast(f64x2.sub(prompt, hit), f64x2.splat(1));
  const own = f64x2.div(missing, rate);
  const distance = f64x2.add(cells(rttMs, row), cells(jitterMs, row));
  const first = f64x2.add(f64x2.add(distance, waitPair(row, rate)), own);
  const shared = f64x2.mul(f64x2.splat(load<f64>(weights, WEIGHT_LAMBDA)), own);
  const input = f64x2.add(
    f64x2.mul(missing, cells(priceIn, row)),
    f64x2.mul(hit, cells(priceCached, row)),
  );
  const output = f64x2.splat(load<f64>(askNumbers, ASK_OUT_TOKENS));
  const total = f64x2.add(input, f64x2.mul(output, cells(priceOut, row)));
  if (v128.any_true(f64x2.gt(total, f64x2.splat(limit)))) return false;
  v128.store(ttfts + (to << 3), first);
  v128.store(socials + (to << 3), f64x2.add(first, shared));
  v128.store(prices + (to << 3), total);
  return true;
}

/**
 * Scores the candidates; one that is dearer than the caller allows is none. Neighbours, which
 * most candidates are, go two at a time.
 */
export function scoreAll(): void {
  const limit = load<f64>(askNumbers, ASK_MAX_COST);
  const all = <usize>count;
  let kept: usize = 0;
  for (let index: usize = 0; index < all; ++index) {
    const row = load<u32>(candidates + (index << 2));
    const follows = index + 1 < all && load<u32>(candidates + (index << 2), 4) === row + 1;
    if (follows && scorePair(row, kept, limit)) {
      store<u32>(candidates + (kept << 2), row);
      store<u32>(candidates + (kept << 2), row + 1, 4);
      kept += 2;
      ++index;
    } else if (keepOne(row, kept, limit)) {
      ++kept;
    }
  }
  setCount(<u32>kept);
}

function keepOne(row: u32, to: usize, limit: f64): bool {
  score(row);
  if (price > limit) {
    countExclusion(row, COST);
    return false;
  }
  store<u32>(candidates + (to << 2), row);
  store<f64>(ttfts + (to << 3), ttft);
  store<f64>(socials + (to << 3), social);
  store<f64>(prices + (to << 3), price);
  return true;
}
