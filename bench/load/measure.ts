/** One round over one target: what it costs, what it adds, what it holds, how fast it lets go. */
import { cancelLoop, closedLoop, openLoop, type StreamRun } from "./generator.ts";
import type { Options } from "./options.ts";
import { plainLoad } from "./plain.ts";
import { cpuBetween, cpuCount, rssMb } from "./process-stat.ts";
import { quantile } from "./quantile.ts";
import type { Target } from "./targets.ts";

export interface Quantiles {
  p50: number;
  p99: number;
}

/** What it costs. */
export interface Pass {
  plain: { cpuUs: number; rps: number; errors: number };
  chunk: { cpuUs: number; errors: number };
  gapMs: Quantiles;
}

export interface Round {
  /** One after the other, each over all targets: what is compared lies seconds apart. */
  passes: Pass[];
  stream: { cpuUsPerRequest: number; rps: number };
  /** Absolute; the report subtracts what direct took in the same round. */
  ttftMs: Quantiles;
  ttftSlowMs: Quantiles;
  ttftErrors: number;
  cancelMs: Quantiles;
  cancels: { asked: number; seen: number };
  rssMb: number;
}

const quantiles = (samples: number[]): Quantiles => ({
  p50: quantile(samples, 0.5),
  p99: quantile(samples, 0.99),
});

/** Runs `work` and tells the CPU time that the target's processes took meanwhile. */
async function costOf<T>(target: Target, work: () => Promise<T>): Promise<[T, number]> {
  const pid = target.running?.pid;
  if (pid === undefined) return [await work(), Number.NaN];
  const before = cpuCount(pid);
  const result = await work();
  return [result, cpuBetween(before, cpuCount(pid))];
}

/**
 * What is done before anything is measured: a just-in-time compiler has work with the first tens of
 * thousands of requests, up to a third of their CPU, however long those take. Both kinds in turn,
 * since code that has only seen one is compiled again when the other comes.
 */
const WARM = { requests: 24_000, chunks: 80_000, sliceS: 2, slicesMax: 16 };

export async function warmUp(target: Target, { connections, streams, gapMs }: Options) {
  let requests = 0;
  let chunks = 0;
  for (let slice = 0; slice < WARM.slicesMax; slice++) {
    if (requests >= WARM.requests && chunks >= WARM.chunks) return;
    requests += (await plainLoad(target, connections, WARM.sliceS)).requests;
    const shape = { chunks: 200, gapMs };
    chunks += (await closedLoop(target, streams, WARM.sliceS, shape)).chunks;
  }
}

export type CostPhase = "plain" | "chunk";
export type Phase = CostPhase | "ttft" | "cancel";
export const COST_PHASES: readonly CostPhase[] = ["plain", "chunk"];
export const REST_PHASES: readonly Phase[] = ["ttft", "cancel"];

/**
 * The same before what counts: while the other targets had their turn this one has rested, and code
 * that rested costs more at first (Node after 85 s: a fifth more for two seconds).
 */
const LEAD_S = 0.5;

async function plainPhase(target: Target, options: Options, pass: Pass): Promise<void> {
  if (!options.smoke) await plainLoad(target, options.connections, LEAD_S);
  const [run, cpu] = await costOf(target, () =>
    plainLoad(target, options.connections, options.durationS / 3),
  );
  pass.plain = { cpuUs: cpu / run.requests, rps: run.rps, errors: run.errors };
}

/** Long streams: what a request costs besides its chunks disappears in 200 of them. */
async function chunkPhase(target: Target, options: Options, pass: Pass): Promise<void> {
  const shape = { chunks: 200, gapMs: options.gapMs };
  if (!options.smoke) await closedLoop(target, options.streams, LEAD_S, shape);
  const [run, cpu] = await costOf(target, () =>
    closedLoop(target, options.streams, options.durationS / 3, shape),
  );
  pass.chunk = { cpuUs: cpu / run.chunks, errors: run.errors };
  pass.gapMs = quantiles(run.gapMs);
}

/** Short streams at a rate: 10 chunks, 10 ms apart. */
async function ttftPhase(target: Target, options: Options, round: Round): Promise<void> {
  const shape = { chunks: 10, gapMs: 10 };
  const at = (rate: number): Promise<StreamRun> => openLoop(target, rate, options.durationS, shape);
  const [run, cpu] = await costOf(target, () => at(options.rate));
  round.ttftMs = quantiles(run.ttftMs);
  round.ttftErrors = run.errors;
  round.stream = { cpuUsPerRequest: cpu / run.streams, rps: run.streams / run.seconds };
  if (options.smoke) round.ttftSlowMs = round.ttftMs;
  else round.ttftSlowMs = quantiles((await at(options.rate / 5)).ttftMs);
}

async function cancelPhase(
  target: Target,
  options: Options,
  upstream: string,
  round: Round,
): Promise<void> {
  if (options.cancels === 0) return;
  const run = await cancelLoop(target, upstream, options.cancels);
  round.cancelMs = quantiles(run.cancelMs);
  round.cancels = { asked: run.asked, seen: run.cancelMs.length };
}

const none: Quantiles = { p50: Number.NaN, p99: Number.NaN };

const emptyPass = (): Pass => ({
  plain: { cpuUs: Number.NaN, rps: Number.NaN, errors: 0 },
  chunk: { cpuUs: Number.NaN, errors: 0 },
  gapMs: none,
});

export const emptyRound = (passes: number): Round => ({
  passes: Array.from({ length: passes }, emptyPass),
  stream: { cpuUsPerRequest: Number.NaN, rps: Number.NaN },
  ttftMs: none,
  ttftSlowMs: none,
  ttftErrors: 0,
  cancelMs: none,
  cancels: { asked: 0, seen: 0 },
  rssMb: Number.NaN,
});

/** Where a phase's figures go. */
export interface Place {
  round: Round;
  pass: number;
}

export async function measure(
  phase: Phase,
  target: Target,
  options: Options,
  upstream: string,
  { round, pass }: Place,
): Promise<void> {
  const costs = round.passes[pass] as Pass;
  if (phase === "plain") await plainPhase(target, options, costs);
  else if (phase === "chunk") await chunkPhase(target, options, costs);
  else if (phase === "ttft") await ttftPhase(target, options, round);
  else await cancelPhase(target, options, upstream, round);
  const pid = target.running?.pid;
  // The most that was held at the end of any phase.
  if (pid !== undefined) round.rssMb = Math.max(round.rssMb || 0, rssMb(pid));
}
