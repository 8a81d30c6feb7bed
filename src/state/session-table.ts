/**
 * Session to endpoint: where a conversation's KV cache is. A pin is advice with a margin, not a
 * law: the kernel may move it. Bounded in count and in time, on our clock.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../grid/effects.ts";
import type { Millis } from "../grid/units.ts";

export interface SessionTableOptions {
  /** Most sessions kept; the least recently used goes first. */
  max: number;
  /** A session unused for longer is forgotten. */
  ttlMs: Millis;
  clock: Clock;
}

export class SessionTable {
  private readonly cache: LRUCache<string, string>;

  constructor(options: SessionTableOptions) {
    this.cache = new LRUCache({
      // As `max` the room for all of them would be made here: tens of milliseconds of every start.
      maxSize: options.max,
      sizeCalculation: () => 1,
      ttl: options.ttlMs,
      updateAgeOnGet: true,
      // Ask our clock every time: otherwise a runtime timer keeps the time between asks.
      ttlResolution: 0,
      perf: { now: options.clock },
    });
  }

  get size(): number {
    return this.cache.size;
  }

  /** Id of the endpoint that holds the session, if known. */
  endpointOf(tenant: string, session: string): string | undefined {
    return this.cache.get(key(tenant, session));
  }

  pin(tenant: string, session: string, endpointId: string): void {
    this.cache.set(key(tenant, session), endpointId);
  }
}

/** Two tenants that choose the same session key never share a pin. */
function key(tenant: string, session: string): string {
  return `${tenant}\n${session}`;
}
