/**
 * A conversation to be continued, whatever dialect it came in: what a request means, without how
 * it was written. A dialect reads its bodies into it and writes it as a body of its own; fields
 * that only one dialect knows travel only where both sides speak it. Undefined = not said.
 */
import type { Tokens } from "../grid/units.ts";

export type Part =
  | { type: "text"; text: string }
  /** `url` is a web address or a data URL. */
  | { type: "image"; url: string; detail?: string }
  /** A document; `url` as with images. */
  | { type: "file"; url: string; name?: string }
  | { type: "audio"; data: string; format: string }
  /** The model called a tool; arguments are JSON text. */
  | { type: "call"; id: string; name: string; arguments: string }
  /** What the tool said. */
  | { type: "result"; id: string; parts: Part[]; failed: boolean }
  | { type: "reasoning"; text: string; signature?: string }
  | { type: "refusal"; text: string }
  /** What only its own dialect can say; `param` names the place in the body. */
  | { type: "foreign"; kind: string; value: unknown; param: string };

export const MESSAGE_ROLES = ["system", "user", "assistant", "tool"] as const;
export type MessageRole = (typeof MESSAGE_ROLES)[number];

export interface Message {
  role: MessageRole;
  parts: Part[];
  name?: string;
}

export interface Tool {
  name: string;
  description?: string;
  /** JSON Schema of the arguments. */
  parameters?: unknown;
  strict?: boolean;
  /** A tool that the vendor runs itself: only its own dialect can say it. */
  foreign?: { value: unknown; param: string };
}

export type ToolChoice =
  | { type: "auto" }
  | { type: "none" }
  | { type: "required" }
  | { type: "tool"; name: string };

export type OutputFormat =
  | { type: "text" }
  | { type: "json" }
  | { type: "schema"; name: string; schema: unknown; strict: boolean; description?: string };

export interface InferenceRequest {
  model: string;
  stream: boolean;
  messages: Message[];
  tools: Tool[];
  toolChoice?: ToolChoice | undefined;
  parallelTools?: boolean | undefined;
  format?: OutputFormat | undefined;
  maxTokens?: Tokens | undefined;
  choices: number;
  temperature?: number | undefined;
  topP?: number | undefined;
  topK?: number | undefined;
  presencePenalty?: number | undefined;
  frequencyPenalty?: number | undefined;
  seed?: number | undefined;
  stop: string[];
  logprobs?: { top: number } | undefined;
  reasoning?: { effort?: string | undefined; budgetTokens?: Tokens | undefined } | undefined;
  /** Whom the vendor may hold to account: `user`, `metadata.user_id`. */
  user?: string | undefined;
}

/** Texts to be embedded, whatever dialect they came in. */
export interface EmbedRequest {
  texts: string[];
  dimensions?: number;
}

/** The text of parts that are nothing but text; undefined when others are among them. */
export function plainText(parts: readonly Part[]): string | undefined {
  let text = "";
  for (const part of parts) {
    if (part.type !== "text") return undefined;
    text += part.text;
  }
  return text;
}

/** `data:image/png;base64,...` in its pieces; undefined for a web address. */
export function dataUrl(url: string): { mediaType: string; data: string } | undefined {
  if (!url.startsWith("data:")) return undefined;
  const comma = url.indexOf(",");
  const head = url.slice(5, comma);
  if (comma < 0 || !head.endsWith(";base64")) return undefined;
  return { mediaType: head.slice(0, head.indexOf(";")), data: url.slice(comma + 1) };
}
