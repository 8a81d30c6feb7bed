/** The smoke size of `npm run test:burst`: what must hold on any machine, however busy. */
import { expect, test } from "vitest";
import { quantile, runBurst } from "./burst-run.ts";

test("in a burst interactive goes before batch, batch finishes, nothing is lost", async () => {
  const burst = { engines: 2, seconds: 1.5, overload: 3, calibrateMs: 500 };
  const { interactive, batch } = await runBurst({ ...burst, sloMs: 2_000, binding: "late" });
  expect([interactive.lost, batch.lost]).toEqual([0, 0]);
  expect(interactive.served + interactive.refused).toBe(interactive.offered);
  expect(batch.served).toBe(batch.offered);
  expect(batch.offered).toBeGreaterThan(1);
  expect(quantile(interactive.ttftMs, 0.5)).toBeLessThan(quantile(batch.ttftMs, 0.5));
}, 60_000);
