/** From when on a hand-over had better have gone elsewhere. */
import { describe, expect, test } from "vitest";
import { type Cost, elsewhereFromMs } from "../../../src/admission/handover.ts";

const cost = (given: Partial<Cost>): Cost => {
  return { row: 1, ttftMs: 1000, socialMs: 1400, priceUsd: 1, ...given };
};
const NO_SLO = Number.POSITIVE_INFINITY;

describe("a hand-over had better have gone elsewhere", () => {
  test("when the other place's social cost is the less, with the same prefill here", () => {
    const other = cost({ row: 2, socialMs: 3400 });
    // 1,000 + 400 here for everybody's sake: at a TTFT of 3,000 both are equal.
    expect(elsewhereFromMs(cost({}), other, NO_SLO, 0)).toBe(3000);
  });

  test("not for less than predictions err by", () => {
    expect(elsewhereFromMs(cost({}), cost({ row: 2, socialMs: 1401 }), NO_SLO, 0)).toBe(1500);
  });

  test("never when there is no other place", () => {
    expect(elsewhereFromMs(cost({}), cost({ row: -1, socialMs: 0 }), NO_SLO, 0)).toBeUndefined();
  });

  test("not for a dearer place while the target is met here", () => {
    const dearer = cost({ row: 2, socialMs: 2400, priceUsd: 1.1 });
    expect(elsewhereFromMs(cost({}), dearer, 8000, 0.02)).toBe(8000);
    expect(elsewhereFromMs(cost({}), dearer, 8000, 0.2)).toBe(2000);
    expect(elsewhereFromMs(cost({}), dearer, NO_SLO, 0.02)).toBeUndefined();
  });
});
