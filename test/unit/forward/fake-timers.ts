/** A clock and timers that move only when told to. */
import type { Timers } from "../../../src/forward/timers.ts";

export class FakeTimers implements Timers {
  nowMs = 0;
  /** Pauses asked for, in order. */
  readonly asked: number[] = [];
  private readonly open = new Map<number, { atMs: number; callback: () => void }>();
  private next = 1;

  readonly clock = (): number => this.nowMs;

  get size(): number {
    return this.open.size;
  }

  setTimeout(callback: () => void, ms: number): unknown {
    this.asked.push(ms);
    this.open.set(this.next, { atMs: this.nowMs + ms, callback });
    return this.next++;
  }

  clearTimeout(handle: unknown): void {
    this.open.delete(handle as number);
  }

  /** Fires what is due, in order of time. Promises do not run in between: see `settle`. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      let first: number | undefined;
      for (const [id, timer] of this.open) {
        const earlier = first === undefined || timer.atMs < (this.open.get(first)?.atMs ?? 0);
        if (timer.atMs <= untilMs && earlier) first = id;
      }
      if (first === undefined) break;
      const timer = this.open.get(first);
      this.open.delete(first);
      this.nowMs = timer?.atMs ?? this.nowMs;
      timer?.callback();
    }
    this.nowMs = untilMs;
  }
}

/** Lets every promise that can go on go on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
