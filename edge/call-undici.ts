/**
 * One call on undici: dispatch handler and OutCall in one object, so that a chunk costs no closure
 * and no promise. What an engine sent is handed on at the end of the turn in which it came
 * (turn.ts). Whatever happens, the handler hears one end or one error.
 */
import type { Dispatcher } from "undici";
import { GridError } from "../src/grid/errors.ts";
import type { Headers, OutCall, OutHandler, OutRequest } from "../src/grid/exchange.ts";
import type { Carrier, Lane } from "./lane-undici.ts";
import { plainHeaders, transportError } from "./transport-errors.ts";
import { atTurnsEnd, sendWithTurn, type Waiting } from "./turn.ts";

/** The head of an answer, as it waits for the end of the turn. */
interface Head {
  status: number;
  headers: Headers;
}

const END = Symbol("end");
type Arrival = Head | Uint8Array | GridError | typeof END;

export class UndiciCall implements Dispatcher.DispatchHandler, OutCall, Waiting {
  private readonly request: OutRequest;
  private readonly out: OutHandler;
  private lane: Lane | undefined;
  private carrier: Carrier | undefined;
  private controller: Dispatcher.DispatchController | undefined;
  /** The handler has heard the last of it. */
  private done = false;
  /** The engine has said the last of it. */
  private over = false;
  private arrivals: Arrival[] = [];
  private waiting = false;
  private paused = false;
  private byteSeen = false;
  private reused = false;

  constructor(request: OutRequest, out: OutHandler) {
    this.request = request;
    this.out = out;
  }

  start(lane: Lane): void {
    this.lane = lane;
    this.reused = lane.hasIdle;
    this.carrier = lane.take();
    const { client, socket } = this.carrier;
    if (socket !== undefined) {
      socket.cork();
      sendWithTurn(socket);
    }
    client.dispatch(this.request as Dispatcher.DispatchOptions, this);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
  }

  onResponseStarted(): void {
    this.byteSeen = true;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx are interim: the handler is promised one head, the final one.
    if (status >= 200) this.arrive({ status, headers: plainHeaders(headers) });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.arrive(chunk);
  }

  onResponseEnd(): void {
    if (this.over) return;
    this.over = true;
    this.lane?.give(this.carrier as Carrier);
    this.arrive(END);
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.over) return;
    this.over = true;
    this.dropCarrier();
    const started = this.controller !== undefined;
    const reported = transportError(error, this.request, started, this.byteSeen, this.reused);
    if (reported.retry === "same") this.lane?.dropIdle();
    this.arrive(reported);
  }

  abort(reason: GridError): void {
    if (this.done) return;
    this.done = true;
    if (!this.over) {
      this.over = true;
      this.controller?.abort(reason);
      this.dropCarrier();
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
    try {
      this.handOn();
    } catch (cause) {
      const why = `A response handler failed: ${(cause as Error).message}`;
      this.abort(new GridError("internal", why, { cause }));
    }
    const { controller } = this;
    if (this.over || controller === undefined || controller.paused === this.paused) return;
    if (this.paused) controller.pause();
    else controller.resume();
  }

  /** The handler takes what has come, up to where it says stop. */
  private handOn(): void {
    const { arrivals, out } = this;
    let taken = 0;
    while (taken < arrivals.length && !this.done && !this.paused) {
      const one = arrivals[taken++] as Arrival;
      if (one instanceof Uint8Array) this.paused = !out.onData(one);
      else if (one === END || one instanceof GridError) this.finish(one);
      else out.onHead(one.status, one.headers);
    }
    if (taken === arrivals.length) arrivals.length = 0;
    else arrivals.splice(0, taken);
  }

  private finish(last: typeof END | GridError): void {
    this.done = true;
    if (last === END) this.out.onEnd();
    else this.out.onError(last);
  }

  private arrive(one: Arrival): void {
    if (this.done) return;
    this.arrivals.push(one);
    this.wait();
  }

  private wait(): void {
    if (this.waiting) return;
    this.waiting = true;
    atTurnsEnd(this);
  }

  private dropCarrier(): void {
    if (this.carrier !== undefined) this.lane?.drop(this.carrier);
  }
}
