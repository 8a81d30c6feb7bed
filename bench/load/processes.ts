/**
 * `--processes N`: what N processes on one port carry, against one. Load generator and engine need
 * cores, too, so a machine of N cores cannot be saturated by the PoP alone; what can be measured is
 * the CPU time per request at the same load per process, one process at R and N at N x R, in turn.
 * N cores are full when all the processes' work fills them or the busiest process fills one:
 *   carried = min(one's CPU / busiest's CPU, N x one's CPU / all CPU), each per request of the PoP.
 * And are the decisions as good? See quality.ts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Options } from "./options.ts";
import { pacedPlain } from "./paced.ts";
import { cpuUsEach } from "./process-stat.ts";
import { measureQuality, type Quality, startEngines } from "./quality.ts";
import { median } from "./quantile.ts";
import { gridpointConfig, launchGridpoint, startUpstream } from "./targets.ts";

/** Plain requests per second and process: a tenth of a core or so, with room on two cores. */
const RATE_EACH = 1_500;
const CONNECTIONS_EACH = 16;
const WARM_UP_S = 4;

interface Cost {
  /** CPU per request, microseconds: of all processes, and of the one that worked most. */
  allUs: number;
  busiestUs: number;
  rps: number;
  errors: number;
}

export interface Comparison {
  processes: number;
  ratePerProcess: number;
  one: Cost[];
  many: Cost[];
  /** Median over the rounds. */
  carried: number;
  quality: { one: Quality; many: Quality };
  errors: number;
}

async function costAt(base: string, pid: number, processes: number, seconds: number) {
  const site = { base, headers: {} };
  const before = cpuUsEach(pid);
  const rate = RATE_EACH * processes;
  const run = await pacedPlain(site, CONNECTIONS_EACH * processes, rate, seconds);
  const spent = [...cpuUsEach(pid)].map(([one, us]) => us - (before.get(one) ?? 0));
  const { rps, errors, requests } = run;
  const allUs = spent.reduce((sum, us) => sum + us, 0) / requests;
  return { allUs, busiestUs: Math.max(...spent) / requests, rps, errors };
}

async function measureCosts(
  options: Options,
  folder: string,
): Promise<{ one: Cost[]; many: Cost[] }> {
  const { processes, rounds, durationS, node } = options;
  const upstream = await startUpstream();
  const config = gridpointConfig(upstream.base);
  const pops: Awaited<ReturnType<typeof launchGridpoint>>[] = [];
  const costs: { one: Cost[]; many: Cost[] } = { one: [], many: [] };
  try {
    for (const count of [1, processes]) {
      const pop = await launchGridpoint(config, folder, "node", node, count);
      pops.push(pop);
      if (!options.smoke) await costAt(pop.base, pop.running.pid, count, WARM_UP_S);
    }
    for (let round = 0; round < rounds; round++) {
      for (const [at, { base, running }] of pops.entries()) {
        const count = at === 0 ? 1 : processes;
        const cost = await costAt(base, running.pid, count, durationS);
        (at === 0 ? costs.one : costs.many).push(cost);
      }
    }
    return costs;
  } finally {
    for (const { running } of pops) await running.stop();
    await upstream.running.stop();
  }
}

/** New engines and a new PoP: nothing is cached or learned. */
export async function qualityOf(
  options: Options,
  folder: string,
  processes: number,
): Promise<Quality> {
  const engines = await startEngines();
  try {
    const config = { ...gridpointConfig(""), endpoints: engines.endpoints };
    const pop = await launchGridpoint(config, folder, "node", options.node, processes);
    try {
      return await measureQuality(pop.base);
    } finally {
      await pop.running.stop();
    }
  } finally {
    await engines.stop();
  }
}

export async function compareProcesses(options: Options): Promise<Comparison> {
  const { processes } = options;
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-bench-"));
  try {
    const { one, many } = await measureCosts(options, folder);
    const carried = many.map(({ allUs, busiestUs }, round) => {
      const single = (one[round] as Cost).allUs;
      return Math.min(single / busiestUs, (processes * single) / allUs);
    });
    const quality = {
      one: await qualityOf(options, folder, 1),
      many: await qualityOf(options, folder, processes),
    };
    const failed = [...one, ...many, quality.one, quality.many];
    const errors = failed.reduce((sum, part) => sum + part.errors, 0);
    const ratePerProcess = RATE_EACH;
    return { processes, ratePerProcess, one, many, carried: median(carried), quality, errors };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function processReport(comparison: Comparison): string {
  const { processes, ratePerProcess, one, many, carried, quality, errors } = comparison;
  const of = (costs: Cost[], pick: (cost: Cost) => number, digits = 1) =>
    median(costs.map(pick)).toFixed(digits);
  const looks = ({ hitRatio, imbalance }: Quality) =>
    `hit ratio ${hitRatio.toFixed(3)}, busiest engine / mean ${imbalance.toFixed(2)}`;
  const per = (costs: Cost[]) => {
    const [us, rps] = [of(costs, ({ allUs }) => allUs), of(costs, (cost) => cost.rps, 0)];
    return `${us} us of CPU per plain request at ${rps}/s`;
  };
  const busiest = of(many, ({ busiestUs, allUs }) => (100 * busiestUs) / allUs);
  return [
    `one process   ${per(one)}`,
    `${processes} processes   ${per(many)}, the busiest does ${busiest} % of the work`,
    `carried       ${carried.toFixed(2)} times the load of one process, on ${processes} cores`,
    `decisions     one: ${looks(quality.one)}`,
    `              ${processes}: ${looks(quality.many)}`,
    `errors        ${errors}`,
    "",
    `CPU is user and system time of all processes of the PoP, at ${ratePerProcess} requests/s and`,
    "process; carried = min(one / busiest, N x one / all), median of the rounds.",
  ].join("\n");
}
