/**
 * What passes between a client and a model, in words that no vendor owns: the scene is what a
 * model says, Asked is what it was asked. Every vendor's server writes scenes and reads requests
 * in its own protocol, so one test can say what must come out at the other end, whichever two
 * dialects stand there.
 */

export type Dialect = "chat" | "responses" | "messages" | "gemini";

/** One thing that a model says, in the pieces in which it streams. */
export type Say =
  | { kind: "text"; pieces: readonly string[] }
  | { kind: "reasoning"; pieces: readonly string[] }
  /** The pieces together are the JSON of the arguments. */
  | { kind: "call"; id: string; name: string; pieces: readonly string[] };

/** Why it stops: done, token limit, tool calls, safety filter, a stop sequence. */
export type Stop = "end" | "length" | "calls" | "filter" | "sequence";

export interface Usage {
  /** All tokens of the prompt, cached ones included. */
  input: number;
  cached: number;
  /** All tokens of the answer, those of reasoning included. */
  output: number;
  reasoning: number;
}

export interface Scene {
  say: readonly Say[];
  stop: Stop;
  usage: Usage;
}

export type AskedPart =
  | { kind: "text" | "reasoning"; text: string }
  /** Base64 with its media type, or a URL. */
  | { kind: "image"; media?: string; data?: string; url?: string }
  | { kind: "call"; name: string; args: unknown }
  /** The result of the call of that name. */
  | { kind: "result"; name: string; text: string };

export interface AskedTurn {
  role: "user" | "assistant" | "tool";
  parts: AskedPart[];
}

export interface AskedTool {
  name: string;
  description?: string;
  schema: unknown;
}

export interface Asked {
  model: string;
  stream: boolean;
  system?: string;
  turns: AskedTurn[];
  tools: AskedTool[];
  /** A name = that tool and no other. */
  choice?: "auto" | "none" | "any" | { name: string };
  maxTokens?: number;
  temperature?: number;
  topP?: number;
  stops: string[];
  /** The schema that the answer must follow. */
  schema?: unknown;
  /** Version of the dialect that the caller named, where it has versions. */
  version?: string;
  /** Chat's `stream_options.include_usage`; the others always say. */
  wantsUsage: boolean;
}

/** How a stream breaks: the engine's own error event, reset, FIN, a clean end, or silence. */
export type Break = "error" | "reset" | "fin" | "clean" | "silent";

/** What a server does with one request. */
export type Plot =
  | { kind: "answers"; scene: Scene; gapMs?: number; headers?: Record<string, string> }
  /** `after` events went out whole; "request": not even a head. */
  | { kind: "breaks"; scene: Scene; after: number | "request"; how: Break }
  | { kind: "refuses"; refusal: Refusal; headers?: Record<string, string> };

/** A refusal; each vendor writes it in its own form. */
export class Refusal extends Error {
  readonly status: number;
  readonly param: string | undefined;
  readonly code: string | undefined;

  constructor(status: number, message: string, more: { param?: string; code?: string } = {}) {
    super(message);
    this.status = status;
    this.param = more.param;
    this.code = more.code;
  }
}

export type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value as an object, else a 400 that names where. */
export function fieldsAt(value: unknown, where: string): Fields {
  if (!isFields(value)) throw new Refusal(400, `'${where}' must be an object.`, { param: where });
  return value;
}

export function listAt(value: unknown, where: string): unknown[] {
  if (!Array.isArray(value)) {
    throw new Refusal(400, `'${where}' must be an array.`, { param: where });
  }
  return value;
}

export function textAt(value: unknown, where: string): string {
  if (typeof value !== "string") {
    throw new Refusal(400, `'${where}' must be a string.`, { param: where });
  }
  return value;
}

export function numberAt(value: unknown, where: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number") {
    throw new Refusal(400, `'${where}' must be a number.`, { param: where });
  }
  return value;
}

/** Vendors refuse fields that they do not know: what leaks from another dialect shows here. */
export function onlyKnown(body: Fields, known: readonly string[], said: (name: string) => string) {
  for (const name of Object.keys(body)) {
    if (!known.includes(name)) throw new Refusal(400, said(name), { param: name });
  }
}

/** Arguments as JSON text; a model's history that is not JSON is refused, as vendors do. */
export function argsAt(text: unknown, where: string): unknown {
  try {
    return JSON.parse(textAt(text, where));
  } catch {
    throw new Refusal(400, `'${where}' must be the JSON of an object.`, { param: where });
  }
}

/** Base64 of a data URL; undefined for other URLs. */
export function dataUrl(url: string): { media: string; data: string } | undefined {
  const match = /^data:([^;,]+);base64,(.*)$/s.exec(url);
  return match === null ? undefined : { media: match[1], data: base64At(match[2], "image_url") };
}

export function base64At(text: string, where: string): string {
  if (text === "" || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    throw new Refusal(400, `'${where}' is not base64.`, { param: where });
  }
  return text;
}

export function imageAt(url: string): AskedPart {
  return { kind: "image", ...(dataUrl(url) ?? { url }) };
}

export const whole = (pieces: readonly string[]): string => pieces.join("");

/** Neighbours of one role are one turn: dialects cut turns differently. */
export function joined(turns: readonly AskedTurn[]): AskedTurn[] {
  const result: AskedTurn[] = [];
  for (const { role, parts } of turns) {
    const last = result.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else result.push({ role, parts: [...parts] });
  }
  return result;
}
