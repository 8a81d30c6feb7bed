/**
 * The goals of gossip as bounds, at 3 and 30 PoPs; 300 takes minutes and runs in
 * `node bench/gossip.ts --pops 300`. The seeds are fixed, so these numbers do not wobble.
 */
import { describe, expect, test } from "vitest";
import { falseDeaths, formed, type Goals, healing, measure } from "../../bench/gossip.ts";

const BOUNDS: Goals[] = [
  {
    pops: 3,
    loadP99Ms: 150,
    loadAllLossMs: 250,
    exitMs: 500,
    silentMs: 2000,
    downMs: 8000,
    bytesPerS: 2000,
    healMs: 2000,
  },
  {
    pops: 30,
    loadP99Ms: 150,
    loadAllLossMs: 300,
    exitMs: 500,
    silentMs: 2000,
    downMs: 8000,
    bytesPerS: 25_000,
    healMs: 3000,
  },
];

describe.each(BOUNDS)("$pops PoPs at 4 reports a second", (bounds) => {
  const goals = measure(bounds.pops, 1, 4);
  const names = Object.keys(bounds) as (keyof Goals)[];

  test.each(names)("%s", (name) => {
    expect(goals[name]).toBeGreaterThan(0);
    expect(goals[name]).toBeLessThanOrEqual(bounds[name]);
  });
});

test("a healed partition of 30 is equal within 3 s from other seeds, too", () => {
  for (const seed of [2, 3]) expect(healing(formed(30, seed, 0, 1), 12_000)).toBeLessThan(3000);
});

test("2 % loss and stalls of 3 s for an hour declare no healthy PoP down", () => {
  expect(falseDeaths(3, 1, 1)).toBe(0);
});
