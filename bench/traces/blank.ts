/** What all requests of a trace have in common, as a task and as a question to the kernel. */
import type { Ask } from "../../src/kernel/kernel.ts";
import type { Task } from "../../src/task/task.ts";
import { BLOCK_TOKENS } from "./trace.ts";

/** Interned model, and the bit of the route among the capabilities. */
export const MODEL = 0;
export const CHAT = 1;

export const TASK: Omit<Task, "id" | "session" | "arrivedMs" | "promptTokens" | "chain"> = {
  route: "chat",
  model: "bench",
  stream: true,
  body: new Uint8Array(),
  fields: {},
  path: "/v1/chat/completions",
  via: undefined,
  dialectHeaders: {},
  usageShown: false,
  prompt: [],
  needs: CHAT,
  maxTokens: undefined,
  choices: 1,
  usageAdded: false,
  cacheKey: undefined,
  serviceTier: undefined,
  tenant: "bench",
  regions: [],
  priority: "default",
  sloTtftMs: Number.POSITIVE_INFINITY,
  sloItlMs: Number.POSITIVE_INFINITY,
  maxCostUsd: Number.POSITIVE_INFINITY,
  slice: undefined,
  queuedSinceMs: 0,
  promisedTtftMs: undefined,
  tried: [],
  handover: undefined,
  promptBytes: 0,
  tokensPerChunk: BLOCK_TOKENS,
  expectedOutTokens: 0,
};

export const ASK: Ask = {
  model: MODEL,
  needs: CHAT,
  regions: undefined,
  tenant: 1,
  tierCeiling: 2,
  promptTokens: 0,
  tokensPerChunk: BLOCK_TOKENS,
  outTokens: 0,
  contextNeed: 0,
  sloTtftMs: Number.POSITIVE_INFINITY,
  maxCostUsd: Number.POSITIVE_INFINITY,
  chain: new Uint32Array(),
  sessionRow: -1,
  tried: [],
  mayWait: true,
  random: 0,
};
