/**
 * The connections to one origin, the last used first: a stack does not care how many there are,
 * where a walk over all to find a free one made a request twice as dear at 512 open streams.
 * There is no queue here: the grid decides who waits, so a full lane says so at once.
 */
import { GridError } from "../src/grid/errors.ts";

export interface LaneOptions {
  /** Idle connections close after, ms. */
  keepAliveMs: number;
  /** Connections at once. */
  connectionsMax: number;
}

/**
 * Idle connections kept per origin; they close by themselves after `keepAliveMs`. As many as one
 * engine has requests running: what is closed at the end of a burst is opened at the next.
 */
const IDLE_MAX = 1_024;

export abstract class Lane<Connection> {
  /** Connect time-out of connections made from now on, ms: each request may name its own. */
  connectTimeoutMs = 0;
  protected readonly origin: string;
  protected readonly idle: Connection[] = [];
  private readonly open = new Set<Connection>();
  private readonly connectionsMax: number;
  private closed = false;

  constructor(origin: string, { connectionsMax }: LaneOptions) {
    this.origin = origin;
    this.connectionsMax = connectionsMax;
  }

  protected abstract make(): Connection;

  /** Closes a connection at once, also one that is still being made. */
  protected abstract close(connection: Connection): Promise<void> | void;

  /** True when the next `take` gives a connection that has carried a request. */
  get hasIdle(): boolean {
    return this.idle.length > 0;
  }

  get running(): number {
    return this.open.size - this.idle.length;
  }

  /** @throws GridError endpoint_busy when `connectionsMax` are in use */
  take(): Connection {
    const kept = this.idle.pop();
    if (kept !== undefined) return kept;
    if (this.open.size >= this.connectionsMax) {
      const why = `${this.origin} has ${this.connectionsMax} calls open.`;
      throw new GridError("endpoint_busy", why);
    }
    const fresh = this.make();
    this.open.add(fresh);
    return fresh;
  }

  /** Takes a connection back after a clean end. */
  give(connection: Connection): void {
    if (this.closed || this.idle.length >= IDLE_MAX) this.drop(connection);
    else this.idle.push(connection);
  }

  /** Closes one that is in use. */
  drop(connection: Connection): void {
    if (this.open.delete(connection)) void this.close(connection);
  }

  /** Closes one in use or idle, whose time is over. */
  lose(connection: Connection): void {
    const at = this.idle.indexOf(connection);
    if (at >= 0) this.idle.splice(at, 1);
    this.drop(connection);
  }

  /** Closes what is idle: one of them was stale, so the others may be. */
  dropIdle(): void {
    for (const connection of this.idle.splice(0)) this.drop(connection);
  }

  /** Closes what is idle; what runs is closed when it ends. */
  retire(): void {
    this.closed = true;
    this.dropIdle();
  }

  async destroy(): Promise<void> {
    this.closed = true;
    const connections = [...this.open];
    this.open.clear();
    this.idle.length = 0;
    await Promise.all(connections.map((connection) => this.close(connection)));
  }
}
