/**
 * The choice among scored candidates. Those that meet the SLO form the pool (all, when none
 * does); in it the cheapest price and what ties with it, among these the least social cost and
 * what ties with it, among these one at random, never the first. Then the session's row keeps the
 * task unless the winner is better by a margin: a pin is advice, not law.
 */
import {
  ASK_OUT_TOKENS, ASK_PROMPT_TOKENS, ASK_RANDOM, ASK_SESSION_ROW, ASK_SLO, RESULT_CANDIDATES,
  RESULT_CHOICE, RESULT_EXCLUDED, RESULT_ROW, WEIGHT_LAMBDA, WEIGHT_MARGIN_PRESSURE,
  WEIGHT_MARGIN_TOKENS, WEIGHT_PRICE_TIE, WEIGHT_SOCIAL_TIE, WEIGHT_SOCIAL_TIE_MS, askNumbers,
  askWords, candidates, priceIn, priceOut, prices, resultNumbers, resultWords, socials, ties,
  ttfts, weights,
} from "./columns";
import { count } from "./filter";
import {
  hitTokens, matchedTokens, prefill, price, rateOf, score, social, ttft, uncached, wait,
} from "./score";

const NONE: u32 = 0;
const ONLY: u32 = 1;
const SESSION: u32 = 2;
const PREFIX: u32 = 3;
const PRICE: u32 = 4;
const LOAD: u32 = 5;
const SLO_MISSED: u32 = 6;

/** Bounds of the pool; index into the candidates of its winner. */
let ttftLimit: f64 = 0;
let priceLimit: f64 = 0;
let pooled: u32 = 0;
let affordable: u32 = 0;

// @ts-ignore: decorator
@inline
function at(list: usize, index: u32): f64 {
  return load<f64>(list + (<usize>index << 3));
}

function rowAt(index: u32): u32 {
  return load<u32>(candidates + (<usize>index << 2));
}

// @ts-ignore: decorator
@inline
function weight(which: usize): f64 {
  return load<f64>(weights + which);
}

/** Sets the pool's bounds; false when nobody meets the SLO. */
function openPool(): bool {
  const slo = load<f64>(askNumbers, ASK_SLO);
  let cheapest: f64 = Infinity;
  pooled = 0;
  for (let index: u32 = 0; index < count; ++index) {
    if (at(ttfts, index) <= slo) {
      ++pooled;
      const own = at(prices, index);
      if (own < cheapest) cheapest = own;
    }
  }
  const met = pooled > 0;
  ttftLimit = met ? slo : Infinity;
  priceLimit = met ? cheapest * (1 + weight(WEIGHT_PRICE_TIE)) : Infinity;
  return met;
}

// @ts-ignore: decorator
@inline
function isAffordable(index: u32): bool {
  return at(ttfts, index) <= ttftLimit && at(prices, index) <= priceLimit;
}

/** Index of the winner: least social cost of the affordable, near-equals drawn at random. */
function draw(): u32 {
  let best: f64 = Infinity;
  affordable = 0;
  for (let index: u32 = 0; index < count; ++index) {
    if (!isAffordable(index)) continue;
    ++affordable;
    const own = at(socials, index);
    if (own < best) best = own;
  }
  const limit = best * (1 + weight(WEIGHT_SOCIAL_TIE)) + weight(WEIGHT_SOCIAL_TIE_MS);
  let tied: u32 = 0;
  for (let index: u32 = 0; index < count; ++index) {
    if (!isAffordable(index) || !(at(socials, index) <= limit)) continue;
    store<u32>(ties + (<usize>tied << 2), index);
    ++tied;
  }
  if (tied === 0) return 0;
  const drawn = (<u64>load<u32>(askWords, ASK_RANDOM) * tied) >> 32;
  return load<u32>(ties + (<usize>drawn << 2));
}

function indexOf(row: u32): i32 {
  for (let index: u32 = 0; index < count; ++index) if (rowAt(index) === row) return index;
  return -1;
}

/** True when the winner is so much better that the session leaves its row. */
function outweighs(winner: u32, pinned: u32, met: bool): bool {
  const margin = weight(WEIGHT_MARGIN_TOKENS);
  const row = rowAt(pinned);
  if (met) {
    const tolerated = at(prices, winner) * (1 + weight(WEIGHT_PRICE_TIE))
      + margin * load<f64>(priceIn + (<usize>row << 3));
    if (at(prices, pinned) > tolerated) return true;
  }
  const saved = at(socials, pinned) - at(socials, winner);
  return saved > margin / rateOf(row)
    && at(socials, pinned) > weight(WEIGHT_MARGIN_PRESSURE) * at(socials, winner);
}

/** The winner, or the session's row in its place. */
function orSession(winner: u32, met: bool): u32 {
  const wanted = load<i32>(askWords, ASK_SESSION_ROW);
  if (wanted < 0 || rowAt(winner) === <u32>wanted) return winner;
  const pinned = indexOf(<u32>wanted);
  if (pinned < 0 || !(at(ttfts, pinned) <= ttftLimit)) return winner;
  return outweighs(winner, pinned, met) ? winner : <u32>pinned;
}

/** With the winner's score at hand: would somebody else have won, were nothing cached there? */
function winsByPrefix(winner: u32): bool {
  if (!(matchedTokens > 0)) return false;
  const row = rowAt(winner);
  const bare = load<f64>(askNumbers, ASK_PROMPT_TOKENS) * load<f64>(priceIn + (<usize>row << 3))
    + load<f64>(askNumbers, ASK_OUT_TOKENS) * load<f64>(priceOut + (<usize>row << 3));
  const slower = social + (1 + weight(WEIGHT_LAMBDA)) * (hitTokens / rateOf(row));
  const scale = 1 + weight(WEIGHT_PRICE_TIE);
  for (let index: u32 = 0; index < count; ++index) {
    if (index === winner || !(at(ttfts, index) <= ttftLimit)) continue;
    if (bare > at(prices, index) * scale) return true;
    if (slower >= at(socials, index) && at(prices, index) <= bare * scale) return true;
  }
  return false;
}

function choiceOf(winner: u32, met: bool): u32 {
  if (!met) return SLO_MISSED;
  if (count === 1) return ONLY;
  if (rowAt(winner) === load<u32>(askWords, ASK_SESSION_ROW)) return SESSION;
  if (winsByPrefix(winner)) return PREFIX;
  return affordable < pooled ? PRICE : LOAD;
}

export function pick(): void {
  store<u32>(resultWords + RESULT_EXCLUDED, count);
  store<u32>(resultWords, count, RESULT_CANDIDATES);
  if (count === 0) {
    store<i32>(resultWords, -1, RESULT_ROW);
    store<u32>(resultWords, NONE, RESULT_CHOICE);
    memory.fill(resultNumbers, 0, 64);
    return;
  }
  const met = openPool();
  const winner = orSession(draw(), met);
  score(rowAt(winner));
  store<u32>(resultWords, rowAt(winner), RESULT_ROW);
  store<u32>(resultWords, choiceOf(winner, met), RESULT_CHOICE);
  writeScore();
}

/** Numbers of the last scored row, in the order of the host's `RESULT_NUMBERS`. */
export function writeScore(): void {
  store<f64>(resultNumbers, ttft);
  store<f64>(resultNumbers, wait, 8);
  store<f64>(resultNumbers, prefill, 16);
  store<f64>(resultNumbers, social, 24);
  store<f64>(resultNumbers, price, 32);
  store<f64>(resultNumbers, matchedTokens, 40);
  store<f64>(resultNumbers, uncached, 48);
}
