/**
 * `POST /grid/explain`: the candidate table of a request that is not forwarded. Every endpoint with
 * every term of its cost, or with what excludes it, best first. Part of `pop.ts`.
 */
import type { Candidate } from "./grid/decision.ts";
import type { Millis, Row, Tokens } from "./grid/units.ts";
import type { Ask, Kernel } from "./kernel/kernel.ts";
import { termsOf, whyOf } from "./kernel/terms.ts";
import type { EndpointTable } from "./state/endpoint-table.ts";
import type { Task } from "./task/task.ts";

export interface ExplainParts {
  kernel: Kernel;
  table: EndpointTable;
  task: Task;
  ask: Ask;
  canStart(row: Row, tokens: Tokens): boolean;
}

export function explained(parts: ExplainParts, nowMs: Millis): unknown {
  const { kernel, table, task, ask, canStart } = parts;
  const candidates = kernel.explain(ask, nowMs).sort(byRank);
  const { excluded: _, row, choice, ...numbers } = kernel.decide(ask, nowMs);
  const idOf = (at: Row) => table.records[at]?.spec.id ?? null;
  return {
    request: task.id,
    model: task.model,
    tenant: task.tenant,
    priority: task.priority,
    promptTokens: task.promptTokens,
    expectedOutTokens: task.expectedOutTokens,
    chunks: task.chain.length / 2,
    sloTtftMs: finite(task.sloTtftMs),
    maxCostUsd: finite(task.maxCostUsd),
    regions: task.regions,
    session: { key: task.session ?? null, endpoint: idOf(ask.sessionRow) },
    weights: kernel.weights,
    decision: { endpoint: idOf(row), reason: choice, ...numbers },
    startsNow: row >= 0 && canStart(row, numbers.uncachedTokens),
    candidates: candidates.map((candidate) => named(candidate, parts, nowMs)),
  };
}

/** Those who can take it first, by social cost. */
function byRank(a: Candidate, b: Candidate): number {
  const isOut = (one: Candidate) => Number(one.exclusion !== "eligible");
  return isOut(a) - isOut(b) || a.socialMs - b.socialMs;
}

function named(
  candidate: Candidate,
  { kernel, table, task }: ExplainParts,
  nowMs: Millis,
): unknown {
  const { row, exclusion, ...numbers } = candidate;
  const record = table.records[row];
  const { id, tier, region, priceIn, priceCached, priceOut } = record?.spec ?? {};
  return {
    ...{ endpoint: id, tier, region, pop: record?.pop },
    exclusion,
    why: whyOf(exclusion),
    meetsSlo: numbers.ttftMs <= task.sloTtftMs,
    ...numbers,
    ...termsOf(kernel.columns, candidate, kernel.weights, nowMs),
    usdPerMTok: { in: priceIn, cached: priceCached, out: priceOut },
  };
}

/** JSON has no infinity. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
