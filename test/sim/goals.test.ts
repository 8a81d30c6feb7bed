/**
 * The goals of gossip as bounds, at 3 and 30 PoPs; 300 take minutes and are held to theirs by
 * `npm run test:sim`. The seeds are fixed, so these numbers do not wobble.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { falseDeaths, formed, type Goals, healing, measure } from "../../bench/gossip.ts";
import { GOAL_BOUNDS } from "./goals.ts";

const SMALL = GOAL_BOUNDS.filter(({ pops }) => pops < 300);

describe.each(SMALL)("$pops PoPs at 4 reports a second", (bounds) => {
  let goals: Goals;
  // Not while the file is loaded: the runner starts first what took longest, and counts hooks.
  beforeAll(() => {
    goals = measure(bounds.pops, 1, 4);
  });
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
