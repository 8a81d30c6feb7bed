import { describe, expect, test } from "vitest";
import { Promises } from "../../../src/admission/promise.ts";
import type { Decision } from "../../../src/grid/decision.ts";
import type { Task } from "../../../src/task/task.ts";
import { seededRng, unit } from "../../../src/sim/clock.ts";

const task = (more: Partial<Task> = {}) =>
  ({ priority: "interactive", sloTtftMs: 2_000, arrivedMs: 0, tried: [], ...more }) as Task;
const predicted = (ttftMs: number) => ({ ttftMs }) as Decision;

/** Requests at the limit of what is let in, whose first tokens err by the share; how many late. */
function run(promises: Promises, requests: number, errorOf: () => number): number {
  let late = 0;
  for (let n = 0; n < requests; n++) {
    const one = task();
    const latestMs = promises.latestMs(2_000);
    expect(promises.tooLate(one, predicted(latestMs), 0)).toBeUndefined();
    const atMs = latestMs * (1 + errorOf());
    if (atMs > 2_000) late++;
    promises.kept(one, atMs);
  }
  return late;
}

describe("what a prediction is worth for one that is let in", () => {
  test.each([0.02, 0.1, 0.25])("is learned: errors up to %f leave less than 1 %% late", (error) => {
    const promises = new Promises();
    const rng = seededRng(7);
    run(promises, 2_000, () => (2 * unit(rng) - 1) * error);
    const late = run(promises, 4_000, () => (2 * unit(rng) - 1) * error);
    expect(late).toBeLessThan(40);
    // And it asks for no more room than it needs.
    expect(promises.latestMs(2_000)).toBeGreaterThan(2_000 / (1 + error) - 120);
  });

  test("room once taken is given back when predictions come true", () => {
    const promises = new Promises();
    run(promises, 40, () => 0.4);
    expect(promises.latestMs(2_000)).toBeLessThan(1_500);
    run(promises, 4_000, () => 0);
    expect(promises.latestMs(2_000)).toBeGreaterThan(1_900);
  });

  test("an engine that hangs does not close the door", () => {
    const promises = new Promises();
    run(promises, 500, () => 30);
    expect(promises.latestMs(2_000)).toBeGreaterThan(1_300);
  });

  test("neither second attempts, other priorities nor what was due soon teach anything", () => {
    const promises = new Promises();
    const before = promises.latestMs(2_000);
    const others = [task({ tried: [3] }), task({ priority: "default" }), task()];
    for (const [at, one] of others.entries()) {
      expect(promises.tooLate(one, predicted(at === 2 ? 200 : 1_500), 0)).toBeUndefined();
      promises.kept(one, 9_000);
    }
    expect(promises.latestMs(2_000)).toBe(before);
  });
});
