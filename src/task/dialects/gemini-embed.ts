/** The texts of an embeddings request: one content, or a batch of requests with one each. */
import { BODY_LIMITS, type Fields, invalid, isFields, kindOf } from "../body-fields.ts";
import type { Route } from "../route.ts";
import { fieldsIn, listIn, textIn } from "./gemini-fields.ts";

/** @throws GridError invalid_request where there is no text */
export function embedTexts(route: Route, body: Fields): string[] {
  if (route === "gemini-embed") return [textOf(body.content, "content")];
  const requests = listIn(body.requests, "requests", BODY_LIMITS.inputs);
  if (requests.length === 0) throw invalid("requests", "must have at least one request");
  return requests.map((request, index) => {
    const at = `requests[${index}]`;
    if (!isFields(request)) throw invalid(at, `must be an object, not ${kindOf(request)}`);
    return textOf(request.content, `${at}.content`);
  });
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
