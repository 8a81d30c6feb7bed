/**
 * Reads an OpenAI event stream while it passes: when content starts, what was used, whether it
 * ended as it should. Bytes go on as they came, cut at ends of events only, so whatever the relay
 * has sent is whole and an error event may be put behind it at any time. Until the first content
 * every event is parsed; after it an event is parsed only if its bytes show a key that may matter
 * (usage, finish_reason, error), so a token costs a scan of its bytes. A quotation mark inside a
 * JSON string is escaped, so the scan may parse too often but never misses a key.
 */
import type { Route } from "../task/task.ts";
import {
  EVENT_BYTES_MAX,
  EventHold,
  eventTooLong,
  readEvent,
  SseBoundary,
  type SseEvent,
} from "./sse.ts";
import { type Usage, usageOf } from "./usage.ts";

/** An error that the engine put into the stream. */
export interface StreamError {
  message: string;
  type?: string;
  code?: string;
  param?: string;
}

export interface SseTapOptions {
  route: Route;
  /** Take the event out that carries nothing but usage: we asked for it, the caller did not. */
  dropUsage: boolean;
  /** Choices that have to finish. */
  choices: number;
  /** Bound of one event in bytes; default 1 MiB. */
  maxEventBytes?: number;
}

type Fields = Record<string, unknown>;

const KEEP = 0;
const DROP = 1;
/** Not JSON: passes in the middle of a stream, is cut off at its end. */
const BROKEN = 2;
type Verdict = typeof KEEP | typeof DROP | typeof BROKEN;

const QUOTE = 0x22;
const COLON = 0x3a;
const SPACE = 0x20;
const LETTER_N = 0x6e;
const LETTER_U = 0x75;
const BACKSLASH = 0x5c;

function codes(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
const DATA = codes("data:");
const USAGE = codes('usage"');
const FINISH = codes('finish_reason"');
const ERROR = codes('error"');

function startsWith(bytes: Uint8Array, at: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false;
  return true;
}

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

/** True for one plain `data:` line of JSON without a key that matters: it need not be parsed. */
function isPlainContent(bytes: Uint8Array, from: number, end: number): boolean {
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
      // At most LF LF or CR LF CR LF may follow; anything else is a second line.
      for (at++; at < end; at++) if (bytes[at] !== 0x0a && bytes[at] !== 0x0d) return false;
    }
  }
  return true;
}

function filled(value: unknown): boolean {
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  return typeof value === "object" && value !== null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasContent(route: Route, choice: Fields): boolean {
  if (route === "completions") return filled(choice.text);
  const delta = choice.delta;
  if (!isFields(delta)) return false;
  return (
    filled(delta.content) ||
    filled(delta.reasoning_content) ||
    filled(delta.reasoning) ||
    filled(delta.refusal) ||
    filled(delta.tool_calls) ||
    filled(delta.function_call) ||
    filled(delta.audio)
  );
}

function text(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : undefined;
}

/** Engines write `{error:{...}}`, `{error:"..."}`, and (old vLLM) `{object:"error",...}`. */
function errorOf(message: Fields): StreamError | undefined {
  const own = message.error;
  if (typeof own === "string") return { message: own };
  const from = isFields(own) ? own : message.object === "error" ? message : undefined;
  if (from === undefined) return undefined;
  const error: StreamError = { message: text(from.message) ?? "the engine reported an error" };
  const type = text(from.type);
  const code = text(from.code);
  const param = text(from.param);
  if (type !== undefined) error.type = type;
  if (code !== undefined) error.code = code;
  if (param !== undefined) error.param = param;
  return error;
}

function parse(json: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array | undefined {
  if (parts.length <= 1) return parts[0];
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export class SseTap {
  private readonly route: Route;
  private readonly dropUsage: boolean;
  private readonly choices: number;
  private readonly boundary = new SseBoundary();
  private readonly hold: EventHold;
  private readonly finished = new Set<number>();
  private first = true;
  private dropped = false;

  /** The wait for content is over: content came, or a choice finished without any. */
  contentSeen = false;
  /** Events with content. After the first, events that did not need parsing count as such. */
  contentEvents = 0;
  doneSeen = false;
  usage: Usage | undefined = undefined;
  /** First error in the stream. A stream with an error has failed, whatever `terminal` says. */
  error: StreamError | undefined = undefined;
  /** The error went to the client as the engine's own event; else somebody has to write one. */
  errorForwarded = false;
  model: string | undefined = undefined;

  constructor(options: SseTapOptions) {
    this.route = options.route;
    this.dropUsage = options.dropUsage;
    this.choices = Math.max(1, options.choices);
    this.hold = new EventHold(options.maxEventBytes ?? EVENT_BYTES_MAX);
  }

  /** `[DONE]` came, or every choice has a finish_reason: an EOF now is a good end. */
  get terminal(): boolean {
    return this.doneSeen || this.finished.size >= this.choices;
  }

  /**
   * @param chunk next bytes of the endpoint; not changed, and given back itself where it is whole
   * @returns bytes that may go to the client now: whole events only
   * @throws GridError bad_response when one event is longer than the bound; feed no more then
   */
  feed(chunk: Uint8Array): Uint8Array | undefined {
    let from: number = this.boundary.takeLf(chunk);
    let kept = from === 1 && this.dropped ? 1 : 0;
    let parts: Uint8Array[] | undefined;
    for (let end = this.boundary.next(chunk, from); end >= 0; ) {
      this.checkLength(end - from);
      if (this.hold.length > 0) {
        const whole = this.hold.take(chunk, end);
        if (this.see(whole, 0, whole.length)) parts = [whole];
        kept = end;
      } else if (!this.see(chunk, from, end)) {
        parts ??= [];
        if (from > kept) parts.push(chunk.subarray(kept, from));
        kept = end;
      }
      from = end;
      end = this.boundary.next(chunk, from);
    }
    if (from < chunk.length && !this.hold.push(chunk, from)) throw eventTooLong(this.hold.limit);
    const rest = from - kept === chunk.length ? chunk : chunk.subarray(kept, from);
    if (parts === undefined) return rest.length === 0 ? undefined : rest;
    if (rest.length > 0) parts.push(rest);
    return join(parts);
  }

  /**
   * Call at the endpoint's EOF. What came after the last blank line is given back, its blank line
   * added, when it is a whole event; an event that was cut off and an error that was never framed
   * (then `error` is set) are not.
   */
  finish(): Uint8Array | undefined {
    if (this.hold.length === 0) return undefined;
    const left = this.hold.take();
    const event = readEvent(left, 0, left.length, this.first);
    if (this.read(event) !== KEEP || event.data === undefined) return undefined;
    const last = left[left.length - 1];
    const end = last === 0x0a ? "\n" : "\n\n";
    return join([left, codes(end)]);
  }

  private checkLength(eventBytes: number): void {
    const { limit, length } = this.hold;
    if (length + eventBytes > limit) throw eventTooLong(limit);
  }

  /** Takes note of one whole event; false: it must not reach the client. */
  private see(bytes: Uint8Array, from: number, end: number): boolean {
    if (this.contentSeen && isPlainContent(bytes, from, end)) {
      this.contentEvents++;
      this.dropped = false;
      return true;
    }
    const event = readEvent(bytes, from, end, this.first);
    this.first = false;
    this.dropped = this.read(event) === DROP;
    return !this.dropped;
  }

  private read(event: SseEvent): Verdict {
    const data = event.data;
    let verdict: Verdict = KEEP;
    if (data !== undefined && data.trim() === "[DONE]") this.doneSeen = true;
    else if (data !== undefined && data !== "") verdict = this.readData(data, event.event);
    if (event.raw !== undefined) {
      const raw = parse(event.raw);
      const error = raw === undefined ? undefined : errorOf(raw);
      if (error !== undefined) this.error ??= error;
      if (data === undefined) verdict = DROP;
    }
    return verdict;
  }

  private readData(data: string, name: string | undefined): Verdict {
    const message = parse(data);
    if (name === "error" || (message !== undefined && this.error === undefined)) {
      const error =
        (message === undefined ? undefined : errorOf(message)) ??
        (name === "error" ? { message: text(message?.message) ?? data } : undefined);
      if (error !== undefined && this.error === undefined) {
        this.error = error;
        this.errorForwarded = true;
      }
    }
    if (message === undefined) return BROKEN;
    if (typeof message.model === "string") this.model ??= message.model;
    const usage = usageOf(message.usage);
    if (usage !== undefined) this.usage = usage;
    const choices = message.choices;
    if (!Array.isArray(choices)) return KEEP;
    if (choices.length === 0) {
      const usageOnly = usage !== undefined && errorOf(message) === undefined;
      return this.dropUsage && usageOnly ? DROP : KEEP;
    }
    this.readChoices(choices);
    return KEEP;
  }

  private readChoices(choices: readonly unknown[]): void {
    let content = false;
    for (const choice of choices) {
      if (!isFields(choice)) continue;
      if (hasContent(this.route, choice)) content = true;
      if (choice.finish_reason === null || choice.finish_reason === undefined) continue;
      const index = typeof choice.index === "number" ? choice.index : 0;
      if (index >= 0 && index < this.choices) this.finished.add(index);
      this.contentSeen = true;
    }
    if (!content) return;
    this.contentSeen = true;
    this.contentEvents++;
  }
}
