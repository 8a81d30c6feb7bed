/**
 * Stands between an engine and the relay for the few answers whose prompt's token ids are wanted:
 * vLLM and SGLang tell them with `return_token_ids`, in the first event of a stream or in the body.
 * `read` takes note and changes nothing, for callers who asked for the ids themselves; `strip` also
 * takes all ids out again, since the caller did not: null is left in their place, as in vLLM's
 * answers to those who do not ask (0.32). Whatever it cannot read passes as it came.
 */
import type { GridError } from "../grid/errors.ts";
import type { Headers, OutHandler } from "../grid/exchange.ts";
import { EVENT_BYTES_MAX, EventHold, readEvent, SseBoundary } from "./sse.ts";
import { tokenIds } from "./token-ids.ts";

export type TokenIdMode = "read" | "strip";

type Fields = Record<string, unknown>;
type Kind = "events" | "body" | "through";

/** The prompt's ids come with the role, or with the first text: later events need no look. */
const EVENTS_LOOKED_AT = 8;
const BODY_BYTES_MAX = 4 * 1024 * 1024;
const WORD = 'token_ids"';
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class TokenIdReader implements OutHandler {
  promptIds: number[] | undefined = undefined;
  private readonly next: OutHandler;
  private readonly strips: boolean;
  private kind: Kind = "through";
  private readonly boundary = new SseBoundary();
  private readonly hold = new EventHold(EVENT_BYTES_MAX);
  private events = 0;
  private body: Uint8Array[] = [];
  private bodyBytes = 0;

  constructor(next: OutHandler, mode: TokenIdMode) {
    this.next = next;
    this.strips = mode === "strip";
  }

  onHead(status: number, headers: Headers): void {
    const type = headers["content-type"] ?? "";
    if (status >= 200 && status < 300) {
      if (type.startsWith("text/event-stream")) this.kind = "events";
      else if (type.includes("json")) this.kind = "body";
    }
    if (this.kind !== "body" || !this.strips) return this.next.onHead(status, headers);
    const { "content-length": _, ...rest } = headers;
    this.next.onHead(status, rest);
  }

  onData(chunk: Uint8Array): boolean {
    if (this.kind === "events") return this.feed(chunk);
    if (this.kind === "through") return this.next.onData(chunk);
    this.body.push(chunk);
    this.bodyBytes += chunk.length;
    return this.bodyBytes <= BODY_BYTES_MAX || this.giveUp(this.body);
  }

  onEnd(): void {
    if (this.kind === "body") this.next.onData(this.readBody());
    if (this.kind === "events" && this.hold.length > 0) this.next.onData(this.hold.take());
    this.next.onEnd();
  }

  onError(error: GridError): void {
    this.next.onError(error);
  }

  private feed(chunk: Uint8Array): boolean {
    const out: Uint8Array[] = [];
    let from: number = this.boundary.takeLf(chunk);
    if (from === 1) out.push(chunk.subarray(0, 1));
    for (let end = this.boundary.next(chunk, from); end >= 0; ) {
      const isHeld = this.hold.length > 0;
      out.push(this.see(isHeld ? this.hold.take(chunk, end) : chunk.subarray(from, end)));
      from = end;
      if (this.kind === "through") break;
      end = this.boundary.next(chunk, from);
    }
    const rest = chunk.subarray(from);
    if (this.kind === "through") out.push(rest);
    else if (rest.length > 0 && !this.hold.push(rest, 0)) {
      return this.giveUp([...out, this.hold.take(), rest]);
    }
    return out.length === 0 || this.next.onData(joined(out));
  }

  private giveUp(bytes: Uint8Array[]): boolean {
    this.kind = "through";
    this.body = [];
    return this.next.onData(joined(bytes));
  }

  /** One whole event, as it should go on. */
  private see(bytes: Uint8Array): Uint8Array {
    const isLooked = this.events++ < EVENTS_LOOKED_AT && this.promptIds === undefined;
    if (!this.strips && !isLooked) {
      this.kind = "through";
      return bytes;
    }
    const { data, event, id } = readEvent(bytes, 0, bytes.length, false);
    if (data === undefined || !data.includes(WORD)) return bytes;
    const message = parsed(data);
    if (message === undefined) return bytes;
    this.note(message);
    if (!this.strips || event !== undefined || id !== undefined) return bytes;
    return encoder.encode(`data: ${JSON.stringify(message)}\n\n`);
  }

  private readBody(): Uint8Array {
    const bytes = joined(this.body);
    this.body = [];
    const message = parsed(decoder.decode(bytes));
    if (message === undefined) return bytes;
    this.note(message);
    return this.strips ? encoder.encode(JSON.stringify(message)) : bytes;
  }

  /** Chat tells the prompt's ids at the top, completions in the choice. */
  private note(message: Fields): void {
    const choices = Array.isArray(message.choices) ? (message.choices as (Fields | null)[]) : [];
    this.promptIds ??= tokenIds(message.prompt_token_ids);
    this.promptIds ??= tokenIds(choices[0]?.prompt_token_ids);
    if (!this.strips) return;
    takeOut(message);
    for (const choice of choices)
      if (choice !== null && typeof choice === "object") takeOut(choice);
  }
}

function takeOut(fields: Fields): void {
  for (const name of ["prompt_token_ids", "token_ids"]) if (name in fields) fields[name] = null;
}

function parsed(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
