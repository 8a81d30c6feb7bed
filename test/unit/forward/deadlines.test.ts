import { expect, test } from "vitest";
import { type Deadline, Deadlines } from "../../../src/forward/deadlines.ts";

test("a deadline fires when it has passed, moves, and can be removed while the sweep runs", () => {
  const deadlines = new Deadlines();
  const fired: string[] = [];
  const make = (name: string, atMs: number, then: (d: Deadline, nowMs: number) => void) => {
    const due = (nowMs: number): void => {
      fired.push(name);
      then(deadline, nowMs);
    };
    const deadline: Deadline = { atMs, slot: -1, due };
    return deadline;
  };
  const a = make("a", 10, (d, nowMs) => {
    d.atMs = nowMs + 10;
  });
  const b = make("b", 10, (d) => deadlines.remove(d));
  const never = make("never", Number.POSITIVE_INFINITY, () => {});
  for (const deadline of [a, b, never]) deadlines.add(deadline);
  deadlines.sweep(9);
  expect(fired).toEqual([]);
  deadlines.sweep(10);
  expect(fired).toEqual(["b", "a"]);
  deadlines.sweep(19);
  deadlines.sweep(20);
  expect(fired).toEqual(["b", "a", "a"]);
  expect(deadlines.size).toBe(2);
});

test("removing twice, or what was never added, changes nothing", () => {
  const deadlines = new Deadlines();
  const all = [0, 1, 2].map(() => ({ atMs: 0, slot: -1, due: () => {} }));
  for (const deadline of all) deadlines.add(deadline);
  deadlines.add(all[1]);
  deadlines.remove(all[0]);
  deadlines.remove(all[0]);
  deadlines.remove({ atMs: 0, slot: -1, due: () => {} });
  expect(deadlines.all()).toEqual([all[2], all[1]]);
  expect(all.map((deadline) => deadline.slot)).toEqual([-1, 1, 0]);
});
