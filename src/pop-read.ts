/** From the bytes of a request to its task, with its prefix hashes and sizes. Part of `pop.ts`. */
import type { PopParts } from "./pop-stages.ts";
import { PLACE } from "./grid/endpoint.ts";
import type { Exchange } from "./grid/exchange.ts";
import type { Millis } from "./grid/units.ts";
import type { Caller } from "./proxy.ts";
import { cacheSalt } from "./task/cache-fields.ts";
import { parseBody } from "./task/dialects/table.ts";
import { toTask } from "./task/from-exchange.ts";
import { short } from "./task/openai-prompt.ts";
import { DOORS, type Route } from "./task/route.ts";
import type { Task } from "./task/task.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });
const decode = (bytes: Uint8Array): string => decoder.decode(bytes);

export interface ReadContext {
  id: string;
  caller: Caller;
  nowMs: Millis;
  /** The PoP drains: other PoPs are to run it. */
  standby: boolean;
  /** The PoPs that it came by. */
  via: string | undefined;
}

/** @throws GridError what is wrong with the body or a header */
export function readTask(
  parts: PopParts,
  route: Route,
  bytes: Uint8Array,
  { headers, path: door, query }: Exchange,
  { id, caller, nowMs, standby, via }: ReadContext,
): Task {
  const path = query === "" ? door : `${door}?${query}`;
  const { ttftMs: sloTtftMs, itlMs: sloItlMs } = parts.config.slo;
  const { tenant, handover } = caller;
  const context = { id, tenant, nowMs, sloTtftMs, sloItlMs, handover, path, via };
  const task = toTask(parseBody(route, bytes, decode, path), headers, context);
  if (handover !== undefined) task.needs |= PLACE.own;
  else if (standby) task.needs |= PLACE.other;
  measureTask(parts, task);
  return task;
}

/** Prefix hashes and sizes, which depend on the model. */
export function measureTask({ estimator, kernel, kv }: PopParts, task: Task): void {
  const { operation } = DOORS[task.route];
  if (operation === "embed" || operation === "count") {
    // Nothing of it stays in a KV cache: only its size matters.
    task.promptBytes = task.prompt.reduce((sum, piece) => sum + piece.length, 0);
  } else {
    const salt = short(cacheSalt(task.fields));
    const seed = `${task.model}\n${task.tenant}${salt === "" ? "" : `\n${salt}`}`;
    const hashed = kernel.hash(task.prompt, seed);
    task.chain = hashed.chain;
    task.promptBytes = hashed.bytes;
    task.expectedOutTokens = estimator.outTokens(task.model, task.maxTokens, task.choices);
  }
  task.promptTokens = estimator.promptTokens(task.model, task.promptBytes);
  const { chunkBytes } = kernel.options;
  task.tokensPerChunk = chunkBytes / estimator.bytesPerToken(task.model);
  // Exact as far as its text was seen before; the rest by the model's mean.
  const known = kv.place(task);
  if (known === undefined) return;
  const restBytes = Math.max(task.promptBytes - known.chunks * chunkBytes, 0);
  const rest = restBytes === 0 ? 0 : estimator.promptTokens(task.model, restBytes);
  task.promptTokens = Math.max(Math.round(known.tokens + rest), 1);
  task.tokensPerChunk = known.expected / known.chunks;
}
