/**
 * What the measurement of KV knowledge and its suite share: engines that publish, a PoP before
 * them, a seeded workload of documents that are asked about again and again, and the error of each
 * request's predicted hit against the engine's `cached_tokens`.
 */
import { eventually, type ServerProcess, startEngine, startPop } from "./pop-process.ts";

export interface EngineSetting {
  /** Extra arguments of `gridpoint engine`. */
  args: string[];
  /** Ask the PoP to follow it; without `events` at an address where nobody publishes. */
  follow: "events" | "nobody" | "no";
  replay: boolean;
}

export interface Scene {
  engines: ServerProcess[];
  pop: ServerProcess;
  close(): Promise<void>;
}

const KV_URLS = /KV events on (tcp:\/\/\S+?)(?:, replay on (tcp:\/\/\S+))?\n/;

export async function startScene(
  settings: EngineSetting[],
  config: Record<string, unknown> = {},
): Promise<Scene> {
  const engines: ServerProcess[] = [];
  try {
    for (const { args, follow, replay } of settings) {
      const ports = follow === "events" ? ["--kv-events-port", "0"] : [];
      if (follow === "events" && replay) ports.push("--kv-replay-port", "0");
      engines.push(await startEngine(...args, ...ports));
    }
    const endpoints = engines.map((engine, at) => ({
      id: `e${at}`,
      url: engine.base,
      engine: "vllm",
      kvEvents: addressOf(engine, settings[at] as EngineSetting),
    }));
    const pop = await startPop({ endpoints, ...config });
    const close = async () => {
      await pop.stop();
      for (const engine of engines) await engine.stop();
    };
    return { engines, pop, close };
  } catch (error) {
    for (const engine of engines) await engine.stop();
    throw error;
  }
}

function addressOf(engine: ServerProcess, { follow }: EngineSetting) {
  if (follow === "no") return undefined;
  // Port 1 of loopback: nobody listens there.
  if (follow === "nobody") return { url: "tcp://127.0.0.1:1" };
  const [, url, replay] = KV_URLS.exec(engine.output) as unknown as [string, string, string?];
  return replay === undefined ? { url } : { url, replay };
}

/** State of the followed publishers, as GET /grid/state shows it. */
export interface KvState {
  trust: string;
  blocks: number;
  received: number;
  missed: number;
  gaps: number;
  replays: number;
  replayed: number;
  replayFailures: number;
  survived: number;
  resets: number;
  badEvents: number;
  orphans: number;
  lastEventAgeMs: number | null;
}

export async function kvStates(pop: ServerProcess): Promise<(KvState | null)[]> {
  const state = await pop.json<{ endpoints: { kvEvents: KvState | null }[] }>("/grid/state");
  return state.endpoints.map(({ kvEvents }) => kvEvents);
}

export async function untilTrust(pop: ServerProcess, trust: string): Promise<void> {
  await eventually(`KV events ${trust}`, async () =>
    (await kvStates(pop)).every((one) => one?.trust === trust),
  );
}

export function fault(engine: ServerProcess, body: Record<string, unknown>): Promise<unknown> {
  return engine.json("/fault", { method: "POST", body: JSON.stringify(body) });
}

export interface Asked {
  endpoint: string;
  predicted: number;
  cached: number;
  prompt: number;
}

export interface Message {
  role: string;
  content: string;
}

interface Answer {
  usage?: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } } | null;
}

/** One chat request, streamed; what the PoP predicted and what the engine reported. */
export async function ask(
  server: ServerProcess,
  messages: Message[],
  more: Record<string, unknown> = {},
): Promise<Asked> {
  const options = { stream: true, stream_options: { include_usage: true } };
  const response = await fetch(`${server.base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages, model: "emulated", max_tokens: 8, ...options, ...more }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  const events = text.split("\n\n").filter((event) => event.startsWith("data: {"));
  const answers = events.map((event) => JSON.parse(event.slice(6)) as Answer);
  const usage = answers.findLast((answer) => answer.usage)?.usage;
  if (!usage) throw new Error(`no usage in ${text.slice(-300)}`);
  const route = response.headers.get("x-grid-route") ?? "";
  return {
    endpoint: /endpoint=([^;]+)/.exec(route)?.[1] ?? "",
    predicted: Number(/hit=(\d+)/.exec(route)?.[1] ?? 0),
    cached: usage.prompt_tokens_details.cached_tokens,
    prompt: usage.prompt_tokens,
  };
}

/** mulberry32 */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Text of about so many characters that no other seed gives. */
export function prose(random: () => number, characters: number): string {
  let text = "";
  while (text.length < characters) text += `${Math.floor(random() * 1e9).toString(36)} `;
  return text.slice(0, characters);
}

/** Sum of |predicted - cached| over the prompts' tokens, in per cent. */
export function errorPercent(asked: readonly Asked[]): number {
  const error = asked.reduce((sum, { predicted, cached }) => sum + Math.abs(predicted - cached), 0);
  const prompts = asked.reduce((sum, { prompt }) => sum + prompt, 0);
  return prompts === 0 ? 0 : (error / prompts) * 100;
}
