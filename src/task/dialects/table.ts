/** The dialects that requests are read and written in, and the way from one to another. */
import type { Dialect } from "../../grid/dialect.ts";
import { GridError } from "../../grid/errors.ts";
import { BODY_LIMITS } from "../body-fields.ts";
import type { Decode } from "../json-body.ts";
import { DOORS, type Route } from "../route.ts";
import type { ParsedBody } from "../task.ts";
import { CHAT_REQUESTS } from "./chat.ts";
import type { RequestDialect } from "./dialect.ts";
import { GEMINI_REQUESTS } from "./gemini.ts";
import { MESSAGES_REQUESTS } from "./messages.ts";
import { RESPONSES_REQUESTS } from "./responses.ts";

export const REQUEST_DIALECTS: Readonly<Record<Dialect, RequestDialect>> = {
  chat: CHAT_REQUESTS,
  messages: MESSAGES_REQUESTS,
  gemini: GEMINI_REQUESTS,
  responses: RESPONSES_REQUESTS,
};

/** @throws GridError invalid_utf8, invalid_json, invalid_request; `param` names the field */
export function parseBody(
  route: Route,
  bytes: Uint8Array,
  decode: Decode,
  path: string,
): ParsedBody {
  const dialect = REQUEST_DIALECTS[DOORS[route].dialect];
  return dialect.parse({ route, bytes, decode, limits: BODY_LIMITS, path });
}

/**
 * The body, as JSON text, for an engine that speaks another dialect than the caller.
 * @param strict the engine refuses fields that are not in the dialect's own documentation
 * @throws GridError invalid_request for what the engine's dialect cannot say
 */
export function translateBody(body: ParsedBody, engine: Dialect, strict = false): string {
  const from = REQUEST_DIALECTS[DOORS[body.route].dialect];
  const to = REQUEST_DIALECTS[engine];
  if (DOORS[body.route].operation === "embed") {
    const texts = from.toTexts?.(body.fields);
    const written = texts && to.fromTexts?.(texts, body.model);
    if (written !== undefined) return JSON.stringify(written);
    throw new GridError("invalid_request", `No endpoint of '${body.model}' embeds texts.`);
  }
  const request = from.toRequest(body.fields);
  request.model = body.model;
  request.stream = body.stream;
  return JSON.stringify(to.fromRequest(request, strict));
}
