/**
 * JSON Schemas of the bodies that the doors take: the rules that check single fields say theirs
 * themselves; what is checked part by part (messages, tools) is given in outline.
 */
import { BODY_LIMITS } from "./body-fields.ts";
import { MESSAGES_FIELDS } from "./dialects/messages-fields.ts";
import { bodySchema, type JsonSchema } from "./field-rules.ts";
import { COMMON, generationFields } from "./openai-fields.ts";
import { HEADS } from "./openai-prompt.ts";
import type { Route } from "./route.ts";

const { messages, tools, inputs } = BODY_LIMITS;
const MODEL = { type: "string", minLength: 1, maxLength: 256 };
const TOOLS = { type: ["array", "null"], maxItems: tools, items: { type: "object" } };

function messagesOf(roles: readonly string[]): JsonSchema {
  const role = { enum: roles };
  const content = { description: "Text, or a list of content parts." };
  const item = { type: "object", properties: { role, content }, required: ["role"] };
  return { type: "array", minItems: 1, maxItems: messages, items: item };
}

const IDS = { type: "array", items: { type: "integer", minimum: 0 }, minItems: 1 };
const INPUT = {
  description: "Text or token ids, one or several.",
  anyOf: [
    { type: "string" },
    IDS,
    { type: "array", maxItems: inputs, minItems: 1, items: { anyOf: [{ type: "string" }, IDS] } },
  ],
};

const CHAT = { model: MODEL, messages: messagesOf([...HEADS.keys()]), tools: TOOLS };
const MESSAGES = {
  model: MODEL,
  messages: messagesOf(["user", "assistant", "system"]),
  system: { description: "Text, or a list of text blocks." },
  tools: TOOLS,
};

/** By route; a route that is not here takes any JSON object. */
export const BODY_SCHEMAS: Partial<Record<Route, JsonSchema>> = {
  chat: bodySchema(generationFields(true, BODY_LIMITS), CHAT, ["model", "messages"]),
  completions: bodySchema(generationFields(false, BODY_LIMITS), { model: MODEL, prompt: INPUT }, [
    "model",
    "prompt",
  ]),
  embeddings: bodySchema(COMMON, { model: MODEL, input: INPUT }, ["model", "input"]),
  messages: bodySchema(MESSAGES_FIELDS, MESSAGES, ["model", "messages", "max_tokens"]),
  "count-tokens": bodySchema(MESSAGES_FIELDS, MESSAGES, ["model", "messages"]),
};
