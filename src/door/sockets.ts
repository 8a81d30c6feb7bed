/**
 * All WebSockets of the door: how many there may be, how long they live, and the word to leave when
 * the PoP drains. Time comes by `tick`: no socket has a timer of its own.
 */
import type { PopConfig } from "../config.ts";
import type { Clock } from "../grid/effects.ts";
import { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import type { Millis } from "../grid/units.ts";
import type { Caller } from "../proxy.ts";

export type SocketLimits = PopConfig["sockets"];

export const SOCKET_DOORS = ["responses", "realtime"] as const;
export type SocketDoor = (typeof SOCKET_DOORS)[number];

/** One socket, as the registry sees it. */
export interface LiveSocket {
  readonly door: SocketDoor;
  /** Who opened it, and the headers that said so. */
  caller: Caller;
  readonly credentials: Headers;
  tick(nowMs: Millis): void;
  /** Ends it as soon as nothing runs on it. */
  drain(): void;
  /** The same: its caller may not be here any more. */
  expel(error: GridError): void;
}

/** Open now, and ever opened. */
export interface SocketCounts {
  open: number;
  opened: number;
}

export class Sockets {
  readonly clock: Clock;
  private readonly limitsNow: () => SocketLimits;
  private readonly prefix: string;
  private readonly open = new Set<LiveSocket>();
  private readonly counts = new Map<SocketDoor, SocketCounts>(
    SOCKET_DOORS.map((door) => [door, { open: 0, opened: 0 }]),
  );
  private named = 0;
  private draining = false;

  /** @param prefix makes ids of sockets unique beyond this run */
  constructor(limits: () => SocketLimits, clock: Clock, prefix: string) {
    this.limitsNow = limits;
    this.clock = clock;
    this.prefix = prefix;
  }

  get limits(): SocketLimits {
    return this.limitsNow();
  }

  get size(): number {
    return this.open.size;
  }

  /** @throws GridError draining, saturated: no further socket may be opened */
  admit(): void {
    if (this.draining) throw drainingError();
    const { max } = this.limits;
    if (this.open.size < max) return;
    const message = `This PoP has its ${max} WebSockets open. Retry later, or elsewhere.`;
    throw new GridError("saturated", message, { retryAfterS: 5, status: 503 });
  }

  nextId(): string {
    return `${this.prefix}${(this.named++).toString(36)}`;
  }

  add(socket: LiveSocket): void {
    this.open.add(socket);
    const counts = this.count(socket.door);
    counts.open++;
    counts.opened++;
    // It was let in before the drain began, and its handshake ended after.
    if (this.draining) socket.drain();
  }

  remove(socket: LiveSocket): void {
    if (this.open.delete(socket)) this.count(socket.door).open--;
  }

  count(door: SocketDoor): SocketCounts {
    return this.counts.get(door) as SocketCounts;
  }

  tick(nowMs: Millis): void {
    for (const socket of this.open) socket.tick(nowMs);
  }

  /** The keys changed: who opened a socket may be somebody else now, or nobody. */
  async recheck(callerOf: (headers: Headers) => Caller | Promise<Caller>): Promise<void> {
    for (const socket of [...this.open]) {
      try {
        socket.caller = await callerOf(socket.credentials);
      } catch (error) {
        socket.expel(error as GridError);
      }
    }
  }

  /** @param on false: new sockets are welcome again */
  drain(on: boolean): void {
    this.draining = on;
    if (on) for (const socket of this.open) socket.drain();
  }
}

export function drainingError(): GridError {
  const message = "This PoP is being drained. Connect again: another takes the socket.";
  return new GridError("draining", message, { retryAfterS: 1 });
}
