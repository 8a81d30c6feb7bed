/** OpenAI Responses and its counting of input tokens. */
import { CAPABILITY } from "../../grid/endpoint.ts";
import { modelOf, readJsonBody, withoutMark } from "../json-body.ts";
import { needsOf, requestPrompt } from "../prompt.ts";
import { modelInBody } from "../splice.ts";
import type { ParsedBody } from "../task.ts";
import type { ParseInput, RequestDialect } from "./dialect.ts";
import { responsesFromRequest } from "./responses-from-request.ts";
import { responsesToRequest } from "./responses-to-request.ts";

export const RESPONSES_REQUESTS: RequestDialect = {
  parse,
  toRequest: responsesToRequest,
  fromRequest: responsesFromRequest,
  withModel: modelInBody,
};

function parse({ route, bytes, decode, limits }: ParseInput): ParsedBody {
  const body = withoutMark(bytes);
  const fields = readJsonBody(body, decode);
  const model = modelOf(fields);
  const counts = route === "input-tokens";
  const request = responsesToRequest(fields);
  const textOf = (value: unknown): string | undefined =>
    typeof value === "string" ? value : undefined;
  return {
    route,
    model,
    stream: !counts && request.stream,
    body,
    fields,
    prompt: requestPrompt(request, limits),
    needs: counts ? CAPABILITY.chat : needsOf(request),
    maxTokens: counts ? 0 : request.maxTokens,
    choices: 1,
    usageAdded: false,
    usageShown: true,
    cacheKey: textOf(fields.prompt_cache_key),
    serviceTier: textOf(fields.service_tier),
  };
}
