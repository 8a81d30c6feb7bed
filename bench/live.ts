/**
 * Conversations on real engines: the same workload through a PoP before them, and straight to them
 * with what people do without one (round robin; each conversation kept at one engine by a hash).
 *
 *     npm run bench:live -- --engines http://127.0.0.1:8000,http://127.0.0.1:8001 [--engine vllm]
 *       [--model ID] [--conversations 24] [--turns 5] [--groups 4] [--shared 3000] [--said 1500]
 *       [--answer 32] [--think 300] [--rounds 2] [--seed 1] [--kv-events tcp://A,tcp://B] [--json]
 *
 * Groups of conversations share a long system text (`shared` letters); each turn adds `said`
 * letters and the answer before it. A conversation goes on when it has its answer and has thought
 * for 0 to twice `think` ms. Every run has a text of its own in front, so that no run finds
 * another's KV. Policies take turns, the order is reversed in every other round, after a short run
 * of each that does not count. Times are the client's own.
 */
import { parseArgs } from "node:util";
import { type Json, stream, type Usage } from "../test/runtime/live-scene.ts";
import { startPop } from "../test/runtime/pop-process.ts";
import { seededRng, unit } from "../src/sim/clock.ts";
import { quantile } from "./load/quantile.ts";

const ANSWER_MS = 120_000;

interface Options {
  engines: string[];
  family: string;
  model: string | undefined;
  conversations: number;
  turns: number;
  groups: number;
  shared: number;
  said: number;
  answer: number;
  thinkMs: number;
  rounds: number;
  seed: number;
  kvEvents: string[];
  json: boolean;
}

/** Where a turn of a conversation is sent. */
type Policy = (conversation: number, sent: number) => string;

interface Run {
  ttftMs: number[];
  promptTokens: number;
  cachedTokens: number;
  seconds: number;
  errors: string[];
}

interface Turn {
  ttftMs: number;
  text: string;
  promptTokens: number;
  cachedTokens: number;
}

function readOptions(): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      ...{ engines: text, engine: { ...text, default: "vllm" }, model: text },
      ...{ conversations: { ...text, default: "24" }, turns: { ...text, default: "5" } },
      ...{ groups: { ...text, default: "4" }, shared: { ...text, default: "3000" } },
      ...{ said: { ...text, default: "1500" }, answer: { ...text, default: "32" } },
      ...{ think: { ...text, default: "300" }, rounds: { ...text, default: "2" } },
      ...{ seed: { ...text, default: "1" }, "kv-events": text },
      json: { type: "boolean", default: false },
    },
  });
  const engines = (values.engines ?? "").split(",").filter((url) => url !== "");
  if (engines.length === 0) throw new Error("--engines needs the base URLs of running engines");
  const number = (name: keyof typeof values, least: number, most: number): number => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new Error(`--${name} must be a whole number from ${least} to ${most}`);
  };
  return {
    engines,
    family: values.engine,
    model: values.model,
    conversations: number("conversations", 1, 512),
    turns: number("turns", 1, 50),
    groups: number("groups", 1, 512),
    shared: number("shared", 0, 1_000_000),
    said: number("said", 1, 1_000_000),
    answer: number("answer", 1, 4_096),
    thinkMs: number("think", 0, 60_000),
    rounds: number("rounds", 1, 20),
    seed: number("seed", 0, 2 ** 31),
    kvEvents: (values["kv-events"] ?? "").split(",").filter((url) => url !== ""),
    json: values.json,
  };
}

/** Words of random letters. */
function words(rng: () => number, letters: number): string {
  let text = "";
  while (text.length < letters) {
    const length = 2 + Math.floor(unit(rng) * 8);
    for (let at = 0; at < length; at++)
      text += String.fromCharCode(97 + Math.floor(unit(rng) * 26));
    text += " ";
  }
  return text.slice(0, letters);
}

interface ChunkEvent {
  error?: unknown;
  choices?: { delta?: { content?: string | null } }[];
  usage?: Usage | null;
}

/** Sends one turn and reads its stream to the end. @throws Error unless it ended whole */
async function say(base: string, body: Json): Promise<Turn> {
  const side = { name: base, base, key: undefined };
  const asked = { ...body, stream: true, stream_options: { include_usage: true } };
  const limit = AbortSignal.timeout(ANSWER_MS);
  const streamed = await stream(side, "/v1/chat/completions", asked, undefined, limit);
  const events = streamed.events as ChunkEvent[];
  const error = events.find((event) => event.error !== undefined)?.error;
  if (error !== undefined) throw new Error(JSON.stringify(error).slice(0, 200));
  const texts = events.map(({ choices }) => choices?.[0]?.delta?.content ?? "");
  const first = texts.findIndex((text) => text !== "");
  if (!streamed.isDone || first < 0) throw new Error("a stream ended before it was done");
  const usage = events.findLast((event) => event.usage)?.usage;
  return {
    ttftMs: (streamed.atMs[first] as number) - streamed.sentMs,
    text: texts.join(""),
    promptTokens: usage?.prompt_tokens ?? 0,
    cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

async function converse(options: Options, model: string, run: string, policy: Policy) {
  const result: Run = { ttftMs: [], promptTokens: 0, cachedTokens: 0, seconds: 0, errors: [] };
  const shared = Array.from({ length: options.groups }, (_, group) =>
    words(seededRng(options.seed * 1_000 + group), options.shared),
  );
  const startMs = performance.now();
  let sent = 0;
  const one = async (conversation: number): Promise<void> => {
    const rng = seededRng(options.seed * 1_000_000 + conversation);
    const pause = () =>
      new Promise((resolve) => setTimeout(resolve, unit(rng) * 2 * options.thinkMs));
    const system = `${run} ${shared[conversation % options.groups]}`;
    const messages = [{ role: "system", content: system }];
    for (let at = 0; at < options.turns; at++) {
      await pause();
      messages.push({ role: "user", content: words(rng, options.said) });
      const body = { model, messages, max_tokens: options.answer, temperature: 0 };
      const turn = await say(policy(conversation, sent++), body);
      messages.push({ role: "assistant", content: turn.text });
      result.ttftMs.push(turn.ttftMs);
      result.promptTokens += turn.promptTokens;
      result.cachedTokens += turn.cachedTokens;
    }
  };
  const all = Array.from({ length: options.conversations }, (_, at) =>
    one(at).catch((error: Error) => result.errors.push(error.message)),
  );
  await Promise.all(all);
  result.seconds = (performance.now() - startMs) / 1_000;
  return result;
}

function endpointsOf({ engines, family, kvEvents }: Options) {
  return engines.map((url, at) => ({
    id: `engine-${at}`,
    url,
    engine: family,
    ...(kvEvents[at] === undefined ? {} : { kvEvents: { url: kvEvents[at] } }),
  }));
}

async function modelOf({ engines, model }: Options): Promise<string> {
  if (model !== undefined) return model;
  const response = await fetch(`${engines[0]}/v1/models`).catch(() => undefined);
  if (response?.ok !== true) throw new Error(`${engines[0]}/v1/models does not answer: --engines`);
  const list = (await response.json()) as { data: { id: string }[] };
  return (list.data[0] as { id: string }).id;
}

interface Row {
  policy: string;
  ttftMs: { mean: number; p50: number; p90: number; p99: number };
  cachedShare: number;
  seconds: number;
  turns: number;
  errors: string[];
}

function rowOf(policy: string, runs: Run[]): Row {
  const ttftMs = runs.flatMap((run) => run.ttftMs);
  const sum = (pick: (run: Run) => number) => runs.reduce((total, run) => total + pick(run), 0);
  return {
    policy,
    ttftMs: {
      mean: ttftMs.reduce((total, ms) => total + ms, 0) / ttftMs.length,
      p50: quantile(ttftMs, 0.5),
      p90: quantile(ttftMs, 0.9),
      p99: quantile(ttftMs, 0.99),
    },
    cachedShare: sum((run) => run.cachedTokens) / sum((run) => run.promptTokens),
    seconds: sum((run) => run.seconds),
    turns: ttftMs.length,
    errors: runs.flatMap((run) => run.errors),
  };
}

function table(rows: Row[]): string {
  const lines = rows.map(({ policy, ttftMs, cachedShare, seconds, turns, errors }) => {
    const times = [ttftMs.mean, ttftMs.p50, ttftMs.p90, ttftMs.p99].map((ms) => ms.toFixed(1));
    const cells = [...times, cachedShare.toFixed(3), seconds.toFixed(1), turns, errors.length];
    return policy.padEnd(14) + cells.map((cell) => String(cell).padStart(10)).join("");
  });
  const heads = ["ttft mean", "p50", "p90", "p99 ms", "cached", "seconds", "turns", "errors"];
  return ["policy".padEnd(14) + heads.map((head) => head.padStart(10)).join(""), ...lines].join(
    "\n",
  );
}

async function main(): Promise<number> {
  const options = readOptions();
  const { engines, seed } = options;
  const model = await modelOf(options);
  const pop = await startPop({ endpoints: endpointsOf(options) });
  const policies: [name: string, policy: Policy][] = [
    ["gridpoint", () => pop.base],
    ["round robin", (_, sent) => engines[sent % engines.length] as string],
    ["session hash", (conversation) => engines[hash(conversation) % engines.length] as string],
  ];
  const runs = new Map(policies.map(([name]): [string, Run[]] => [name, []]));
  try {
    // What the engines compile and the PoP learns in its first minute is not measured.
    const few = { ...options, conversations: Math.min(options.conversations, 8), turns: 2 };
    for (const [name, policy] of policies) await converse(few, model, `${seed}.${name}`, policy);
    for (let round = 0; round < options.rounds; round++) {
      for (const [name, policy] of round % 2 === 0 ? policies : [...policies].reverse()) {
        const label = `${seed}.${round}.${name}`;
        runs.get(name)?.push(await converse(options, model, label, policy));
      }
    }
  } finally {
    await pop.stop();
  }
  const rows = policies.map(([name]) => rowOf(name, runs.get(name) as Run[]));
  console.log(options.json ? JSON.stringify({ options, model, rows }, null, 2) : table(rows));
  for (const error of new Set(rows.flatMap(({ errors }) => errors))) console.error(error);
  return rows.every(({ errors }) => errors.length === 0) ? 0 : 1;
}

/** Spreads consecutive numbers (Knuth's multiplicative hash). */
function hash(number: number): number {
  return Math.imul(number + 1, 2_654_435_761) >>> 8;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
