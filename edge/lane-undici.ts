/** Connections on undici: clients of one connection each. */
import type { Socket } from "node:net";
import type { buildConnector } from "undici";
import connectorFor from "undici/lib/core/connect.js";
import errors from "undici/lib/core/errors.js";
import Client from "undici/lib/dispatcher/client.js";
import { Lane, type LaneOptions } from "./lane.ts";

export interface UndiciLaneOptions extends LaneOptions {
  /** Authorities to trust, PEM; undefined: the system's. */
  ca?: string[] | undefined;
}

/** `socket` is the one that the client writes to, once that was made. */
export interface Carrier {
  client: Client;
  socket: Socket | undefined;
}

export class UndiciLane extends Lane<Carrier> {
  private readonly keepAliveMs: number;
  // HTTP/1.1 only: there an abort closes the connection, which every engine notices at once.
  // No time-out of undici's: it is fixed per client and rounded to half seconds above a second.
  private readonly connector: (
    options: buildConnector.Options,
    callback: buildConnector.Callback,
  ) => unknown;

  constructor(origin: string, options: UndiciLaneOptions) {
    super(origin, options);
    this.keepAliveMs = options.keepAliveMs;
    const trust = options.ca === undefined ? {} : { ca: options.ca };
    this.connector = connectorFor({ allowH2: false, timeout: 0, ...trust });
  }

  protected override make(): Carrier {
    const client = new Client(this.origin, {
      pipelining: 1,
      keepAliveTimeout: this.keepAliveMs,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        fresh.socket = this.connect(options, callback);
      },
    });
    const fresh: Carrier = { client, socket: undefined };
    return fresh;
  }

  protected override close({ client }: Carrier): Promise<void> {
    return client.destroy(null);
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
