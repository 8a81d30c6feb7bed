import { expect, test } from "vitest";
import { DEFAULT_WEIGHTS, lambdaAt } from "../../../src/kernel/weights.ts";

test("lambda follows the load from 0 over 1 to 6", () => {
  expect([0, 0.25, 0.5, 0.75, 1].map(lambdaAt)).toStrictEqual([0, 0.5, 1, 3.5, 6]);
  expect([-1, 7, Number.NaN].map(lambdaAt)).toStrictEqual([0, 6, 1]);
});

test("margins and ties only ever loosen", () => {
  expect(DEFAULT_WEIGHTS.sessionMarginPressure).toBeGreaterThanOrEqual(1);
  for (const value of Object.values(DEFAULT_WEIGHTS)) expect(value).toBeGreaterThanOrEqual(0);
});
