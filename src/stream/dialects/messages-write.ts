/**
 * Writes Anthropic Messages. Content goes out in numbered blocks, one open at a time, so a change
 * of kind closes a block and opens the next. The input's size stands in the first event, where
 * engines of other dialects tell it last: an estimate goes out first, the count with the last
 * `message_delta`, which SDKs let win.
 */
import { GridError } from "../../grid/errors.ts";
import type { Answer, AnswerPart, StopReason, StreamEvent } from "../event.ts";
import type { Usage } from "../usage.ts";
import type { EventWriter, WriterOptions } from "./dialect.ts";
import { answerId, isFields, parseFields } from "./fields.ts";

const REASONS: Readonly<Record<StopReason, string>> = {
  stop: "end_turn",
  sequence: "stop_sequence",
  length: "max_tokens",
  tools: "tool_use",
  filter: "refusal",
  refusal: "refusal",
  pause: "pause_turn",
  context: "model_context_window_exceeded",
};

/** The version that adds fields to messages and their usage. */
const NEWER = "2026-10-21";

const quote = JSON.stringify;

function frame(type: string, rest: string): string {
  return `event: ${type}\ndata: {"type":"${type}"${rest}}\n\n`;
}

type Block = "none" | "text" | "thinking" | "tool";

export class MessagesWriter implements EventWriter {
  private readonly options: WriterOptions;
  private started = false;
  private ended = false;
  private block: Block = "none";
  /** Index of the open block, or of the next one. */
  private index = 0;
  private tool = -1;
  private refused = false;
  private usage: Usage | undefined;
  private reason: StopReason = "stop";
  private sequence: string | undefined;

  constructor(options: WriterOptions) {
    this.options = options;
  }

  write(event: StreamEvent): string {
    // A message has one choice; `n` is never asked for on its behalf.
    if ("choice" in event && event.choice !== 0) return "";
    switch (event.type) {
      case "start":
        return this.start(event.id, event.model);
      case "text":
        return this.text(event.text);
      case "refusal":
        this.refused = true;
        return this.text(event.text);
      case "reasoning":
        return this.in("thinking") + this.delta(`"thinking_delta","thinking":${quote(event.text)}`);
      case "signature":
        if (this.block !== "thinking") return "";
        return this.delta(`"signature_delta","signature":${quote(event.signature)}`);
      case "tool":
        return this.openTool(event.tool, event.id, event.name);
      case "arguments":
        return this.input(event.tool, event.json);
      case "toolEnd":
        return event.tool === this.tool && this.block === "tool" ? this.close() : "";
      case "stop":
        this.reason = event.reason;
        this.sequence = event.sequence;
        return "";
      case "usage":
        this.usage = event.usage;
        return "";
      case "end":
        return this.end();
      default:
        return "";
    }
  }

  private start(id: string, model: string): string {
    if (this.started) return "";
    this.started = true;
    const { options } = this;
    const usage = this.usage ?? { promptTokens: options.promptTokens, completionTokens: 0 };
    const message = messageObject(id || options.id, model || options.model, usage, options.version);
    return frame("message_start", `,"message":${quote(message)}`);
  }

  private text(text: string): string {
    return this.in("text") + this.delta(`"text_delta","text":${quote(text)}`);
  }

  private delta(rest: string): string {
    return frame("content_block_delta", `,"index":${this.index},"delta":{"type":${rest}}`);
  }

  /** Makes sure that a block of the kind is open. */
  private in(kind: "text" | "thinking"): string {
    if (this.block === kind) return "";
    return kind === "text"
      ? this.open(kind, '{"type":"text","text":""}')
      : this.open(kind, '{"type":"thinking","thinking":"","signature":""}');
  }

  private open(kind: Block, content: string): string {
    const before = this.start("", "") + this.close();
    this.block = kind;
    return (
      before + frame("content_block_start", `,"index":${this.index},"content_block":${content}`)
    );
  }

  private close(): string {
    if (this.block === "none") return "";
    this.block = "none";
    return frame("content_block_stop", `,"index":${this.index++}`);
  }

  private openTool(tool: number, id: string, name: string): string {
    const opened = this.open(
      "tool",
      `{"type":"tool_use","id":${quote(id)},"name":${quote(name)},"input":{}}`,
    );
    this.tool = tool;
    return opened;
  }

  private input(tool: number, json: string): string {
    if (this.block === "tool" && tool === this.tool) {
      return this.delta(`"input_json_delta","partial_json":${quote(json)}`);
    }
    const message = "The endpoint went back to a tool call after the next had begun.";
    throw new GridError("bad_response", message);
  }

  private end(): string {
    if (this.ended) return "";
    this.ended = true;
    const before = this.start("", "") + this.close();
    const reason = stopReason(this.reason, this.tool >= 0, this.refused);
    const { version, promptTokens } = this.options;
    const usage = usageObject(this.usage ?? { promptTokens, completionTokens: 0 }, version);
    const delta = { stop_reason: reason, stop_sequence: this.sequence ?? null };
    return (
      before +
      frame("message_delta", `,"delta":${quote(delta)},"usage":${quote(usage)}`) +
      frame("message_stop", "")
    );
  }
}

/** Some engines say "stop" although the turn ended in a tool call or a refusal. */
function stopReason(reason: StopReason, called: boolean, refused: boolean): string {
  if (reason === "stop" && called) return REASONS.tools;
  if (reason === "stop" && refused) return REASONS.refusal;
  return REASONS[reason];
}

function messageObject(id: string, model: string, usage: Usage, version: string | undefined) {
  const message: Record<string, unknown> = {
    id: answerId("msg_", id),
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
  };
  if (version === NEWER) Object.assign(message, { stop_details: null, container: null });
  if (version === NEWER) message.diagnostics = null;
  message.usage = usageObject(usage, version);
  return message;
}

function usageObject(usage: Usage, version: string | undefined): Record<string, unknown> {
  const cached = usage.cachedTokens ?? 0;
  const written = usage.cacheWriteTokens ?? 0;
  const object: Record<string, unknown> = {
    input_tokens: Math.max(usage.promptTokens - cached - written, 0),
    cache_creation_input_tokens: written,
    cache_read_input_tokens: cached,
    output_tokens: usage.completionTokens,
  };
  if (version !== NEWER) return object;
  const { reasoningTokens } = usage;
  const details = reasoningTokens === undefined ? null : { thinking_tokens: reasoningTokens };
  const unknown = { cache_creation: null, inference_geo: null, server_tool_use: null };
  const unsaid = { service_tier: null, speed: null };
  return { ...object, ...unknown, output_tokens_details: details, ...unsaid };
}

/** @throws GridError bad_response when a tool call's arguments are no JSON object */
export function writeAnswer(answer: Answer, options: WriterOptions): unknown {
  const { parts, reason, sequence } = answer.choices[0];
  const { promptTokens, version, id, model } = options;
  const usage = answer.usage ?? { promptTokens, completionTokens: 0 };
  const message = messageObject(answer.id || id, answer.model || model, usage, version);
  const called = parts.some((part) => part.type === "call");
  const refused = parts.some((part) => part.type === "refusal");
  message.content = parts.map(blockObject);
  message.stop_reason = stopReason(reason, called, refused);
  message.stop_sequence = sequence ?? null;
  return message;
}

function blockObject(part: AnswerPart): unknown {
  switch (part.type) {
    case "text":
    case "refusal":
      return { type: "text", text: part.text };
    case "reasoning":
      return { type: "thinking", thinking: part.text, signature: part.signature ?? "" };
    case "call":
      return { type: "tool_use", id: part.id, name: part.name, input: inputOf(part.arguments) };
  }
}

function inputOf(json: string): unknown {
  if (json.trim() === "") return {};
  const input = parseFields(json);
  if (isFields(input)) return input;
  throw new GridError("bad_response", "The endpoint's tool call has arguments that are no JSON.");
}
