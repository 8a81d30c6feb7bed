/**
 * One call of a transport whose answer is handed on at the end of the turn in which it came
 * (turn.ts): an object per call, no closure and no promise per chunk. Whatever happens, the
 * handler hears one end or one error.
 */
import { GridError } from "../src/grid/errors.ts";
import type { Headers, OutCall, OutHandler, OutRequest } from "../src/grid/exchange.ts";
import type { Lane } from "./lane.ts";
import { transportError } from "./transport-errors.ts";
import { atTurnsEnd, type Waiting } from "./turn.ts";

/** The head of an answer, as it waits for the end of the turn. */
interface Head {
  status: number;
  headers: Headers;
}

/** Of one answer in one turn; then the next is waited for. */
const TURN_BYTES_MAX = 64 * 1024;

export abstract class TurnCall implements OutCall, Waiting {
  protected readonly request: OutRequest;
  protected abstract lane: Lane<unknown> | undefined;
  /** A byte of the answer came. */
  private byteSeen = false;
  /** Its connection had carried a request before. */
  protected reused = false;
  /** The endpoint has said the last of it. */
  protected over = false;
  private readonly out: OutHandler;
  /** The handler has heard the last of it. */
  private done = false;
  // What came and was not handed on, in the order in which it comes.
  private headCame: Head | undefined;
  private readonly chunks: Uint8Array[] = [];
  private end: { error: GridError | undefined } | undefined;
  /** Of a body, since the last turn's end. */
  private arrivedBytes = 0;
  private waiting = false;
  private paused = false;

  constructor(request: OutRequest, out: OutHandler) {
    this.request = request;
    this.out = out;
  }

  /** Ends what carries the call, for good. */
  protected abstract cut(reason: GridError): void;

  /** Stops or starts the reading of what comes. Called only while it is not over. */
  protected abstract hold(paused: boolean): void;

  abort(reason: GridError): void {
    if (this.done) return;
    this.done = true;
    if (!this.over) {
      this.over = true;
      this.cut(reason);
    }
    this.out.onError(reason);
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.wait();
  }

  proceed(): void {
    this.waiting = false;
    this.arrivedBytes = 0;
    try {
      this.handOn();
    } catch (cause) {
      const why = `A response handler failed: ${(cause as Error).message}`;
      this.abort(new GridError("internal", why, { cause }));
    }
    if (!this.over) this.hold(this.paused);
  }

  /** A byte of the answer came. */
  protected answers(): void {
    if (this.byteSeen) return;
    this.byteSeen = true;
    if (this.reused) this.lane?.reuseWorked();
  }

  protected head(status: number, headers: Headers): void {
    this.headCame = { status, headers };
    this.wait();
  }

  protected data(chunk: Uint8Array): void {
    if (this.done) return;
    this.chunks.push(chunk);
    this.wait();
    this.arrivedBytes += chunk.byteLength;
    // A socket is read many times in a turn where the other side is quick.
    if (this.arrivedBytes >= TURN_BYTES_MAX && !this.over) this.hold(true);
  }

  /** The last that comes: a failure, or the answer's end. */
  protected last(error?: GridError): void {
    this.over = true;
    this.end = { error };
    this.wait();
  }

  /** @param started it had a connection */
  protected broke(error: Error, started: boolean): void {
    const reported = transportError(error, this.request, started, this.byteSeen, this.reused);
    if (reported.retry === "same") this.lane?.reuseFailed();
    this.last(reported);
  }

  /** The handler takes what has come, up to where it says stop. */
  private handOn(): void {
    const { headCame, chunks, out } = this;
    if (headCame !== undefined && !this.done) {
      this.headCame = undefined;
      out.onHead(headCame.status, headCame.headers);
    }
    let taken = 0;
    while (taken < chunks.length && !this.done && !this.paused) {
      this.paused = !out.onData(chunks[taken++] as Uint8Array);
    }
    if (taken === chunks.length) chunks.length = 0;
    else chunks.splice(0, taken);
    const { end } = this;
    if (end === undefined || chunks.length > 0 || this.done || this.paused) return;
    this.done = true;
    if (end.error === undefined) out.onEnd();
    else out.onError(end.error);
  }

  private wait(): void {
    if (this.waiting || this.done) return;
    this.waiting = true;
    atTurnsEnd(this);
  }
}
