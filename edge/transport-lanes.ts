/**
 * A Transport over connections of our own: one lane of them per origin (lane.ts), one object per
 * call (call.ts). There are no head or body time-outs here: the relay owns those.
 */
import { GridError } from "../src/grid/errors.ts";
import type { OutCall, OutHandler, OutRequest, Transport } from "../src/grid/exchange.ts";
import type { Lane, LaneOptions } from "./lane.ts";

export interface LanesOptions extends Partial<LaneOptions> {
  /** Connect time-out where a request names none, ms. Default 2,000: a LAN answers in 1 RTT. */
  connectTimeoutMs?: number;
  /** Idle connections close after, ms. Default 4,000: uvicorn and httplib close at 5,000. */
  keepAliveMs?: number;
  /** Calls per origin at once, refused beyond. Default 4,096: endpoint caps bite first. */
  connectionsMax?: number;
  /** Origins remembered; the oldest is let go beyond. Default 4,096, the kernel's most rows. */
  originsMax?: number;
}

/** A call that has not gone out yet. */
interface Ready<L> extends OutCall {
  /** @throws GridError endpoint_busy; what else hinders it is told by `fail` */
  start(lane: L): void;
  fail(error: Error): void;
}

export abstract class LanesTransport<L extends Lane<unknown>> implements Transport {
  private readonly connectTimeoutMs: number;
  private readonly originsMax: number;
  private readonly laneOptions: LaneOptions;
  private readonly lanes = new Map<string, L>();
  /** Lanes let go while calls still ran on them. */
  private readonly retired = new Set<L>();
  private closed = false;

  constructor(options: LanesOptions) {
    this.connectTimeoutMs = options.connectTimeoutMs ?? 2_000;
    this.originsMax = options.originsMax ?? 4_096;
    this.laneOptions = {
      keepAliveMs: options.keepAliveMs ?? 4_000,
      connectionsMax: options.connectionsMax ?? 4_096,
    };
  }

  protected abstract makeCall(request: OutRequest, handler: OutHandler): Ready<L>;
  protected abstract makeLane(origin: string, options: LaneOptions): L;

  send(request: OutRequest, handler: OutHandler): OutCall {
    const call = this.makeCall(request, handler);
    try {
      const lane = this.lanes.get(request.origin) ?? this.open(request.origin);
      lane.connectTimeoutMs = request.connectTimeoutMs || this.connectTimeoutMs;
      call.start(lane);
    } catch (error) {
      call.fail(error as Error);
    }
    return call;
  }

  forget(origin: string): void {
    const lane = this.lanes.get(origin);
    if (lane === undefined) return;
    this.lanes.delete(origin);
    lane.retire();
    for (const old of this.retired) if (old.running === 0) this.retired.delete(old);
    if (lane.running > 0) this.retired.add(lane);
  }

  async close(): Promise<void> {
    this.closed = true;
    const lanes = [...this.lanes.values(), ...this.retired];
    this.lanes.clear();
    this.retired.clear();
    await Promise.all(lanes.map((lane) => lane.destroy()));
  }

  private open(origin: string): L {
    if (this.closed) throw new GridError("connect_failed", "The transport is closed.");
    if (this.lanes.size >= this.originsMax) {
      this.forget(this.lanes.keys().next().value as string);
    }
    const lane = this.makeLane(origin, this.laneOptions);
    this.lanes.set(origin, lane);
    return lane;
  }
}
