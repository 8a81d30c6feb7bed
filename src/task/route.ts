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
  "responses",
  "input-tokens",
] as const;
export type Route = (typeof ROUTES)[number];

/**
 * `generate`: a conversation. `complete`: raw text. `embed`: vectors. `count`: only the size of the
 * prompt. Only `generate` is translated between dialects.
 */
export type Operation = "generate" | "complete" | "embed" | "count";

export interface Door {
  dialect: Dialect;
  operation: Operation;
  /** Behind the version prefix (`/v1`); `{model}` stands for the model where the path names it. */
  path: string;
}

export const DOORS: Readonly<Record<Route, Door>> = {
  chat: { dialect: "chat", operation: "generate", path: "/chat/completions" },
  completions: { dialect: "chat", operation: "complete", path: "/completions" },
  embeddings: { dialect: "chat", operation: "embed", path: "/embeddings" },
  messages: { dialect: "messages", operation: "generate", path: "/messages" },
  "count-tokens": { dialect: "messages", operation: "count", path: "/messages/count_tokens" },
  responses: { dialect: "responses", operation: "generate", path: "/responses" },
  "input-tokens": { dialect: "responses", operation: "count", path: "/responses/input_tokens" },
};

/** The door of each dialect where conversations are generated. */
export const GENERATE: Readonly<Record<Dialect, Route>> = {
  chat: "chat",
  messages: "messages",
  responses: "responses",
};

/** Request headers of a caller that belong to the dialect: an engine of the same gets them. */
export const DIALECT_HEADERS: Readonly<Record<Dialect, readonly string[]>> = {
  chat: ["openai-beta"],
  messages: ["anthropic-version", "anthropic-beta"],
  responses: ["openai-beta"],
};

/** Path of a route for one model, behind the version prefix. */
export function pathOf(route: Route, model: string): string {
  const { path } = DOORS[route];
  return path.includes("{model}") ? path.replace("{model}", () => encodeURI(model)) : path;
}
