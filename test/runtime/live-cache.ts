/** What the engine's cache holds, by its answers: `cached_tokens` against what the PoP predicts. */
import { errorPercent, prose, seeded, type Asked } from "./kv-scene.ts";
import { expectThat, NotOffered, type Report } from "./live-report.ts";
import {
  ask,
  explain,
  good,
  type Json,
  type Live,
  type Message,
  stateOf,
  type Usage,
  user,
} from "./live-scene.ts";
import { metric } from "./pop-process.ts";

const CHAT = "/v1/chat/completions";
export const LIMIT_PERCENT = 2;
/** Of the engine's context: a document with its question. */
const DOCUMENT_SHARE = 0.5;
const random = seeded(Date.now());

export async function checkCache(live: Live, report: Report): Promise<void> {
  await report.check("a repeated prompt is cached, and said so", () => cachedTokens(live));
  await report.check("lengths of prompts are learned", () => learnLengths(live));
  await report.check("hits are predicted", () => predicted(live));
  await report.check("explain tells the same", () => explained(live));
  await report.check("a conversation's turns are predicted", () => conversation(live));
  await report.check("a salted prompt is another prompt", () => salted(live));
  await report.check("ids of prompts come from the engine", () => tokenized(live));
}

/** Characters of a text of about so many tokens: by what the engine makes of a sample. */
const ratios = new WeakMap<Live, number>();
async function charactersPerToken(live: Live): Promise<number> {
  const known = ratios.get(live);
  if (known !== undefined) return known;
  const sample = prose(random, 400);
  const { json } = await good(live.engine, CHAT, bodyOf(live, [user(sample)], 1));
  const ratio = sample.length / (json.usage as Usage).prompt_tokens;
  ratios.set(live, ratio);
  return ratio;
}

export async function document(live: Live, share = DOCUMENT_SHARE): Promise<Message> {
  const context = Math.min((await stateOf(live.pop)).endpoint.contextTokens ?? 4_096, 8_192);
  const characters = Math.floor(context * share * (await charactersPerToken(live)));
  return { role: "system", content: prose(random, characters) };
}

export const question = (): Message => user(prose(random, 60));

export const bodyOf = (live: Live, messages: Message[], maxTokens = 4): Json => ({
  ...{ model: live.model, messages, max_tokens: maxTokens, temperature: 0 },
});

/** One chat request through the PoP: what was predicted, what the engine reported. */
export async function hit(live: Live, messages: Message[], more: Json = {}): Promise<Asked> {
  return hitOf(await good(live.door, CHAT, { ...bodyOf(live, messages), ...more }));
}

function hitOf({ json, headers }: { json: Json; headers: Headers }): Asked {
  const usage = json.usage as Usage;
  const route = headers.get("x-grid-route") ?? "";
  const cached = usage.prompt_tokens_details?.cached_tokens;
  if (typeof cached !== "number") throw new NotOffered(NO_COUNT);
  return {
    ...{ endpoint: "live", cached, prompt: usage.prompt_tokens },
    predicted: Number(/hit=(\d+)/.exec(route)?.[1] ?? 0),
  };
}

const NO_COUNT = "no cached_tokens in usage (vLLM: --enable-prompt-tokens-details)";

async function cachedTokens(live: Live): Promise<string> {
  const messages = [await document(live), question()];
  const [cold, warm] = [await hit(live, messages), await hit(live, messages)];
  expectThat(cold.cached < cold.prompt / 10, `cold: ${cold.cached} of ${cold.prompt} cached`);
  expectThat(warm.cached > warm.prompt * 0.8, `warm: ${warm.cached} of ${warm.prompt} cached`);
  const { json } = await good(live.engine, CHAT, bodyOf(live, messages));
  const own = (json.usage as Usage).prompt_tokens_details?.cached_tokens;
  return `${cold.cached}, then ${warm.cached} of ${warm.prompt}; asked directly ${own}`;
}

/** Documents that fit together into the smallest caches that people run. */
const DOCUMENTS = 4;
const ROUNDS = 5;

/**
 * With KV events a match is known to the token. Without, it is known in whole chunks, and how many
 * tokens those are is learned from the lengths of prompts: from far off (a model of one byte per
 * token) that takes its time.
 */
async function allowedPercent(live: Live, promptTokens: number): Promise<number> {
  const isKnown = live.options.kvEvents !== undefined;
  return LIMIT_PERCENT + (isKnown ? 0 : await chunkPercent(live, promptTokens));
}

/** A chunk as a share of a prompt. */
export async function chunkPercent(live: Live, promptTokens: number): Promise<number> {
  return (CHUNK_BYTES / (await charactersPerToken(live)) / promptTokens) * 100;
}

const LENGTHS = 150;

/** Short prompts until the PoP's estimate of their length is right. */
async function learnLengths(live: Live): Promise<string> {
  for (let asked = 1; asked <= LENGTHS; asked++) {
    const messages = [user(prose(random, 600))];
    const told = await ask(live.door, "POST", "/grid/explain", bodyOf(live, messages, 1));
    const { json } = await good(live.door, CHAT, bodyOf(live, messages, 1));
    const { prompt_tokens: tokens } = json.usage as Usage;
    const estimate = Number(told.json?.promptTokens);
    const off = Math.abs(estimate - tokens) / tokens;
    if (off < 0.03) return `${estimate.toFixed(0)} of ${tokens} after ${asked} answers`;
  }
  throw new Error(`the estimated length of prompts is over 3 % off after ${LENGTHS} answers`);
}

async function predicted(live: Live): Promise<string> {
  const shared: Message[] = [];
  for (let at = 0; at < DOCUMENTS; at++) shared.push(await document(live, 0.35));
  const first: Asked[] = [];
  const learned: Asked[] = [];
  const names = ["observed", "predicted"].map((kind) => `kind="${kind}"`);
  const before = await prefixMetrics(live, names);
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of shared)
      (round < 2 ? first : learned).push(await hit(live, [one, question()]));
  }
  const after = await prefixMetrics(live, names);
  const cached = [...first, ...learned].reduce((sum, one) => sum + one.cached, 0);
  const told = after.map((value, at) => value - (before[at] as number));
  expectThat(told[0] === cached, `the metric says ${told[0]} cached, the answers ${cached}`);
  const percent = errorPercent(learned);
  const share = learned.reduce((sum, one) => sum + one.cached / one.prompt, 0) / learned.length;
  const found = `error ${percent.toFixed(2)} % of prompt tokens after two rounds`;
  const allowed = await allowedPercent(live, learned[0]?.prompt ?? 1);
  expectThat(percent < allowed, `${found}: ${JSON.stringify(learned.slice(-3))}`);
  return `${found} (${errorPercent(first).toFixed(2)} before), hits ${(share * 100).toFixed(0)} %`;
}

async function prefixMetrics({ pop }: Live, labels: readonly string[]): Promise<number[]> {
  const page = await pop.text("/metrics");
  return labels.map((label) => {
    const line = new RegExp(`^gridpoint_prefix_hit_tokens_total\\{${label}\\} (\\S+)$`, "m");
    return Number(line.exec(page)?.[1] ?? 0);
  });
}

const TURNS = 6;

/** Each turn brings all before it, the answers too: they are cached as they were decoded. */
async function conversation(live: Live): Promise<string> {
  const messages = [await document(live, 0.2)];
  const asked: Asked[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    messages.push(user(prose(random, 200)));
    const answer = await good(live.door, CHAT, bodyOf(live, messages, TURN_TOKENS));
    asked.push(hitOf(answer));
    const content = (answer.json.choices as { message: Message }[])[0]?.message.content ?? "";
    messages.push({ role: "assistant", content });
    await settled();
  }
  const late = asked.slice(2);
  const off = late.map(({ predicted, cached }) => predicted - cached);
  const most = (CHUNK_BYTES / (await charactersPerToken(live))) * 1.5 + TURN_TOKENS;
  const found = `off by ${off.join(", ")} tokens of ${late.at(-1)?.prompt}`;
  const worst = Math.max(...off.map(Math.abs));
  expectThat(worst <= most, `${found}; one chunk and the answer would be ${most.toFixed(0)}`);
  return `${found}, error ${errorPercent(late).toFixed(2)} %`;
}

/**
 * The default of kernel.chunkBytes: a turn is new, so that how far its match goes on past the last
 * whole chunk is never known before.
 */
const CHUNK_BYTES = 512;
const TURN_TOKENS = 32;
/** Events of a request come a moment after its end. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 700));

async function salted(live: Live): Promise<string> {
  const messages = [await document(live), question()];
  const salt = { cache_salt: `salt-${Math.floor(random() * 1e9)}` };
  const own = await ask(live.engine, "POST", CHAT, { ...bodyOf(live, [question()]), ...salt });
  if (own.status !== 200) throw new NotOffered(`cache_salt is answered with ${own.status}`);
  await hit(live, messages);
  const plain = await hit(live, messages);
  await settled();
  const first = await hit(live, messages, salt);
  if (first.cached > 0) throw new NotOffered("cache_salt has no effect there");
  expectThat(first.predicted === 0, `${first.predicted} tokens predicted for another salt`);
  await settled();
  const again = await hit(live, messages, salt);
  const off = Math.abs(again.predicted - again.cached);
  const found = `predicted ${again.predicted}, held ${again.cached} of ${again.prompt}`;
  expectThat(again.cached > 0 && off / again.prompt < (2 * LIMIT_PERCENT) / 100, found);
  return `unsalted ${plain.cached}, another salt 0, the same again: ${found}`;
}

async function explained(live: Live): Promise<string> {
  const shared = await document(live);
  for (let round = 0; round < 3; round++) await hit(live, [shared, question()]);
  const messages = [shared, question()];
  const { matchedTokens } = await explain(live, bodyOf(live, messages));
  const { cached, prompt } = await hit(live, messages);
  const off = Math.abs(matchedTokens - cached);
  const found = `explain ${matchedTokens.toFixed(0)}, engine ${cached} of ${prompt}`;
  expectThat((off / prompt) * 100 < (await allowedPercent(live, prompt)), found);
  return found;
}

async function tokenized(live: Live): Promise<string> {
  const { endpoint, kvKnowledge } = await stateOf(live.pop);
  if (endpoint.kvEvents === null) throw new NotOffered("ids are asked for with KV events only");
  const messages = [await document(live), question()];
  const { prompt } = await hit(live, messages);
  const own = await ask(live.engine, "POST", "/tokenize", bodyOf(live, messages));
  const after = await eventuallyKnown(live, kvKnowledge.chunks);
  const asked = after.tokenized - kvKnowledge.tokenized;
  const failures = after.tokenizeFailures - kvKnowledge.tokenizeFailures;
  expectThat(failures === 0, `${failures} of the PoP's questions for ids failed`);
  const way = asked > 0 ? "its tokenizer" : "the answer";
  if (own.status !== 200) return `${after.chunks - kvKnowledge.chunks} chunks by ${way}`;
  const { count } = own.json as { count: number };
  expectThat(count === prompt, `/tokenize counts ${count}, usage ${prompt}`);
  return `${after.chunks - kvKnowledge.chunks} chunks by ${way}; ${count} tokens = usage`;
}

async function eventuallyKnown({ pop }: Live, chunks: number) {
  const until = performance.now() + 5_000;
  for (;;) {
    const { kvKnowledge } = await stateOf(pop);
    if (kvKnowledge.chunks > chunks) return kvKnowledge;
    if (performance.now() > until) throw new Error("nothing was learned of the prompt's ids");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export const kvMetric = (live: Live, name: string) => metric(live.pop, `gridpoint_kv_${name}`);
