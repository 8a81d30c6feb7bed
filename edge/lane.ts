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

/** What fails within this time is one event, a restart for instance. */
const ONE_EVENT_MS = 20;
/** So many in a row, and connections are not kept for a while. */
const FAILED_REUSES_MAX = 3;
const NOT_KEPT_MS = 60_000;

export abstract class Lane<Connection> {
  /** Connect time-out of connections made from now on, ms: each request may name its own. */
  connectTimeoutMs = 0;
  protected readonly origin: string;
  protected readonly idle: Connection[] = [];
  private readonly open = new Set<Connection>();
  private readonly connectionsMax: number;
  private closed = false;
  /** Kept connections that closed under a request, one after the other. */
  private failedReuses = 0;
  private failedReuseMs = Number.NEGATIVE_INFINITY;
  /** Until then no connection is kept. */
  private keepsFromMs = 0;

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

  /**
   * @param fresh a new one, even if another is idle
   * @throws GridError endpoint_busy when `connectionsMax` are in use
   */
  take(fresh = false): Connection {
    const kept = fresh ? undefined : this.idle.pop();
    if (kept !== undefined) return kept;
    if (fresh && this.open.size >= this.connectionsMax) this.dropOne();
    if (this.open.size >= this.connectionsMax) {
      const why = `${this.origin} has ${this.connectionsMax} calls open.`;
      throw new GridError("endpoint_busy", why);
    }
    const made = this.make();
    this.open.add(made);
    return made;
  }

  /** Takes a connection back after a clean end. */
  give(connection: Connection): void {
    const isKept = !this.closed && this.idle.length < IDLE_MAX && this.keeps;
    if (isKept) this.idle.push(connection);
    else this.drop(connection);
  }

  private get keeps(): boolean {
    return this.keepsFromMs === 0 || performance.now() >= this.keepsFromMs;
  }

  /** A request on a kept connection is answered. */
  reuseWorked(): void {
    this.failedReuses = 0;
  }

  /**
   * A kept connection closed under a request: the others may be stale, too. There are servers that
   * close after an answer without saying so (llama-server after every stream): theirs are not kept.
   */
  reuseFailed(): void {
    this.dropIdle();
    const nowMs = performance.now();
    if (nowMs - this.failedReuseMs < ONE_EVENT_MS) return;
    this.failedReuseMs = nowMs;
    if (++this.failedReuses < FAILED_REUSES_MAX) return;
    this.failedReuses = 0;
    this.keepsFromMs = nowMs + NOT_KEPT_MS;
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

  private dropOne(): void {
    const oldest = this.idle.shift();
    if (oldest !== undefined) this.drop(oldest);
  }

  /** Closes what is idle. */
  private dropIdle(): void {
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
