/** The constants of the cost, each with its reason, and how lambda follows the load. */
import type { Weights } from "./kernel.ts";

export const DEFAULT_WEIGHTS: Readonly<Weights> = {
  // How much a prefill's cost to everybody else counts beside the caller's own wait. 0 is selfish:
  // up to 2.4 times worse mean TTFT near saturation on the conversation trace. The host multiplies
  // it by `lambdaAt` of the load.
  lambda: 1,
  // An engine short of KV cache blocks stalls admissions: 150 ms at half full (SGLang's router uses
  // the same barrier, 0.15 s times k / (1 - k)). Lower: fills one engine to the brim; higher:
  // throws hits away to spread the cache. Unknown usage counts as 0.5, so 150 ms.
  kvWaitMs: 150,
  // A session leaves its row only for a gain that is large both in absolute and in relative terms:
  // more than the prefill of 1,024 tokens AND 1.5 times less social cost. One alone flaps: on an
  // idle grid 1.5 times a few ms is noise, under deep queues 1,024 tokens are. The pair is what
  // pressure guards of peer routers use. Lower: sessions hop; higher: they sit in queues.
  sessionMarginTokens: 1024,
  sessionMarginPressure: 1.5,
  // Prices this close count as equal: list prices differ by a rounding, engines by their load.
  priceTie: 0.02,
  // Social costs this close are drawn at random: predictions are no better than some per cent,
  // and several routers with one picture of the grid must not all choose the same row.
  socialTie: 0.02,
  socialTieMs: 1,
  // What a sample that is too old costs its row: unknown is never as good as known. About one
  // chunked prefill step, so a stale row still serves when the others are busier than that.
  stalePenaltyMs: 250,
  // Eight polls of the default 250 ms: one lost poll is nothing, two seconds of silence are.
  staleAfterMs: 2000,
};

/**
 * Near saturation a token of prefill that a hit saves delays everybody who waits. On the
 * conversation trace at 90 % of capacity the mean TTFT is 1.84 s with 3 here, 1.81 with 6, and the
 * p99 15.3 and 14.8; at 70 % both give the same within a hundredth. Higher: hits are kept in
 * queues that a free engine could shorten (8 gains nothing more).
 */
const LAMBDA_SATURATED = 6;
/**
 * At half load own wait and everybody's weigh alike. On an idle grid nobody else waits: there a
 * lambda only costs the caller (U70: 1.13 s with a constant 3, 1.07 so).
 */
const LAMBDA_MIDDLE = 1;
const MIDDLE = 0.5;

/**
 * Lambda for a utilisation of the PoP's prefill capacity (0 idle .. 1 saturated; clamped, NaN is
 * the middle): 0 when idle, 1 at half, 6 when saturated, in two straight lines between.
 */
export function lambdaAt(utilisation: number): number {
  const load = Number.isNaN(utilisation) ? MIDDLE : Math.min(Math.max(utilisation, 0), 1);
  if (load <= MIDDLE) return (LAMBDA_MIDDLE * load) / MIDDLE;
  return LAMBDA_MIDDLE + ((LAMBDA_SATURATED - LAMBDA_MIDDLE) * (load - MIDDLE)) / (1 - MIDDLE);
}
