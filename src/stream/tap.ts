/**
 * Reads an engine's event stream while it passes: when content starts, what was used, whether it
 * ended as it should. Where caller and engine speak the same dialect bytes go on as they came, cut
 * at ends of events only, so whatever the relay has sent is whole and an error event may be put
 * behind it at any time; after the first content an event is parsed only if its bytes show that it
 * may matter. Where they do not, every event is read and written anew in the caller's dialect: one
 * event in, none or several out, and never a part of one.
 */
import { codes, join } from "./bytes.ts";
import {
  type EventReader,
  type EventWriter,
  READ,
  type StreamDialect,
} from "./dialects/dialect.ts";
import { parseFields } from "./dialects/fields.ts";
import type { EventSink, StopReason, StreamError, StreamEvent } from "./event.ts";
import {
  EVENT_BYTES_MAX,
  EventHold,
  eventTooLong,
  readEvent,
  SseBoundary,
  type SseEvent,
} from "./sse.ts";
import type { Usage } from "./usage.ts";

export interface SseTapOptions {
  /** The engine's. */
  dialect: StreamDialect;
  /** The caller's, where it is another. */
  writer?: EventWriter | undefined;
  /** Take the event out that carries nothing but usage: we asked for it, the caller did not. */
  dropUsage: boolean;
  /** Choices that have to finish. */
  choices: number;
  /** Bound of one event in bytes; default 1 MiB. */
  maxEventBytes?: number;
  /** Keep the text of the first choice, up to this many characters; then nothing passes unread. */
  keepText?: number;
}

const KEEP = 0;
const DROP = 1;
/** Not of the dialect: passes in the middle of a stream, is cut off at its end. */
const BROKEN = 2;
type Verdict = typeof KEEP | typeof DROP | typeof BROKEN;

const encoder = new TextEncoder();

export class SseTap implements EventSink {
  private readonly dialect: StreamDialect;
  private readonly reader: EventReader;
  private readonly writer: EventWriter | undefined;
  private readonly dropUsage: boolean;
  private readonly keepText: number;
  private readonly readsAll: boolean;
  private readonly choices: number;
  private readonly boundary = new SseBoundary();
  private readonly hold: EventHold;
  private readonly finished = new Set<number>();
  private first = true;
  private dropped = false;
  /** The event that is being read has content. */
  private content = false;
  /** Frames of the caller's dialect that are not given out yet. */
  private written = "";

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
  /** Text of the first choice, where it is kept; undefined = not kept, or longer than the bound. */
  text: string | undefined = undefined;
  /** Reason of the first choice. */
  reason: StopReason | undefined = undefined;

  constructor(options: SseTapOptions) {
    this.dialect = options.dialect;
    this.reader = options.dialect.reader();
    this.writer = options.writer;
    this.dropUsage = options.dropUsage;
    this.choices = Math.max(1, options.choices);
    this.hold = new EventHold(options.maxEventBytes ?? EVENT_BYTES_MAX);
    this.keepText = options.keepText ?? 0;
    if (this.keepText > 0) this.text = "";
    this.readsAll = this.writer !== undefined || this.keepText > 0;
  }

  /** Every choice that was to come has a reason to stop. */
  get finishedAll(): boolean {
    return this.finished.size >= this.choices;
  }

  /** The last event came, or every choice has a reason to stop: an EOF now is a good end. */
  get terminal(): boolean {
    return this.doneSeen || this.finished.size >= this.choices;
  }

  /**
   * @param chunk next bytes of the endpoint; not changed, and given back itself where it is whole
   * @returns bytes that may go to the client now: whole events only
   * @throws GridError bad_response when one event is longer than the bound, or is nothing that the
   *   caller's dialect can say; feed no more then
   */
  feed(chunk: Uint8Array): Uint8Array | undefined {
    let from: number = this.boundary.takeLf(chunk);
    let kept = from === 1 && this.dropped ? 1 : 0;
    let parts: Uint8Array[] | undefined;
    for (;;) {
      const plain = this.passPlain(chunk, from);
      if (plain > from) {
        from = plain;
        continue;
      }
      const end = this.boundary.next(chunk, from);
      if (end < 0) break;
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
    }
    if (from < chunk.length && !this.hold.push(chunk, from)) throw eventTooLong(this.hold.limit);
    if (this.writer !== undefined) return this.takeWritten();
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
    const verdict = this.read(event);
    if (this.writer !== undefined) return this.takeWritten();
    if (verdict !== KEEP || event.data === undefined) return undefined;
    const last = left[left.length - 1];
    const end = last === 0x0a ? "\n" : "\n\n";
    return join([left, codes(end)]);
  }

  /** The frames that end the stream where the engine forgot to, after all choices finished. */
  complete(): Uint8Array | undefined {
    if (this.doneSeen) return undefined;
    this.doneSeen = true;
    if (this.writer === undefined) return this.dialect.terminal;
    this.written += this.writer.write({ type: "end" });
    return this.takeWritten();
  }

  on(event: StreamEvent): void {
    switch (event.type) {
      case "start":
        this.model ??= event.model;
        break;
      case "stop":
        if (event.choice >= 0 && event.choice < this.choices) this.finished.add(event.choice);
        if (event.choice === 0) this.reason = event.reason;
        this.contentSeen = true;
        break;
      case "usage":
        this.usage = event.usage;
        break;
      case "end":
        this.doneSeen = true;
        break;
      case "error":
        if (this.error !== undefined) return;
        this.error = event.error;
        // In another dialect the relay writes it, as it does its own.
        this.errorForwarded = this.writer === undefined;
        return;
      case "toolEnd":
        break;
      case "text":
        this.content = true;
        if (event.choice === 0 && this.text !== undefined) this.keep(event.text);
        break;
      default:
        this.content = true;
    }
    // What an engine says behind its error (`[DONE]`, a reason to stop) must not make the answer
    // look complete: the relay ends it with the error.
    if (this.writer !== undefined && this.error === undefined) {
      this.written += this.writer.write(event);
    }
  }

  private keep(text: string): void {
    const length = (this.text as string).length + text.length;
    this.text = length > this.keepText ? undefined : this.text + text;
  }

  private takeWritten(): Uint8Array | undefined {
    if (this.written === "") return undefined;
    const bytes = encoder.encode(this.written);
    this.written = "";
    return bytes;
  }

  private checkLength(eventBytes: number): void {
    const { limit, length } = this.hold;
    if (length + eventBytes > limit) throw eventTooLong(limit);
  }

  /**
   * Most of a stream is whole events with content that need not be parsed: seen in one pass, which
   * leaves the boundary as it is, between two events.
   * @returns the offset behind the one at `from`; -1: there is none, or not for sure
   */
  private passPlain(chunk: Uint8Array, from: number): number {
    if (!this.contentSeen || this.readsAll || this.hold.length > 0) return -1;
    const end = this.dialect.plainContentEnd?.(chunk, from) ?? -1;
    if (end < 0) return -1;
    this.checkLength(end - from);
    this.contentEvents++;
    this.dropped = false;
    return end;
  }

  /** Takes note of one whole event; false: it must not reach the client. */
  private see(bytes: Uint8Array, from: number, end: number): boolean {
    if (this.contentSeen && !this.readsAll && this.dialect.isPlainContent(bytes, from, end)) {
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
    if (data !== undefined && data !== "") verdict = this.readData(data, event.event);
    if (event.raw !== undefined) {
      const raw = parseFields(event.raw);
      const error = raw === undefined ? undefined : this.dialect.errorOf(raw);
      if (error !== undefined) this.error ??= error;
      if (data === undefined) verdict = DROP;
    }
    return verdict;
  }

  private readData(data: string, name: string | undefined): Verdict {
    this.content = false;
    const read = this.reader.read(data, name, this);
    if (this.content) {
      this.contentSeen = true;
      this.contentEvents++;
    }
    if (read === READ.broken) return BROKEN;
    return read === READ.usageOnly && this.dropUsage ? DROP : KEEP;
  }
}
