/** Fields of OpenAI bodies that are checked by a rule each; what they mean is read elsewhere. */
import { type BodyLimits, booleanField, invalid, isFields, kindOf } from "./body-fields.ts";
import { numberField } from "./body-fields.ts";
import {
  amount,
  count,
  type FieldRule,
  type FieldRules,
  flag,
  section,
  texts,
  words,
} from "./field-rules.ts";

export const KEY_LENGTH_MAX = 1_024;
const NAME_LENGTH_MAX = 256;
const TOKENS_MAX = 2 ** 31 - 1;
const LOGPROBS_MAX = 1_000;

const FORMAT: FieldRule = {
  schema: {
    type: ["object", "null"],
    properties: { type: { type: "string" } },
    required: ["type"],
    description: "json_schema with strict: true is held against the answer.",
  },
  check(format, name) {
    if (format === undefined || format === null) return;
    if (!isFields(format)) throw invalid(name, `must be an object, not ${kindOf(format)}`);
    if (typeof format.type === "string") return;
    throw invalid(`${name}.type`, `must be a string, not ${kindOf(format.type)}`);
  },
};

/** A count in completions; some clients send chat's boolean. */
const LOGPROBS_COUNT: FieldRule = {
  schema: {
    anyOf: [
      { type: "boolean" },
      { type: "integer", minimum: 0, maximum: LOGPROBS_MAX },
      { type: "null" },
    ],
  },
  check(value, name) {
    if (typeof value !== "boolean") numberField(value, name, 0, LOGPROBS_MAX, true);
  },
};

const LOGPROBS_FLAG: FieldRule = {
  schema: { type: ["boolean", "null"] },
  check: (value, name) => void booleanField(value, name),
};

/** What every route takes. */
export const COMMON: FieldRules = {
  prompt_cache_key: words(KEY_LENGTH_MAX, "Conversation to keep where its KV cache is."),
  service_tier: words(NAME_LENGTH_MAX, "flex = batch priority."),
};

const TOKENS = count(-1, TOKENS_MAX, "-1 is no bound, as with llama.cpp.");

/** The bounds are wider than OpenAI's: engines take more, and what they refuse they say. */
export function generationFields(chat: boolean, limits: BodyLimits): FieldRules {
  return {
    stream: flag(),
    temperature: amount(0, 100),
    top_p: amount(0, 1),
    presence_penalty: amount(-100, 100),
    frequency_penalty: amount(-100, 100),
    seed: amount(-(2 ** 63), 2 ** 64),
    stop: texts(limits.stops, true),
    stream_options: section("Left out, the PoP asks for usage itself and keeps it to itself."),
    top_logprobs: count(0, LOGPROBS_MAX),
    logprobs: chat ? LOGPROBS_FLAG : LOGPROBS_COUNT,
    response_format: FORMAT,
    n: count(1, limits.choices),
    max_tokens: TOKENS,
    max_completion_tokens: TOKENS,
    ...COMMON,
  };
}
