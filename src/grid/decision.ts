/** A decision: which endpoint, and why; or why none. Reasons are closed unions. */
import type { Millis, Row, Tokens, Usd } from "./units.ts";

/**
 * Why an endpoint cannot take a task, in the order in which the filter asks. The index is the
 * kernel's code (0 = eligible), so the order is part of the kernel's ABI.
 */
export const EXCLUSIONS = [
  "eligible",
  "model", // does not serve the model
  "capability", // lacks the route or a feature the body asks for
  "region", // the data may not go there
  "tenant", // not offered to this tenant
  "tier", // above the tier ceiling
  "down", // health check failed, or a breaker is open
  "admission", // drains, or takes existing sessions only
  "stale", // no fresh knowledge of it
  "context", // the prompt does not fit its context window
  "tried", // failed already for this request
  "saturated", // its in-flight cap is reached and waiting is not allowed
  "cost", // dearer than the caller's x-grid-max-cost
] as const;
export type Exclusion = (typeof EXCLUSIONS)[number];

/** Why the chosen endpoint was chosen; index = kernel's code. */
export const CHOICES = [
  "none", // nobody is eligible
  "only", // one candidate
  "session", // keeps the conversation where it is
  "prefix", // holds part of the prompt in its KV cache and wins by it
  "price", // cheapest that meets the SLO
  "load", // least social cost, SLO met
  "slo-missed", // nobody meets the SLO: least social cost
] as const;
export type Choice = (typeof CHOICES)[number];

export type Reason = Exclusion | Choice;

/** Result of one kernel run. Reused between calls by the kernel: copy what must outlive it. */
export interface Decision {
  row: Row;
  choice: Choice;
  /** Predicted time to first token and its parts. */
  ttftMs: Millis;
  waitMs: Millis;
  prefillMs: Millis;
  socialMs: Millis;
  priceUsd: Usd;
  matchedTokens: Tokens;
  uncachedTokens: Tokens;
  /** How many endpoints were eligible. */
  candidates: number;
  /** Count per `EXCLUSIONS` index over the rows in use. */
  excluded: Uint32Array;
}

/** One row of `POST /grid/explain`. */
export interface Candidate {
  row: Row;
  exclusion: Exclusion;
  ttftMs: Millis;
  rttMs: Millis;
  waitMs: Millis;
  prefillMs: Millis;
  socialMs: Millis;
  priceUsd: Usd;
  matchedTokens: Tokens;
  uncachedTokens: Tokens;
  chosen: boolean;
}
