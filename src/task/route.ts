/**
 * The doors: what a caller may ask for, and in which dialect. A new door is a row here, a request
 * codec in `task/dialects`, a stream dialect in `stream/dialects` and a form of error in the door.
 */
import type { Dialect } from "../grid/dialect.ts";

export const ROUTES = [
  "chat",
  "completions",
  "embeddings",
  "messages",
  "count-tokens",
  "gemini",
  "gemini-count",
  "gemini-embed",
  "gemini-embed-batch",
  "responses",
  "input-tokens",
] as const;
export type Route = (typeof ROUTES)[number];

/**
 * `generate`: a conversation. `complete`: raw text. `embed`: vectors. `count`: only the size of the
 * prompt. Conversations and texts to embed are translated between dialects.
 */
export type Operation = "generate" | "complete" | "embed" | "count";

export interface Door {
  dialect: Dialect;
  operation: Operation;
  /** Behind the version prefix (`/v1`); `{model}` stands for the model where the path names it. */
  path: string;
  /** For streams, where they have a path of their own; with its query. */
  streamPath?: string;
}

export const DOORS: Readonly<Record<Route, Door>> = {
  chat: { dialect: "chat", operation: "generate", path: "/chat/completions" },
  completions: { dialect: "chat", operation: "complete", path: "/completions" },
  embeddings: { dialect: "chat", operation: "embed", path: "/embeddings" },
  messages: { dialect: "messages", operation: "generate", path: "/messages" },
  "count-tokens": { dialect: "messages", operation: "count", path: "/messages/count_tokens" },
  gemini: {
    dialect: "gemini",
    operation: "generate",
    path: "/models/{model}:generateContent",
    streamPath: "/models/{model}:streamGenerateContent?alt=sse",
  },
  "gemini-count": { dialect: "gemini", operation: "count", path: "/models/{model}:countTokens" },
  "gemini-embed": { dialect: "gemini", operation: "embed", path: "/models/{model}:embedContent" },
  "gemini-embed-batch": {
    dialect: "gemini",
    operation: "embed",
    path: "/models/{model}:batchEmbedContents",
  },
  responses: { dialect: "responses", operation: "generate", path: "/responses" },
  "input-tokens": { dialect: "responses", operation: "count", path: "/responses/input_tokens" },
};

/** What most requests ask for, all by POST: paths that are whole before a request comes. */
export const HOT_PATHS: ReadonlyMap<string, Route> = new Map(
  ROUTES.filter((route) => {
    const { dialect, path } = DOORS[route];
    return dialect !== "responses" && !path.includes("{model}");
  }).map((route) => [`/v1${DOORS[route].path}`, route]),
);

/** The door of each dialect where conversations are generated. */
const GENERATE: Readonly<Record<Dialect, Route>> = {
  chat: "chat",
  messages: "messages",
  gemini: "gemini",
  responses: "responses",
};

/** The door of each dialect where texts are embedded; they go out as a batch. */
const EMBED: Readonly<Partial<Record<Dialect, Route>>> = {
  chat: "embeddings",
  gemini: "gemini-embed-batch",
};

/** Where an engine of a dialect is asked for what came by a door of another. */
export function translatedRoute(route: Route, engine: Dialect): Route {
  const embeds = DOORS[route].operation === "embed";
  return (embeds ? EMBED[engine] : undefined) ?? GENERATE[engine];
}

/** Request headers of a caller that belong to the dialect: an engine of the same gets them. */
export const DIALECT_HEADERS: Readonly<Record<Dialect, readonly string[]>> = {
  chat: ["openai-beta"],
  messages: ["anthropic-version", "anthropic-beta"],
  gemini: [],
  responses: ["openai-beta"],
};

/** Path of a route for one model, behind the version prefix. */
export function pathOf(route: Route, model: string, stream: boolean): string {
  const door = DOORS[route];
  const path = (stream ? door.streamPath : undefined) ?? door.path;
  return path.includes("{model}") ? path.replace("{model}", () => inPath(model)) : path;
}

/** Slashes stay; what would end a path or its last segment does not. */
function inPath(model: string): string {
  return encodeURI(model).replace(/[?#:]/g, (letter) => encodeURIComponent(letter));
}

/** The same path for another model, where it names one. */
export function withPathModel(path: string, model: string): string {
  const match = MODEL_VERB.exec(path);
  if (match === null) return path;
  const at = path.indexOf("/models/") + "/models/".length;
  return path.slice(0, at) + inPath(model) + path.slice(at + match[1].length);
}

/** The model and the verb of a path like `/v1/models/{model}:{verb}`; undefined for any other. */
export function verbOf(path: string): { model: string; verb: string } | undefined {
  const match = MODEL_VERB.exec(path);
  if (match === null) return undefined;
  try {
    return { model: decodeURIComponent(match[1]), verb: match[2] };
  } catch {
    return undefined;
  }
}
const MODEL_VERB = /^\/v1(?:beta)?\/models\/(.+):([A-Za-z]{1,64})(?:\?.*)?$/s;
