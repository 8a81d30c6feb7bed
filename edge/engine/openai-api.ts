/**
 * Reading OpenAI bodies for both engines. Only what changes an answer is checked; unknown fields
 * are left alone, as the real servers do. Every refusal names the field and what it may be.
 */
import type { PromptPiece } from "./filler.ts";
import { ApiError, badRequest } from "./http.ts";

/** Fields that mean the same on /v1/chat/completions and /v1/completions. */
export interface Generation {
  model: string;
  stream: boolean;
  includeUsage: boolean;
  /** Choices per prompt, 1..64. */
  n: number;
  /** Undefined = as long as the engine likes. */
  maxTokens: number | undefined;
  minTokens: number;
  ignoreEos: boolean;
  stops: string[];
  /** vLLM: token ids of prompt and answer come with the answer. */
  returnTokenIds: boolean;
}

export interface ChatMessage {
  role: string;
  content: string;
}

export type Body = Record<string, unknown>;

const MAX_CHOICES = 64;
const MAX_TOKENS = 1 << 30;
const MAX_PROMPTS = 256;
/** What one image counts, about a 336-pixel tile of the common vision models. */
const IMAGE_TOKENS = 576;

export function optional<T>(
  body: Body,
  field: string,
  isValid: (value: unknown) => value is T,
  what: string,
): T | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (!isValid(value)) throw badRequest(`${field} must be ${what}`, field);
  return value;
}

const isBoolean = (value: unknown): value is boolean => typeof value === "boolean";
const isString = (value: unknown): value is string => typeof value === "string";
const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(isString);
const isTokens = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((id) => Number.isInteger(id) && id >= 0);
export const isFields = (value: unknown): value is Body =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_TOKENS;

/** @throws ApiError 400 for a missing model, 404 for one that is not served. */
export function readModel(body: Body, models: readonly string[]): string {
  const model = body.model ?? models[0];
  if (!isString(model)) throw badRequest("model must be a string", "model");
  if (models.includes(model)) return model;
  const message = `The model \`${model}\` does not exist. Served here: ${models.join(", ")}`;
  throw new ApiError(404, "NotFoundError", message, "model");
}

/** @throws ApiError 400 naming the wrong field; 404 for an unknown model. */
export function readGeneration(body: Body, models: readonly string[]): Generation {
  const model = readModel(body, models);
  const options = optional(body, "stream_options", isFields, "an object");
  const n = optional(body, "n", isCount, "a whole number from 1") ?? 1;
  if (n > MAX_CHOICES) throw badRequest(`n must be at most ${MAX_CHOICES}`, "n");
  const isMinimum = (value: unknown): value is number => value === 0 || isCount(value);
  const generation = {
    model,
    stream: optional(body, "stream", isBoolean, "a boolean") ?? false,
    includeUsage: options?.include_usage === true,
    n,
    maxTokens:
      optional(body, "max_completion_tokens", isCount, "a whole number from 1") ??
      optional(body, "max_tokens", isCount, "a whole number from 1"),
    minTokens: optional(body, "min_tokens", isMinimum, "a whole number from 0") ?? 0,
    ignoreEos: optional(body, "ignore_eos", isBoolean, "a boolean") ?? false,
    stops: readStops(body),
    returnTokenIds: optional(body, "return_token_ids", isBoolean, "a boolean") ?? false,
  };
  if (generation.maxTokens !== undefined && generation.minTokens > generation.maxTokens) {
    throw badRequest("min_tokens must be at most max_tokens", "min_tokens");
  }
  return generation;
}

function readStops(body: Body): string[] {
  const isStop = (value: unknown): value is string | string[] =>
    isString(value) || isStrings(value);
  const stop = optional(body, "stop", isStop, "a string or an array of strings") ?? [];
  const stops = (isString(stop) ? [stop] : stop).filter((text) => text !== "");
  if (stops.length > 16) throw badRequest("stop may have at most 16 strings", "stop");
  return stops;
}

/** Roles and contents as prompt pieces; images count a fixed number of tokens. */
export function chatPieces(body: Body): PromptPiece[] {
  const pieces: PromptPiece[] = [];
  const tools = optional(body, "tools", Array.isArray, "an array");
  if (tools !== undefined && tools.length > 0) pieces.push("<|tools|>", JSON.stringify(tools));
  for (const message of readMessages(body)) {
    pieces.push(`<|${message.role}|>`);
    pushContent(pieces, message.content);
    if (message.tool_calls !== undefined) pieces.push(JSON.stringify(message.tool_calls));
  }
  if (body.continue_final_message === true) return pieces;
  pieces.push("<|assistant|>");
  return pieces;
}

/** @throws ApiError 400 unless there is at least one message with a role. */
export function readMessages(body: Body): Body[] {
  const messages = body.messages;
  if (!Array.isArray(messages) || messages.length === 0) {
    throw badRequest("messages must be an array with at least one message", "messages");
  }
  for (const message of messages) {
    if (!isFields(message) || !isString(message.role)) {
      throw badRequest("each message must be an object with a string role", "messages");
    }
  }
  return messages as Body[];
}

function pushContent(pieces: PromptPiece[], content: unknown): void {
  if (isString(content)) {
    pieces.push(content);
    return;
  }
  if (content === undefined || content === null) return;
  if (!Array.isArray(content)) {
    throw badRequest("content must be a string or an array of parts", "messages");
  }
  for (const part of content) {
    if (isFields(part) && isString(part.text)) pieces.push(part.text);
    else if (isFields(part) && isString(part.type)) {
      const marks = JSON.stringify(part);
      pieces.push(marks.slice(0, IMAGE_TOKENS), new Array<number>(IMAGE_TOKENS).fill(marks.length));
    } else throw badRequest("each content part must be an object with a type", "messages");
  }
}

/** The text of a message's content; parts that are not text are refused. */
export function textContent(content: unknown): string {
  if (isString(content)) return content;
  if (content === undefined || content === null) return "";
  if (!Array.isArray(content)) {
    throw badRequest("content must be a string or an array of parts", "messages");
  }
  return content
    .map((part) => {
      if (isFields(part) && isString(part.text)) return part.text;
      throw badRequest("this engine takes text parts only", "messages");
    })
    .join("");
}

/** `prompt` or `input`: a text, texts, token ids, or several lists of them. */
export function readPrompts(body: Body, field: "prompt" | "input"): PromptPiece[] {
  const value = body[field];
  const isList = Array.isArray(value) && value.length > 0;
  let prompts: PromptPiece[] | undefined;
  if (isString(value) || isTokens(value)) prompts = [value];
  else if (isList && (isStrings(value) || value.every(isTokens))) prompts = value;
  if (prompts === undefined) {
    const forms = "a string, an array of strings, token ids, or an array of token id arrays";
    throw badRequest(`${field} must be ${forms}`, field);
  }
  if (prompts.length > MAX_PROMPTS) {
    throw badRequest(`${field} may hold at most ${MAX_PROMPTS} entries`, field);
  }
  return prompts;
}

/** The answer of /v1/embeddings; `vectors` in the order of the input. */
export function embeddingsJson(
  model: string,
  vectors: readonly Float32Array[],
  promptTokens: number,
  isBase64: boolean,
): string {
  const data = vectors.map((vector, index) => {
    const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
    const embedding = isBase64 ? bytes.toString("base64") : Array.from(vector);
    return { object: "embedding", index, embedding };
  });
  const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens };
  return JSON.stringify({ object: "list", data, model, usage });
}

/** True for base64. @throws ApiError 400 for any other unknown encoding. */
export function wantsBase64(body: Body): boolean {
  const format = body.encoding_format ?? "float";
  if (format !== "float" && format !== "base64") {
    throw badRequest('encoding_format must be "float" or "base64"', "encoding_format");
  }
  return format === "base64";
}

/** The answer of /v1/models. `adapters`: every model but the first is a LoRA of the first. */
export function modelsJson(
  models: readonly string[],
  owner: string,
  maxModelLen: number,
  adapters = false,
): string {
  const data = models.map((id, at) => ({
    id,
    object: "model",
    created: 0,
    owned_by: owner,
    root: id,
    parent: adapters && at > 0 ? models[0] : null,
    max_model_len: maxModelLen,
  }));
  return JSON.stringify({ object: "list", data });
}

/** Usage object of an answer, as JSON. */
export function usageJson(prompt: number, completion: number, cached: number): string {
  return (
    `{"prompt_tokens":${prompt},"total_tokens":${prompt + completion},` +
    `"completion_tokens":${completion},"prompt_tokens_details":{"cached_tokens":${cached}}}`
  );
}
