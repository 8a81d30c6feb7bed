/**
 * The exchange of a Responses request, with the turn's two touches: the body on its way in, the
 * events that hold the response on their way out. All other bytes pass as they are.
 */
import type { BodyRoom, Exchange, Headers } from "../grid/exchange.ts";
import type { Millis } from "../grid/units.ts";
import { join } from "../stream/bytes.ts";
import { RESPONSES } from "../stream/dialects/responses.ts";
import { readEvent, SseBoundary } from "../stream/sse.ts";
import { parsed, type ResponseTurn } from "./response-turn.ts";

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** Cuts what the relay writes, which are whole events always, into its events. */
export class EventCutter {
  private readonly boundary = new SseBoundary();

  /** @param each gets the bounds of every event of the chunk */
  cut(chunk: Uint8Array, each: (from: number, end: number) => void): void {
    let from: number = this.boundary.takeLf(chunk);
    for (let end = this.boundary.next(chunk, from); end >= 0; ) {
      each(from, end);
      from = end;
      end = this.boundary.next(chunk, from);
    }
  }
}

/** Name and data of one event; an engine may leave the name to the data. */
export function namedEvent(
  bytes: Uint8Array,
  from: number,
  end: number,
): { name: string; data: string } | undefined {
  const { event, data } = readEvent(bytes, from, end, false);
  if (data === undefined) return undefined;
  return { name: event ?? String(parsed(data)?.type), data };
}

export class ResponseExchange implements Exchange {
  private readonly inner: Exchange;
  private readonly turn: ResponseTurn;
  private readonly cutter = new EventCutter();
  /** A plain answer waits until it is whole. */
  private plain: { status: number; headers: Headers; parts: Uint8Array[] } | undefined;

  constructor(inner: Exchange, turn: ResponseTurn) {
    this.inner = inner;
    this.turn = turn;
  }

  get method(): string {
    return this.inner.method;
  }

  get path(): string {
    return this.inner.path;
  }

  get query(): string {
    return this.inner.query;
  }

  get headers(): Headers {
    return this.inner.headers;
  }

  get remoteAddress(): string | undefined {
    return this.inner.remoteAddress;
  }

  get headSent(): boolean {
    return this.plain !== undefined || this.inner.headSent;
  }

  get closed(): boolean {
    return this.inner.closed;
  }

  async body(limitBytes: number, timeoutMs: Millis, room?: BodyRoom): Promise<Uint8Array> {
    return this.turn.prepare(await this.inner.body(limitBytes, timeoutMs, room), limitBytes);
  }

  onGone(listener: () => void): void {
    this.inner.onGone(listener);
  }

  head(status: number, headers: Headers): void {
    const type = headers["content-type"] ?? "";
    if (status !== 200 || type.startsWith("text/event-stream")) this.inner.head(status, headers);
    else this.plain = { status, headers, parts: [] };
  }

  write(chunk: Uint8Array): boolean {
    if (this.plain === undefined) return this.inner.write(this.touched(chunk));
    this.plain.parts.push(chunk.slice());
    return true;
  }

  onDrain(listener: () => void): void {
    this.inner.onDrain(listener);
  }

  end(chunk?: Uint8Array): void {
    const { plain } = this;
    if (plain === undefined) {
      return this.inner.end(chunk === undefined ? undefined : this.touched(chunk));
    }
    if (chunk !== undefined) plain.parts.push(chunk);
    const body = this.turn.answer(join(plain.parts) ?? NOTHING);
    plain.headers["content-length"] = String(body.byteLength);
    this.inner.head(plain.status, plain.headers);
    this.inner.end(body);
  }

  destroy(error: Error): void {
    this.inner.destroy(error);
  }

  private touched(chunk: Uint8Array): Uint8Array {
    let kept = 0;
    let parts: Uint8Array[] | undefined;
    this.cutter.cut(chunk, (from, end) => {
      // Deltas, which are most of all events, are only counted.
      if (RESPONSES.isPlainContent(chunk, from, end)) {
        this.turn.sequence++;
        return;
      }
      const event = namedEvent(chunk, from, end);
      if (event === undefined) return;
      const changed = this.turn.event(event.name, event.data);
      if (changed === undefined) return;
      parts ??= [];
      parts.push(chunk.subarray(kept, from));
      parts.push(encoder.encode(`event: ${event.name}\ndata: ${JSON.stringify(changed)}\n\n`));
      kept = end;
    });
    if (parts === undefined) return chunk;
    parts.push(chunk.subarray(kept));
    return join(parts) ?? NOTHING;
  }
}
