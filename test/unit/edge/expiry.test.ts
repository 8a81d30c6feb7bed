import { expect, test } from "vitest";
import { Expiry } from "../../../edge/expiry.ts";

const HOUR_MS = 3_600_000;

test("a certificate's end is said every hour of its last day, and once more when it comes", () => {
  const lines: [string, string][] = [];
  const log = (level: string, event: string) => void lines.push([level, event]);
  const startMs = 1_800_000_000_000;
  const expiry = new Expiry("gossip", "a.cert", startMs + 26 * HOUR_MS, log, startMs);
  const pass = (fromH: number, toH: number) => {
    for (let h = fromH; h < toH; h += 0.01) expiry.look(startMs + h * HOUR_MS);
    return lines.splice(0);
  };
  expect(pass(0, 1.9)).toEqual([]);
  expect(pass(2, 4.5)).toEqual(Array(3).fill(["warn", "certificate runs out"]));
  expect(pass(25.9, 26.5)).toEqual([
    ["warn", "certificate runs out"],
    ["error", "certificate ran out"],
  ]);
  expiry.renewed(startMs + 200 * HOUR_MS);
  expect(pass(26.5, 30)).toEqual([]);
  expect(expiry.notAfterMs).toBe(startMs + 200 * HOUR_MS);
});
