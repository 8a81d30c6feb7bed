/**
 * The sweep: programs of many seeds, spoilt frames for a minute, on every core:
 * `npm run test:sim -- --seeds 10000 --from 0 --fuzz-s 60`, each 0 to leave it out. What fails is
 * printed with its seed and story; the exit status is 1 then. `--goals 300` holds the goals of 300
 * PoPs to their bounds, too: a quarter of an hour of one core.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Job, Outcome } from "./sweep-worker.ts";

const BATCH = 20;
const PROGRESS_SEEDS = 1_000;
/** Growth of the heap under fuzz that is no leak: caches of the engine, the last garbage. */
const GROWTH_MB = 24;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "0" },
    failures: { type: "string", default: "3" },
    workers: { type: "string", default: String(availableParallelism()) },
    "fuzz-s": { type: "string", default: "60" },
    goals: { type: "string", default: "0" },
  },
});

function whole(name: keyof typeof values, least: number): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new Error(`--${name} must be a whole number of at least ${least}, as in --seeds 1000`);
}

const from = whole("from", 0);
const seeds = whole("seeds", 0);
const mostFailures = whole("failures", 1);
const fuzzMs = whole("fuzz-s", 0) * 1_000;
const goalsOf = whole("goals", 0);

const total = { seeds: 0, events: 0, failures: 0, frames: 0, refused: 0, bans: 0 };
const startMs = performance.now();
const seconds = (sinceMs: number) => ((performance.now() - sinceMs) / 1_000).toFixed(1);

function fail(what: string): void {
  total.failures++;
  console.log(what, "\n");
}

function take(outcome: Outcome): void {
  if (outcome.kind === "programs") {
    const before = total.seeds;
    total.seeds += outcome.seeds;
    total.events += outcome.events;
    for (const failure of outcome.failures) fail(failure);
    const passed = Math.floor(total.seeds / PROGRESS_SEEDS);
    if (passed > Math.floor(before / PROGRESS_SEEDS)) {
      console.log(
        `${total.seeds} of ${seeds} seeds, ${total.events} events, ${seconds(startMs)} s`,
      );
    }
    return;
  }
  if (outcome.kind === "goals") {
    console.table(outcome.goals);
    for (const missed of outcome.missed) fail(missed);
    return;
  }
  const { report, grownMb, failure } = outcome;
  total.frames += report.frames;
  total.refused += report.refused;
  total.bans += report.bans;
  if (failure !== undefined) fail(failure);
  if (grownMb > GROWTH_MB) fail(`the heap grew by ${grownMb.toFixed(1)} MiB under fuzz`);
}

/** Hands the jobs out, each to the next worker that is free. */
function runJobs(workers: readonly Worker[], jobs: Iterator<Job>): Promise<void> {
  const work = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      const next = (): void => {
        const job = jobs.next();
        if (job.done || total.failures >= mostFailures) {
          worker.off("message", taken);
          worker.off("error", reject);
          resolve();
        } else worker.postMessage(job.value);
      };
      const taken = (outcome: Outcome): void => {
        take(outcome);
        next();
      };
      worker.on("message", taken);
      worker.on("error", reject);
      next();
    });
  return Promise.all(workers.map(work)).then(() => undefined);
}

function* programJobs(): Iterator<Job> {
  for (let seed = from; seed < from + seeds; seed += BATCH) {
    yield { kind: "programs", from: seed, count: Math.min(BATCH, from + seeds - seed) };
  }
}

function* frameJobs(count: number): Iterator<Job> {
  for (let i = 0; i < count && fuzzMs > 0; i++) {
    yield { kind: "frames", seed: from + i + 1, forMs: fuzzMs };
  }
}

function* goalJobs(): Iterator<Job> {
  if (goalsOf > 0) yield { kind: "goals", pops: goalsOf, seed: 1 };
}

const script = new URL("sweep-worker.ts", import.meta.url);
// A simulated event leaves some garbage: with more room for it, less of it is ever copied.
const room = { resourceLimits: { maxYoungGenerationSizeMb: 128 } };
const workers = Array.from({ length: whole("workers", 1) }, () => new Worker(script, room));
try {
  await runJobs(workers, programJobs());
  console.log(
    `${total.seeds} seeds, ${total.events} events, ${total.failures} failures, ` +
      `${seconds(startMs)} s on ${workers.length} workers`,
  );
  const fuzzStartMs = performance.now();
  await runJobs(workers, frameJobs(workers.length));
  console.log(
    `${total.frames} hostile frames, ${total.refused} refused, ${total.bans} bans, ` +
      `${total.failures} failures, ${seconds(fuzzStartMs)} s`,
  );
  const goalsStartMs = performance.now();
  await runJobs(workers, goalJobs());
  if (goalsOf > 0) console.log(`goals of ${goalsOf} PoPs: ${seconds(goalsStartMs)} s`);
} finally {
  await Promise.all(workers.map((worker) => worker.terminate()));
}
process.exitCode = total.failures === 0 ? 0 : 1;
