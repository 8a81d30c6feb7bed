/** From OpenAI bodies to what llama.cpp wants: prompt, sampling, stop strings. */
import { ApiError, badRequest } from "./http.ts";
import type { CompletionOptions } from "./llama-addon.ts";
import type { LlamaModel } from "./llama-model.ts";
import { type Generation, readMessages, readPrompts, textContent } from "./openai-api.ts";
import type { Route } from "./reply.ts";

type Body = Record<string, unknown>;

export interface LlamaPrompt {
  params: CompletionOptions;
  stops: string[];
}

/** Field of the API, field of the addon, lowest and highest value. */
const SAMPLING: readonly [string, keyof CompletionOptions, number, number][] = [
  ["temperature", "temperature", 0, 100],
  ["top_p", "top_p", 0, 1],
  ["top_k", "top_k", 0, 1_000_000],
  ["min_p", "min_p", 0, 1],
  ["frequency_penalty", "penalty_freq", -2, 2],
  ["presence_penalty", "penalty_present", -2, 2],
  ["repeat_penalty", "penalty_repeat", 0, 10],
  ["seed", "seed", -1, 0xffffffff],
];

/** @throws ApiError 400 naming the field that is wrong or that this engine cannot do. */
export function readLlamaPrompts(
  route: Route,
  body: Body,
  generation: Generation,
  model: LlamaModel,
): LlamaPrompt[] {
  if (body.logit_bias !== undefined && body.logit_bias !== null) {
    throw badRequest("logit_bias is not supported by this engine", "logit_bias");
  }
  const sampling = readSampling(body);
  const common = {
    ...sampling,
    n_predict: generation.maxTokens ?? -1,
    ignore_eos: generation.ignoreEos,
  };
  if (route === "chat") return [chatPrompt(body, common, generation.stops, model)];
  return readPrompts(body, "prompt").map((prompt) => {
    const { stops } = generation;
    if (typeof prompt === "string") return { params: { ...common, prompt }, stops };
    throw badRequest("this engine takes text prompts, not token ids", "prompt");
  });
}

function readSampling(body: Body): Partial<CompletionOptions> {
  const sampling: Record<string, number> = {};
  for (const [field, name, least, most] of SAMPLING) {
    const value = body[field];
    if (value === undefined || value === null) continue;
    if (typeof value !== "number" || !(value >= least && value <= most)) {
      throw badRequest(`${field} must be a number from ${least} to ${most}`, field);
    }
    sampling[name] = value;
  }
  // The addon samples at temperature 0 too; one candidate is what makes it greedy.
  if (sampling.temperature === 0) sampling.top_k = 1;
  return sampling;
}

function chatPrompt(
  body: Body,
  common: Omit<CompletionOptions, "prompt">,
  stops: string[],
  model: LlamaModel,
): LlamaPrompt {
  if (Array.isArray(body.tools) && body.tools.length > 0 && body.tool_choice !== "none") {
    throw badRequest("this engine does not parse tool calls; leave tools out", "tools");
  }
  const messages = readMessages(body).map((message) => ({
    role: String(message.role),
    content: textContent(message.content),
  }));
  const format = responseFormat(body.response_format as Body | undefined);
  const formatted = formatChat(model, messages, {
    jinja: true,
    add_generation_prompt: body.add_generation_prompt !== false,
    ...(format === undefined ? {} : { response_format: format }),
  });
  const params: CompletionOptions = { ...common, prompt: formatted.prompt };
  const grammar = bareGrammar(formatted.grammar);
  if (grammar !== undefined) params.grammar = grammar;
  return { params, stops: [...stops, ...(formatted.additional_stops ?? [])] };
}

/** The addon takes no notice of json_object (1.7.15): any object is a schema as well. */
function responseFormat(format: Body | undefined): Body | undefined {
  if (format?.type === "text") return undefined;
  if (format?.type !== "json_object") return format;
  return { type: "json_schema", json_schema: { name: "object", schema: { type: "object" } } };
}

/**
 * The grammar of a schema without what llama.cpp's chat format puts around it: the generation
 * prompt once more, and a fence that the answer may have, which its own parser takes off again.
 */
function bareGrammar(grammar: string | undefined): string | undefined {
  if (grammar === undefined || grammar === "") return undefined;
  if (!/^response-format ::=/m.test(grammar)) return grammar;
  return grammar.replace(/^root ::=.*$/m, "root ::= response-format");
}

function formatChat(
  model: LlamaModel,
  messages: { role: string; content: string }[],
  options: Parameters<LlamaModel["format"]>[1],
): ReturnType<LlamaModel["format"]> {
  try {
    return model.format(messages, options);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ApiError(400, "invalid_request_error", `the model's chat template refuses: ${why}`);
  }
}
