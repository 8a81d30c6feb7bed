/** A core under hostile frames, from fixed seeds; `npm run test:sim` does it for a minute. */
import { expect, test } from "vitest";
import { fuzzFrames } from "./fuzz.ts";
import { DAMAGES } from "./fuzz-frames.ts";

test.each([1, 2])("10,000 frames, whole, spoilt and replayed, change nothing: seed %i", (seed) => {
  const report = fuzzFrames(seed, (frames) => frames >= 10_000);
  for (const kind of [...DAMAGES, "replayed", "stranger"]) {
    expect(report.sent[kind], kind).toBeGreaterThan(500);
  }
  expect(report.refused).toBeGreaterThan(5000);
  expect(report.bans).toBeGreaterThan(10);
});
