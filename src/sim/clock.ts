/**
 * Virtual time: a heap of (time, number). Equal times run in the order in which they were planned,
 * so one seed gives one history. The trace hash folds in whatever the world says happened; two runs
 * of one seed must end with the same.
 */
import type { Rng } from "../grid/effects.ts";
import type { Millis } from "../grid/units.ts";

interface Planned {
  atMs: Millis;
  order: number;
  act: () => void;
}

/** A small seeded generator (mulberry32): uniform 32-bit integers. */
export function seededRng(seed: number): Rng {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** A generator of its own for one part of the world, so that parts do not disturb each other. */
export function splitRng(seed: number, part: number): Rng {
  return seededRng(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(part + 1, 0xc2b2ae35));
}

/** Uniform in [0, 1). */
export function unit(rng: Rng): number {
  return rng() / 0x1_0000_0000;
}

export class SimClock {
  nowMs: Millis = 0;
  /** Events done so far. */
  done = 0;
  private hash = 0x811c9dc5;
  private readonly heap: Planned[] = [];
  private orders = 0;

  get traceHash(): string {
    return (this.hash >>> 0).toString(16).padStart(8, "0");
  }

  trace(...numbers: number[]): void {
    for (const number of numbers) {
      this.hash = Math.imul(this.hash ^ (Math.floor(number) | 0), 0x01000193);
      this.hash ^= this.hash >>> 13;
    }
  }

  at(atMs: Millis, act: () => void): void {
    const { heap } = this;
    const planned = { atMs: Math.max(atMs, this.nowMs), order: this.orders++, act };
    let index = heap.push(planned) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(planned, heap[parent])) break;
      heap[index] = heap[parent];
      index = parent;
    }
    heap[index] = planned;
  }

  /** Does all that is planned up to `untilMs`; the time is `untilMs` then. */
  run(untilMs: Millis): void {
    while (this.heap.length > 0 && this.heap[0].atMs <= untilMs) {
      const next = this.pop();
      this.nowMs = next.atMs;
      this.done++;
      next.act();
    }
    this.nowMs = untilMs;
  }

  private pop(): Planned {
    const { heap } = this;
    const top = heap[0];
    const last = heap.pop() as Planned;
    if (heap.length === 0) return top;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[index] = heap[child];
      index = child;
    }
    heap[index] = last;
    return top;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
