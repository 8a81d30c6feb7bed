/**
 * What is served, in the form of the caller's dialect: `GET /v1/models` belongs to OpenAI, to
 * Anthropic, whose clients send `anthropic-version`, and to Google, whose clients send
 * `x-goog-api-key`. Engines do not say when a model was made.
 */
import type { Dialect } from "../grid/dialect.ts";
import { GridError } from "../grid/errors.ts";

export interface ServedModel {
  id: string;
  ownedBy: string;
  /** Largest context that an endpoint offers, where one says so. */
  contextTokens: number | undefined;
}

interface ModelForm {
  one(model: ServedModel): unknown;
  /** @param query of the list */
  list(models: readonly ServedModel[], query: URLSearchParams): unknown;
}

const PAGE = 20;
const PAGE_MAX = 1_000;
/** Anthropic's models have a date; this one says that it is not known. */
const UNKNOWN_DATE = "1970-01-01T00:00:00Z";

function openAiModel(model: ServedModel): unknown {
  return { id: model.id, object: "model", created: 0, owned_by: model.ownedBy };
}

function anthropicModel(model: ServedModel): unknown {
  return {
    type: "model",
    id: model.id,
    display_name: model.id,
    created_at: UNKNOWN_DATE,
    lifecycle: "active",
    max_input_tokens: model.contextTokens ?? null,
    max_tokens: null,
    capabilities: null,
    deprecated_at: null,
    retires_at: null,
    line: null,
  };
}

/** @throws GridError invalid_request for a page that cannot be */
function anthropicList(models: readonly ServedModel[], query: URLSearchParams): unknown {
  const limit = Number(query.get("limit") ?? PAGE);
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_MAX) {
    throw wrong("limit", `must be a whole number from 1 to ${PAGE_MAX}`);
  }
  const after = indexOf(models, query, "after_id");
  const before = indexOf(models, query, "before_id");
  const end = before ?? models.length;
  const start =
    after === undefined ? (before === undefined ? 0 : Math.max(end - limit, 0)) : after + 1;
  const page = models.slice(start, Math.min(start + limit, end));
  return {
    data: page.map(anthropicModel),
    has_more: before === undefined ? start + page.length < models.length : start > 0,
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
  };
}

function indexOf(
  models: readonly ServedModel[],
  query: URLSearchParams,
  name: string,
): number | undefined {
  const id = query.get(name);
  if (id === null) return undefined;
  const at = models.findIndex((model) => model.id === id);
  if (at < 0) throw wrong(name, "names no model that is served here");
  return at;
}

function wrong(name: string, rule: string): GridError {
  return new GridError("invalid_request", `Query parameter ${name} ${rule}.`, { param: name });
}

const OPENAI: ModelForm = {
  one: openAiModel,
  list: (models) => ({ object: "list", data: models.map(openAiModel) }),
};

function geminiModel(model: ServedModel): unknown {
  const { id, contextTokens } = model;
  const limit = contextTokens === undefined ? {} : { inputTokenLimit: contextTokens };
  return {
    ...{ name: `models/${id}`, version: "unknown", displayName: id, description: "" },
    ...limit,
    supportedGenerationMethods: ["generateContent", "countTokens", "embedContent"],
  };
}

const GEMINI_PAGE = 50;

/** The next page's token is the last model of this one. */
function geminiList(models: readonly ServedModel[], query: URLSearchParams): unknown {
  const size = Number(query.get("pageSize") ?? GEMINI_PAGE) || GEMINI_PAGE;
  if (!Number.isInteger(size) || size < 1) throw wrong("pageSize", "must be a whole number from 1");
  // An empty token is the first page.
  if (query.get("pageToken") === "") query.delete("pageToken");
  const start = (indexOf(models, query, "pageToken") ?? -1) + 1;
  // The vendor takes larger sizes and answers with its bound.
  const page = models.slice(start, start + Math.min(size, PAGE_MAX));
  const next = start + page.length < models.length ? { nextPageToken: page.at(-1)?.id } : {};
  return { models: page.map(geminiModel), ...next };
}

export const MODEL_FORMS: Readonly<Record<Dialect, ModelForm>> = {
  chat: OPENAI,
  messages: { one: anthropicModel, list: anthropicList },
  gemini: { one: geminiModel, list: geminiList },
  responses: OPENAI,
};
