/** Answers through the PoP are the engine's own: text, usage, ids, errors. */
import { expectSame, expectThat, NotOffered, type Report, whole } from "./live-report.ts";
import {
  type Answer,
  ask,
  good,
  type Json,
  type Live,
  type Side,
  stateOf,
  stream,
  type Usage,
  user,
} from "./live-scene.ts";
import { metric } from "./pop-process.ts";

const MAX_TOKENS = 24;
export const EXACT = { temperature: 0, seed: 1, max_tokens: MAX_TOKENS };
const MESSAGES = [user("Name three colours of the sky.")];
const CHAT = "/v1/chat/completions";

export interface Choice {
  message: { content: string | null; tool_calls?: { function: { arguments: string } }[] };
  finish_reason: string;
}

export async function checkAnswers(live: Live, report: Report): Promise<void> {
  await report.check("chat, plain, as the engine's own", () => chatPlain(live));
  await report.check("chat, streamed, as the engine's own", () => chatStreamed(live));
  await report.check("a stream without usage asked for", () => withoutUsage(live));
  await report.check("usage in every chunk", () => everyUsage(live));
  await report.check("prompts as ids, and several at once", () => promptForms(live));
  await report.check("completions, plain and streamed", () => completions(live));
  await report.check("embeddings", () => embeddings(live));
  await report.check("unknown fields reach it", () => unknownFields(live));
  await report.check("a tool call", () => toolCall(live));
  await report.check("a JSON schema", () => jsonSchema(live));
  await report.check("bad input comes back in its words", () => badInputs(live));
  await report.check("bad input in streams marks nothing down", () => badStreams(live));
}

const body = (live: Live, more: Json = {}) => ({
  model: live.model,
  messages: MESSAGES,
  ...EXACT,
  ...more,
});

/**
 * What the engine says to a body when its cache is warm, twice. Batches and reused blocks round
 * otherwise than a cold prefill, so that only an engine that repeats itself can be compared with.
 */
export async function ownAnswer(
  live: Live,
  path: string,
  sent: Json,
): Promise<[Answer & { json: Json }, boolean]> {
  await good(live.engine, path, sent);
  const [one, two] = [await good(live.engine, path, sent), await good(live.engine, path, sent)];
  const said = ({ json }: Answer) => JSON.stringify(json?.choices ?? json?.data);
  return [two, said(one) === said(two)];
}

const usageOf = (json: Json | undefined) => json?.usage as Usage | undefined;

export function counts(usage: Usage | undefined): [number | undefined, number | undefined] {
  return [usage?.prompt_tokens, usage?.completion_tokens];
}

const REPEATS = (isSame: boolean) => (isSame ? "same text" : "the engine does not repeat itself");

async function chatPlain(live: Live): Promise<string> {
  const [own, repeats] = await ownAnswer(live, CHAT, body(live));
  const ours = await good(live.door, CHAT, body(live));
  if (repeats) expectSame(ours.json.choices, own.json.choices, "choices");
  expectSame(Object.keys(ours.json ?? {}), Object.keys(own.json ?? {}), "fields");
  expectSame(ours.json.usage, own.json.usage, "usage");
  return `${REPEATS(repeats)}, usage ${counts(usageOf(ours.json)).join(" + ")}`;
}

const STREAM = { stream: true, stream_options: { include_usage: true } };

interface Delta {
  choices: { delta?: { content?: string | null }; text?: string }[];
  usage?: Usage | null;
}

export function textOf(events: readonly Json[]): string {
  const list = events as unknown as Delta[];
  return list
    .map(({ choices }) => choices?.[0]?.delta?.content ?? choices?.[0]?.text ?? "")
    .join("");
}

export function lastUsage(events: readonly Json[]): Usage | undefined {
  return (events as unknown as Delta[]).findLast(({ usage }) => usage)?.usage ?? undefined;
}

async function chatStreamed(live: Live): Promise<string> {
  const sent = body(live, STREAM);
  await stream(live.engine, CHAT, sent);
  const own = await stream(live.engine, CHAT, sent);
  const ours = await stream(live.door, CHAT, sent);
  expectThat(ours.isDone && ours.broken === undefined, `no clean end: ${ours.broken}`);
  const [, repeats] = await ownAnswer(live, CHAT, body(live));
  if (repeats) expectSame(textOf(ours.events), textOf(own.events), "text");
  expectSame(counts(lastUsage(ours.events)), counts(lastUsage(own.events)), "usage");
  expectThat(textOf(ours.events) !== "", "no text");
  const shape = (events: Json[]) => [...new Set(events.map((event) => Object.keys(event).join()))];
  expectSame(shape(ours.events), shape(own.events), "fields of chunks");
  return `${REPEATS(repeats)}, ${ours.events.length} chunks (own: ${own.events.length})`;
}

async function withoutUsage(live: Live): Promise<string> {
  const sent = body(live, { stream: true });
  const own = await stream(live.engine, CHAT, sent);
  const ours = await stream(live.door, CHAT, sent);
  const has = ({ events }: { events: Json[] }) => events.some(({ usage }) => usage != null);
  expectSame(has(ours), has(own), "usage shown");
  expectThat(ours.isDone, "no [DONE]");
  expectThat(
    ours.events.every(({ choices }) => (choices as Json[]).length > 0),
    "an empty chunk",
  );
  return `${ours.events.length} chunks, usage ${has(own) ? "shown" : "not shown"}`;
}

/** vLLM's addition: counts so far in every chunk. They must not be added up. */
async function everyUsage(live: Live): Promise<string> {
  const options = { stream_options: { include_usage: true, continuous_usage_stats: true } };
  const sent = body(live, { stream: true, ...options });
  const own = await stream(live.engine, CHAT, sent);
  const ofChunks = own.events.filter(({ usage, choices }) => usage && (choices as Json[]).length);
  if (ofChunks.length < 2) throw new NotOffered("no continuous_usage_stats");
  const before = await metric(live.pop, "gridpoint_tokens_total");
  const ours = await stream(live.door, CHAT, sent);
  const usage = lastUsage(ours.events);
  expectSame(counts(usage), counts(lastUsage(own.events)), "usage");
  const counted = (await metric(live.pop, "gridpoint_tokens_total")) - before;
  const cached = usage?.prompt_tokens_details?.cached_tokens ?? 0;
  const wanted = (usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0) + cached;
  expectSame(counted, wanted, "tokens counted");
  return `${ofChunks.length} chunks with usage, ${counted} tokens counted once`;
}

async function promptForms(live: Live): Promise<string> {
  const path = "/v1/completions";
  const forms: Record<string, unknown> = {
    ids: [40, 41, 42, 43, 44],
    "two texts": ["Once upon", "There was"],
    "two of ids": [
      [40, 41, 42],
      [43, 44],
    ],
  };
  const seen: string[] = [];
  for (const [name, prompt] of Object.entries(forms)) {
    const sent = { model: live.model, prompt, ...EXACT };
    const own = await ask(live.engine, "POST", path, sent);
    const ours = await ask(live.door, "POST", path, sent);
    expectSame(ours.status, own.status, `${name}, status`);
    if (own.status !== 200) continue;
    expectSame(counts(usageOf(ours.json)), counts(usageOf(own.json)), `${name}, usage`);
    const choices = (json: Json | undefined) => ((json?.choices ?? []) as unknown[]).length;
    expectSame(choices(ours.json), choices(own.json), `${name}, choices`);
    seen.push(name);
  }
  if (seen.length === 0) throw new NotOffered("text only");
  return seen.join(", ");
}

async function completions(live: Live): Promise<string> {
  const path = "/v1/completions";
  const sent = { model: live.model, prompt: "Once upon a time", ...EXACT };
  const [own, repeats] = await ownAnswer(live, path, sent);
  const ours = await good(live.door, path, sent);
  if (repeats) expectSame(ours.json.choices, own.json.choices, "choices");
  expectSame(counts(usageOf(ours.json)), counts(usageOf(own.json)), "usage");
  const streamed = await stream(live.door, path, { ...sent, ...STREAM });
  const [choice] = ours.json.choices as { text: string }[];
  expectThat(streamed.isDone, "the stream has no [DONE]");
  if (repeats) {
    expectSame(whole(textOf(streamed.events)), whole(choice?.text), "streamed text");
  }
  return `${REPEATS(repeats)}, usage ${counts(usageOf(ours.json)).join(" + ")}`;
}

/** What an engine without it answers to one. */
const ABSENT = [400, 404, 405, 501];

async function embeddings(live: Live): Promise<string> {
  const path = "/v1/embeddings";
  const sent = { model: live.model, input: ["sky", "sea"] };
  const own = await ask(live.engine, "POST", path, sent);
  const ours = await ask(live.door, "POST", path, sent);
  if (ABSENT.includes(own.status)) {
    expectThat(ours.status >= 400, `the PoP answered ${ours.status}`);
    throw new NotOffered(`it answers ${own.status}, the PoP ${ours.status}`);
  }
  expectSame(ours.status, own.status, "status");
  expectSame(ours.json?.data, own.json?.data, "data");
  return `${((ours.json?.data ?? []) as unknown[]).length} vectors, the same`;
}

/** A field of the family's own that shows in the answer, and where. */
const OWN_FIELDS: Record<string, [fields: Json, seen: (choice: Json, whole: Json) => unknown]> = {
  vllm: [{ return_token_ids: true }, (choice, whole) => [choice.token_ids, whole.prompt_token_ids]],
  sglang: [{ return_token_ids: true }, (choice) => choice.token_ids],
  "llama.cpp": [{ grammar: 'root ::= "yes" "yes"' }, ({ message }) => message],
};

async function unknownFields(live: Live): Promise<string> {
  const own = OWN_FIELDS[live.options.engine];
  if (own === undefined) throw new NotOffered("no field of its own is known here");
  const [fields, seen] = own;
  const read = async (side: Side) => {
    const { json } = await good(side, CHAT, body(live, fields));
    return seen((json.choices as Json[])[0] as Json, json);
  };
  await read(live.engine);
  const [wanted, given] = [await read(live.engine), await read(live.door)];
  expectSame(given, wanted, "what the field brings");
  const shown = JSON.stringify(given);
  expectThat(shown !== undefined && shown !== "[null,null]", "the engine ignores the field");
  return `${Object.keys(fields).join()}: ${shown.slice(0, 60)}`;
}

const PARAMETERS = {
  type: "object",
  properties: { ok: { type: "boolean" }, size: { enum: ["small", "large"] } },
  required: ["ok", "size"],
  additionalProperties: false,
};

function holds(text: string): void {
  const value = JSON.parse(text) as Json;
  expectThat(typeof value.ok === "boolean", `not of the schema: ${text}`);
  expectThat(["small", "large"].includes(String(value.size)), `not of the schema: ${text}`);
}

const named = (name: string) => ({ type: "function", function: { name } });
const TOOLS = [{ type: "function", function: { name: "report", parameters: PARAMETERS } }];

async function toolCall(live: Live): Promise<string> {
  const sent = body(live, { tools: TOOLS, tool_choice: named("report"), max_tokens: 200 });
  const own = await ask(live.engine, "POST", CHAT, sent);
  if (own.status !== 200) throw new NotOffered(`it answers ${own.status}: ${own.text}`);
  const wanted = callOf(own.json);
  if (wanted === undefined) throw new NotOffered(`it answers without a call: ${own.text}`);
  const ours = callOf((await good(live.door, CHAT, sent)).json);
  expectThat(ours !== undefined, "the call is lost");
  const streamed = await stream(live.door, CHAT, { ...sent, ...STREAM });
  const pieces = streamed.text.match(/"arguments":\s*"(?:[^"\\]|\\.)*"/g) ?? [];
  const joined = pieces.map((piece) => (JSON.parse(`{${piece}}`) as Json).arguments).join("");
  // A small model may well call the tool with what the schema does not have: that is its affair.
  const repeats = callOf((await good(live.engine, CHAT, sent)).json) === wanted;
  if (repeats) expectSame([ours, joined], [wanted, wanted], "arguments, plain and streamed");
  return `${ours.replace(/\s+/g, " ")}, streamed in ${pieces.length}`;
}

const callOf = (json: Json | undefined): string | undefined =>
  ((json?.choices ?? []) as Choice[])[0]?.message.tool_calls?.[0]?.function.arguments;

async function jsonSchema(live: Live): Promise<string> {
  const format = { name: "report", strict: true, schema: PARAMETERS };
  const asked = { response_format: { type: "json_schema", json_schema: format } };
  const sent = body(live, { ...asked, max_tokens: 200 });
  const own = await ask(live.engine, "POST", CHAT, sent);
  if (own.status !== 200) throw new NotOffered(`it answers ${own.status}: ${own.text}`);
  const ours = await good(live.door, CHAT, sent);
  const text = (ours.json.choices as Choice[])[0]?.message.content ?? "";
  holds(text);
  return text.replace(/\s+/g, " ");
}

/** Each is well-formed for a proxy and wrong for an engine. */
const BAD: [what: string, fields: Json][] = [
  ["temperature -1", { temperature: -1 }],
  ["top_p 7", { top_p: 7 }],
  ["top_k -5", { top_k: -5 }],
  ["min_tokens above max_tokens", { min_tokens: 1_000 }],
  ["logit_bias beyond its words", { logit_bias: { 99999999: 1 } }],
  ["a prompt beyond the context", {}],
  ["max_tokens beyond it", { max_tokens: 10_000_000 }],
  ["an unknown role", { messages: [{ role: "user", content: [{ type: "text" }] }] }],
];

async function badInputs(live: Live): Promise<string> {
  const before = (await stateOf(live.pop)).endpoint;
  const context = before.contextTokens ?? 0;
  const seen: string[] = [];
  for (const [what, fields] of BAD) {
    const long = fields.messages === undefined && Object.keys(fields).length === 0;
    if (long && (context === 0 || context > 300_000)) continue;
    const messages = long ? { messages: [user("word ".repeat(context * 2))] } : {};
    const sent = body(live, { ...fields, ...messages });
    const own = await ask(live.engine, "POST", CHAT, sent);
    if (own.status < 400) continue;
    const ours = await ask(live.door, "POST", CHAT, sent);
    const message = messageOf(own.json);
    expectThat(ours.status >= 400 && ours.status < 500, `${what}: ${ours.status} ${ours.text}`);
    // What the PoP refuses itself it says in its own words.
    const isOwn = !/endpoint=live/.test(ours.headers.get("x-grid-route") ?? "");
    if (!isOwn) {
      expectSame(ours.status, own.status, `${what}, status`);
      expectSame(messageOf(ours.json), message, `${what}, message`);
    }
    seen.push(`${what} ${ours.status}${isOwn ? " by the PoP" : ""}`);
  }
  const { endpoint } = await stateOf(live.pop);
  expectSame(endpoint.phase, "ready", "phase afterwards");
  expectSame(endpoint.failures, before.failures, "failures counted");
  await good(live.door, CHAT, body(live));
  if (seen.length === 0) throw new NotOffered("it takes everything");
  return seen.join(", ");
}

/** Some engines begin a stream with 200 before they have looked at all of the request. */
const BAD_SCHEMA = { name: "x", schema: { type: "nonsense" } };
const BAD_TIMES = 5;

async function badStreams(live: Live): Promise<string> {
  const asked = { response_format: { type: "json_schema", json_schema: BAD_SCHEMA } };
  const sent = body(live, { ...asked, stream: true });
  const own = await ask(live.engine, "POST", CHAT, sent);
  const message = messageOf(own.json) ?? /"message": ?"((?:[^"\\]|\\.)*)"/.exec(own.text)?.[1];
  if (message === undefined) throw new NotOffered("it takes any schema");
  const before = (await stateOf(live.pop)).endpoint.failures;
  for (let time = 0; time < BAD_TIMES; time++) {
    const ours = await ask(live.door, "POST", CHAT, sent);
    expectThat(ours.status >= 400 && ours.status < 500, `${ours.status} ${ours.text}`);
    const words = (text: string | undefined) => text?.replaceAll("\\", "");
    const told = words(messageOf(ours.json)) ?? "";
    expectThat(told.includes(words(message) ?? ""), `its words are lost: ${ours.text}`);
  }
  const { endpoint } = await stateOf(live.pop);
  expectSame([endpoint.phase, endpoint.failures], ["ready", before], "phase and failures");
  await good(live.door, CHAT, body(live));
  return `${own.status} of its own is 400 here, ${BAD_TIMES} times: ${message.slice(0, 80)}`;
}

const messageOf = (json: Json | undefined): string | undefined =>
  (json?.error as Json | undefined)?.message as string | undefined;
