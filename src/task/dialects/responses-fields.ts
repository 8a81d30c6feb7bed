/** Fields of OpenAI Responses bodies that are checked by a rule each. */
import { BODY_LIMITS, booleanField, invalid } from "../body-fields.ts";
import {
  amount,
  count,
  type FieldRule,
  type FieldRules,
  fieldsRule,
  flag,
  list,
  prose,
  section,
  words,
} from "../field-rules.ts";

const TOKENS_MAX = 2 ** 31 - 1;
const TOP_LOGPROBS_MAX = 1_000;
const INCLUDES_MAX = 64;
const EFFORT_LENGTH_MAX = 32;
export const KEY_LENGTH_MAX = 1_024;
const TIER_LENGTH_MAX = 256;

const BACKGROUND: FieldRule = {
  schema: { enum: [false, null], description: "A response is read, or streamed, as it comes." },
  check(value, name) {
    if (!booleanField(value, name)) return;
    throw invalid(name, "is not supported here: leave it out and read the answer, or its stream");
  },
};

/** Read part by part where it is needed (`responses-settings.ts`); its outline is said here. */
const FORMAT: FieldRule = {
  schema: {
    type: ["object", "null"],
    properties: {
      type: { enum: ["text", "json_object", "json_schema"] },
      name: { type: "string" },
      schema: { type: "object" },
      strict: { type: ["boolean", "null"] },
    },
    description: "json_schema with strict: true is held against the answer.",
  },
  check: section().check,
};

export const RESPONSES_FIELDS: FieldRules = {
  stream: flag(),
  background: BACKGROUND,
  instructions: prose("Before the input, as the system's word."),
  max_output_tokens: count(1, TOKENS_MAX),
  temperature: amount(0, 100),
  top_p: amount(0, 1),
  presence_penalty: amount(-100, 100),
  frequency_penalty: amount(-100, 100),
  top_logprobs: count(0, TOP_LOGPROBS_MAX),
  include: list(INCLUDES_MAX, {}, "message.output_text.logprobs asks for log probabilities."),
  reasoning: fieldsRule({ effort: words(EFFORT_LENGTH_MAX) }),
  text: fieldsRule({ format: FORMAT }),
  previous_response_id: words(KEY_LENGTH_MAX, "Of a response that was stored, at any PoP."),
  prompt_cache_key: words(KEY_LENGTH_MAX, "Conversation to keep where its KV cache is."),
  service_tier: words(TIER_LENGTH_MAX, "flex = batch priority."),
  safety_identifier: words(KEY_LENGTH_MAX),
  user: words(KEY_LENGTH_MAX),
  tools: list(BODY_LIMITS.tools, {
    type: "object",
    required: ["type"],
    properties: { type: { type: "string" }, name: { type: "string" } },
  }),
};
