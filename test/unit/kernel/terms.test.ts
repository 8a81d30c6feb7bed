/** The terms of a candidate, which people are shown, add up to what the kernel decided by. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { EXCLUSIONS } from "../../../src/grid/decision.ts";
import type { EndpointColumns } from "../../../src/state/endpoint-table.ts";
import { termsOf, whyOf } from "../../../src/kernel/terms.ts";
import { DEFAULT_WEIGHTS } from "../../../src/kernel/weights.ts";
import {
  addRow,
  askFor,
  chainOf,
  IMPLEMENTATIONS,
  SMALL,
} from "../../suite/kernel.implementations.ts";

const tokens = fc.integer({ min: 0, max: 100_000 });
const share = fc.double({ min: 0, max: 1, noNaN: true });
const KNOWN = {
  ...{ queuedTokens: tokens, sentTokens: tokens, ownTokens: tokens, waitingTokens: tokens },
  ...{ sampleAtMs: fc.integer({ min: -5_000, max: 0 }), busySinceMs: fc.integer({ max: 0 }) },
  ...{ kvUsage: share, trust: share, digestDiscount: share },
  ...{ prefillRate: fc.double({ min: 0.1, max: 100, noNaN: true }) },
  ...{ rttMs: fc.integer({ min: 0, max: 300 }), jitterMs: fc.integer({ min: 0, max: 50 }) },
} satisfies Partial<Record<keyof EndpointColumns, unknown>>;

test.each(IMPLEMENTATIONS)("they add up: $name", ({ create }) => {
  fc.assert(
    fc.property(fc.record(KNOWN), fc.integer({ min: 0, max: 90 }), (known, held) => {
      const kernel = create(SMALL);
      kernel.setWeights({ ...DEFAULT_WEIGHTS, lambda: 1.7 });
      addRow(kernel, 0);
      for (const [name, value] of Object.entries(known)) {
        kernel.columns[name as keyof typeof KNOWN][0] = value;
      }
      const chain = chainOf(1, 90);
      kernel.learn(chain, 0, 0, held);
      const [found] = kernel.explain(askFor({ chain, promptTokens: 2_000 }), 100);
      const terms = termsOf(kernel.columns, found, kernel.weights, 100);
      const { engineMs, queueMs, kvMs, staleMs } = terms.wait;
      expect(engineMs + queueMs + kvMs + staleMs).toBeCloseTo(found.waitMs, 6);
      const { rttMs, jitterMs, othersMs, lambda, hitTokens } = terms;
      expect(rttMs + jitterMs + found.waitMs + found.prefillMs).toBeCloseTo(found.ttftMs, 6);
      expect(found.ttftMs + othersMs).toBeCloseTo(found.socialMs, 6);
      expect(Math.max(2_000 - hitTokens, 1)).toBeCloseTo(found.uncachedTokens, 6);
      expect(lambda).toBeCloseTo(1.7, 12);
    }),
    { numRuns: 100 },
  );
});

test("every exclusion has its reason in words", () => {
  const words = EXCLUSIONS.map(whyOf);
  expect(new Set(words).size).toBe(EXCLUSIONS.length);
  expect(words.every((text) => text.length > 8)).toBe(true);
});
