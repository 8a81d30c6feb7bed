/** The bench in its smoke size: it runs, and its rows have the promised form. */
import { expect, test } from "vitest";
import { measureCase, measureGrowth, SMOKE } from "../../../bench/decide.ts";
import { measureQueue } from "../../../bench/queue.ts";

test("a measured row has the stable form", () => {
  const { row } = measureCase(16, 4096, { ...SMOKE, budgetMs: 2 });
  const quantiles = { p50Us: expect.any(Number), p99Us: expect.any(Number) };
  expect(row).toStrictEqual({
    endpoints: 16,
    promptBytes: 4096,
    chunks: 8,
    kernel: quantiles,
    lookup: quantiles,
    twin: quantiles,
    digests: quantiles,
  });
});

test("the wait queue's bench runs, with as many waiting as it says", () => {
  const quantiles = { p50Us: expect.any(Number), p99Us: expect.any(Number) };
  expect(measureQueue(4, 40, 40)).toStrictEqual({
    ...{ endpoints: 4, waiting: 40 },
    ...{ wake: quantiles, join: quantiles, idle: quantiles },
  });
});

test("decisions leave nothing behind in the kernel's memory", () => {
  expect(measureGrowth(5000).wasmBytes).toBe(0);
});
