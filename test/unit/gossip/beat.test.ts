/** When a PoP tells its load: soon after a change, and on the beats that all of the grid share. */
import { describe, expect, test } from "vitest";
import type { Effect } from "../../../src/gossip/context.ts";
import { HOT_KEY } from "../../../src/gossip/core.ts";
import { GOSSIP_LIMITS } from "../../../src/gossip/limits.ts";
import { authority, coreOf, LATER_S, UNIX_MS } from "./two-cores.ts";

const { hotMinMs, hotMaxMs } = GOSSIP_LIMITS;
/** As much before a beat is on it, too. */
const EARLY_MS = 2;

/** A core whose wall clock is `phaseMs` past a beat at the start, and the times of its reports. */
function author(phaseMs: number) {
  const core = coreOf(authority.admit(1, "z", LATER_S), { unixMs: UNIX_MS + phaseMs });
  const toldMs: number[] = [];
  let timerMs = Number.POSITIVE_INFINITY;
  const done = (effects: Effect[], nowMs: number) => {
    for (const one of effects) {
      if (one.kind === "timer" && one.id === "publish") timerMs = one.atMs;
    }
    const { hot } = core.members.self;
    if (hot !== undefined && hot.receivedMs === nowMs && toldMs.at(-1) !== nowMs) {
      toldMs.push(nowMs);
    }
  };
  const run = (untilMs: number, lateMs = 0) => {
    while (timerMs + lateMs <= untilMs) {
      const nowMs = timerMs + lateMs;
      timerMs = Number.POSITIVE_INFINITY;
      done(core.onTimer("publish", nowMs), nowMs);
    }
  };
  let number = 0;
  const change = (nowMs: number) =>
    done(core.setLocal(HOT_KEY, Uint8Array.of(++number, number >> 8), nowMs), nowMs);
  /** Most by which a report, the first few left out, was beside a beat. */
  const offBeat = (first: number) => {
    const sinceMs = toldMs.slice(first).map((atMs) => (atMs + phaseMs) % hotMinMs);
    return Math.max(...sinceMs.map((ms) => Math.min(ms, hotMinMs - ms)));
  };
  return { toldMs, run, change, offBeat };
}

const gaps = (timesMs: readonly number[]) => timesMs.slice(1).map((atMs, i) => atMs - timesMs[i]);

describe("a load that changes all the time", () => {
  test.each([0, 1, 40, 124, 125, 126, 200, 249])(
    "is told on every beat, %i ms past one at the start",
    (phaseMs) => {
      const { toldMs, run, change, offBeat } = author(phaseMs);
      for (let nowMs = 10; nowMs < 5000; nowMs += 20) {
        run(nowMs, 0.5);
        change(nowMs);
      }
      expect(offBeat(3)).toBeLessThanOrEqual(EARLY_MS);
      expect(toldMs.length).toBeGreaterThanOrEqual(20);
      expect(Math.min(...gaps(toldMs))).toBeGreaterThanOrEqual(hotMinMs / 2);
      expect(Math.max(...gaps(toldMs))).toBeLessThanOrEqual(hotMinMs + EARLY_MS);
    },
  );

  test("timers that come a little early or late do not double a report", () => {
    for (const lateMs of [-1.5, 0, 30]) {
      const { toldMs, run, change } = author(77);
      for (let nowMs = 10; nowMs < 5000; nowMs += 10) {
        run(nowMs, lateMs);
        change(nowMs);
      }
      expect(toldMs.length).toBeGreaterThanOrEqual(19);
      expect(toldMs.length).toBeLessThanOrEqual(22);
    }
  });
});

test("a change after a quiet time is told at once", () => {
  const { toldMs, run, change } = author(77);
  change(10);
  run(300);
  change(333);
  expect(toldMs).toEqual([10, 333]);
});

test("a change is told no later than 250 ms after the last report", () => {
  for (const phaseMs of [0, 60, 124, 126, 240]) {
    const { toldMs, run, change } = author(phaseMs);
    change(10);
    change(20);
    run(2 * hotMinMs);
    expect(toldMs).toHaveLength(2);
    expect(toldMs[1] - toldMs[0]).toBeGreaterThanOrEqual(hotMinMs / 2);
    expect(toldMs[1] - toldMs[0]).toBeLessThanOrEqual(hotMinMs + EARLY_MS);
  }
});

test("a load that does not change is said again every second, on a beat", () => {
  const { toldMs, run, change, offBeat } = author(77);
  change(10);
  run(10_000);
  expect(offBeat(2)).toBe(0);
  expect(Math.max(...gaps(toldMs))).toBeLessThanOrEqual(hotMaxMs + EARLY_MS);
  expect(toldMs.length).toBeLessThanOrEqual(12);
});
