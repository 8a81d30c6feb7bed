/** One call on undici: dispatch handler and OutCall in one object. */
import type { Dispatcher } from "undici";
import type { GridError } from "../src/grid/errors.ts";
import { TurnCall } from "./call.ts";
import type { Carrier, UndiciLane } from "./lane-undici.ts";
import { plainHeaders } from "./transport-errors.ts";
import { sendWithTurn } from "./turn.ts";

export class UndiciCall extends TurnCall implements Dispatcher.DispatchHandler {
  protected override lane: UndiciLane | undefined;
  private carrier: Carrier | undefined;
  private controller: Dispatcher.DispatchController | undefined;

  start(lane: UndiciLane): void {
    this.lane = lane;
    this.reused = lane.hasIdle && this.request.fresh !== true;
    this.carrier = lane.take(this.request.fresh);
    const { client, socket } = this.carrier;
    if (socket !== undefined) {
      socket.cork();
      sendWithTurn(socket);
    }
    client.dispatch(this.request as Dispatcher.DispatchOptions, this);
  }

  fail(error: Error): void {
    this.onResponseError(undefined, error);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
  }

  onResponseStarted(): void {
    this.answers();
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx are interim: the handler is promised one head, the final one.
    if (status >= 200) this.head(status, plainHeaders(headers));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.data(chunk);
  }

  onResponseEnd(): void {
    if (this.over) return;
    this.lane?.give(this.carrier as Carrier);
    this.last();
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.over) return;
    this.over = true;
    this.dropCarrier();
    this.broke(error, this.controller !== undefined);
  }

  protected override cut(reason: GridError): void {
    this.controller?.abort(reason);
    this.dropCarrier();
  }

  protected override hold(paused: boolean): void {
    const { controller } = this;
    if (controller === undefined || controller.paused === paused) return;
    if (paused) controller.pause();
    else controller.resume();
  }

  private dropCarrier(): void {
    if (this.carrier !== undefined) this.lane?.drop(this.carrier);
  }
}
