/**
 * An OpenAI request body, read once: JSON.parse, the few fields that routing needs, the canonical
 * prompt. Everything else reaches the engine untouched, because the bytes that go on are the
 * caller's own; the one change we make (asking for usage in a stream) is a splice. Fields are
 * checked as far as a wrong one would make the decision wrong or the engine fail late; a field
 * that only the engine knows is the engine's to judge. No walk of ours goes deeper than a field
 * says, so nesting costs no stack.
 */
import { CAPABILITY } from "../grid/endpoint.ts";
import {
  BODY_LIMITS,
  type BodyLimits,
  booleanField,
  type Fields,
  invalid,
  isFields,
  kindOf,
  numberField,
  stringField,
} from "./body-fields.ts";
import { type Decode, modelOf, readJsonBody, withoutMark } from "./json-body.ts";
import { chatPrompt, inputPrompt, type Prompt, toolsPrompt } from "./openai-prompt.ts";
import type { Route } from "./route.ts";
import type { ParsedBody } from "./task.ts";

const NAME_LENGTH_MAX = 256;
const KEY_LENGTH_MAX = 1_024;
const TOKENS_MAX = 2 ** 31 - 1;
const BRACE = 0x7b;
const ASK_USAGE = codes('"stream_options":{"include_usage":true},');
const ASK_TOKEN_IDS = codes('"return_token_ids":true,');

function codes(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function checkStop(body: Fields, limits: BodyLimits): void {
  const stop = body.stop;
  if (stop === undefined || stop === null || typeof stop === "string") return;
  if (!Array.isArray(stop)) {
    throw invalid("stop", `must be a string or an array of strings, not ${kindOf(stop)}`);
  }
  if (stop.length > limits.stops) {
    throw invalid("stop", `must have at most ${limits.stops} strings, not ${stop.length}`);
  }
  for (let i = 0; i < stop.length; i++) {
    if (typeof stop[i] === "string") continue;
    throw invalid(`stop[${i}]`, `must be a string, not ${kindOf(stop[i])}`);
  }
}

/** The bounds are wider than OpenAI's: engines take more, and what they refuse they say. */
function checkSampling(body: Fields, limits: BodyLimits): void {
  numberField(body.temperature, "temperature", 0, 100, false);
  numberField(body.top_p, "top_p", 0, 1, false);
  numberField(body.presence_penalty, "presence_penalty", -100, 100, false);
  numberField(body.frequency_penalty, "frequency_penalty", -100, 100, false);
  numberField(body.seed, "seed", -(2 ** 63), 2 ** 64, false);
  checkStop(body, limits);
  const options = body.stream_options;
  if (options !== undefined && options !== null && !isFields(options)) {
    throw invalid("stream_options", `must be an object, not ${kindOf(options)}`);
  }
}

/** -1 is llama.cpp's "no bound": the same as saying nothing. */
function maxTokensOf(body: Fields): number | undefined {
  const { max_tokens: old, max_completion_tokens: current } = body;
  const fallback = numberField(old, "max_tokens", -1, TOKENS_MAX, true);
  const tokens = numberField(current, "max_completion_tokens", -1, TOKENS_MAX, true) ?? fallback;
  return tokens === -1 ? undefined : tokens;
}

/** `logprobs` is a boolean in chat and a count in completions. */
function logprobsNeed(body: Fields, route: Route): number {
  const top = numberField(body.top_logprobs, "top_logprobs", 0, 1_000, true) ?? 0;
  if (route === "chat") {
    return booleanField(body.logprobs, "logprobs") || top > 0 ? CAPABILITY.logprobs : 0;
  }
  const count = body.logprobs;
  if (typeof count === "boolean") return count ? CAPABILITY.logprobs : 0;
  const asked = numberField(count, "logprobs", 0, 1_000, true) !== undefined;
  return asked ? CAPABILITY.logprobs : 0;
}

/** The schema of `response_format` where it is strict. */
function strictSchema(body: Fields): unknown {
  const format = body.response_format;
  const described = isFields(format) && format.type === "json_schema" ? format.json_schema : {};
  return isFields(described) && described.strict === true ? described.schema : undefined;
}

function formatNeed(body: Fields): number {
  const format = body.response_format;
  if (format === undefined || format === null) return 0;
  if (!isFields(format)) {
    throw invalid("response_format", `must be an object, not ${kindOf(format)}`);
  }
  if (typeof format.type !== "string") {
    throw invalid("response_format.type", `must be a string, not ${kindOf(format.type)}`);
  }
  return format.type === "json_schema" ? CAPABILITY.jsonSchema : 0;
}

/** Puts a field behind the first brace; the body has a `model`, so a comma is right. */
function spliced(bytes: Uint8Array, field: Uint8Array): Uint8Array {
  const at = bytes.indexOf(BRACE) + 1;
  const body = new Uint8Array(bytes.length + field.length);
  body.set(bytes.subarray(0, at));
  body.set(field, at);
  body.set(bytes.subarray(at), at + field.length);
  return body;
}

/** The same request, which also asks for the prompt's token ids. */
export function askForTokenIds(body: Uint8Array): Uint8Array {
  return spliced(body, ASK_TOKEN_IDS);
}

function promptOf(route: Route, body: Fields, limits: BodyLimits): Prompt {
  if (route === "chat") {
    const prompt: Prompt = { pieces: [], needs: CAPABILITY.chat, inputs: 1 };
    toolsPrompt(prompt, body, limits);
    return chatPrompt(prompt, body.messages, limits);
  }
  const needs = route === "embeddings" ? CAPABILITY.embeddings : CAPABILITY.completions;
  const prompt: Prompt = { pieces: [], needs, inputs: 0 };
  const name = route === "embeddings" ? "input" : "prompt";
  return inputPrompt(prompt, body[name], name, limits);
}

function choicesOf(body: Fields, prompt: Prompt, limits: BodyLimits): number {
  const each = numberField(body.n, "n", 1, limits.choices, true) ?? 1;
  // Completions answer every prompt of an array with `n` choices.
  return each * prompt.inputs;
}

/**
 * @param bytes the body as it came; a byte order mark is taken off
 * @param decode fatal UTF-8 decoder; it throws on bytes that are not UTF-8
 * @throws GridError invalid_utf8, invalid_json, invalid_request; `param` names the field
 */
export function parseOpenAiBody(
  route: Route,
  bytes: Uint8Array,
  decode: Decode,
  limits: BodyLimits = BODY_LIMITS,
): ParsedBody {
  const own = withoutMark(bytes);
  const body = readJsonBody(own, decode);
  const model = modelOf(body);
  const generates = route !== "embeddings";
  const stream = generates && booleanField(body.stream, "stream");
  const prompt = promptOf(route, body, limits);
  let needs = prompt.needs;
  if (generates) {
    checkSampling(body, limits);
    needs |= logprobsNeed(body, route) | formatNeed(body);
  }
  const choices = generates ? choicesOf(body, prompt, limits) : 1;
  if (route === "chat" && choices > 1) needs |= CAPABILITY.choices;
  const options = body.stream_options;
  const usageAdded = stream && options === undefined;
  return {
    route,
    model,
    stream,
    body: usageAdded ? spliced(own, ASK_USAGE) : own,
    fields: body,
    prompt: prompt.pieces,
    needs,
    maxTokens: generates ? maxTokensOf(body) : 0,
    choices,
    usageAdded,
    schema: route === "chat" ? strictSchema(body) : undefined,
    usageShown: isFields(options) && options.include_usage === true,
    cacheKey: stringField(body.prompt_cache_key, "prompt_cache_key", KEY_LENGTH_MAX),
    serviceTier: stringField(body.service_tier, "service_tier", NAME_LENGTH_MAX),
  };
}
