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
  isFields,
} from "./body-fields.ts";
import { checkFields, type FieldRules } from "./field-rules.ts";
import { type Decode, modelOf, readJsonBody, withoutMark } from "./json-body.ts";
import { COMMON, generationFields } from "./openai-fields.ts";
import { chatPrompt, inputPrompt, type Prompt, toolsPrompt } from "./openai-prompt.ts";
import type { Route } from "./route.ts";
import type { ParsedBody } from "./task.ts";

const BRACE = 0x7b;
const ASK_USAGE = codes('"stream_options":{"include_usage":true},');
const ASK_TOKEN_IDS = codes('"return_token_ids":true,');

function codes(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** Built once per bounds: in production there is one set of them. */
const RULES = new WeakMap<BodyLimits, { chat: FieldRules; completions: FieldRules }>();

function rulesOf(route: Route, limits: BodyLimits): FieldRules {
  if (route === "embeddings") return COMMON;
  let rules = RULES.get(limits);
  if (rules === undefined) {
    const chat = generationFields(true, limits);
    rules = { chat, completions: generationFields(false, limits) };
    RULES.set(limits, rules);
  }
  return route === "chat" ? rules.chat : rules.completions;
}

const numberOf = (value: unknown): number | undefined =>
  typeof value === "number" ? value : undefined;
const textOf = (value: unknown): string | undefined =>
  typeof value === "string" ? value : undefined;

/** -1 is llama.cpp's "no bound": the same as saying nothing. */
function maxTokensOf(body: Fields): number | undefined {
  const tokens = numberOf(body.max_completion_tokens) ?? numberOf(body.max_tokens);
  return tokens === -1 ? undefined : tokens;
}

/** `logprobs` is a boolean in chat and a count in completions. */
function logprobsNeed(body: Fields, route: Route): number {
  const { logprobs, top_logprobs: top } = body;
  const asked =
    route === "chat"
      ? logprobs === true || (numberOf(top) ?? 0) > 0
      : logprobs === true || numberOf(logprobs) !== undefined;
  return asked ? CAPABILITY.logprobs : 0;
}

/** The schema of `response_format` where it is strict. */
function strictSchema(body: Fields): unknown {
  const format = body.response_format;
  const described = isFields(format) && format.type === "json_schema" ? format.json_schema : {};
  return isFields(described) && described.strict === true ? described.schema : undefined;
}

function formatNeed({ response_format: format }: Fields): number {
  return isFields(format) && format.type === "json_schema" ? CAPABILITY.jsonSchema : 0;
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

function choicesOf(body: Fields, prompt: Prompt): number {
  const each = numberOf(body.n) ?? 1;
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
  checkFields(body, rulesOf(route, limits));
  if (generates) {
    needs |= logprobsNeed(body, route) | formatNeed(body);
  }
  const choices = generates ? choicesOf(body, prompt) : 1;
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
    cacheKey: textOf(body.prompt_cache_key),
    serviceTier: textOf(body.service_tier),
  };
}
