/**
 * What every SDK is asked to do, and what is heard through it, in words that no SDK owns. A client
 * is one way in which people use one SDK; the suites run each over every path to every vendor.
 */
import type { Dialect, Stop, Usage } from "../../vendors/scene.ts";

export type Door = Dialect | "responses over WebSocket" | "realtime";

export type WishTurn =
  | { role: "user"; text: string; image?: { media: string; data: string } }
  | { role: "assistant"; text?: string; calls?: { id: string; name: string; args: object }[] }
  | { role: "tool"; results: { id: string; name: string; text: string }[] };

export interface WishTool {
  name: string;
  description: string;
  schema: { type: "object"; [more: string]: unknown };
}

export interface Wish {
  model: string;
  system?: string;
  turns: WishTurn[];
  tools?: WishTool[];
  choice?: "auto" | "any" | { name: string };
  maxTokens: number;
  temperature?: number;
  stops?: string[];
}

export interface Heard {
  text: string;
  reasoning: string;
  calls: { name: string; args: unknown }[];
  /** Undefined: the SDK did not say that the answer is whole. */
  stop: Stop | undefined;
  usage: Usage | undefined;
  /** Stays false when the SDK threw. */
  returned: boolean;
}

export interface Target {
  /** `http://host:port`, without a path. */
  base: string;
  key: string;
  /** The same with TLS, where a client speaks nothing else. */
  secure?: { base: string; ca: string } | undefined;
}

/** What was thrown, as users would tell it apart. */
export interface Failure {
  /** Name of the class. */
  name: string;
  status?: number | undefined;
  /** The vendor's word for it: `code`, `type` or `status` of its error object. */
  word?: string | undefined;
  message: string;
}

/** Names of the classes that an SDK throws; "quiet": it returns without saying that it is whole. */
export interface Throws {
  /** For an answer with that status. */
  refused(status: number): string;
  /** For the protocol's own error event in a stream. */
  event: readonly string[];
  /** For a connection that breaks, before the head and behind it. */
  broken: readonly string[];
  /** For a stream that ends cleanly before its end. */
  cut: readonly string[];
}

export interface Client {
  name: string;
  /** The protocol that it speaks. */
  dialect: Dialect;
  /** The door that it knocks at, where that is not the HTTP one of its dialect. */
  door?: Door;
  /** Parts that it does not hand to its user, or not in the right words, with the reason. */
  deaf?: { reasoning?: string; reasoningTokens?: string; sequence?: string; temperature?: string };
  /** Every answer is a stream: a plain one is read from it. */
  streamsOnly?: boolean;
  plain(target: Target, wish: Wish, signal?: AbortSignal): Promise<Heard>;
  /** Fills `heard` as the stream goes, and throws what the SDK throws. */
  stream(target: Target, wish: Wish, heard: Heard, signal?: AbortSignal): Promise<void>;
  failure(error: unknown): Failure;
  throws: Throws;
}

export const nothing = (): Heard => ({
  ...{ text: "", reasoning: "", calls: [], stop: undefined, usage: undefined, returned: false },
});

export const nameOf = (error: unknown): string =>
  error instanceof Error ? error.constructor.name : typeof error;

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** The classes that OpenAI's and Anthropic's SDKs have for statuses. */
export function stainlessClass(status: number): string {
  const names: Record<number, string> = {
    ...{ 400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError" },
    ...{ 404: "NotFoundError", 422: "UnprocessableEntityError", 429: "RateLimitError" },
  };
  return names[status] ?? "InternalServerError";
}

/** Words of a vendor as the stops of a scene. */
export function stopIn(words: Partial<Record<string, Stop>>, word: unknown): Stop | undefined {
  return typeof word === "string" ? words[word] : undefined;
}

export const dataUrlOf = ({ media, data }: { media: string; data: string }): string =>
  `data:${media};base64,${data}`;
