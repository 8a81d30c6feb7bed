/**
 * OpenAI Responses as vendors and engines stream it: named events, output in numbered items of one
 * kind each. Deltas tell what is said; the done events repeat it and count only where an engine
 * sent no deltas. The last event holds the whole response, its usage and how it ended.
 */
import { codes, startsWith } from "../bytes.ts";
import type { Answer, AnswerPart, EventSink, StopReason, StreamError } from "../event.ts";
import type { Usage } from "../usage.ts";
import { type EventReader, type Fields, READ, type Read } from "./dialect.ts";
import {
  errorFrom,
  filledText,
  isFields,
  listOf,
  parseFields,
  tokensOf,
  wordOf,
} from "./fields.ts";

const EVENT = codes("event: response.");
const DELTA = codes(".delta");
const LF = 0x0a;

/** After the first content a delta is content, and nothing else is in it. */
export function isPlainContent(bytes: Uint8Array, from: number, end: number): boolean {
  if (!startsWith(bytes, from, EVENT)) return false;
  const line = bytes.indexOf(LF, from + EVENT.length);
  return line > 0 && line < end && startsWith(bytes, line - DELTA.length, DELTA);
}

/** `{error: {...}}` of a refusal, `{type: "error", ...}` of a stream, and a failed response. */
export function errorOf(body: Fields): StreamError | undefined {
  if (isFields(body.error)) return errorFrom(body.error);
  if (body.type === "error") return errorFrom({ ...body, type: undefined });
  const response = isFields(body.response) ? body.response : body;
  if (response.status !== "failed" && response.status !== "cancelled") return undefined;
  const own = isFields(response.error) ? response.error : {};
  return errorFrom({ message: `the response ended as ${response.status}`, ...own });
}

/** Reads `usage`; undefined when it is none. */
export function usageOf(value: unknown): Usage | undefined {
  if (!isFields(value)) return undefined;
  const promptTokens = tokensOf(value.input_tokens);
  if (promptTokens === undefined) return undefined;
  const usage: Usage = { promptTokens, completionTokens: tokensOf(value.output_tokens) ?? 0 };
  const input = isFields(value.input_tokens_details) ? value.input_tokens_details : {};
  const output = isFields(value.output_tokens_details) ? value.output_tokens_details : {};
  const cached = tokensOf(input.cached_tokens);
  if (cached !== undefined) usage.cachedTokens = Math.min(cached, promptTokens);
  const written = tokensOf(input.cache_write_tokens);
  if (written !== undefined) usage.cacheWriteTokens = Math.min(written, promptTokens);
  const reasoning = tokensOf(output.reasoning_tokens);
  if (reasoning !== undefined) usage.reasoningTokens = reasoning;
  return usage;
}

/** Why it ended; undefined while it has not. */
function reasonOf(response: Fields, called: boolean): StopReason | undefined {
  if (response.status === "completed") return called ? "tools" : "stop";
  if (response.status !== "incomplete") return undefined;
  const details = isFields(response.incomplete_details) ? response.incomplete_details : {};
  return details.reason === "content_filter" ? "filter" : "length";
}

/** Items that one response may have. */
const ITEMS_MAX = 4_096;

/** What was told of one item. */
interface Told {
  /** Number of the tool call; -1 for other items. */
  tool: number;
  /** Kind of its deltas: a thought is told as it is or as a summary, never as both. */
  kind: string | undefined;
}

export class ResponsesReader implements EventReader {
  private readonly items = new Map<number, Told>();
  private tools = 0;
  private started = false;

  read(data: string, name: string | undefined, sink: EventSink): Read {
    const body = parseFields(data);
    if (body === undefined) {
      if (name === "error") sink.on({ type: "error", error: { message: data } });
      return data.trim() === "[DONE]" ? READ.event : READ.broken;
    }
    const error = name === "error" ? (errorOf(body) ?? errorFrom(body)) : errorOf(body);
    if (error !== undefined) sink.on({ type: "error", error });
    else this.event(body, sink);
    return READ.event;
  }

  private event(body: Fields, sink: EventSink): void {
    switch (body.type) {
      case "response.created":
        return this.start(body, sink);
      case "response.output_item.added":
        return this.added(indexOf(body), isFields(body.item) ? body.item : {}, sink);
      case "response.output_text.delta":
        return this.said("text", body, sink);
      case "response.refusal.delta":
        return this.said("refusal", body, sink);
      case "response.reasoning_text.delta":
      case "response.reasoning_summary_text.delta":
        return this.said("reasoning", body, sink);
      case "response.function_call_arguments.delta":
        return this.argued(indexOf(body), body.delta, sink);
      case "response.output_item.done":
        return this.done(indexOf(body), isFields(body.item) ? body.item : {}, sink);
      case "response.completed":
      case "response.incomplete":
        return this.end(isFields(body.response) ? body.response : {}, sink);
      default:
        return;
    }
  }

  private start(body: Fields, sink: EventSink): void {
    const response = isFields(body.response) ? body.response : {};
    if (this.started) return;
    this.started = true;
    sink.on({ type: "start", id: wordOf(response.id) ?? "", model: wordOf(response.model) ?? "" });
  }

  private told(index: number): Told | undefined {
    const known = this.items.get(index);
    if (known !== undefined || this.items.size >= ITEMS_MAX) return known;
    const told: Told = { tool: -1, kind: undefined };
    this.items.set(index, told);
    return told;
  }

  private added(index: number, item: Fields, sink: EventSink): void {
    const told = this.told(index);
    if (told === undefined) return;
    if (item.type === "function_call") {
      if (told.tool >= 0) return;
      const tool = this.tools++;
      told.tool = tool;
      const id = filledText(item.call_id) ?? filledText(item.id) ?? `call_${tool}`;
      sink.on({ type: "tool", choice: 0, tool, id, name: wordOf(item.name) ?? "" });
    } else if (item.type !== "message" && item.type !== "reasoning") {
      sink.on({ type: "opaque", choice: 0 });
    }
  }

  private said(type: "text" | "refusal" | "reasoning", body: Fields, sink: EventSink): void {
    const text = filledText(body.delta);
    const told = this.told(indexOf(body));
    const kind = wordOf(body.type);
    if (text === undefined || told === undefined) return;
    if (type === "reasoning" && told.kind !== undefined && told.kind !== kind) return;
    told.kind = kind;
    if (type !== "text") return sink.on({ type, choice: 0, text });
    const logprobs = logprobsOf(body.logprobs);
    if (logprobs === undefined) sink.on({ type, choice: 0, text });
    else sink.on({ type, choice: 0, text, logprobs });
  }

  private argued(index: number, delta: unknown, sink: EventSink): void {
    const told = this.told(index);
    const json = filledText(delta);
    if (json === undefined || told === undefined || told.tool < 0) return;
    told.kind = "arguments";
    sink.on({ type: "arguments", choice: 0, tool: told.tool, json });
  }

  /** The item as a whole: what no delta told is told now. */
  private done(index: number, item: Fields, sink: EventSink): void {
    if (!this.items.has(index)) this.added(index, item, sink);
    const told = this.told(index);
    if (told === undefined) return;
    if (told.tool >= 0) {
      if (told.kind === undefined) this.argued(index, item.arguments, sink);
      return sink.on({ type: "toolEnd", choice: 0, tool: told.tool });
    }
    for (const part of partsOf(item)) {
      if (part.type === "reasoning") {
        if (told.kind === undefined && part.text !== "") {
          sink.on({ type: "reasoning", choice: 0, text: part.text });
        }
        const { signature } = part;
        if (signature !== undefined) sink.on({ type: "signature", choice: 0, signature });
      } else if (told.kind === undefined && part.type !== "call" && part.text !== "") {
        sink.on({ type: part.type, choice: 0, text: part.text });
      }
    }
  }

  private end(response: Fields, sink: EventSink): void {
    const usage = usageOf(response.usage);
    if (usage !== undefined) sink.on({ type: "usage", usage });
    const reason = reasonOf(response, this.tools > 0);
    if (reason === undefined) return;
    sink.on({ type: "stop", choice: 0, reason });
    sink.on({ type: "end" });
  }
}

function indexOf(body: Fields): number {
  return typeof body.output_index === "number" ? body.output_index : 0;
}

/** As Chat writes them: its form is the one that the union carries. */
function logprobsOf(value: unknown): unknown {
  return Array.isArray(value) && value.length > 0 ? { content: value } : undefined;
}

/** A `response` object. */
export function readAnswer(body: Fields): Answer | undefined {
  if (!Array.isArray(body.output)) return undefined;
  const parts = body.output.flatMap(partsOf);
  const called = parts.some((part) => part.type === "call");
  const reason = reasonOf(body, called);
  if (reason === undefined) return undefined;
  return {
    id: wordOf(body.id) ?? "",
    model: wordOf(body.model) ?? "",
    choices: [{ parts, reason }],
    usage: usageOf(body.usage),
  };
}

function partsOf(item: unknown): AnswerPart[] {
  if (!isFields(item)) return [];
  switch (item.type) {
    case "message":
      return listOf(item.content).flatMap((part): AnswerPart[] => {
        if (!isFields(part)) return [];
        if (part.type === "refusal") return [{ type: "refusal", text: wordOf(part.refusal) ?? "" }];
        return [{ type: "text", text: wordOf(part.text) ?? "" }];
      });
    case "function_call": {
      const id = wordOf(item.call_id) ?? wordOf(item.id) ?? "call_0";
      const name = wordOf(item.name) ?? "";
      return [{ type: "call", id, name, arguments: wordOf(item.arguments) ?? "" }];
    }
    case "reasoning":
      return [thoughtOf(item)];
    default:
      return [];
  }
}

function thoughtOf(item: Fields): AnswerPart {
  const textsOf = (value: unknown): string =>
    listOf(value)
      .map((part) => (isFields(part) ? (wordOf(part.text) ?? "") : ""))
      .join("");
  const text = textsOf(item.content) || textsOf(item.summary);
  const signature = filledText(item.encrypted_content);
  return signature === undefined
    ? { type: "reasoning", text }
    : { type: "reasoning", text, signature };
}
