/**
 * How many cases a property gets, and of which seed. In the tests it is the smoke size, the same
 * every time; `npm run test:fuzz` draws many more, in slices, so that the test's process can answer
 * its runner and tell how far it is.
 */
import fc from "fast-check";
import { expect } from "vitest";

const MORE = process.env.GRIDPOINT_FUZZ_CASES;
const SEED = Number(process.env.GRIDPOINT_FUZZ_SEED ?? 20_261_126);
const SMOKE_CASES = 300;
const SMOKE_CASES_SHARED = 100;
const SLICE_CASES = 1_000;
const PROGRESS_MS = 10_000;

/** @param share of the cases: 2 = twice as many as others get */
export async function holds<T>(property: fc.IRawProperty<T>, share = 1): Promise<void> {
  if (MORE === undefined) {
    const numRuns = Math.max(SMOKE_CASES, SMOKE_CASES_SHARED * share);
    return void fc.assert(property, { seed: SEED, numRuns });
  }
  const cases = Math.ceil(Number(MORE) * share);
  let toldMs = performance.now();
  for (let done = 0, slice = 0; done < cases; slice++) {
    const numRuns = Math.min(SLICE_CASES, cases - done);
    // A slice that fails names its own seed and path; the seed of the run finds it again, too.
    fc.assert(property, { seed: SEED + slice, numRuns });
    done += numRuns;
    if (performance.now() - toldMs > PROGRESS_MS) {
      toldMs = performance.now();
      process.stderr.write(`  ${done} of ${cases}: ${expect.getState().currentTestName}\n`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
