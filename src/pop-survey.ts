/**
 * How busy the endpoints are that a request may go to: for lambda, which concerns all of them, and
 * for Retry-After, which concerns the PoP's own. Part of `pop.ts`.
 */
import type { EndpointTable } from "./state/endpoint-table.ts";

export interface Survey {
  /** Mean over the endpoints that are up, here and in other PoPs, 0..1. */
  busy: number;
  /** Whole seconds until the work that waits or runs is predicted to be through. */
  retryAfterS: number;
}

/** Bounds of Retry-After, in seconds. */
const RETRY_AFTER_MAX_S = 60;
/** Predicted wait at which an endpoint counts as half busy. */
const BUSY_HALF_MS = 500;

export function surveyOf(table: EndpointTable): Survey {
  const c = table.columns;
  let tokens = 0;
  let rate = 0;
  let busy = 0;
  let up = 0;
  for (const { row, pop, replicas } of table.live()) {
    if (c.down[row]) continue;
    up += replicas;
    const own = Math.max(c.ownTokens[row] as number, c.queuedTokens[row] as number);
    const owed = own + (c.waitingTokens[row] as number);
    const waitMs = owed / (c.prefillRate[row] as number);
    busy += (replicas * waitMs) / (waitMs + BUSY_HALF_MS);
    if (pop !== undefined) continue;
    tokens += owed;
    rate += c.prefillRate[row] as number;
  }
  const seconds = rate > 0 ? Math.ceil(tokens / rate / 1000) : 1;
  return {
    busy: up > 0 ? busy / up : 0,
    retryAfterS: Math.min(Math.max(seconds, 1), RETRY_AFTER_MAX_S),
  };
}
