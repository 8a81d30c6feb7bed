/** Gemini's embeddings requests as texts, and texts as a batch: one content, or one each. */
import {
  BODY_LIMITS,
  type Fields,
  fieldsIn,
  invalid,
  isFields,
  kindOf,
  listIn,
  textIn,
} from "../body-fields.ts";
import type { EmbedRequest } from "../request.ts";
import { checkFields } from "../field-rules.ts";
import { named } from "./gemini-fields.ts";
import { GEMINI_EMBED_FIELDS } from "./gemini-rules.ts";

/** @throws GridError invalid_request where there is no text */
export function geminiToTexts(body: Fields): EmbedRequest {
  if (body.requests === undefined) return withDimensions([textOf(body.content, "content")], body);
  const requests = listIn(body.requests, "requests", BODY_LIMITS.inputs).map((request, index) => {
    const at = `requests[${index}]`;
    if (isFields(request)) return { request, text: textOf(request.content, `${at}.content`) };
    throw invalid(at, `must be an object, not ${kindOf(request)}`);
  });
  if (requests.length === 0) throw invalid("requests", "must have at least one request");
  return withDimensions(
    requests.map(({ text }) => text),
    requests[0].request,
  );
}

function withDimensions(texts: string[], request: Fields): EmbedRequest {
  checkFields(request, GEMINI_EMBED_FIELDS, named);
  const dimensions = named(request, "outputDimensionality");
  return typeof dimensions === "number" ? { texts, dimensions } : { texts };
}

function textOf(value: unknown, at: string): string {
  const content = fieldsIn(value, at);
  if (content === undefined) throw invalid(at, "is missing: send {parts: [{text}]}");
  const parts = listIn(content.parts, `${at}.parts`, BODY_LIMITS.parts);
  if (parts.length === 0) throw invalid(`${at}.parts`, "must have at least one part");
  return parts
    .map((part, index) => {
      const where = `${at}.parts[${index}]`;
      return textIn(fieldsIn(part, where)?.text, `${where}.text`);
    })
    .join("");
}

export function geminiFromTexts({ texts, dimensions }: EmbedRequest, model: string): Fields {
  const size = dimensions === undefined ? {} : { outputDimensionality: dimensions };
  const requests = texts.map((text) => ({
    ...{ model: `models/${model}`, content: { parts: [{ text }] } },
    ...size,
  }));
  return { requests };
}
