/** What people read. */
import type { Bench, PolicyResult } from "./bench.ts";
import type { Options } from "./options.ts";

const seconds = (ms: number) => (ms / 1000).toFixed(ms < 9950 ? 2 : 1);

const COLUMNS: [string, (result: PolicyResult) => string][] = [
  ["policy", ({ row }) => row.policy],
  ["hits", ({ row }) => `${(row.hitRatio * 100).toFixed(1)} %`],
  ["imbalance", ({ row }) => row.imbalance.toFixed(1)],
  ["mean s", ({ row }) => seconds(row.ttftMs.mean)],
  ["p50", ({ row }) => seconds(row.ttftMs.p50)],
  ["p90", ({ row }) => seconds(row.ttftMs.p90)],
  ["p99", ({ row }) => seconds(row.ttftMs.p99)],
  ["max", ({ row }) => seconds(row.ttftMs.max)],
  ["capacity", ({ row }) => row.sloCapacity?.toFixed(2) ?? "-"],
  ["$/Mtok", ({ row }) => row.usdPerMTok.toFixed(4)],
  ["handed over", ({ handedOver }) => String(handedOver)],
  ["given back", ({ givenBack }) => String(givenBack)],
  ["refused", ({ refused }) => String(refused)],
  ["took s", (result) => result.seconds.toFixed(1)],
];

export function heading(bench: Bench, options: Options): string {
  const { trace, facts } = bench;
  const per = (share: number) => `${(share * 100).toFixed(1)} %`;
  return (
    `${trace.name}: ${trace.requests.length} requests, ${trace.uniqueBlocks} blocks, ` +
    `ideal hits ${per(facts.idealBlocks)} of blocks, ${per(facts.idealTokens)} of tokens\n` +
    `${bench.workers} workers (${options.engine}), load ${options.load} = ` +
    `${bench.share.toFixed(2)} capacities, speed-up ${bench.speedUp(bench.share).toFixed(2)}, ` +
    `${bench.places.names.length} PoPs, ${options.binding} binding`
  );
}

/** How good the predictions were; empty for policies that make none. */
export function calibrationLine({ row, calibration }: PolicyResult): string {
  if (calibration === undefined) return "";
  const { predictedTtftMs, observedTtftMs, ttftErrorMs } = calibration;
  const { predictedHits, observedHits, hitError } = calibration;
  const share = (part: number) => `${(part * 100).toFixed(2)} %`;
  const [predicted, observed] = [seconds(predictedTtftMs), seconds(observedTtftMs)];
  return (
    `${row.policy}, from the choice of a worker on: TTFT predicted ${predicted} s, observed ` +
    `${observed} s, mean error ${seconds(ttftErrorMs)} s; of all prompt tokens hits predicted ` +
    `${share(predictedHits)}, observed ${share(observedHits)}, mispredicted ${share(hitError)}\n`
  );
}

export function table(results: PolicyResult[]): string {
  const rows = [COLUMNS.map(([name]) => name), ...results.map((r) => COLUMNS.map(([, f]) => f(r)))];
  const widths = COLUMNS.map((_, at) => Math.max(...rows.map((row) => row[at].length)));
  const fill = (cell: string, at: number) =>
    at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]);
  return rows.map((row) => row.map(fill).join("  ")).join("\n");
}
