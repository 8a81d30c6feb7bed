/**
 * From an engine's own words to facts about its load. Pure readers, one per source. The rule of
 * all of them: what the engine does not say, or says in a way that cannot be true, is undefined.
 * A number that is undefined for one rank is undefined for the whole: half a sum is a wrong sum.
 */
import type { MetricNames } from "./families.ts";
import { type Metric, readPrometheus } from "./prometheus.ts";

export interface LoadFacts {
  running?: number;
  waiting?: number;
  queuedTokens?: number;
  kvUsage?: number;
  kvTokens?: number;
  blockTokens?: number;
  slots?: number;
  /** Context window of one slot (llama.cpp), which may be far below the model's. */
  slotTokens?: number;
  awake?: boolean;
  /** Unix seconds. */
  startedAt?: number;
  counter?: number;
  version?: string;
}

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null;

/** A non-negative number that counts something, else undefined. */
export function count(value: unknown): number | undefined {
  if (typeof value !== "number") return undefined;
  return value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : undefined;
}

/** 0..1; a whisker above 1 is rounding, anything more is another unit and not believed. */
export function share(value: number | undefined): number | undefined {
  return value === undefined || value > 1.001 ? undefined : Math.min(value, 1);
}

function reduceAll(
  rows: readonly Json[],
  field: string,
  combine: (a: number, b: number) => number,
): number | undefined {
  let result: number | undefined;
  for (const row of rows) {
    const value = count(row[field]);
    if (value === undefined) return undefined;
    result = result === undefined ? value : combine(result, value);
  }
  return result;
}

const add = (a: number, b: number) => a + b;

export interface MetricPlan {
  keys: (keyof MetricNames)[];
  wanted: Metric[];
}

/** The names of a family as one flat list, made once per worker. */
export function planMetrics(names: MetricNames): MetricPlan {
  const plan: MetricPlan = { keys: [], wanted: [] };
  for (const key of Object.keys(names) as (keyof MetricNames)[]) {
    for (const metric of names[key] ?? []) {
      plan.keys.push(key);
      plan.wanted.push(metric);
    }
  }
  return plan;
}

/** Reads a Prometheus page. */
export function readMetrics(page: Uint8Array, plan: MetricPlan, inclusive: boolean): LoadFacts {
  const values = readPrometheus(page, plan.wanted);
  const said: Partial<Record<keyof MetricNames, number>> = {};
  plan.keys.forEach((key, index) => {
    said[key] ??= values[index];
  });
  const { running, waiting, blockTokens, blocks, kvTokens } = said;
  const product =
    blockTokens === undefined || blocks === undefined ? undefined : blockTokens * blocks;
  return {
    running: inclusive && running !== undefined ? Math.max(running - (waiting ?? 0), 0) : running,
    waiting,
    queuedTokens: said.queuedTokens,
    kvUsage: share(said.kvUsage),
    kvTokens: kvTokens || product || undefined,
    blockTokens: blockTokens || undefined,
    awake: said.awake === undefined ? undefined : said.awake > 0,
    startedAt: said.startedAt,
    counter: said.counter,
  };
}

/** SGLang's `/v1/loads`: one row per data-parallel rank. `http_server.py`, PR 16976. */
export function readLoads(body: unknown): LoadFacts | undefined {
  const rows = isObject(body) && Array.isArray(body.loads) ? body.loads.filter(isObject) : [];
  if (rows.length === 0) return undefined;
  const version = (body as Json).version;
  return {
    running: reduceAll(rows, "num_running_reqs", add),
    waiting: reduceAll(rows, "num_waiting_reqs", add),
    queuedTokens: reduceAll(rows, "num_waiting_uncached_tokens", add),
    kvUsage: share(reduceAll(rows, "token_usage", Math.max)),
    kvTokens: reduceAll(rows, "max_total_num_tokens", add) || undefined,
    slots: reduceAll(rows, "max_running_requests", add) || undefined,
    version: typeof version === "string" ? version : undefined,
  };
}

/**
 * llama.cpp's `/slots`. Requests that wait for a slot are not in it: while one slot is idle none
 * can be waiting, and once all are busy `waiting` and `queuedTokens` are unknown.
 */
export function readSlots(body: unknown): LoadFacts | undefined {
  if (!Array.isArray(body)) return undefined;
  const rows = body.filter(isObject);
  if (rows.length === 0) return undefined;
  const busy = rows.filter((row) => row.is_processing === true);
  const free = busy.length < rows.length;
  const slotTokens = reduceAll(rows, "n_ctx", Math.min);
  const kvTokens = reduceAll(rows, "n_ctx", add);
  const used = busy.length === 0 ? 0 : sumRows(busy, usedTokens);
  return {
    running: busy.length,
    waiting: free ? 0 : undefined,
    queuedTokens: free ? (busy.length === 0 ? 0 : sumRows(busy, pendingTokens)) : undefined,
    kvUsage: used === undefined || !kvTokens ? undefined : share(used / kvTokens),
    kvTokens: kvTokens || undefined,
    slots: rows.length,
    slotTokens: slotTokens || undefined,
  };
}

function sumRows(rows: Json[], read: (row: Json) => number | undefined): number | undefined {
  let total = 0;
  for (const row of rows) {
    const value = read(row);
    if (value === undefined) return undefined;
    total += value;
  }
  return total;
}

function usedTokens(row: Json): number | undefined {
  const prompt = count(row.n_prompt_tokens);
  const next = Array.isArray(row.next_token) ? row.next_token[0] : row.next_token;
  const decoded = isObject(next) ? count(next.n_decoded) : 0;
  return prompt === undefined ? undefined : prompt + (decoded ?? 0);
}

/** Prompt tokens of a slot that are neither cached nor computed yet. */
function pendingTokens(row: Json): number | undefined {
  const prompt = count(row.n_prompt_tokens);
  const processed = count(row.n_prompt_tokens_processed);
  if (prompt === undefined || processed === undefined) return undefined;
  return Math.max(prompt - processed - (count(row.n_prompt_tokens_cache) ?? 0), 0);
}

/** Ollama's `/api/ps`: it answers, so it lives; requests it does not count. */
export function readApiPs(body: unknown): LoadFacts | undefined {
  return isObject(body) && Array.isArray(body.models) ? {} : undefined;
}

/** The earlier source wins; the later one fills what it left open. */
export function mergeFacts(first: LoadFacts, second: LoadFacts): LoadFacts {
  const merged: Record<string, unknown> = { ...second };
  for (const [key, value] of Object.entries(first)) if (value !== undefined) merged[key] = value;
  return merged as LoadFacts;
}
