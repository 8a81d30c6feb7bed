/**
 * One attempt at one endpoint: send, relay, keep its time-outs, cancel both ways. Who is tried
 * next is not decided here. Time-outs are separate: connect (the transport's), first content
 * token (role-only frames do not count), idle between tokens, total.
 */
import type { Clock } from "../grid/effects.ts";
import { GridError } from "../grid/errors.ts";
import type { Exchange, Headers, OutCall, OutRequest, Transport } from "../grid/exchange.ts";
import type { Handover } from "../grid/handover.ts";
import type { Millis, Row } from "../grid/units.ts";
import type { StreamMeter } from "../stream/meter.ts";
import { Relay, type RelayEnd, type RelayHost, type RelayLimits } from "../stream/relay.ts";
import { TokenIdReader, type TokenIdMode } from "../stream/token-id-reader.ts";
import { askForTokenIds } from "../task/openai.ts";
import type { Task } from "../task/task.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import type { Sender } from "./worker.ts";

export interface Timeouts {
  connectMs: Millis;
  firstTokenMs: Millis;
  idleMs: Millis;
  totalMs: Millis;
  keepAliveCommentMs: Millis;
}

/** What all attempts of a PoP share. */
export interface ForwardContext {
  transport: Transport;
  /** Of the attempts that run. */
  deadlines: Deadlines<Attempt>;
  clock: Clock;
  timeouts: Timeouts;
  limits: RelayLimits;
}

/** What one attempt is told. */
export interface AttemptPlan {
  task: Task;
  /** The endpoint's row. */
  row: Row;
  worker: Sender;
  /** For a row of another PoP: what its door is told. */
  handover: Handover | undefined;
  exchange: Exchange;
  /** Adds the grid's headers to the answer's when it is committed. */
  addGridHeaders(headers: Headers, engine: Headers): void;
  /** The error in the caller's dialect: in a stream, and as a whole answer. */
  errorEvent(error: GridError): Uint8Array;
  errorBody(error: GridError): Uint8Array;
  firstContent(nowMs: Millis): void;
  /** The prompt's token ids are wanted from the answer; `strip`: unseen by the caller. */
  tokenIds?: TokenIdMode | undefined;
  /** Another endpoint could serve it, and a retry is left. */
  retriable: boolean;
  /** The endpoint said that it takes nothing more for so long. */
  limited(forMs: Millis): void;
}

export type AttemptEnd = RelayEnd & {
  meter: StreamMeter;
  /** Token ids of the prompt, where they were wanted and told. */
  promptIds?: number[] | undefined;
};

const ALREADY_OVER = new GridError("client_gone", "The client left.");

export class Attempt implements RelayHost, Deadline {
  atMs: Millis;
  slot = -1;
  private readonly context: ForwardContext;
  private readonly plan: AttemptPlan;
  private readonly relay: Relay;
  private ids: TokenIdReader | undefined;
  private readonly sentMs: Millis;
  private call: OutCall | undefined;
  private commentMs: Millis;
  private idleSinceMs: Millis;
  /** The first content token was seen. */
  content = false;
  private over = false;
  private resolve: ((end: AttemptEnd) => void) | undefined;
  /** The end, also when it came before `run` (the client left just then). */
  private early: AttemptEnd | undefined;

  constructor(context: ForwardContext, plan: AttemptPlan) {
    this.context = context;
    this.plan = plan;
    this.sentMs = context.clock();
    this.idleSinceMs = this.sentMs;
    this.commentMs = this.sentMs + context.timeouts.keepAliveCommentMs;
    const { task, exchange, worker } = plan;
    const { limits, clock } = context;
    this.relay = new Relay(task, exchange, this, limits, clock, this.sentMs, worker.dialect(task));
    this.atMs = this.nextDeadline();
  }

  get row(): Row {
    return this.plan.row;
  }

  get taskId(): string {
    return this.plan.task.id;
  }

  /** Sends; resolves when the attempt is over in whichever way. Never rejects. */
  run(): Promise<AttemptEnd> {
    return new Promise((resolve) => {
      this.resolve = resolve;
      if (this.early !== undefined) return resolve(this.early);
      const request = this.request();
      if (request === undefined) return;
      request.connectTimeoutMs = this.context.timeouts.connectMs;
      const { task, row, retriable } = this.plan;
      if (task.sentTo === row) {
        request.fresh = true;
        // Where nobody else could serve it, asking there again is all that can be done.
        request.again = retriable;
      }
      task.sentTo = row;
      this.context.deadlines.add(this);
      this.call = this.context.transport.send(request, this.ids ?? this.relay);
      if (this.over) this.call.abort(ALREADY_OVER);
    });
  }

  /** Undefined: the engine's dialect cannot say it, and the attempt is over. */
  private request(): OutRequest | undefined {
    const { worker, task, handover, tokenIds } = this.plan;
    try {
      const request = worker.outbound(task, handover);
      if (tokenIds !== undefined) this.ids = new TokenIdReader(this.relay, tokenIds);
      if (tokenIds === "strip") request.body = askForTokenIds(request.body as Uint8Array);
      return request;
    } catch (error) {
      this.relay.lose(error as GridError);
      return undefined;
    }
  }

  /** The client left: the engine is told at once. */
  clientGone(): void {
    if (this.over) return;
    this.relay.clientGone();
    this.call?.abort(new GridError("client_gone", "The client left before the answer was done."));
  }

  /** The endpoint was found dead: what it has not begun to answer goes elsewhere. */
  endpointDown(detail: string): void {
    if (this.over || this.content) return;
    const error = new GridError("disconnected", `The endpoint went down: ${detail}`);
    this.relay.lose(error);
    this.call?.abort(error);
  }

  due(nowMs: Millis): void {
    const error = this.overdue(nowMs);
    if (error === undefined) {
      if (nowMs >= this.commentMs && !this.content) {
        // Slow prefill: the client sees that its request lives.
        this.commentMs = nowMs + this.context.timeouts.keepAliveCommentMs;
        this.relay.keepAlive();
      }
      this.atMs = this.nextDeadline();
      return;
    }
    this.relay.lose(error);
    this.call?.abort(error);
  }

  headers(engine: Headers): Headers {
    const headers = this.plan.worker.inboundHeaders(engine);
    this.plan.addGridHeaders(headers, engine);
    return headers;
  }

  refusal(status: number, engine: Headers): GridError | undefined {
    return this.plan.worker.refusal?.(status, engine);
  }

  retriesResult(): boolean {
    const { task, retriable } = this.plan;
    if (!retriable || task.resultRetried === true) return false;
    task.resultRetried = true;
    return true;
  }

  answered(status: number, engine: Headers): void {
    const forMs = this.plan.worker.limitedMs?.(status, engine) ?? 0;
    if (forMs > 0) this.plan.limited(forMs);
  }

  errorEvent(error: GridError): Uint8Array {
    return this.plan.errorEvent(error);
  }

  errorBody(error: GridError): Uint8Array {
    return this.plan.errorBody(error);
  }

  progress(nowMs: Millis, content: boolean): void {
    this.idleSinceMs = nowMs;
    if (content && !this.content) {
      this.content = true;
      this.atMs = this.nextDeadline();
    }
  }

  firstContent(nowMs: Millis): void {
    this.plan.firstContent(nowMs);
  }

  resume(): void {
    this.call?.resume();
  }

  abort(reason: GridError): void {
    this.call?.abort(reason);
  }

  settled(end: RelayEnd): void {
    this.over = true;
    this.context.deadlines.remove(this);
    this.early = Object.assign(end, { meter: this.relay.meter, promptIds: this.ids?.promptIds });
    this.resolve?.(this.early);
  }

  /** A peer that handed the request over has told how much of the time is left. */
  private get totalMs(): Millis {
    const leftMs = this.plan.task.handover?.leftMs ?? Number.POSITIVE_INFINITY;
    return Math.min(this.context.timeouts.totalMs, leftMs);
  }

  private overdue(nowMs: Millis): GridError | undefined {
    const { firstTokenMs, idleMs } = this.context.timeouts;
    const { totalMs } = this;
    if (nowMs - this.plan.task.arrivedMs >= totalMs) {
      return new GridError("total_timeout", `The request took longer than ${totalMs} ms.`);
    }
    if (this.waitsForFirst && nowMs - this.sentMs >= firstTokenMs) {
      const message = `The endpoint sent no content within ${firstTokenMs} ms.`;
      return new GridError("first_token_timeout", message);
    }
    if (this.content && nowMs - this.idleSinceMs >= idleMs) {
      // While the client's buffer is full the engine is paused by us: its silence is not its own.
      if (this.relay.paused) return new GridError("client_gone", "The client stopped reading.");
      return new GridError("idle_timeout", `The endpoint was silent for ${idleMs} ms.`);
    }
    return undefined;
  }

  /** Never later than the true one: `due` looks again and moves it. */
  private nextDeadline(): Millis {
    const { firstTokenMs, idleMs } = this.context.timeouts;
    const total = this.plan.task.arrivedMs + this.totalMs;
    if (this.content) return Math.min(total, this.idleSinceMs + idleMs);
    const comment = this.plan.task.stream ? this.commentMs : total;
    return Math.min(total, comment, this.waitsForFirst ? this.sentMs + firstTokenMs : total);
  }

  /** A plain answer comes as a whole after its last token: only the total bounds it. */
  private get waitsForFirst(): boolean {
    return this.plan.task.stream && !this.content;
  }
}
