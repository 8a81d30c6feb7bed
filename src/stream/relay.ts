/**
 * One attempt: engine bytes in, client bytes out, with a tap in between. Nothing reaches the
 * client before the first content token (role deltas and other lifecycle frames are held), so a
 * failure before it can be repaired elsewhere unseen. After it, a stream that breaks ends with
 * the typed error event of the dialect, never with a clean end. Whole events only go out, so the
 * error event never lands in the middle of another. A plain JSON answer is held until complete
 * or until it outgrows `heldBytes`; from then on it streams, and a break destroys the socket.
 */
import { GridError } from "../grid/errors.ts";
import type { Exchange, Headers, OutHandler } from "../grid/exchange.ts";
import type { Clock } from "../grid/effects.ts";
import type { Millis } from "../grid/units.ts";
import type { Dialect } from "../grid/dialect.ts";
import type { Task } from "../task/task.ts";
import { commitStreamHead, isEventStream, isJson } from "./answer-head.ts";
import { join } from "./bytes.ts";
import { Codec } from "./codec.ts";
import { StreamMeter } from "./meter.ts";
import { failureOf, toldFailure } from "./refusal.ts";
import { type Fault, RETRIED } from "./result-check.ts";
import type { SseTap } from "./tap.ts";
import type { Usage } from "./usage.ts";

export interface RelayLimits {
  /** Bytes held back before the client sees anything. */
  heldBytes: number;
  /** Largest single event of a stream. */
  eventBytes: number;
  /** Largest plain answer. */
  responseBytes: number;
}

/** How an attempt ended. `failed`: the client saw nothing, another endpoint may try. */
export type RelayEnd = (
  | { kind: "done"; usage: Usage | undefined; status: number }
  | { kind: "failed"; error: GridError }
  | { kind: "broken"; error: GridError; usage: Usage | undefined }
  | { kind: "gone"; usage: Usage | undefined }
) & {
  /** What was wrong with a whole result, given out or not. */
  faults?: readonly Fault[];
};

/** What the relay needs from the attempt around it. */
export interface RelayHost {
  /** Final headers for the client, from the engine's. */
  headers(engine: Headers): Headers;
  /** What an answer that is no success means, where its sender says so beside the status. */
  refusal?(status: number, engine: Headers): GridError | undefined;
  /** The head came, whatever it says. */
  answered?(status: number, engine: Headers): void;
  /** A result that is none may be tried elsewhere. Asked once; says yes once per request. */
  retriesResult?(): boolean;
  /** Makes the typed error event of the caller's dialect. */
  errorEvent(error: GridError): Uint8Array;
  /** Makes the body of an answer that is an error, in the caller's dialect. */
  errorBody(error: GridError): Uint8Array;
  /** Bytes came: the stream is alive. `content` once the first content token was seen. */
  progress(nowMs: Millis, content: boolean): void;
  /** First content token, once. */
  firstContent(nowMs: Millis): void;
  /** Reads go on: the client has room again. */
  resume(): void;
  /** Stops the upstream call; its onError will not be heard again. */
  abort(reason: GridError): void;
  /** Exactly once. */
  settled(end: RelayEnd): void;
}

type Mode = "waiting" | "events" | "body" | "through" | "refused" | "over";

/** Bytes of an engine's error answer that are read for the message. */
const ERROR_BYTES_MAX = 64 * 1024;
const KEEP_ALIVE_COMMENT = new TextEncoder().encode(": keep-alive\n\n");
const NOTHING = new Uint8Array(0);
const NO_STREAM = "The endpoint did not stream its answer.";

export class Relay implements OutHandler {
  readonly meter: StreamMeter;
  /** The client's buffer is full: reading from the engine stands still. */
  paused = false;
  private readonly exchange: Exchange;
  private readonly host: RelayHost;
  private readonly limits: RelayLimits;
  private readonly clock: Clock;
  private readonly stream: boolean;
  private readonly codec: Codec;
  private tap: SseTap | undefined;
  private mode: Mode = "waiting";
  private status = 0;
  private engineHeaders: Headers = {};
  private held: Uint8Array[] = [];
  private heldSize = 0;
  private contentTold = false;
  private faults: readonly Fault[] = [];

  constructor(
    task: Task,
    exchange: Exchange,
    host: RelayHost,
    limits: RelayLimits,
    clock: Clock,
    sentMs: Millis,
    engine: Dialect,
  ) {
    this.stream = task.stream;
    this.codec = new Codec(task, engine);
    this.exchange = exchange;
    this.host = host;
    this.limits = limits;
    this.clock = clock;
    this.meter = new StreamMeter(sentMs);
  }

  onHead(status: number, headers: Headers): void {
    if (this.mode === "over") return;
    this.status = status;
    this.engineHeaders = headers;
    this.host.answered?.(status, headers);
    if (status < 200 || status >= 300) this.mode = "refused";
    else if (this.stream && isEventStream(headers)) {
      this.tap = this.codec.tap(headers, this.limits.eventBytes);
      this.mode = "events";
    } else if (isJson(headers)) {
      // An SDK that reads events finds none in it, and takes the answer for empty.
      if (this.stream) return this.giveUp(new GridError("bad_response", NO_STREAM));
      this.mode = "body";
    } else {
      const type = (headers["content-type"] as string).slice(0, 60);
      return this.giveUp(new GridError("bad_response", `The endpoint answered with '${type}'.`));
    }
    this.host.progress(this.clock(), false);
  }

  onData(chunk: Uint8Array): boolean {
    switch (this.mode) {
      case "events":
        return this.events(chunk);
      case "body":
        return this.body(chunk);
      case "through":
        return this.through(chunk);
      case "refused":
        if (this.heldSize < ERROR_BYTES_MAX) this.hold(chunk);
        return true;
      default:
        return true;
    }
  }

  onEnd(): void {
    switch (this.mode) {
      case "events":
        return this.eventsEnd();
      case "body":
        return this.bodyEnd();
      case "through":
        this.exchange.end();
        return this.settle({ kind: "done", usage: undefined, status: this.status });
      case "refused":
        return this.refusedEnd();
      case "waiting":
        return this.lose(new GridError("disconnected", "The endpoint closed without an answer."));
      default:
        return;
    }
  }

  onError(error: GridError): void {
    if (this.mode !== "over") this.lose(error);
  }

  /** The attempt is over for another reason (deadline): same rules as a failure of the engine. */
  lose(error: GridError): void {
    if (this.mode === "over") return;
    const usage = this.tap?.usage;
    if (this.mode !== "through" && !this.contentTold) {
      this.settle({ kind: "failed", error });
    } else if (this.tap !== undefined && this.mode === "events") {
      this.exchange.end(this.host.errorEvent(error));
      this.settle({ kind: "broken", error, usage });
    } else {
      this.exchange.destroy(error);
      this.settle({ kind: "broken", error, usage });
    }
  }

  /** We end it: the engine is told, then the client like at any failure. */
  private giveUp(error: GridError): void {
    this.lose(error);
    this.host.abort(error);
  }

  /** The client left. */
  clientGone(): void {
    if (this.mode === "over") return;
    this.settle({ kind: "gone", usage: this.tap?.usage });
  }

  /** Shows a waiting client of a stream that its request lives. Content stays retriable. */
  keepAlive(): void {
    if (!this.stream || this.contentTold || this.mode === "over") return;
    commitStreamHead(this.exchange, this.host.headers({}));
    this.exchange.write(KEEP_ALIVE_COMMENT);
  }

  private events(chunk: Uint8Array): boolean {
    const tap = this.tap as SseTap;
    const nowMs = this.clock();
    const before = tap.contentEvents;
    let out: Uint8Array | undefined;
    try {
      out = tap.feed(chunk);
    } catch (error) {
      this.giveUp(error as GridError);
      return true;
    }
    this.meter.onBytes(chunk.byteLength, nowMs);
    this.meter.onContent(tap.contentEvents - before, nowMs);
    if (this.contentTold) {
      this.host.progress(nowMs, true);
      const more = out === undefined || this.forward(out);
      if (tap.error === undefined || tap.errorForwarded) return more;
      this.giveUp(toldFailure(tap.error));
      return true;
    }
    return this.beforeContent(tap, out, nowMs);
  }

  private beforeContent(tap: SseTap, out: Uint8Array | undefined, nowMs: Millis): boolean {
    if (tap.error !== undefined) {
      // Its own words go to the caller only if nobody else can serve.
      this.giveUp(toldFailure(tap.error));
      return true;
    }
    if (out !== undefined) this.hold(out);
    const outgrown = this.heldSize > this.limits.heldBytes;
    if (!tap.contentSeen && !tap.terminal && !outgrown) {
      this.host.progress(nowMs, false);
      return true;
    }
    this.contentTold = true;
    this.host.firstContent(nowMs);
    this.host.progress(nowMs, true);
    commitStreamHead(this.exchange, this.host.headers(this.engineHeaders));
    return this.release();
  }

  private eventsEnd(): void {
    const tap = this.tap as SseTap;
    const rest = tap.finish();
    if (tap.error !== undefined && !(this.contentTold && tap.errorForwarded)) {
      return this.lose(toldFailure(tap.error));
    }
    if (!tap.terminal && tap.error === undefined) {
      const message = "The endpoint ended the stream before it was complete.";
      return this.lose(new GridError("truncated", message));
    }
    if (!this.contentTold) this.beforeContent(tap, rest, this.clock());
    else if (rest !== undefined) this.exchange.write(rest);
    if (tap.error !== undefined) {
      this.exchange.end();
      const error = toldFailure(tap.error);
      return this.settle({ kind: "broken", error, usage: tap.usage });
    }
    this.exchange.end(tap.complete());
    this.faults = this.codec.faultsOf(tap);
    this.settle({ kind: "done", usage: tap.usage, status: this.status });
  }

  private body(chunk: Uint8Array): boolean {
    const nowMs = this.clock();
    this.meter.onBytes(chunk.byteLength, nowMs);
    this.host.progress(nowMs, false);
    this.hold(chunk);
    if (this.codec.translates) return this.boundBody();
    if (this.heldSize <= this.limits.heldBytes) return true;
    this.mode = "through";
    this.tellContent(nowMs);
    this.exchange.head(this.status, this.host.headers(this.engineHeaders));
    return this.release();
  }

  private through(chunk: Uint8Array): boolean {
    const nowMs = this.clock();
    this.meter.onBytes(chunk.byteLength, nowMs);
    this.host.progress(nowMs, true);
    return this.boundBody() ? this.forward(chunk) : true;
  }

  /** False: the answer is too long and was given up. */
  private boundBody(): boolean {
    const { responseBytes } = this.limits;
    if (this.meter.bytes <= responseBytes) return true;
    this.giveUp(new GridError("bad_response", `The answer is over ${responseBytes} bytes.`));
    return false;
  }

  private bodyEnd(): void {
    const whole = join(this.held) ?? NOTHING;
    const promised = this.engineHeaders["content-length"];
    if (promised !== undefined && Number(promised) !== whole.byteLength) {
      return this.lose(new GridError("truncated", "The endpoint's answer was cut short."));
    }
    let result: ReturnType<Codec["plain"]>;
    try {
      result = this.codec.plain(whole, this.engineHeaders);
    } catch (error) {
      return this.lose(error as GridError);
    }
    const { body, faults } = result;
    this.faults = faults;
    if (RETRIED.some((fault) => faults.includes(fault)) && this.host.retriesResult?.() === true) {
      const message = `The endpoint's result is not what was asked for (${faults.join(", ")}).`;
      return this.lose(new GridError("invalid_result", message));
    }
    this.tellContent(this.clock());
    const headers = this.host.headers(this.engineHeaders);
    headers["content-length"] = String(body.byteLength);
    this.exchange.head(this.status, headers);
    this.exchange.end(body);
    const usage = this.codec.usage(whole);
    this.settle({ kind: "done", usage, status: this.status });
  }

  /** A plain answer is content as a whole: first token and last are one. */
  private tellContent(nowMs: Millis): void {
    if (this.contentTold) return;
    this.contentTold = true;
    this.host.firstContent(nowMs);
  }

  private refusedEnd(): void {
    const body = join(this.held) ?? NOTHING;
    const said = this.host.refusal?.(this.status, this.engineHeaders);
    if (said !== undefined) return this.lose(said);
    const failure = failureOf(this.status, this.engineHeaders);
    if (failure !== undefined) return this.lose(failure);
    if (this.exchange.headSent) {
      const message = `The endpoint refused the request with status ${this.status}.`;
      this.exchange.end(this.host.errorEvent(new GridError("endpoint_rejected", message)));
      return this.settle({ kind: "done", usage: undefined, status: this.status });
    }
    // The engine refuses the request itself: its own words serve the caller best.
    const words = this.codec.translates
      ? this.host.errorBody(this.codec.refusal(body, this.status))
      : body;
    const headers = this.host.headers(this.engineHeaders);
    headers["content-length"] = String(words.byteLength);
    this.exchange.head(this.status, headers);
    this.exchange.end(words);
    this.settle({ kind: "done", usage: undefined, status: this.status });
  }

  private hold(chunk: Uint8Array): void {
    this.held.push(chunk);
    this.heldSize += chunk.byteLength;
  }

  private release(): boolean {
    const bytes = join(this.held) ?? NOTHING;
    this.held = [];
    this.heldSize = 0;
    return bytes.byteLength === 0 || this.forward(bytes);
  }

  private forward(chunk: Uint8Array): boolean {
    if (this.exchange.write(chunk)) return true;
    this.paused = true;
    this.exchange.onDrain(() => {
      this.paused = false;
      this.host.resume();
    });
    return false;
  }

  private settle(end: RelayEnd): void {
    this.mode = "over";
    if (this.faults.length > 0) end.faults = this.faults;
    this.held = [];
    this.host.settled(end);
  }
}
