/**
 * Node's way to `https:` origins, on undici's dispatcher: 13-16 us of CPU per small request and
 * 7-9 us per streamed chunk, where fetch needs 113 and 16.
 */
import type { OutHandler, OutRequest } from "../src/grid/exchange.ts";
import { UndiciCall } from "./call-undici.ts";
import type { LaneOptions } from "./lane.ts";
import { UndiciLane } from "./lane-undici.ts";
import { type LanesOptions, LanesTransport } from "./transport-lanes.ts";

export interface UndiciTransportOptions extends LanesOptions {
  /** Authorities to trust, PEM. Default: the system's. */
  ca?: string[];
}

export class UndiciTransport extends LanesTransport<UndiciLane> {
  private readonly ca: string[] | undefined;

  constructor(options: UndiciTransportOptions = {}) {
    super(options);
    this.ca = options.ca;
  }

  protected override makeCall(request: OutRequest, handler: OutHandler): UndiciCall {
    return new UndiciCall(request, handler);
  }

  protected override makeLane(origin: string, options: LaneOptions): UndiciLane {
    return new UndiciLane(origin, { ...options, ca: this.ca });
  }
}
