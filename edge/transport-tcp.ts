/**
 * HTTP/1.1 over sockets of the runtime, for `http:` origins: where fetch is dear, as it hands every
 * chunk from thread to thread (Bun: 1.35 instead of 1.78 of nginx's CPU per stream, bare).
 */
import type { OutHandler, OutRequest } from "../src/grid/exchange.ts";
import { TcpCall } from "./call-tcp.ts";
import type { LaneOptions } from "./lane.ts";
import { TcpLane } from "./lane-tcp.ts";
import type { TcpConnect } from "./tcp.ts";
import { type LanesOptions, LanesTransport } from "./transport-lanes.ts";

export class TcpTransport extends LanesTransport<TcpLane> {
  private readonly connect: TcpConnect;

  constructor(connect: TcpConnect, options: LanesOptions = {}) {
    super(options);
    this.connect = connect;
  }

  protected override makeCall(request: OutRequest, handler: OutHandler): TcpCall {
    return new TcpCall(request, handler);
  }

  protected override makeLane(origin: string, options: LaneOptions): TcpLane {
    return new TcpLane(origin, options, this.connect);
  }
}
