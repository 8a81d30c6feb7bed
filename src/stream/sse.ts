/**
 * Server-sent events as a push parser over bytes: no socket, no clock, nothing kept but the one
 * event that is not complete yet, and that only up to a bound. An event ends at a blank line; a
 * line ends with LF, CR or CRLF (WHATWG HTML, section 9.2). A CR ends its line at once, so an event
 * never waits for an LF that may not come; when the LF does come, with the next chunk, it belongs
 * to the event before it. The tap and the parser share the boundary scan and the hold, so both cut
 * a stream at the same places whatever chunks it comes in.
 */
import { GridError } from "../grid/errors.ts";

/** Default bound of one event, in bytes. */
export const EVENT_BYTES_MAX = 1 << 20;

/** A hold that grew beyond this is given back once its event is complete. */
const HOLD_KEPT_BYTES = 16 * 1024;
const HOLD_FIRST_BYTES = 1024;

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;
const BRACE = 0x7b;
const NOTHING = new Uint8Array(0);
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** One event. `data` is undefined where the event has no data line (comments, keep-alives). */
export interface SseEvent {
  event: string | undefined;
  data: string | undefined;
  id: string | undefined;
  /** Number of data lines; more than one means that `data` holds line feeds. */
  dataLines: number;
  /** Text from the first line on that starts with `{`: JSON that was never framed as SSE. */
  raw: string | undefined;
}

/** The typed failure of a stream whose event is longer than the bound. */
export function eventTooLong(limitBytes: number): GridError {
  const message = `The endpoint sent a server-sent event of more than ${limitBytes} bytes.`;
  return new GridError("bad_response", message);
}

/** Finds the ends of events. Keeps two bits between chunks, never a byte. */
export class SseBoundary {
  private lineEmpty = true;
  private afterCr = false;
  private endedByCr = false;

  /**
   * Call first for every chunk. 1 when its first byte is the LF of a CR that ended an event at the
   * end of the chunk before, so that this byte belongs to that event; else 0.
   */
  takeLf(chunk: Uint8Array): 0 | 1 {
    if (!this.endedByCr || chunk.length === 0) return 0;
    this.endedByCr = false;
    this.afterCr = false;
    return chunk[0] === LF ? 1 : 0;
  }

  /** Offset just behind the next end of an event at or after `from`; -1: the chunk has no more. */
  next(chunk: Uint8Array, from: number): number {
    const length = chunk.length;
    let lineEmpty = this.lineEmpty;
    let afterCr = this.afterCr;
    for (let at = from; at < length; at++) {
      const byte = chunk[at];
      if (byte > CR || (byte !== LF && byte !== CR)) {
        lineEmpty = false;
        afterCr = false;
        while (at + 1 < length && chunk[at + 1] > CR) at++;
        continue;
      }
      if (byte === LF && afterCr) {
        afterCr = false;
        continue;
      }
      if (lineEmpty) return this.close(chunk, at);
      lineEmpty = true;
      afterCr = byte === CR;
    }
    this.lineEmpty = lineEmpty;
    this.afterCr = afterCr;
    return -1;
  }

  private close(chunk: Uint8Array, at: number): number {
    this.lineEmpty = true;
    this.afterCr = false;
    if (chunk[at] === LF) return at + 1;
    if (at + 1 < chunk.length) return chunk[at + 1] === LF ? at + 2 : at + 1;
    this.endedByCr = true;
    return at + 1;
  }
}

/** The bytes of the event that is not complete yet, bounded. */
export class EventHold {
  readonly limit: number;
  private buffer: Uint8Array = NOTHING;
  length = 0;

  constructor(limitBytes: number) {
    this.limit = limitBytes;
  }

  /** Keeps a copy of `chunk` from `from` on. False, and nothing kept: it is over the bound. */
  push(chunk: Uint8Array, from: number): boolean {
    const needed = this.length + chunk.length - from;
    if (needed > this.limit) return false;
    if (needed > this.buffer.length) {
      const grown = new Uint8Array(Math.max(needed, this.buffer.length * 2, HOLD_FIRST_BYTES));
      grown.set(this.buffer.subarray(0, this.length));
      this.buffer = grown;
    }
    this.buffer.set(from === 0 ? chunk : chunk.subarray(from), this.length);
    this.length = needed;
    return true;
  }

  /** Empties the hold: a fresh array of what it held plus the first `end` bytes of `chunk`. */
  take(chunk: Uint8Array = NOTHING, end = 0): Uint8Array {
    const whole = new Uint8Array(this.length + end);
    whole.set(this.buffer.subarray(0, this.length));
    whole.set(end === chunk.length ? chunk : chunk.subarray(0, end), this.length);
    this.length = 0;
    if (this.buffer.length > HOLD_KEPT_BYTES) this.buffer = NOTHING;
    return whole;
  }
}

/** Longest name of a field that is read. */
const NAME_LENGTH_MAX = "event".length;

/** Reads the line at start..end of the text; `into` gets what it says. */
function readLine(text: string, start: number, end: number, into: SseEvent): void {
  let colon = start;
  while (colon < end && text.charCodeAt(colon) !== COLON) {
    if (colon++ - start === NAME_LENGTH_MAX) return;
  }
  const is = (name: string) => colon - start === name.length && text.startsWith(name, start);
  const skip = text.charCodeAt(colon + 1) === SPACE ? 2 : 1;
  const value = colon === end ? "" : text.slice(colon + skip, end);
  if (is("data")) {
    into.data = into.dataLines === 0 ? value : `${into.data}\n${value}`;
    into.dataLines++;
  } else if (is("event")) into.event = value;
  else if (is("id") && !value.includes("\0")) into.id = value;
}

/** Where the line ends that begins at `at`. The runtime's own search is much faster than a loop. */
function lineEnd(text: string, at: number, mayHaveCr: boolean): number {
  if (!mayHaveCr) {
    const lf = text.indexOf("\n", at);
    return lf < 0 ? text.length : lf;
  }
  let end = at;
  while (end < text.length && text.charCodeAt(end) !== LF && text.charCodeAt(end) !== CR) end++;
  return end;
}

/**
 * Reads the lines of one event.
 * @param bytes holds the event at from..end, blank line included or missing
 * @param first true for the first event of a stream: only there a byte order mark is skipped
 */
export function readEvent(bytes: Uint8Array, from: number, end: number, first: boolean): SseEvent {
  let text = decoder.decode(bytes.subarray(from, end));
  if (first && text.charCodeAt(0) === 0xfeff) text = text.slice(1);
  const none = undefined;
  const event: SseEvent = { event: none, data: none, id: none, dataLines: 0, raw: none };
  const mayHaveCr = text.includes("\r");
  for (let start = 0; start < text.length; ) {
    const stop = lineEnd(text, start, mayHaveCr);
    if (text.charCodeAt(start) === BRACE) {
      event.raw = text.slice(start).trimEnd();
      break;
    }
    if (stop > start && text.charCodeAt(start) !== COLON) readLine(text, start, stop, event);
    start = stop + 1;
  }
  return event;
}

/** Parses a stream into events with data. For readers of our own; the relay uses the tap. */
export class SseParser {
  private readonly onEvent: (event: SseEvent) => void;
  private readonly boundary = new SseBoundary();
  private readonly hold: EventHold;
  private first = true;

  /** @param onEvent called for every complete event that has data or unframed JSON */
  constructor(onEvent: (event: SseEvent) => void, maxEventBytes: number = EVENT_BYTES_MAX) {
    this.onEvent = onEvent;
    this.hold = new EventHold(maxEventBytes);
  }

  /** @throws GridError bad_response when one event is longer than the bound. */
  feed(chunk: Uint8Array): void {
    let from: number = this.boundary.takeLf(chunk);
    for (;;) {
      const end = this.boundary.next(chunk, from);
      if (end < 0) break;
      if (this.hold.length > 0) {
        const whole = this.hold.take(chunk, end);
        this.emit(whole, 0, whole.length);
      } else {
        this.emit(chunk, from, end);
      }
      from = end;
    }
    if (from < chunk.length && !this.hold.push(chunk, from)) throw eventTooLong(this.hold.limit);
  }

  /**
   * Call at the end of the stream. Gives what came after the last blank line, undefined when that
   * is nothing: no event by the standard, but it may be an error that the engine never framed.
   */
  finish(): SseEvent | undefined {
    if (this.hold.length === 0) return undefined;
    const left = this.hold.take();
    return readEvent(left, 0, left.length, this.first);
  }

  private emit(bytes: Uint8Array, from: number, end: number): void {
    if (end - from > this.hold.limit) throw eventTooLong(this.hold.limit);
    const event = readEvent(bytes, from, end, this.first);
    this.first = false;
    if (event.data !== undefined || event.raw !== undefined) this.onEvent(event);
  }
}
