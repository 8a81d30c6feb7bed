/** The connections of tcp-connection.ts to one origin. */
import type { Lines } from "./call-tcp.ts";
import { Lane, type LaneOptions } from "./lane.ts";
import type { TcpConnect } from "./tcp.ts";
import { TcpConnection } from "./tcp-connection.ts";
import { CodedError } from "./transport-errors.ts";

/** How often idle connections are looked at, ms. */
const SWEEP_MS = 500;

export class TcpLane extends Lane<TcpConnection> {
  private readonly keepAliveMs: number;
  private readonly connect: TcpConnect;
  /** As the host header names it. */
  readonly host: string;
  /** What the heads of requests said last. */
  readonly lines: Lines = new Map();
  private readonly hostname: string;
  private readonly port: number;
  private sweeping = false;

  constructor(origin: string, options: LaneOptions, connect: TcpConnect) {
    super(origin, options);
    this.keepAliveMs = options.keepAliveMs;
    this.connect = connect;
    const { host, hostname, port } = new URL(origin);
    this.host = host;
    this.hostname = hostname.replace(/^\[(.*)\]$/, "$1");
    this.port = Number(port || 80);
  }

  override give(connection: TcpConnection): void {
    connection.idleUntil = performance.now() + Math.min(this.keepAliveMs, connection.idleMsMax);
    super.give(connection);
    this.sweepLater();
  }

  protected override make(): TcpConnection {
    const connection = new TcpConnection(this);
    const timeoutMs = this.connectTimeoutMs;
    const timer = setTimeout(() => {
      const why = `no connection to ${this.origin} within ${timeoutMs} ms`;
      connection.fail(new CodedError("ETIMEDOUT", why));
    }, timeoutMs);
    connection.open(this.connect(this.hostname, this.port, connection), timer);
    return connection;
  }

  protected override close(connection: TcpConnection): void {
    connection.end();
  }

  private sweepLater(): void {
    if (this.sweeping) return;
    this.sweeping = true;
    setTimeout(() => this.sweep(), SWEEP_MS).unref();
  }

  private sweep(): void {
    this.sweeping = false;
    const now = performance.now();
    for (const connection of [...this.idle]) {
      if (connection.idleUntil <= now) this.lose(connection);
    }
    if (this.idle.length > 0) this.sweepLater();
  }
}
