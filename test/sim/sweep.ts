/**
 * The sweep: programs of many seeds, `npm run test:sim -- --seeds 10000 --from 0`. A failing seed
 * is printed with its story; the exit status is 1 then.
 */
import { parseArgs } from "node:util";
import { InvariantError } from "../../src/sim/checkers.ts";
import { programOf, runProgram } from "./program.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "0" },
    failures: { type: "string", default: "3" },
  },
});
const from = Number(values.from);
const seeds = Number(values.seeds);
if (!Number.isSafeInteger(from) || !(seeds > 0)) {
  throw new Error("--from and --seeds must be whole numbers, as in --seeds 1000 --from 0");
}

const startMs = performance.now();
let failures = 0;
let events = 0;
let seed = from;
for (; seed < from + seeds && failures < Number(values.failures); seed++) {
  try {
    events += runProgram(programOf(seed)).clock.done;
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    failures++;
    console.log(error.message, "\n");
  }
}
const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
console.log(`${seed - from} seeds, ${events} events, ${failures} failures, ${seconds} s`);
process.exitCode = failures === 0 ? 0 : 1;
