/**
 * The connections to one origin: undici clients of one connection each, the last used first. An
 * undici Pool walks all its clients to find a free one: at 512 open streams that made a request
 * twice as dear (33 against 19 us of CPU); a stack does not care how many there are.
 * There is no queue here: the grid decides who waits, so a full lane says so at once.
 */
import type { Socket } from "node:net";
import type { buildConnector } from "undici";
import connectorFor from "undici/lib/core/connect.js";
import errors from "undici/lib/core/errors.js";
import Client from "undici/lib/dispatcher/client.js";
import { GridError } from "../src/grid/errors.ts";

export interface LaneOptions {
  keepAliveMs: number;
  connectionsMax: number;
  /** Authorities to trust, PEM; undefined: the system's. */
  ca?: string[] | undefined;
}

/** One connection of a lane; `socket` is the one it writes to, once that was made. */
export interface Carrier {
  client: Client;
  socket: Socket | undefined;
}

/**
 * Idle clients kept per origin; their sockets close by themselves after `keepAliveMs`. As many as
 * one engine has requests running: what is closed at the end of a burst is opened at the next.
 */
const IDLE_MAX = 1_024;

export class Lane {
  /** Connect time-out of connections made from now on, ms: each request may name its own. */
  connectTimeoutMs = 0;
  private readonly origin: string;
  private readonly options: LaneOptions;
  private readonly idle: Carrier[] = [];
  private readonly open = new Set<Carrier>();
  private closed = false;
  // HTTP/1.1 only: there an abort closes the connection, which every engine notices at once.
  // No time-out of undici's: it is fixed per client and rounded to half seconds above a second.
  private readonly connector: (
    options: buildConnector.Options,
    callback: buildConnector.Callback,
  ) => unknown;

  constructor(origin: string, options: LaneOptions) {
    this.origin = origin;
    this.options = options;
    const trust = options.ca === undefined ? {} : { ca: options.ca };
    this.connector = connectorFor({ allowH2: false, timeout: 0, ...trust });
  }

  /** True when the next `take` gives a connection that has carried a request. */
  get hasIdle(): boolean {
    return this.idle.length > 0;
  }

  /** @throws GridError endpoint_busy when `connectionsMax` are in use */
  take(): Carrier {
    const carrier = this.idle.pop();
    if (carrier !== undefined) return carrier;
    const { connectionsMax, keepAliveMs } = this.options;
    if (this.open.size >= connectionsMax) {
      throw new GridError("endpoint_busy", `${this.origin} has ${connectionsMax} calls open.`);
    }
    const client = new Client(this.origin, {
      pipelining: 1,
      keepAliveTimeout: keepAliveMs,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        fresh.socket = this.connect(options, callback);
      },
    });
    const fresh: Carrier = { client, socket: undefined };
    this.open.add(fresh);
    return fresh;
  }

  /** Takes a connection back after a clean end. */
  give(carrier: Carrier): void {
    if (this.closed || this.idle.length >= IDLE_MAX) this.drop(carrier);
    else this.idle.push(carrier);
  }

  /** Closes a connection at once, also one that is still being made. */
  drop(carrier: Carrier): void {
    if (this.open.delete(carrier)) carrier.client.destroy(null, () => {});
  }

  /** Closes what is idle: one of them was stale, so the others may be. */
  dropIdle(): void {
    for (const carrier of this.idle.splice(0)) this.drop(carrier);
  }

  /** Closes what is idle; what runs is closed when it ends. */
  retire(): void {
    this.closed = true;
    this.dropIdle();
  }

  async destroy(): Promise<void> {
    this.closed = true;
    const carriers = [...this.open];
    this.open.clear();
    this.idle.length = 0;
    await Promise.all(carriers.map(({ client }) => client.destroy()));
  }

  get running(): number {
    return this.open.size - this.idle.length;
  }

  // undici calls this inside `dispatch`, so the time-out just set by the caller is the right one.
  private connect(options: buildConnector.Options, callback: buildConnector.Callback): Socket {
    const timeoutMs = this.connectTimeoutMs;
    const socket = this.connector(options, callback) as Socket;
    const timer = setTimeout(() => {
      const why = `no connection to ${this.origin} within ${timeoutMs} ms`;
      socket.destroy(new errors.ConnectTimeoutError(why));
    }, timeoutMs);
    const clear = () => clearTimeout(timer);
    socket.once(options.protocol === "https:" ? "secureConnect" : "connect", clear);
    socket.once("close", clear);
    return socket;
  }
}
