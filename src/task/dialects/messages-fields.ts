/** Fields of Anthropic Messages bodies that are checked by a rule each. */
import { BODY_LIMITS } from "../body-fields.ts";
import { amount, count, type FieldRules, flag, section, texts, words } from "../field-rules.ts";

const TOKENS_MAX = 2 ** 31 - 1;

export const MESSAGES_FIELDS: FieldRules = {
  max_tokens: count(1, TOKENS_MAX, "Required, but for count_tokens."),
  stream: flag(),
  temperature: amount(0, 100),
  top_p: amount(0, 1),
  top_k: count(0, TOKENS_MAX),
  stop_sequences: texts(BODY_LIMITS.stops, false),
  metadata: section(),
  tool_choice: section(),
  thinking: section(),
  output_config: section("format.type json_schema is held against the answer."),
  inference_geo: words(32, "Where the data may go, as x-grid-region."),
};
