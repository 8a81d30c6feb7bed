/**
 * Time-outs of everything that is in flight, in one place: one sweep per tick instead of one
 * runtime timer per request and token. A deadline is a plain number that the owner moves.
 */
import type { Millis } from "../grid/units.ts";

export interface Deadline {
  /** When it fires; the owner may move it at any time. +Infinity = never. */
  atMs: Millis;
  /** Called by the sweep once `atMs` has passed; remove or move it there. */
  due(nowMs: Millis): void;
}

export class Deadlines {
  private readonly open = new Set<Deadline>();

  get size(): number {
    return this.open.size;
  }

  add(deadline: Deadline): void {
    this.open.add(deadline);
  }

  remove(deadline: Deadline): void {
    this.open.delete(deadline);
  }

  sweep(nowMs: Millis): void {
    for (const deadline of this.open) {
      if (deadline.atMs <= nowMs) deadline.due(nowMs);
    }
  }
}
