/**
 * Gemini as the vendor streams it: every event is a whole answer so far in its own right, with
 * parts for each candidate, the usage so far, and at last a reason to stop. There is no last event.
 * A function call comes in one piece, arguments and all, and ends with the same reason as text.
 */
import { codes, startsWith } from "../bytes.ts";
import type {
  Answer,
  AnswerChoice,
  AnswerPart,
  EventSink,
  StopReason,
  StreamError,
} from "../event.ts";
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

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const LETTER_U = 0x75;
const DATA = codes("data:");
// Keys of events that say more than content. Usage does not count: the last event has all of it.
const FINISH = codes('finishReason"');
const FEEDBACK = codes('promptFeedback"');
const ERROR = codes('error"');

/** True when the string that opens before `at` is a key that matters, or may be one in disguise. */
function mayMatter(bytes: Uint8Array, at: number): boolean {
  switch (bytes[at]) {
    case 0x66:
      return startsWith(bytes, at, FINISH);
    case 0x70:
      return startsWith(bytes, at, FEEDBACK);
    case 0x65:
      return startsWith(bytes, at, ERROR);
    case BACKSLASH:
      return bytes[at + 1] === LETTER_U;
    default:
      return false;
  }
}

/** One `data:` line of JSON without a key that matters: it need not be parsed. */
export function isPlainContent(bytes: Uint8Array, from: number, end: number): boolean {
  if (!startsWith(bytes, from, DATA)) return false;
  let at = from + DATA.length;
  if (bytes[at] === SPACE) at++;
  if (bytes[at] !== 0x7b) return false;
  for (; at < end; at++) {
    while (at + 1 < end && bytes[at] > QUOTE) at++;
    const byte = bytes[at];
    if (byte === QUOTE) {
      if (mayMatter(bytes, at + 1)) return false;
    } else if (byte === 0x0a || byte === 0x0d) {
      for (at++; at < end; at++) if (bytes[at] !== 0x0a && bytes[at] !== 0x0d) return false;
    }
  }
  return true;
}

const REASONS: Readonly<Record<string, StopReason>> = {
  STOP: "stop",
  MAX_TOKENS: "length",
  SAFETY: "filter",
  RECITATION: "filter",
  LANGUAGE: "filter",
  BLOCKLIST: "filter",
  PROHIBITED_CONTENT: "filter",
  SPII: "filter",
  IMAGE_SAFETY: "filter",
  MODEL_ARMOR: "filter",
};

/** The model's answer broke off, whatever the vendor's own SDKs make of it. */
const FAILURES = [
  ...["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"],
  ...["MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE"],
];

function reasonOf(finish: string, called: boolean): StopReason {
  const reason = Object.hasOwn(REASONS, finish) ? REASONS[finish] : "stop";
  return reason === "stop" && called ? "tools" : reason;
}

function failureOf(candidate: Fields): StreamError | undefined {
  const finish = wordOf(candidate.finishReason) ?? "";
  if (!FAILURES.includes(finish)) return undefined;
  const message = wordOf(candidate.finishMessage) ?? `The model's answer ended with ${finish}.`;
  return { message, code: finish };
}

/** `{error:{code, message, status}}`, alone or, where it ends a JSON array, in a list of one. */
export function errorOf(body: Fields): StreamError | undefined {
  if (!isFields(body.error)) return undefined;
  const error = errorFrom(body.error);
  const status = wordOf(body.error.status);
  return status === undefined ? error : { ...error, type: status };
}

/** Reads `usageMetadata`; undefined when it is none. */
export function usageOf(value: unknown): Usage | undefined {
  if (!isFields(value)) return undefined;
  const prompt = tokensOf(value.promptTokenCount);
  const thoughts = tokensOf(value.thoughtsTokenCount);
  const said = tokensOf(value.candidatesTokenCount);
  if (prompt === undefined && said === undefined) return undefined;
  // The results of tools that the vendor ran itself count as prompt, beside it.
  const usage: Usage = {
    promptTokens: (prompt ?? 0) + (tokensOf(value.toolUsePromptTokenCount) ?? 0),
    completionTokens: (said ?? 0) + (thoughts ?? 0),
  };
  const cached = tokensOf(value.cachedContentTokenCount);
  if (cached !== undefined) usage.cachedTokens = cached;
  if (thoughts !== undefined) usage.reasoningTokens = thoughts;
  return usage;
}

/** Candidates that one answer may have, and calls that one candidate may have. */
const CHOICES_MAX = 128;
const TOOLS_MAX = 1_024;

export class GeminiReader implements EventReader {
  private started = false;
  /** Function calls so far, by candidate. */
  private readonly calls = new Map<number, number>();

  read(data: string, name: string | undefined, sink: EventSink): Read {
    const body = parseFields(data);
    if (body === undefined) {
      if (name === "error") sink.on({ type: "error", error: { message: data } });
      return READ.broken;
    }
    const error = errorOf(body);
    if (error !== undefined) sink.on({ type: "error", error });
    else this.event(body, sink);
    return READ.event;
  }

  private event(body: Fields, sink: EventSink): void {
    if (!this.started && Array.isArray(body.candidates)) {
      this.started = true;
      const id = wordOf(body.responseId) ?? "";
      sink.on({ type: "start", id, model: wordOf(body.modelVersion) ?? "" });
    }
    // Before the reason to stop, so that a caller's last event can hold both.
    const usage = usageOf(body.usageMetadata);
    if (usage !== undefined) sink.on({ type: "usage", usage });
    for (const candidate of listOf(body.candidates)) {
      if (isFields(candidate)) this.candidate(candidate, sink);
    }
    if (isBlocked(body)) sink.on({ type: "stop", choice: 0, reason: "filter" });
  }

  private candidate(candidate: Fields, sink: EventSink): void {
    const choice = tokensOf(candidate.index) ?? 0;
    if (choice >= CHOICES_MAX) return;
    const content = isFields(candidate.content) ? candidate.content : {};
    for (const part of listOf(content.parts)) if (isFields(part)) this.part(choice, part, sink);
    if (typeof candidate.finishReason !== "string") return;
    const error = failureOf(candidate);
    if (error !== undefined) return sink.on({ type: "error", error });
    const called = this.calls.has(choice);
    sink.on({ type: "stop", choice, reason: reasonOf(candidate.finishReason, called) });
  }

  private part(choice: number, part: Fields, sink: EventSink): void {
    if (isFields(part.functionCall)) this.call(choice, part.functionCall, sink);
    else if (typeof part.text === "string") {
      const thought = part.thought === true;
      const { text } = part;
      if (text !== "") sink.on({ type: thought ? "reasoning" : "text", choice, text });
      const signature = thought ? filledText(part.thoughtSignature) : undefined;
      if (signature !== undefined) sink.on({ type: "signature", choice, signature });
    } else sink.on({ type: "opaque", choice });
  }

  private call(choice: number, call: Fields, sink: EventSink): void {
    const tool = this.calls.get(choice) ?? 0;
    if (tool >= TOOLS_MAX) return;
    this.calls.set(choice, tool + 1);
    const id = filledText(call.id) ?? `call_${choice}_${tool}`;
    sink.on({ type: "tool", choice, tool, id, name: wordOf(call.name) ?? "" });
    sink.on({ type: "arguments", choice, tool, json: JSON.stringify(call.args ?? {}) });
    sink.on({ type: "toolEnd", choice, tool });
  }
}

/** The prompt was not let through: there is feedback and no candidate. */
function isBlocked(body: Fields): boolean {
  const { promptFeedback, candidates } = body;
  const blocked = isFields(promptFeedback) && typeof promptFeedback.blockReason === "string";
  return blocked && listOf(candidates).length === 0;
}

/** A GenerateContentResponse. */
export function readAnswer(body: Fields): Answer | undefined {
  const candidates = listOf(body.candidates);
  const choices: AnswerChoice[] = [];
  for (const candidate of candidates) {
    if (!isFields(candidate) || failureOf(candidate) !== undefined) return undefined;
    choices.push(choiceOf(candidate));
  }
  if (isBlocked(body)) choices.push({ parts: [], reason: "filter" });
  if (choices.length === 0) return undefined;
  return {
    id: wordOf(body.responseId) ?? "",
    model: wordOf(body.modelVersion) ?? "",
    choices,
    usage: usageOf(body.usageMetadata),
  };
}

function choiceOf(candidate: Fields): AnswerChoice {
  const content = isFields(candidate.content) ? candidate.content : {};
  const parts: AnswerPart[] = [];
  for (const part of listOf(content.parts)) if (isFields(part)) addPart(parts, part);
  const called = parts.some(({ type }) => type === "call");
  return { parts, reason: reasonOf(wordOf(candidate.finishReason) ?? "STOP", called) };
}

function addPart(parts: AnswerPart[], part: Fields): void {
  if (isFields(part.functionCall)) {
    const { functionCall } = part;
    const id = filledText(functionCall.id) ?? `call_0_${parts.length}`;
    const json = JSON.stringify(functionCall.args ?? {});
    parts.push({ type: "call", id, name: wordOf(functionCall.name) ?? "", arguments: json });
  } else if (typeof part.text === "string") {
    const { text } = part;
    const signature = filledText(part.thoughtSignature);
    if (part.thought !== true) parts.push({ type: "text", text });
    else if (signature === undefined) parts.push({ type: "reasoning", text });
    else parts.push({ type: "reasoning", text, signature });
  }
}
