/**
 * HTTP/1.1 over sockets of the runtime, for `http:` origins: tokens come straight out of what was
 * read. fetch hands every chunk from thread to thread on Bun (bare, 1.78 instead of 1.35 of nginx's
 * CPU per stream); undici on Node makes a stream of what it reads, and parses all of it.
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
