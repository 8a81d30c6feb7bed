import fc from "fast-check";
import { expect, test } from "vitest";
import { millisText } from "../../src/pop-answer.ts";

test("times have three digits behind the point", () => {
  const texts = [0, 0.0004, 0.0005, 0.012, 0.9996, 7, 12.3, 1_234.567, 86_400_000].map(millisText);
  const wanted = ["0.000", "0.000", "0.001", "0.012", "1.000", "7.000", "12.300", "1234.567"];
  expect(texts).toEqual([...wanted, "86400000.000"]);
  // Two clocks may be a hair apart; a negative time is none.
  expect(millisText(-0.25)).toBe("0.000");
});

test("it is what toFixed says, but for ties", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e8, noNaN: true }), (ms) => {
      const text = millisText(ms);
      expect(text).toMatch(/^\d+\.\d{3}$/);
      expect(Math.abs(Number(text) - ms)).toBeLessThanOrEqual(0.000_501);
    }),
  );
});
