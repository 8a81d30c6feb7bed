/** All policies by name; the default list stands side by side in every run. */
import { cacheAware } from "./cache-aware.ts";
import type { Contender } from "./replay.ts";
import * as rivals from "./rivals.ts";

export const CONTENDERS: Readonly<Record<string, Contender>> = {
  gridpoint: "gridpoint",
  "round-robin": rivals.roundRobin,
  random: rivals.random,
  "least-requests": rivals.leastRequests,
  "least-prefill-tokens": rivals.leastPrefillTokens,
  "session-hash": rivals.sessionHash,
  "sglang-0.3-64-1.5": cacheAware({ threshold: 0.3, balanceAbs: 64, balanceRel: 1.5 }),
  "sglang-0.5-32-1.1": cacheAware({ threshold: 0.5, balanceAbs: 32, balanceRel: 1.1 }),
  lmetric: rivals.lmetric,
  "dynamo-like": rivals.dynamoLike,
  "prefix-guarded": rivals.prefixGuarded,
  "threshold-spill": rivals.thresholdSpill,
  "predicted-ttft-0": rivals.predictedTtft(0),
  "predicted-ttft-1": rivals.predictedTtft(1),
  "predicted-ttft-3": rivals.predictedTtft(3),
};

/** Only where asked for: checks of the harness, and a policy that needs places. */
const ON_DEMAND = /^(predicted-ttft|threshold-spill)/;

export const DEFAULT_POLICIES = Object.keys(CONTENDERS).filter((name) => !ON_DEMAND.test(name));
