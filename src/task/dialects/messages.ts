/** Anthropic Messages and count_tokens. */
import { CAPABILITY } from "../../grid/endpoint.ts";
import { booleanField, type Fields, invalid, isFields } from "../body-fields.ts";
import { modelOf, readJsonBody, withoutMark } from "../json-body.ts";
import { needsOf, requestPrompt } from "../prompt.ts";
import { modelInBody } from "../splice.ts";
import type { ParsedBody } from "../task.ts";
import type { ParseInput, RequestDialect } from "./dialect.ts";
import { messagesFromRequest } from "./messages-from-request.ts";
import { messagesToRequest } from "./messages-to-request.ts";

/** Claude Code names its session inside `metadata.user_id`. */
const SESSION = /session_([0-9a-f-]{36})$/;

export const MESSAGES_REQUESTS: RequestDialect = {
  parse,
  toRequest: messagesToRequest,
  fromRequest: messagesFromRequest,
  withModel: modelInBody,
};

function parse({ route, bytes, decode, limits }: ParseInput): ParsedBody {
  const body = withoutMark(bytes);
  const fields = readJsonBody(body, decode);
  const model = modelOf(fields);
  const counts = route === "count-tokens";
  const stream = !counts && booleanField(fields.stream, "stream");
  const request = messagesToRequest(fields);
  if (!counts && request.maxTokens === undefined) {
    throw invalid("max_tokens", "is missing: say how many tokens the answer may have");
  }
  return {
    route,
    model,
    stream,
    body,
    fields,
    prompt: requestPrompt(request, limits),
    needs: counts ? CAPABILITY.chat : needsOf(request),
    maxTokens: counts ? 0 : request.maxTokens,
    choices: 1,
    usageAdded: false,
    usageShown: true,
    cacheKey: SESSION.exec(request.user ?? "")?.[1],
    serviceTier: typeof fields.service_tier === "string" ? fields.service_tier : undefined,
    schema: request.format?.type === "schema" ? request.format.schema : undefined,
    region: regionOf(fields),
  };
}

/** Where the inference may run, in the caller's own API; `global` is anywhere. */
function regionOf(fields: Fields): string | undefined {
  const geo = isFields(fields) ? fields.inference_geo : undefined;
  return typeof geo === "string" && geo !== "" && geo !== "global" ? geo : undefined;
}
