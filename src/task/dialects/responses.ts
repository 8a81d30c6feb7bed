/** OpenAI Responses and its counting of input tokens. */
import { CAPABILITY } from "../../grid/endpoint.ts";
import { booleanField, invalid, stringField } from "../body-fields.ts";
import { modelOf, readJsonBody, withoutMark } from "../json-body.ts";
import { needsOf, requestPrompt } from "../prompt.ts";
import { modelInBody } from "../splice.ts";
import type { ParsedBody } from "../task.ts";
import type { ParseInput, RequestDialect } from "./dialect.ts";
import { responsesFromRequest } from "./responses-from-request.ts";
import { responsesToRequest } from "./responses-to-request.ts";

const KEY_LENGTH_MAX = 1_024;
const TIER_LENGTH_MAX = 256;

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
  const stream = !counts && booleanField(fields.stream, "stream");
  if (booleanField(fields.background, "background")) {
    throw invalid(
      "background",
      "is not supported here: leave it out and read the answer, or its stream",
    );
  }
  const request = responsesToRequest(fields);
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
    cacheKey: stringField(fields.prompt_cache_key, "prompt_cache_key", KEY_LENGTH_MAX),
    serviceTier: stringField(fields.service_tier, "service_tier", TIER_LENGTH_MAX),
  };
}
