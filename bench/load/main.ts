/**
 * The load bench: proxies side by side on one machine, in front of the same trivial upstream,
 * under the same generator. Passes go over all targets in turn (A B A B), since the machine's speed
 * drifts: what is compared was measured seconds apart, and the middle half of all passes counts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keepCore } from "./cores.ts";
import {
  COST_PHASES,
  emptyRound,
  measure,
  type Phase,
  REST_PHASES,
  type Round,
  warmUp,
} from "./measure.ts";
import { parseOptions, UsageError, USAGE, type Options } from "./options.ts";
import { compareProcesses, processReport } from "./processes.ts";
import { errorsOf, machineReport, personReport, type Results } from "./report.ts";
import { saturate, saturationReport } from "./saturate.ts";
import { startTargets, startUpstream, type Target } from "./targets.ts";

async function runRounds(
  targets: Target[],
  options: Options,
  upstream: string,
): Promise<Results[]> {
  const all = targets.map((target): Results => ({ target, rounds: [] }));
  for (const { target } of options.smoke ? [] : all) await warmUp(target, options);
  const each = async (phase: Phase, at: number, pass: number): Promise<void> => {
    for (const { target, rounds } of all) {
      // Direct has no CPU to count: once a round will do.
      if (pass > 0 && target.running === undefined) continue;
      if (!options.json && !options.smoke) {
        process.stderr.write(`round ${at + 1}/${options.rounds} ${phase} ${target.name}\n`);
      }
      const round = rounds[at] as Round;
      await measure(phase, target, options, upstream, { round, pass });
    }
  };
  for (let at = 0; at < options.rounds; at++) {
    for (const results of all) results.rounds.push(emptyRound(options.passes));
    for (let pass = 0; pass < options.passes; pass++) {
      for (const phase of COST_PHASES) await each(phase, at, pass);
    }
    for (const phase of REST_PHASES) await each(phase, at, 0);
  }
  return all;
}

/** A bench that measured failures must not pass for one that measured work. */
function failuresOf(all: Results[]): string[] {
  return all
    .filter(({ target }) => target.name.startsWith("gridpoint") || target.name === "direct")
    .flatMap(({ target, rounds }) =>
      rounds
        .map(errorsOf)
        .filter((errors) => errors > 0)
        .map((errors) => `${target.name}: ${errors} failed requests in a round`),
    );
}

async function run(options: Options): Promise<number> {
  if (options.processes > 1) return await runProcesses(options);
  const cores = options.ownCore ? keepCore() : "all cores shared";
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-bench-"));
  const upstream = await startUpstream();
  let targets: Target[] = [];
  try {
    targets = await startTargets({ options, folder, upstream: upstream.base });
    const all = await runRounds(targets, options, upstream.base);
    console.log(
      options.json ? JSON.stringify(machineReport(all, cores), null, 2) : personReport(all, cores),
    );
    const failures = failuresOf(all);
    for (const failure of failures) console.error(failure);
    return failures.length === 0 ? 0 : 1;
  } finally {
    for (const target of targets) await target.running?.stop();
    await upstream.running.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runProcesses(options: Options): Promise<number> {
  if (options.saturate) {
    const found = await saturate(options);
    console.log(options.json ? JSON.stringify(found, null, 2) : saturationReport(found));
    return found.errors === 0 ? 0 : 1;
  }
  const comparison = await compareProcesses(options);
  console.log(options.json ? JSON.stringify(comparison, null, 2) : processReport(comparison));
  return comparison.errors === 0 ? 0 : 1;
}

try {
  process.exitCode = await run(parseOptions(process.argv.slice(2)));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  if (error instanceof UsageError) console.error(`\n${USAGE}`);
  process.exitCode = 2;
}
