/**
 * What a candidate's cost is made of, for people: every term of `assembly/score.ts` by itself, so
 * that they add up to what the kernel said. Not for the hot path.
 */
import type { Candidate, Exclusion } from "../grid/decision.ts";
import type { Millis, Tokens } from "../grid/units.ts";
import { backlogAt, ownBacklog } from "../state/backlog.ts";
import type { EndpointColumns } from "../state/endpoint-table.ts";
import type { Weights } from "./kernel.ts";
import { KV_USAGE_MAX, RATE_MIN } from "./reference-score.ts";

export interface CostTerms {
  /** Round trip to the endpoint, and what it varies by. */
  rttMs: Millis;
  jitterMs: Millis;
  /** The parts of `waitMs`. */
  wait: {
    /** Prompts before this one at the engine, and those of this PoP that wait for it. */
    engineMs: Millis;
    queueMs: Millis;
    /** An engine short of KV cache blocks stalls admissions. */
    kvMs: Millis;
    /** Nobody knows what an endpoint does whose load is old. */
    staleMs: Millis;
  };
  /** What the engine's part of the wait is reckoned from, in uncached prompt tokens. */
  load: {
    toldTokens: Tokens;
    toldAgeMs: Millis | null;
    sentTokens: Tokens;
    ownTokens: Tokens;
    ownLeftTokens: Tokens;
    backlogTokens: Tokens;
    waitingTokens: Tokens;
    kvUsage: number;
  };
  prefillTokensPerS: number;
  /** Matched tokens less those that are not believed to be there. */
  hitTokens: Tokens;
  trust: number;
  digestDiscount: number;
  /** What the prefill costs everybody else: lambda times it. */
  lambda: number;
  othersMs: Millis;
}

/** Why an endpoint cannot take the request, as a sentence's end. */
const WHY: Record<Exclusion, string> = {
  eligible: "can take it",
  model: "does not serve the model",
  capability: "lacks the route or a feature that the body asks for",
  region: "stands where the data may not go",
  tenant: "is not offered to this tenant",
  tier: "is above the tier ceiling",
  down: "failed its health check, or its breaker is open",
  admission: "drains, or takes existing sessions only",
  stale: "has said nothing for too long",
  context: "has a smaller context window than prompt and answer need",
  tried: "failed already for this request",
  saturated: "has as many requests as it may, and this one may not wait",
  cost: "is dearer than x-grid-max-cost",
};

export function whyOf(exclusion: Exclusion): string {
  return WHY[exclusion];
}

export function termsOf(
  c: EndpointColumns,
  { row, prefillMs, matchedTokens }: Candidate,
  weights: Readonly<Weights>,
  nowMs: Millis,
): CostTerms {
  const rate = Math.max(c.prefillRate[row] as number, RATE_MIN);
  const backlogTokens = backlogAt(c, row, rate, nowMs);
  const waitingTokens = c.waitingTokens[row] as number;
  const ageMs = nowMs - (c.sampleAtMs[row] as number);
  const used = Math.min(c.kvUsage[row] as number, KV_USAGE_MAX);
  const isStale = Number.isFinite(ageMs) && ageMs > weights.staleAfterMs;
  const [trust, digestDiscount] = [c.trust[row] as number, c.digestDiscount[row] as number];
  return {
    rttMs: c.rttMs[row] as number,
    jitterMs: c.jitterMs[row] as number,
    wait: {
      engineMs: backlogTokens / rate,
      queueMs: waitingTokens / rate,
      kvMs: weights.kvWaitMs * (used / (1 - used)),
      staleMs: isStale ? weights.stalePenaltyMs : 0,
    },
    load: {
      toldTokens: c.queuedTokens[row] as number,
      toldAgeMs: Number.isFinite(ageMs) ? ageMs : null,
      sentTokens: c.sentTokens[row] as number,
      ownTokens: c.ownTokens[row] as number,
      ownLeftTokens: ownBacklog(c, row, rate, nowMs),
      backlogTokens,
      waitingTokens,
      kvUsage: c.kvUsage[row] as number,
    },
    prefillTokensPerS: rate * 1000,
    hitTokens: trust * (1 - digestDiscount) * matchedTokens,
    trust,
    digestDiscount,
    lambda: weights.lambda,
    othersMs: weights.lambda * prefillMs,
  };
}
