/**
 * JSON Schemas of what the doors check part by part: messages, contents, items, texts. Vendors add
 * kinds of parts all the time, and one that is not known here passes to an engine of the same
 * dialect, so the known ones are described and no other is forbidden.
 */
import { BODY_LIMITS } from "./body-fields.ts";
import type { JsonSchema } from "./field-rules.ts";

const { messages, parts, tools, inputs } = BODY_LIMITS;
const TEXT = { type: "string" };
const object = (properties: JsonSchema, ...required: string[]): JsonSchema => {
  return { type: "object", properties, ...(required.length > 0 ? { required } : {}) };
};
const typed = (type: string, properties: JsonSchema, ...required: string[]): JsonSchema =>
  object({ type: { const: type }, ...properties }, "type", ...required);
/** What is named, or an object of a type that is not. */
const oneOfTypes = (known: readonly JsonSchema[], types: readonly string[]): JsonSchema => {
  const other = object({ type: { type: "string", not: { enum: types } } }, "type");
  return { anyOf: [...known, other] };
};

export const MODEL = { type: "string", minLength: 1, maxLength: 256 };
export const TOOLS = { type: ["array", "null"], maxItems: tools, items: { type: "object" } };

export function messagesOf(roles: readonly string[]): JsonSchema {
  const content = { description: "Text, or a list of content parts." };
  const item = object({ role: { enum: roles }, content }, "role");
  return { type: "array", minItems: 1, maxItems: messages, items: item };
}

const IDS = { type: "array", items: { type: "integer", minimum: 0 }, minItems: 1 };
export const INPUT = {
  description: "Text or token ids, one or several.",
  anyOf: [
    TEXT,
    IDS,
    { type: "array", maxItems: inputs, minItems: 1, items: { anyOf: [TEXT, IDS] } },
  ],
};

const NO_TEXT = { not: TEXT };
const SHORT = { type: ["string", "null"], maxLength: 32 };
const NAME = { type: ["string", "null"], maxLength: 1_024 };
const SAID = ["input_text", "output_text", "text"];
const RESPONSES_PART = oneOfTypes(
  [
    ...SAID.map((type) => typed(type, { text: TEXT }, "text")),
    typed("refusal", { refusal: TEXT }, "refusal"),
    typed("input_image", { image_url: TEXT, detail: SHORT }, "image_url"),
    typed("input_image", { image_url: NO_TEXT, file_id: {} }),
    typed("input_file", { file_data: TEXT, filename: NAME }, "file_data"),
    typed("input_file", { file_url: TEXT, filename: NAME }, "file_url"),
    typed("input_file", { file_data: NO_TEXT, file_url: NO_TEXT, file_id: {} }),
    typed(
      "input_audio",
      { input_audio: object({ data: TEXT, format: TEXT }, "data", "format") },
      "input_audio",
    ),
  ],
  [...SAID, "refusal", "input_image", "input_file", "input_audio"],
);
const RESPONSES_CONTENT = {
  anyOf: [TEXT, { type: "array", maxItems: parts, items: RESPONSES_PART }],
};
const MESSAGE = { role: { enum: ["user", "assistant", "system", "developer"] } };
const CALL = { call_id: TEXT, name: TEXT, arguments: TEXT };
const RESPONSES_ITEM = {
  anyOf: [
    object(
      { type: { const: "message" }, ...MESSAGE, content: RESPONSES_CONTENT },
      ...["role", "content"],
    ),
    typed("function_call", CALL, "call_id", "name", "arguments"),
    typed(
      "function_call_output",
      { call_id: TEXT, output: RESPONSES_CONTENT },
      "call_id",
      "output",
    ),
    typed("reasoning", { encrypted_content: { type: ["string", "null"] } }),
    object(
      {
        type: {
          type: "string",
          not: { enum: ["message", "function_call", "function_call_output", "reasoning"] },
        },
      },
      "type",
    ),
  ],
};
export const RESPONSES_INPUT = {
  description: "Text, or the items of the conversation; with previous_response_id those after it.",
  anyOf: [TEXT, { type: "array", minItems: 1, maxItems: messages, items: RESPONSES_ITEM }],
};

/** `null` counts as not given. */
const ANY_FIELDS = { type: ["object", "null"] };
const BLOB = object(
  { mimeType: TEXT, data: { ...TEXT, contentEncoding: "base64" } },
  ...["mimeType", "data"],
);
/** One of these makes the part; several are refused. */
const GEMINI_KINDS: JsonSchema = {
  inlineData: BLOB,
  fileData: object({ fileUri: TEXT }, "fileUri"),
  functionCall: object({ name: TEXT, args: ANY_FIELDS }, "name"),
  functionResponse: object({ name: TEXT, response: ANY_FIELDS }, "name"),
};
const GEMINI_PART = {
  anyOf: [
    object(
      {
        text: TEXT,
        thought: { description: "true: the text is a thought of the model." },
        thoughtSignature: { description: "Its proof, as it came." },
      },
      "text",
    ),
    ...Object.entries(GEMINI_KINDS).map(([kind, schema]) => object({ [kind]: schema }, kind)),
    {
      ...{ type: "object", minProperties: 1, not: { required: ["text"] } },
      properties: Object.fromEntries(
        Object.keys(GEMINI_KINDS).map((kind) => [kind, { type: "null" }]),
      ),
      description: "What an endpoint of Google's own understands.",
    },
  ],
};
const GEMINI_PARTS = { type: "array", minItems: 1, maxItems: parts, items: GEMINI_PART };
const CONTENT = object(
  { role: { enum: ["user", "model", "function"] }, parts: GEMINI_PARTS },
  "parts",
);
export const GEMINI_CONTENTS = {
  ...{ type: "array", minItems: 1, maxItems: messages, items: CONTENT },
  description: "Names in snake_case count as well, here and everywhere in the body.",
};
const SPOKEN = object({ text: TEXT }, "text");
export const GEMINI_SYSTEM = {
  type: ["object", "null"],
  properties: { parts: { type: ["array", "null"], maxItems: parts, items: SPOKEN } },
};
export const GEMINI_TOOLS = {
  ...{ type: ["array", "null"], maxItems: tools },
  items: object({
    functionDeclarations: {
      ...{ type: ["array", "null"], maxItems: tools },
      items: object({ name: TEXT, description: TEXT }, "name"),
    },
  }),
};
export const GEMINI_TEXT = object(
  { parts: { type: "array", minItems: 1, maxItems: parts, items: SPOKEN } },
  "parts",
);
