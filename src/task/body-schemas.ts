/**
 * JSON Schemas of the bodies that the doors take: the rules that check single fields say theirs
 * themselves; what is checked part by part stands in `body-parts.ts`.
 */
import { BODY_LIMITS } from "./body-fields.ts";
import * as parts from "./body-parts.ts";
import { GEMINI_EMBED_FIELDS, GEMINI_FIELDS } from "./dialects/gemini-rules.ts";
import { MESSAGES_FIELDS } from "./dialects/messages-fields.ts";
import { RESPONSES_FIELDS } from "./dialects/responses-fields.ts";
import { bodySchema, type JsonSchema } from "./field-rules.ts";
import { COMMON, generationFields } from "./openai-fields.ts";
import { HEADS } from "./openai-prompt.ts";
import type { Route } from "./route.ts";

const { MODEL, TOOLS, INPUT, messagesOf } = parts;

const CHAT = { model: MODEL, messages: messagesOf([...HEADS.keys()]), tools: TOOLS };
const MESSAGES = {
  model: MODEL,
  messages: messagesOf(["user", "assistant", "system"]),
  system: { description: "Text, or a list of text blocks." },
  tools: TOOLS,
};
const RESPONSES = { model: MODEL, input: parts.RESPONSES_INPUT };
/** Without input where something before it is continued, here or in the vendor's own store. */
const NEEDS_INPUT = {
  anyOf: ["input", "previous_response_id", "prompt", "conversation"].map((name) => {
    return { required: [name] };
  }),
};
const responses = { ...bodySchema(RESPONSES_FIELDS, RESPONSES, ["model"]), ...NEEDS_INPUT };
const GEMINI = {
  contents: parts.GEMINI_CONTENTS,
  systemInstruction: parts.GEMINI_SYSTEM,
  tools: parts.GEMINI_TOOLS,
};
const gemini = bodySchema(GEMINI_FIELDS, GEMINI, ["contents"]);
const embed = bodySchema(GEMINI_EMBED_FIELDS, { content: parts.GEMINI_TEXT }, ["content"]);
const EMBEDS = { type: "array", minItems: 1, maxItems: BODY_LIMITS.inputs, items: embed };

export const BODY_SCHEMAS: Readonly<Record<Route, JsonSchema>> = {
  chat: bodySchema(generationFields(true, BODY_LIMITS), CHAT, ["model", "messages"]),
  completions: bodySchema(generationFields(false, BODY_LIMITS), { model: MODEL, prompt: INPUT }, [
    "model",
    "prompt",
  ]),
  embeddings: bodySchema(COMMON, { model: MODEL, input: INPUT }, ["model", "input"]),
  messages: bodySchema(MESSAGES_FIELDS, MESSAGES, ["model", "messages", "max_tokens"]),
  "count-tokens": bodySchema(MESSAGES_FIELDS, MESSAGES, ["model", "messages"]),
  responses,
  "input-tokens": responses,
  gemini,
  "gemini-count": {
    description: "Contents alone, or a whole request as generateContentRequest.",
    anyOf: [
      {
        ...{ type: "object", properties: { generateContentRequest: gemini } },
        required: ["generateContentRequest"],
      },
      { ...gemini, not: { required: ["generateContentRequest"] } },
    ],
  },
  "gemini-embed": embed,
  "gemini-embed-batch": bodySchema({}, { requests: EMBEDS }, ["requests"]),
};
