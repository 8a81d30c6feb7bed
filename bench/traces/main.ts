/**
 * `npm run bench:traces`: what decisions are worth on real workloads. A trace is replayed through
 * the shipped kernel, queue and feedback against simulated engines on virtual time, side by side
 * with other routers' policies.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bench, type PolicyResult } from "./bench.ts";
import { chartOf } from "./chart.ts";
import { traceFolder } from "./folder.ts";
import { readTrace, TraceError } from "./formats.ts";
import { type Options, optionsFrom, USAGE, UsageError } from "./options.ts";
import { GeoError } from "./places.ts";
import type { BenchPop } from "./pop.ts";
import type { ReplayHooks } from "./replay.ts";
import { calibrationLine, heading, table } from "./report.ts";
import type { TraceRequest } from "./trace.ts";

const DEFAULT_TRACE = "mooncake_conversation_trace.jsonl.gz";
const LINE_WIDTH = 60;

function showExplanation(pop: BenchPop, request: TraceRequest): void {
  const { index, inputTokens, blocks } = request;
  process.stderr.write(`\nrequest ${index}: ${inputTokens} tokens, ${blocks.length} blocks\n`);
  const ranked = pop.explain(request).sort((a, b) => a.socialMs - b.socialMs);
  const rows = ranked.map(({ row, ...terms }) => ({ worker: row, ...terms }));
  for (const row of rows) process.stderr.write(`${JSON.stringify(row)}\n`);
}

function hooksFor(policy: string, { explain }: Options): ReplayHooks {
  const { stderr } = process;
  const show = (share: number) => {
    stderr.write(`\r${policy} ${Math.round(share * 100)} %`.padEnd(LINE_WIDTH));
  };
  return {
    ...(stderr.isTTY ? { progress: show } : {}),
    ...(explain === undefined ? {} : { explain: { index: explain, run: showExplanation } }),
  };
}

async function main(): Promise<void> {
  const options = optionsFrom(process.argv.slice(2));
  if (options === undefined) return void process.stdout.write(USAGE);
  const file = options.trace ?? join(traceFolder(), DEFAULT_TRACE);
  if (!existsSync(file)) {
    const advice = "say --trace FILE, or set GRIDPOINT_TRACES to a folder of public traces";
    process.stderr.write(`skipped: there is no ${file}; ${advice}\n`);
    if (options.trace !== undefined) process.exitCode = 2;
    return;
  }
  const { format, sessions, windowMs, seed } = options;
  const trace = await readTrace(file, { format, sessions, windowMs, gapMs: 300_000, seed });
  const bench = new Bench(trace, options);
  if (!options.json) process.stdout.write(`${heading(bench, options)}\n\n`);
  const results = options.policies.map((name) => bench.run(name, hooksFor(name, options)));
  if (process.stderr.isTTY) process.stderr.write(`\r${"".padEnd(LINE_WIDTH)}\r`);
  say(bench, options, results);
}

function say(bench: Bench, options: Options, results: PolicyResult[]): void {
  if (options.svg !== undefined) {
    const title = `TTFT, ${bench.trace.name}, ${options.load}, ${bench.workers} workers`;
    const curves = results.map(({ row, ttftMs }) => ({ name: row.policy, ttftMs }));
    writeFileSync(options.svg, chartOf(title, curves));
  }
  if (!options.json) {
    const calibrations = results.map(calibrationLine).join("");
    return void process.stdout.write(`${table(results)}\n\n${calibrations}`);
  }
  const policies = results.map(({ row }) => row);
  const said = { trace: bench.trace.name, options, policies };
  process.stdout.write(`${JSON.stringify(said, undefined, 2)}\n`);
}

try {
  await main();
} catch (error) {
  const isOurs = [UsageError, TraceError, GeoError].some((kind) => error instanceof kind);
  if (!isOurs) throw error;
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 2;
}
