/**
 * `--processes N --saturate`: what one process carries on one core and N on N cores, when clients
 * and engines have other cores: requests per second under more load than they take. Wants 4N cores
 * and `taskset`; on fewer, `--processes N` alone computes it from CPU time (processes.ts).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { coresHere, moveTo } from "./cores.ts";
import { type Options, UsageError } from "./options.ts";
import { plainLoad } from "./plain.ts";
import type { Running } from "./process.ts";
import { cpuBetween, cpuCount } from "./process-stat.ts";
import { median } from "./quantile.ts";
import { gridpointConfig, launchGridpoint, startUpstream } from "./targets.ts";

const CONNECTIONS_EACH = 32;
const WARM_UP_S = 6;

interface Carried {
  rps: number;
  /** Share of its cores that it used, 0..1: saturated near 1. */
  busy: number;
  errors: number;
}

export interface Saturation {
  processes: number;
  one: Carried[];
  many: Carried[];
  /** Median over the rounds. */
  ratio: number;
  errors: number;
}

async function carry(base: string, pid: number, count: number, seconds: number): Promise<Carried> {
  const before = cpuCount(pid);
  const startMs = performance.now();
  const site = { base, headers: {} };
  const run = await plainLoad(site, CONNECTIONS_EACH * count, seconds, 2 * count);
  const passedUs = (performance.now() - startMs) * 1_000;
  return {
    rps: run.rps,
    busy: cpuBetween(before, cpuCount(pid)) / passedUs / count,
    errors: run.errors,
  };
}

/** @throws UsageError where there are too few cores */
export async function saturate(options: Options): Promise<Saturation> {
  const { processes, rounds, durationS, node } = options;
  const cores = coresHere();
  if (cores.length < 4 * processes) {
    const need = `${4 * processes} cores and taskset, here are ${cores.length}`;
    throw new UsageError(`--saturate with --processes ${processes} needs ${need}`);
  }
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-bench-"));
  const running: Running[] = [];
  try {
    const engines: unknown[] = [];
    for (let at = 0; at < processes; at++) {
      const upstream = await startUpstream();
      running.push(upstream.running);
      moveTo([cores[processes + at] as number], upstream.running.pid);
      const [endpoint] = gridpointConfig(upstream.base)["endpoints"] as [object];
      engines.push({ ...endpoint, id: `upstream-${at}` });
    }
    moveTo(cores.slice(2 * processes), process.pid);
    const pops: { base: string; pid: number; count: number }[] = [];
    for (const count of [1, processes]) {
      const config = { ...gridpointConfig(""), endpoints: engines };
      const pop = await launchGridpoint(config, folder, "node", node, count);
      running.push(pop.running);
      moveTo(cores.slice(0, count), pop.running.pid);
      pops.push({ base: pop.base, pid: pop.running.pid, count });
      await carry(pop.base, pop.running.pid, count, WARM_UP_S);
    }
    const carried: [Carried[], Carried[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      for (const [at, { base, pid, count }] of pops.entries()) {
        carried[at as 0 | 1].push(await carry(base, pid, count, durationS));
      }
    }
    const [one, many] = carried;
    const ratio = median(many.map(({ rps }, round) => rps / (one[round] as Carried).rps));
    const errors = [...one, ...many].reduce((sum, run) => sum + run.errors, 0);
    return { processes, one, many, ratio, errors };
  } finally {
    for (const one of running.reverse()) await one.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

export function saturationReport({ processes, one, many, ratio, errors }: Saturation): string {
  const line = (runs: Carried[]): string => {
    const middle = (pick: (run: Carried) => number) => median(runs.map(pick));
    const busy = (100 * middle((run) => run.busy)).toFixed(0);
    return `${middle((run) => run.rps).toFixed(0)} plain requests/s, its cores ${busy} % busy`;
  };
  return [
    `one process   ${line(one)}`,
    `${processes} processes   ${line(many)}`,
    `carried       ${ratio.toFixed(2)} times the load of one process, each on a core of its own`,
    `errors        ${errors}`,
  ].join("\n");
}
