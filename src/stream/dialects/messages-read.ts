/**
 * Anthropic Messages as vendors and engines stream them: named events, content in numbered blocks,
 * usage told at the start and completed at the end. The input is counted in three parts (fresh,
 * read from the cache, written to it) that add up to what others call prompt tokens.
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

const DELTA = codes("event: content_block_delta");

/** After the first content a block's delta is content, and nothing else is in it. */
export function isPlainContent(bytes: Uint8Array, from: number, end: number): boolean {
  return end - from > DELTA.length && startsWith(bytes, from, DELTA);
}

const REASONS: Readonly<Record<string, StopReason>> = {
  end_turn: "stop",
  stop_sequence: "sequence",
  max_tokens: "length",
  tool_use: "tools",
  refusal: "refusal",
  pause_turn: "pause",
  model_context_window_exceeded: "context",
};

function reasonOf(reason: unknown): StopReason {
  const word = wordOf(reason) ?? "";
  return Object.hasOwn(REASONS, word) ? REASONS[word] : "stop";
}

/** `{type:"error", error:{type, message}}`. */
export function errorOf(body: Fields): StreamError | undefined {
  if (body.type !== "error" && !isFields(body.error)) return undefined;
  return errorFrom(isFields(body.error) ? body.error : body);
}

/** Reads `usage`; what it leaves out is taken from `before`. Undefined when it is none. */
export function usageOf(value: unknown, before?: Usage): Usage | undefined {
  if (!isFields(value)) return undefined;
  const output = tokensOf(value.output_tokens);
  const fresh = tokensOf(value.input_tokens);
  if (fresh === undefined && (before === undefined || output === undefined)) return undefined;
  const usage: Usage = {
    promptTokens: 0,
    completionTokens: output ?? before?.completionTokens ?? 0,
  };
  const read = tokensOf(value.cache_read_input_tokens) ?? before?.cachedTokens;
  const written = tokensOf(value.cache_creation_input_tokens) ?? before?.cacheWriteTokens;
  usage.promptTokens =
    fresh === undefined ? (before?.promptTokens ?? 0) : fresh + (read ?? 0) + (written ?? 0);
  if (read !== undefined) usage.cachedTokens = read;
  if (written !== undefined) usage.cacheWriteTokens = written;
  const details = value.output_tokens_details;
  const thinking = isFields(details) ? tokensOf(details.thinking_tokens) : before?.reasoningTokens;
  if (thinking !== undefined) usage.reasoningTokens = thinking;
  return usage;
}

/** Content blocks that one message may have. */
const BLOCKS_MAX = 4_096;

export class MessagesReader implements EventReader {
  /** Tool call number by content block. */
  private readonly tools = new Map<number, number>();
  private usage: Usage | undefined;

  read(data: string, name: string | undefined, sink: EventSink): Read {
    const body = parseFields(data);
    if (body === undefined) {
      if (name === "error") sink.on({ type: "error", error: { message: data } });
      return READ.broken;
    }
    const error = name === "error" ? (errorOf(body) ?? errorFrom(body)) : errorOf(body);
    if (error !== undefined) sink.on({ type: "error", error });
    else this.event(body, sink);
    return READ.event;
  }

  private event(body: Fields, sink: EventSink): void {
    switch (body.type) {
      case "message_start":
        return this.start(isFields(body.message) ? body.message : {}, sink);
      case "content_block_start":
        return this.block(
          blockOf(body),
          isFields(body.content_block) ? body.content_block : {},
          sink,
        );
      case "content_block_delta":
        return this.delta(blockOf(body), isFields(body.delta) ? body.delta : {}, sink);
      case "content_block_stop": {
        const tool = this.tools.get(blockOf(body));
        if (tool !== undefined) sink.on({ type: "toolEnd", choice: 0, tool });
        return;
      }
      case "message_delta":
        return this.stop(isFields(body.delta) ? body.delta : {}, body.usage, sink);
      case "message_stop":
        return sink.on({ type: "end" });
      default:
        return;
    }
  }

  private start(message: Fields, sink: EventSink): void {
    sink.on({ type: "start", id: wordOf(message.id) ?? "", model: wordOf(message.model) ?? "" });
    this.tellUsage(message.usage, sink);
  }

  private tellUsage(value: unknown, sink: EventSink): void {
    const usage = usageOf(value, this.usage);
    if (usage === undefined) return;
    this.usage = usage;
    sink.on({ type: "usage", usage });
  }

  private block(block: number, content: Fields, sink: EventSink): void {
    if (content.type === "tool_use") {
      if (this.tools.size >= BLOCKS_MAX) return;
      const tool = this.tools.size;
      this.tools.set(block, tool);
      const id = wordOf(content.id) ?? `toolu_${tool}`;
      sink.on({ type: "tool", choice: 0, tool, id, name: wordOf(content.name) ?? "" });
      // Some engines give the whole input at once.
      const given = isFields(content.input) ? JSON.stringify(content.input) : "{}";
      if (given !== "{}") sink.on({ type: "arguments", choice: 0, tool, json: given });
    } else if (content.type === "text") {
      const text = filledText(content.text);
      if (text !== undefined) sink.on({ type: "text", choice: 0, text });
    } else if (content.type === "thinking") {
      const text = filledText(content.thinking);
      if (text !== undefined) sink.on({ type: "reasoning", choice: 0, text });
    } else sink.on({ type: "opaque", choice: 0 });
  }

  private delta(block: number, delta: Fields, sink: EventSink): void {
    const text = filledText(delta.text);
    if (delta.type === "text_delta") {
      if (text !== undefined) sink.on({ type: "text", choice: 0, text });
    } else if (delta.type === "input_json_delta") {
      const tool = this.tools.get(block);
      const json = filledText(delta.partial_json);
      if (json !== undefined && tool !== undefined) {
        sink.on({ type: "arguments", choice: 0, tool, json });
      }
    } else if (delta.type === "thinking_delta") {
      const thought = filledText(delta.thinking);
      if (thought !== undefined) sink.on({ type: "reasoning", choice: 0, text: thought });
    } else if (delta.type === "signature_delta") {
      const signature = filledText(delta.signature);
      if (signature !== undefined) sink.on({ type: "signature", choice: 0, signature });
    } else sink.on({ type: "opaque", choice: 0 });
  }

  private stop(delta: Fields, usage: unknown, sink: EventSink): void {
    this.tellUsage(usage, sink);
    if (typeof delta.stop_reason !== "string") return;
    const reason = reasonOf(delta.stop_reason);
    const sequence = wordOf(delta.stop_sequence);
    if (sequence === undefined) sink.on({ type: "stop", choice: 0, reason });
    else sink.on({ type: "stop", choice: 0, reason, sequence });
  }
}

function blockOf(body: Fields): number {
  return typeof body.index === "number" ? body.index : 0;
}

/** A `message` object. */
export function readAnswer(body: Fields): Answer | undefined {
  if (body.type !== "message" || !Array.isArray(body.content)) return undefined;
  const parts = listOf(body.content).flatMap(partOf);
  const sequence = wordOf(body.stop_sequence);
  const choice = { parts, reason: reasonOf(body.stop_reason) };
  return {
    id: wordOf(body.id) ?? "",
    model: wordOf(body.model) ?? "",
    choices: [sequence === undefined ? choice : { ...choice, sequence }],
    usage: usageOf(body.usage),
  };
}

function partOf(block: unknown): AnswerPart[] {
  if (!isFields(block)) return [];
  switch (block.type) {
    case "text":
      return [{ type: "text", text: wordOf(block.text) ?? "" }];
    case "thinking": {
      const text = wordOf(block.thinking) ?? "";
      const signature = filledText(block.signature);
      return [
        signature === undefined
          ? { type: "reasoning", text }
          : { type: "reasoning", text, signature },
      ];
    }
    case "tool_use": {
      const id = wordOf(block.id) ?? "toolu_0";
      const name = wordOf(block.name) ?? "";
      return [{ type: "call", id, name, arguments: JSON.stringify(block.input ?? {}) }];
    }
    default:
      return [];
  }
}
