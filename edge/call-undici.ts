/**
 * One call on undici: dispatch handler and OutCall in one object, so that a chunk costs one method
 * call, no closure and no promise. Whatever happens, the handler hears one end or one error.
 */
import type { Client, Dispatcher } from "undici";
import { GridError } from "../src/grid/errors.ts";
import type { OutCall, OutHandler, OutRequest } from "../src/grid/exchange.ts";
import type { Lane } from "./lane-undici.ts";
import { errorCodeOf, plainHeaders, transportError } from "./transport-errors.ts";

export class UndiciCall implements Dispatcher.DispatchHandler, OutCall {
  private readonly request: OutRequest;
  private readonly out: OutHandler;
  private lane: Lane | undefined;
  private client: Client | undefined;
  private controller: Dispatcher.DispatchController | undefined;
  private done = false;
  private byteSeen = false;
  private reused = false;

  constructor(request: OutRequest, out: OutHandler) {
    this.request = request;
    this.out = out;
  }

  start(lane: Lane): void {
    this.lane = lane;
    this.reused = lane.hasIdle;
    this.client = lane.take();
    this.client.dispatch(this.request as Dispatcher.DispatchOptions, this);
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
    if (this.done || status < 200) return;
    this.out.onHead(status, plainHeaders(headers));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (!this.done && !this.out.onData(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    if (this.done) return;
    this.done = true;
    this.lane?.give(this.client as Client);
    this.out.onEnd();
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.done) return;
    this.done = true;
    this.release();
    const started = this.controller !== undefined;
    // undici's and the system's errors carry a code; one without is our own handler that threw.
    const ours = started && !(error instanceof GridError) && errorCodeOf(error) === "";
    const reported = ours
      ? new GridError("internal", `A response handler failed: ${error.message}`, { cause: error })
      : transportError(error, this.request, started, this.byteSeen, this.reused);
    if (reported.retry === "same") this.lane?.dropIdle();
    // Deferred, because undici may refuse a request before `send` has returned the call.
    queueMicrotask(() => this.out.onError(reported));
  }

  abort(reason: GridError): void {
    if (this.done) return;
    this.done = true;
    this.controller?.abort(reason);
    this.release();
    this.out.onError(reason);
  }

  resume(): void {
    if (this.controller?.paused !== true) return;
    // Deferred, because undici's parser must not be entered from inside another parser's callback.
    queueMicrotask(() => {
      if (!this.done) this.controller?.resume();
    });
  }

  private release(): void {
    if (this.client !== undefined) this.lane?.drop(this.client);
  }
}
