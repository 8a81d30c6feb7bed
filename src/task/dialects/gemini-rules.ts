/** Fields of Gemini bodies that are checked by a rule each; snake_case names count as well. */
import { BODY_LIMITS } from "../body-fields.ts";
import {
  amount,
  count,
  type FieldRules,
  fieldsRule,
  flag,
  list,
  section,
  texts,
} from "../field-rules.ts";
import { named } from "./gemini-fields.ts";

const TOKENS_MAX = 2 ** 31 - 1;
const TOP_LOGPROBS_MAX = 20;
const MODALITIES_MAX = 16;
const DIMENSIONS_MAX = 65_536;

const THINKING: FieldRules = {
  thinkingBudget: count(-1, TOKENS_MAX, "0 turns thinking off, -1 leaves it to the model."),
};

const GENERATION: FieldRules = {
  maxOutputTokens: count(1, TOKENS_MAX),
  candidateCount: count(1, BODY_LIMITS.choices),
  temperature: amount(0, 100),
  topP: amount(0, 1),
  topK: count(0, TOKENS_MAX),
  presencePenalty: amount(-100, 100),
  frequencyPenalty: amount(-100, 100),
  seed: count(-(2 ** 63), 2 ** 64),
  stopSequences: texts(BODY_LIMITS.stops, false),
  responseLogprobs: flag(),
  logprobs: count(0, TOP_LOGPROBS_MAX),
  responseModalities: list(MODALITIES_MAX, {}, "What is not TEXT needs an engine of Google's own."),
  thinkingConfig: fieldsRule(THINKING, named),
};

/** Of generateContent, streamGenerateContent and what countTokens may be given. */
export const GEMINI_FIELDS: FieldRules = {
  generationConfig: fieldsRule(
    GENERATION,
    named,
    "responseSchema and responseJsonSchema are held against the answer.",
  ),
  toolConfig: section("functionCallingConfig: mode and allowedFunctionNames."),
};

export const GEMINI_EMBED_FIELDS: FieldRules = {
  outputDimensionality: count(1, DIMENSIONS_MAX),
};
