/** Google's Gemini API: generateContent, streamGenerateContent, countTokens and embeddings. */
import { CAPABILITY } from "../../grid/endpoint.ts";
import { type Fields, fieldsIn, invalid } from "../body-fields.ts";
import { readJsonBody, withoutMark } from "../json-body.ts";
import { needsOf, requestPrompt } from "../prompt.ts";
import { DOORS, verbOf, withPathModel } from "../route.ts";
import { replaceModels } from "../splice.ts";
import type { ParsedBody } from "../task.ts";
import type { Named, ParseInput, RequestDialect } from "./dialect.ts";
import { geminiFromTexts, geminiToTexts } from "./gemini-embed.ts";
import { named } from "./gemini-fields.ts";
import { geminiFromRequest } from "./gemini-from-request.ts";
import { geminiToRequest } from "./gemini-to-request.ts";

const MODEL_LENGTH_MAX = 256;

export const GEMINI_REQUESTS: RequestDialect = {
  parse,
  toRequest: geminiToRequest,
  fromRequest: geminiFromRequest,
  withModel,
  toTexts: geminiToTexts,
  fromTexts: geminiFromTexts,
};

function parse(input: ParseInput): ParsedBody {
  const { route, bytes, decode, path } = input;
  const body = withoutMark(bytes);
  const fields = readJsonBody(body, decode);
  const { operation } = DOORS[route];
  const model = modelIn(path);
  const parsed: ParsedBody = {
    ...{ route, model, body, fields, stream: false, prompt: [], needs: CAPABILITY.chat },
    ...{ maxTokens: 0, choices: 1, usageAdded: false, usageShown: true },
    cacheKey: undefined,
    serviceTier: tierOf(named(fields, "serviceTier")),
  };
  if (operation === "embed") {
    parsed.prompt = geminiToTexts(fields).texts;
    parsed.needs = CAPABILITY.embeddings;
    return parsed;
  }
  const request = geminiToRequest(operation === "count" ? counted(fields) : fields);
  parsed.prompt = requestPrompt(request, input.limits);
  if (operation === "count") return parsed;
  parsed.stream = verbOf(path)?.verb === "streamGenerateContent";
  parsed.needs = needsOf(request);
  parsed.maxTokens = request.maxTokens;
  parsed.choices = request.choices;
  // A schema binds there, always.
  if (request.format?.type === "schema") parsed.schema = request.format.schema;
  // A cache of the vendor's is a session: only who made it can read it.
  const cached = named(fields, "cachedContent");
  if (typeof cached === "string" && cached !== "") parsed.cacheKey = cached;
  return parsed;
}

/** `countTokens` takes contents alone or a whole request. */
function counted(fields: Fields): Fields {
  return fieldsIn(named(fields, "generateContentRequest"), "generateContentRequest") ?? fields;
}

function modelIn(path: string): string {
  const model = verbOf(path)?.model ?? "";
  if (model.length > 0 && model.length <= MODEL_LENGTH_MAX) return model;
  throw invalid("model", `must have 1 to ${MODEL_LENGTH_MAX} characters, as in the path`);
}

/** Where the bodies of some verbs repeat the model that the path names: depths of the key. */
const REPEATED: Readonly<Record<string, readonly number[]>> = {
  countTokens: [1, 2],
  embedContent: [1],
  batchEmbedContents: [3],
};

function withModel({ body, path }: Named, model: string): Named {
  const depths = REPEATED[verbOf(path)?.verb ?? ""];
  const named = depths === undefined ? body : replaceModels(body, `models/${model}`, depths);
  return { body: named, path: withPathModel(path, model) };
}

/** `flex` is the one name that says something about urgency, in both of Google's spellings. */
function tierOf(tier: unknown): string | undefined {
  if (typeof tier !== "string") return undefined;
  return tier.toLowerCase().replace(/^service_tier_/, "");
}
