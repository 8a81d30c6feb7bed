/**
 * OpenAI Chat Completions and Completions as engines stream them: vLLM, SGLang, llama.cpp, OpenAI.
 * After the first content an event is parsed only if its bytes show a key that may matter (usage,
 * finish_reason, error), so a token costs a scan of its bytes. A quotation mark inside a JSON
 * string is escaped, so the scan may parse too often but never misses a key.
 */
import { codes, startsWith } from "../bytes.ts";
import type { Answer, AnswerChoice, AnswerPart, EventSink, StopReason } from "../event.ts";
import type { StreamError } from "../event.ts";
import { usageOf } from "../usage.ts";
import { type EventReader, type Fields, READ, type Read } from "./dialect.ts";
import { errorFrom, filledText, isFields, listOf, parseFields, wordOf } from "./fields.ts";

const QUOTE = 0x22;
const COLON = 0x3a;
const SPACE = 0x20;
const LF = 0x0a;
const CR = 0x0d;
const LETTER_N = 0x6e;
const LETTER_U = 0x75;
const BACKSLASH = 0x5c;
const DATA = codes("data:");
const USAGE = codes('usage"');
const FINISH = codes('finish_reason"');
const ERROR = codes('error"');

/** True when the key that ends before `at` has a value other than null, or is no key at all. */
function hasValue(bytes: Uint8Array, at: number): boolean {
  while (bytes[at] === SPACE) at++;
  if (bytes[at] !== COLON) return true;
  at++;
  while (bytes[at] === SPACE) at++;
  return bytes[at] !== LETTER_N;
}

/** True when the string that opens before `at` is a key that may matter. */
function mayMatter(bytes: Uint8Array, at: number): boolean {
  switch (bytes[at]) {
    case LETTER_U:
      return startsWith(bytes, at, USAGE) && hasValue(bytes, at + USAGE.length);
    case 0x66:
      return startsWith(bytes, at, FINISH) && hasValue(bytes, at + FINISH.length);
    case 0x65:
      return startsWith(bytes, at, ERROR) && hasValue(bytes, at + ERROR.length);
    // A key may be written with escapes; text that starts with one is parsed in vain.
    case BACKSLASH:
      return bytes[at + 1] === LETTER_U;
    default:
      return false;
  }
}

/**
 * Where the line ends that starts at `from`, at most `end`; -1: it is no `data:` line of JSON, or
 * it has a key that may matter.
 */
function plainLineEnd(bytes: Uint8Array, from: number, end: number): number {
  if (!startsWith(bytes, from, DATA)) return -1;
  let at = from + DATA.length;
  if (bytes[at] === SPACE) at++;
  if (bytes[at] !== 0x7b) return -1;
  for (; at < end; at++) {
    while (at + 1 < end && bytes[at] > QUOTE) at++;
    const byte = bytes[at];
    if (byte === LF || byte === CR) return at;
    if (byte === QUOTE && mayMatter(bytes, at + 1)) return -1;
  }
  return end;
}

/** True for one plain `data:` line of JSON without a key that matters: it need not be parsed. */
export function isPlainContent(bytes: Uint8Array, from: number, end: number): boolean {
  const line = plainLineEnd(bytes, from, end);
  if (line < 0) return false;
  // At most LF LF or CR LF CR LF may follow; anything else is a second line.
  for (let at = line; at < end; at++) if (bytes[at] !== LF && bytes[at] !== CR) return false;
  return true;
}

/** Where such an event ends, in one pass: the scan for its blank line and the look at its keys. */
export function plainContentEnd(bytes: Uint8Array, from: number): number {
  let at = plainLineEnd(bytes, from, bytes.length);
  if (at < 0) return -1;
  // The end of its line and the blank one: both LF or CR LF, or another has to tell.
  for (let ends = 0; ends < 2; ends++) {
    if (bytes[at] === CR) at++;
    if (bytes[at++] !== LF) return -1;
  }
  return at;
}

/** Engines write `{error:{...}}`, `{error:"..."}`, and (old vLLM) `{object:"error",...}`. */
export function errorOf(message: Fields): StreamError | undefined {
  const own = message.error;
  if (typeof own === "string") return { message: own };
  const from = isFields(own) ? own : message.object === "error" ? message : undefined;
  return from === undefined ? undefined : errorFrom(from);
}

const REASONS: Readonly<Record<string, StopReason>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tools",
  function_call: "tools",
  content_filter: "filter",
};

interface Stop {
  reason: StopReason;
  sequence?: string;
}

/** What an engine made up itself (`abort`, `eos`) is an end like any other. */
function stopOf(choice: Fields): Stop {
  const finish = wordOf(choice.finish_reason) ?? "stop";
  // vLLM's and SGLang's names for the caller's stop string that was met.
  const sequence = finish === "stop" ? (choice.stop_reason ?? choice.matched_stop) : undefined;
  if (typeof sequence === "string") return { reason: "sequence", sequence };
  return { reason: Object.hasOwn(REASONS, finish) ? REASONS[finish] : "stop" };
}

function indexOf(value: unknown): number {
  return typeof value === "number" && Number.isInteger(value) ? value : 0;
}

/** Tool calls that one choice may have. */
const TOOLS_MAX = 1_024;

export class ChatReader implements EventReader {
  private started = false;
  /** Open tool call by choice, so that its end is told before what follows. */
  private readonly open = new Map<number, number>();
  /** Tool calls that were told. */
  private readonly tools = new Set<number>();

  read(data: string, name: string | undefined, sink: EventSink): Read {
    if (data.trim() === "[DONE]") {
      sink.on({ type: "end" });
      return READ.event;
    }
    const message = parseFields(data);
    const error = message === undefined ? undefined : errorOf(message);
    if (error !== undefined) sink.on({ type: "error", error });
    else if (name === "error") {
      sink.on({ type: "error", error: { message: wordOf(message?.message) ?? data } });
    }
    if (message === undefined) return READ.broken;
    this.start(message, sink);
    const choices = message.choices;
    if (Array.isArray(choices)) for (const choice of choices) this.choice(choice, sink);
    const usage = usageOf(message.usage);
    if (usage === undefined) return READ.event;
    sink.on({ type: "usage", usage });
    const bare = Array.isArray(choices) && choices.length === 0 && error === undefined;
    return bare ? READ.usageOnly : READ.event;
  }

  private start(message: Fields, sink: EventSink): void {
    if (this.started || typeof message.model !== "string") return;
    this.started = true;
    sink.on({ type: "start", id: wordOf(message.id) ?? "", model: message.model });
  }

  private choice(value: unknown, sink: EventSink): void {
    if (!isFields(value)) return;
    const choice = indexOf(value.index);
    const logprobs = isFields(value.logprobs) ? value.logprobs : undefined;
    if (isFields(value.delta)) this.delta(choice, value.delta, logprobs, sink);
    else {
      const text = filledText(value.text);
      if (text !== undefined) sink.on({ type: "text", choice, text, logprobs });
    }
    if (value.finish_reason === null || value.finish_reason === undefined) return;
    this.closeTool(choice, sink);
    sink.on({ type: "stop", choice, ...stopOf(value) });
  }

  private delta(choice: number, delta: Fields, logprobs: unknown, sink: EventSink): void {
    const reasoning = filledText(delta.reasoning_content) ?? filledText(delta.reasoning);
    if (reasoning !== undefined) sink.on({ type: "reasoning", choice, text: reasoning });
    const { content } = delta;
    const text = filledText(content);
    if (text !== undefined) sink.on({ type: "text", choice, text, logprobs });
    else if (Array.isArray(content) && content.length > 0) this.parts(choice, content, sink);
    const refusal = filledText(delta.refusal);
    if (refusal !== undefined) sink.on({ type: "refusal", choice, text: refusal });
    for (const call of listOf(delta.tool_calls)) this.call(choice, call, sink);
    if (isFields(delta.function_call)) {
      this.call(choice, { index: 0, function: delta.function_call }, sink);
    }
    if (isFields(delta.audio)) sink.on({ type: "opaque", choice });
  }

  /** Mistral streams `content` as parts: text, and thinking with text parts inside. */
  private parts(choice: number, parts: readonly unknown[], sink: EventSink): void {
    for (const part of parts) {
      const text = isFields(part) ? filledText(part.text) : undefined;
      if (text !== undefined) sink.on({ type: "text", choice, text });
      else sink.on({ type: "opaque", choice });
    }
  }

  private call(choice: number, value: unknown, sink: EventSink): void {
    if (!isFields(value)) return;
    const tool = indexOf(value.index);
    if (tool < 0 || tool >= TOOLS_MAX) return;
    const called = isFields(value.function) ? value.function : {};
    const key = choice * TOOLS_MAX + tool;
    if (!this.tools.has(key)) {
      this.closeTool(choice, sink);
      this.tools.add(key);
      this.open.set(choice, tool);
      const id = filledText(value.id) ?? `call_${choice}_${tool}`;
      sink.on({ type: "tool", choice, tool, id, name: wordOf(called.name) ?? "" });
    }
    const json = filledText(called.arguments);
    if (json !== undefined) sink.on({ type: "arguments", choice, tool, json });
  }

  private closeTool(choice: number, sink: EventSink): void {
    const tool = this.open.get(choice);
    if (tool === undefined) return;
    this.open.delete(choice);
    sink.on({ type: "toolEnd", choice, tool });
  }
}

/** A `chat.completion` or `text_completion` object. */
export function readAnswer(body: Fields): Answer | undefined {
  if (!Array.isArray(body.choices) || body.choices.length === 0) return undefined;
  const choices: AnswerChoice[] = [];
  for (const value of body.choices) {
    if (!isFields(value)) return undefined;
    choices.push(choiceOf(value));
  }
  return {
    id: wordOf(body.id) ?? "",
    model: wordOf(body.model) ?? "",
    choices,
    usage: usageOf(body.usage),
  };
}

function choiceOf(value: Fields): AnswerChoice {
  const parts: AnswerPart[] = [];
  const message = isFields(value.message) ? value.message : { content: value.text };
  const reasoning = filledText(message.reasoning_content) ?? filledText(message.reasoning);
  if (reasoning !== undefined) parts.push({ type: "reasoning", text: reasoning });
  const content = filledText(message.content);
  if (content !== undefined) parts.push({ type: "text", text: content });
  for (const part of listOf(message.content)) {
    const text = isFields(part) ? filledText(part.text) : undefined;
    if (text !== undefined) parts.push({ type: "text", text });
  }
  const refusal = filledText(message.refusal);
  if (refusal !== undefined) parts.push({ type: "refusal", text: refusal });
  parts.push(...listOf(message.tool_calls).flatMap(callOf));
  const choice: AnswerChoice = { parts, ...stopOf(value) };
  if (isFields(value.logprobs)) choice.logprobs = value.logprobs;
  return choice;
}

function callOf(value: unknown, index: number): AnswerPart[] {
  if (!isFields(value) || !isFields(value.function)) return [];
  const called = value.function;
  const given = called.arguments;
  return [
    {
      type: "call",
      id: filledText(value.id) ?? `call_0_${index}`,
      name: wordOf(called.name) ?? "",
      arguments: typeof given === "string" ? given : JSON.stringify(given ?? {}),
    },
  ];
}
