/**
 * What the checks of a live engine share: the engine as whoever runs it reaches it, a PoP before
 * it, requests to either, and the engine's own gauge of what runs there, read past the PoP.
 */
import { eventually, type ServerProcess, startPop } from "./pop-process.ts";

export interface LiveOptions {
  /** Base URL without /v1. */
  url: string;
  /** Its family, as in the config. */
  engine: string;
  model?: string | undefined;
  /** Environment variable with the engine's API key. */
  keyName?: string | undefined;
  kvEvents?: string | undefined;
  kvReplay?: string | undefined;
  pid?: number | undefined;
  samples: number;
  maxRunning?: number | undefined;
  only?: string | undefined;
}

/** The engine itself or the PoP: both take the same requests. */
export interface Side {
  name: string;
  base: string;
  key: string | undefined;
}

export interface Live {
  options: LiveOptions;
  model: string;
  engine: Side;
  door: Side;
  pop: ServerProcess;
}

export type Json = Record<string, unknown>;

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number | null } | null;
}

export interface Message {
  role: string;
  content: string;
}

const NAME = "live";

export async function startLive(options: LiveOptions): Promise<Live> {
  const key = options.keyName === undefined ? undefined : process.env[options.keyName];
  const engine = { name: "engine", base: options.url, key };
  const list = await ask(engine, "GET", "/v1/models").catch((error: Error) => {
    throw new Error(`the engine at ${options.url} does not answer: ${error.message}`);
  });
  const ids = (list.json?.data as { id: string }[] | undefined)?.map(({ id }) => id) ?? [];
  const model = options.model ?? ids[0];
  if (model === undefined) throw new Error(`${options.url}/v1/models lists none: give --model`);
  const pop = await startPopBefore(options);
  return { options, model, engine, door: { name: "PoP", base: pop.base, key: undefined }, pop };
}

/** @param more sections of the config @param about the endpoint, beyond what the options say */
export function startPopBefore(
  options: LiveOptions,
  more: Json = {},
  about: Json = {},
): Promise<ServerProcess> {
  const { kvEvents: url, kvReplay: replay, keyName, maxRunning } = options;
  const endpoint = {
    id: NAME,
    url: options.url,
    engine: options.engine,
    ...(keyName === undefined ? {} : { apiKey: `\${${keyName}}` }),
    ...(maxRunning === undefined ? {} : { maxInFlight: maxRunning }),
    ...(url === undefined ? {} : { kvEvents: replay === undefined ? { url } : { url, replay } }),
    ...about,
  };
  // Every request of a suite's load waits its turn, however small the engine.
  const limits = { queueLength: 10_000, queueWaitMs: 120_000 };
  return startPop({ endpoints: [endpoint], limits, ...more });
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Undefined: the body is no JSON. */
  json: Json | undefined;
}

export async function ask(
  side: Side,
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Answer> {
  const response = await send(side, method, path, body, signal);
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parsed(text) };
}

export function send(
  side: Side,
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(side.base + path, {
    method,
    headers: {
      "content-type": "application/json",
      ...(side.key === undefined ? {} : { authorization: `Bearer ${side.key}` }),
    },
    body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
    signal: signal ?? null,
  });
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** A POST that must be answered with 200. */
export async function good(
  side: Side,
  path: string,
  body: unknown,
): Promise<Answer & { json: Json }> {
  const answer = await ask(side, "POST", path, body);
  const { json } = answer;
  if (answer.status === 200 && json !== undefined) return { ...answer, json };
  throw new Error(`${side.name} answered ${answer.status}: ${answer.text.slice(0, 300)}`);
}

export interface Streamed {
  events: Json[];
  /** Arrival of each event, performance.now(). */
  atMs: number[];
  sentMs: number;
  /** `data: [DONE]` stood at the end. */
  isDone: boolean;
  /** Why the body broke off, where it did. */
  broken: string | undefined;
  text: string;
  headers: Headers;
}

/** Reads a stream of events to its end, or to its break. */
export async function stream(
  side: Side,
  path: string,
  body: unknown,
  onEvent?: (event: Json, count: number) => void,
  signal?: AbortSignal,
): Promise<Streamed> {
  const sentMs = performance.now();
  const response = await send(side, "POST", path, body, signal);
  if (!response.ok) throw new Error(`${side.name}: ${response.status} ${await response.text()}`);
  const { headers } = response;
  const all: Streamed = {
    ...{ events: [], atMs: [], sentMs, isDone: false, broken: undefined, text: "", headers },
  };
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const chunk of response.body ?? []) {
      const text = decoder.decode(chunk, { stream: true });
      all.text += text;
      const parts = (rest + text).replace(/\r\n/g, "\n").split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) take(part, all, onEvent);
    }
  } catch (error) {
    all.broken = (error as Error).message;
  }
  return all;
}

function take(
  part: string,
  all: Streamed,
  onEvent: ((event: Json, count: number) => void) | undefined,
): void {
  const data = /^data: ?(.*)$/m.exec(part)?.[1];
  if (data === undefined) return;
  all.isDone ||= data === "[DONE]";
  const event = parsed(data);
  if (event === undefined) return;
  all.events.push(event);
  all.atMs.push(performance.now());
  onEvent?.(event, all.events.length);
}

/** What `/grid/state` says of the one endpoint. */
export interface EndpointView {
  phase: string;
  detail?: string;
  version?: string;
  models: string[];
  contextTokens?: number;
  kvTokens?: number;
  blockTokens?: number;
  running?: number;
  waiting?: number;
  kvUsage?: number;
  inFlight: number;
  inFlightCap: number;
  load: { source: string; ageMs: number | null; errors: number };
  learned: { prefillTokensPerS: number; itlMs: number; prefixTrust: number };
  failures: number;
  kvEvents: { trust: string; blocks: number; received: number; [name: string]: unknown } | null;
}

export interface StateView {
  running: number;
  queue: { length: number };
  kvKnowledge: { chunks: number; tokenized: number; tokenizeFailures: number };
  endpoint: EndpointView;
}

export async function stateOf(pop: ServerProcess): Promise<StateView> {
  const state = await pop.json<StateView & { endpoints: EndpointView[] }>("/grid/state");
  return { ...state, endpoint: state.endpoints[0] as EndpointView };
}

export interface CandidateView {
  endpoint: string;
  matchedTokens: number;
  ttftMs: number;
}

export async function explain(live: Live, body: Json): Promise<CandidateView> {
  const told = await ask(live.door, "POST", "/grid/explain", body);
  const candidates = told.json?.candidates as CandidateView[] | undefined;
  if (candidates?.[0] === undefined) throw new Error(`no candidate: ${told.text.slice(0, 200)}`);
  return candidates[0];
}

const GAUGES: Record<string, [running: string, waiting: string]> = {
  vllm: ["vllm:num_requests_running", "vllm:num_requests_waiting"],
  nim: ["num_requests_running", "num_requests_waiting"],
  sglang: ["sglang:num_running_reqs", "sglang:num_queue_reqs"],
  "tensorrt-llm": ["trtllm_num_requests_running", "trtllm_num_requests_waiting"],
  "llama.cpp": ["llamacpp:requests_processing", "llamacpp:requests_deferred"],
};

/** The engine's own gauges; undefined where it has none that is known here. */
export async function gauges({
  engine,
  options,
}: Pick<Live, "engine" | "options">): Promise<{ running: number; waiting: number } | undefined> {
  const names = GAUGES[options.engine];
  if (names === undefined) return undefined;
  const path = options.engine === "tensorrt-llm" ? "/prometheus/metrics" : "/metrics";
  const { status, text } = await ask(engine, "GET", path);
  if (status !== 200) return undefined;
  const [running, waiting] = names.map((name) => sample(text, name));
  return running === undefined ? undefined : { running, waiting: waiting ?? 0 };
}

/** Sum over the label sets of a metric on a page. */
export function sample(page: string, name: string): number | undefined {
  let sum: number | undefined;
  for (const line of page.split("\n")) {
    const found = /^([A-Za-z_:][\w:]*)(\{.*\})? (\S+)/.exec(line);
    if (found?.[1] === name) sum = (sum ?? 0) + Number(found[3]);
  }
  return sum;
}

/** The engine has nothing to do, by its own word where it says so. */
export async function untilIdle(live: Live, withinMs = 60_000): Promise<void> {
  await eventually(
    "an idle engine",
    async () => {
      const now = await gauges(live);
      return now === undefined || now.running + now.waiting === 0;
    },
    withinMs,
  );
}

export const pause = (forMs: number) => new Promise((resolve) => setTimeout(resolve, forMs));

export const user = (content: string): Message => ({ role: "user", content });
