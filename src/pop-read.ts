/** The first stage of `proxy.ts`: a body and headers become a task, measured. Part of `pop.ts`. */
import type { Headers } from "./grid/exchange.ts";
import { PLACE } from "./grid/endpoint.ts";
import type { Millis } from "./grid/units.ts";
import type { PopParts } from "./pop-stages.ts";
import type { Caller } from "./proxy.ts";
import { toTask } from "./task/from-exchange.ts";
import { parseOpenAiBody } from "./task/openai.ts";
import { short } from "./task/openai-prompt.ts";
import type { Route, Task } from "./task/task.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });
const decode = (bytes: Uint8Array): string => decoder.decode(bytes);

export interface ReadContext {
  id: string;
  nowMs: Millis;
  /** This PoP sends its clients' requests to others. */
  standby: boolean;
}

/** @throws GridError naming the field or header that is wrong */
export function readTask(
  parts: PopParts,
  route: Route,
  bytes: Uint8Array,
  headers: Headers,
  caller: Caller,
  { id, nowMs, standby }: ReadContext,
): Task {
  const { config, estimator, kernel } = parts;
  const body = parseOpenAiBody(route, bytes, decode);
  const task = toTask(body, headers, {
    id,
    tenant: caller.tenant,
    nowMs,
    sloTtftMs: config.slo.ttftMs,
    sloItlMs: config.slo.itlMs,
    handover: caller.handover,
  });
  if (caller.handover !== undefined) task.needs |= PLACE.own;
  else if (standby) task.needs |= PLACE.other;
  if (route === "embeddings") {
    // Nothing of it stays in a KV cache: only its size matters.
    task.promptBytes = task.prompt.reduce((sum, piece) => sum + piece.length, 0);
  } else {
    const salt = task.cacheSalt === undefined ? "" : `\n${short(task.cacheSalt)}`;
    const hashed = kernel.hash(task.prompt, `${task.model}\n${caller.tenant}${salt}`);
    task.chain = hashed.chain;
    task.promptBytes = hashed.bytes;
    task.expectedOutTokens = estimator.outTokens(task.model, task.maxTokens, task.choices);
  }
  measure(parts, task);
  return task;
}

/** The prompt's size in tokens: exact as far as its text was seen before, else by the mean. */
function measure({ estimator, kernel, kv }: PopParts, task: Task): void {
  const { chunkBytes } = kernel.options;
  task.tokensPerChunk = chunkBytes / estimator.bytesPerToken(task.model);
  task.promptTokens = estimator.promptTokens(task.model, task.promptBytes);
  const known = kv.place(task);
  if (known === undefined) return;
  const restBytes = Math.max(task.promptBytes - known.chunks * chunkBytes, 0);
  const rest = restBytes === 0 ? 0 : estimator.promptTokens(task.model, restBytes);
  task.promptTokens = Math.max(Math.round(known.tokens + rest), 1);
  task.tokensPerChunk = known.expected / known.chunks;
}
