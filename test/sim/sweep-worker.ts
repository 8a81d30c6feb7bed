/** One core's share of the sweep: programs of the seeds it is handed, frames, a grid's goals. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort } from "node:worker_threads";
import { InvariantError } from "../../src/sim/checkers.ts";
import { type Goals, measure } from "../../bench/gossip.ts";
import { type FuzzReport, fuzzFrames } from "./fuzz.ts";
import { missedGoals } from "./goals.ts";
import { programOf, runProgram } from "./program.ts";

export type Job =
  | { kind: "programs"; from: number; count: number }
  | { kind: "frames"; seed: number; forMs: number }
  | { kind: "goals"; pops: number; seed: number };

export type Outcome =
  | { kind: "programs"; seeds: number; events: number; failures: string[] }
  | { kind: "frames"; report: FuzzReport; grownMb: number; failure?: string }
  | { kind: "goals"; goals: Goals; missed: string[] };

const CHECK_EVERY = 1_000;
/** Tables fill at first; what they hold afterwards must not grow. */
const WARM_UP_SHARE = 0.2;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function heapMb(): number {
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

function programs(from: number, count: number): Outcome {
  const outcome = { kind: "programs" as const, seeds: count, events: 0, failures: [] as string[] };
  for (let seed = from; seed < from + count; seed++) {
    try {
      outcome.events += runProgram(programOf(seed)).clock.done;
    } catch (error) {
      if (!(error instanceof InvariantError)) throw error;
      outcome.failures.push(error.message);
    }
  }
  return outcome;
}

function frames(seed: number, forMs: number): Outcome {
  const startMs = performance.now();
  let warmMb = Number.NaN;
  const report: FuzzReport = { frames: 0, sent: {}, refused: 0, closed: 0, bans: 0 };
  try {
    const done = (count: number): boolean => {
      if (count % CHECK_EVERY !== 0) return false;
      const passedMs = performance.now() - startMs;
      if (Number.isNaN(warmMb) && passedMs > WARM_UP_SHARE * forMs) warmMb = heapMb();
      return passedMs > forMs;
    };
    Object.assign(report, fuzzFrames(seed, done));
  } catch (error) {
    return { kind: "frames", report, grownMb: 0, failure: (error as Error).message };
  }
  return { kind: "frames", report, grownMb: heapMb() - warmMb };
}

function outcomeOf(job: Job): Outcome {
  if (job.kind === "programs") return programs(job.from, job.count);
  if (job.kind === "frames") return frames(job.seed, job.forMs);
  const goals = measure(job.pops, job.seed, job.pops > 64 ? 2 : 4);
  return { kind: "goals", goals, missed: missedGoals(goals) };
}

parentPort?.on("message", (job: Job) => {
  parentPort?.postMessage(outcomeOf(job));
});
