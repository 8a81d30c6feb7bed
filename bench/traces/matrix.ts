/**
 * Every trace, cache, load and size in turn: is ours first in mean TTFT everywhere? Any option of
 * `npm run bench:traces` may follow and holds for all cells.
 *
 *     node bench/traces/matrix.ts [--traces FILE,...] [--sizes 4,16,64] [--caches 1x,0.5x,0.1x]
 *                                 [--loads U70,I70] [--within PER CENT] [--engine step] ...
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Bench } from "./bench.ts";
import { readTrace, TraceError } from "./formats.ts";
import { traceFolder } from "./folder.ts";
import { type Options, optionsFrom, UsageError } from "./options.ts";
import type { Trace } from "./trace.ts";

interface Cell {
  trace: string;
  workers: string;
  cache: string;
  load: string;
}

interface Outcome extends Cell {
  meanMs: number;
  best: string;
  bestMs: number;
  /** Ours by the best other. */
  ratio: number;
}

const TRACE_FILE = /\.(jsonl|csv)(\.gz|\.br)?$/;
const OURS = "gridpoint";
const GAP_MS = 300_000;

function allTraces(): string[] {
  const folder = traceFolder();
  const names = readdirSync(folder).filter((name) => TRACE_FILE.test(name));
  return names.sort().map((name) => join(folder, name));
}

const text = { type: "string" } as const;
const OWN_OPTIONS = { traces: text, sizes: text, caches: text, loads: text, within: text } as const;

/** Our own options, and what is left for `optionsFrom`. */
function split(args: string[]) {
  const { values, tokens } = parseArgs({ args, options: OWN_OPTIONS, strict: false, tokens: true });
  const rest = tokens.flatMap((token) => {
    if (token.kind === "positional") return [token.value];
    if (token.kind !== "option" || token.name in OWN_OPTIONS) return [];
    const isApart = token.value !== undefined && token.inlineValue === true;
    return isApart ? [`--${token.name}=${token.value}`] : [`--${token.name}`];
  });
  const list = (name: keyof typeof OWN_OPTIONS, otherwise: string) =>
    String(values[name] ?? otherwise).split(",");
  return { list, rest };
}

function outcomeOf(cell: Cell, trace: Trace, options: Options): Outcome {
  const bench = new Bench(trace, options);
  const means = new Map<string, number>();
  for (const policy of options.policies) {
    const { row, refused } = bench.run(policy, {});
    means.set(policy, refused === 0 ? row.ttftMs.mean : Number.POSITIVE_INFINITY);
  }
  const meanMs = means.get(OURS) ?? Number.NaN;
  means.delete(OURS);
  const [best, bestMs] = [...means].reduce((a, b) => (b[1] < a[1] ? b : a));
  return { ...cell, meanMs, best, bestMs, ratio: meanMs / bestMs };
}

function lineOf({ workers, cache, load, meanMs, best, bestMs, ratio }: Outcome): string {
  const s = (ms: number) => (ms / 1000).toFixed(2).padStart(8);
  const place = `${workers.padStart(4)} workers, cache ${cache.padEnd(4)} ${load.padEnd(4)}`;
  return (
    `${place} ours ${s(meanMs)} s, ` +
    `best other ${s(bestMs)} s (${best}), ratio ${ratio.toFixed(3)}`
  );
}

/** Every combination, workers slowest. */
function cellsOf(file: string, trace: Trace, { list }: ReturnType<typeof split>): Cell[] {
  // What shares nothing is the same with every cache.
  const caches = sharesNothing(trace) ? ["1x"] : list("caches", "1x,0.5x,0.1x");
  return list("sizes", "4,16,64").flatMap((workers) =>
    caches.flatMap((cache) =>
      list("loads", "U70,I70").map((load) => ({ trace: file, workers, cache, load })),
    ),
  );
}

function optionsOr(given: string[]): Options {
  const options = optionsFrom(given);
  if (options !== undefined) return options;
  throw new UsageError("node bench/traces/matrix.ts: its options stand at its head");
}

async function main(): Promise<void> {
  const given = split(process.argv.slice(2));
  const { list, rest } = given;
  const within = 1 + Number(list("within", "3")[0]) / 100;
  const { format, sessions, windowMs, seed } = optionsOr(rest);
  const lost: string[] = [];
  let count = 0;
  for (const file of list("traces", allTraces().join(","))) {
    const trace = await readTrace(file, { format, sessions, windowMs, gapMs: GAP_MS, seed });
    process.stdout.write(`${trace.name}\n`);
    for (const cell of cellsOf(file, trace, given)) {
      const { workers, cache, load } = cell;
      const args = ["--workers", workers, "--cache", cache, "--load", load, ...rest];
      const outcome = outcomeOf(cell, trace, optionsOr(args));
      const line = lineOf(outcome);
      process.stdout.write(`  ${line}\n`);
      count++;
      if (!(outcome.ratio <= within)) lost.push(`${trace.name} ${line}`);
    }
  }
  const per = ((within - 1) * 100).toFixed(0);
  process.stdout.write(`\nfirst or within ${per} %: ${count - lost.length} of ${count}\n`);
  for (const line of lost) process.stdout.write(`not so: ${line}\n`);
  if (lost.length > 0) process.exitCode = 1;
}

function sharesNothing({ requests, uniqueBlocks }: Trace): boolean {
  return requests.reduce((sum, { blocks }) => sum + blocks.length, 0) === uniqueBlocks;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError || error instanceof TraceError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
