/**
 * A real PoP before a real engine that somebody runs: does Gridpoint understand that engine, and
 * does it stay out of the way? Each check prints one line with its figure; what the engine does not
 * offer is skipped with the reason. Exits with 1 when a check failed.
 *
 *     npm run test:live -- --url http://127.0.0.1:8000 --engine vllm [--model ID]
 *       [--api-key-env NAME] [--kv-events tcp://HOST:PORT [--kv-replay tcp://HOST:PORT]]
 *       [--max-running N] [--samples N] [--only TEXT] [--pid N]
 *
 * `--kv-events` and `--kv-replay` are where this machine reaches the engine's publisher (vLLM binds
 * them only where its own `endpoint` has a `*`). `--max-running` is the engine's batch (vLLM's
 * max-num-seqs): what is more waits in the PoP. `--pid` names the engine's process: at the end it
 * is stopped for a while, and then killed, in the middle of a stream. Nobody else should use the
 * engine meanwhile: gauges, caches and times are looked at.
 */
import { parseArgs } from "node:util";
import { checkAnswers } from "./live-answers.ts";
import { checkCache } from "./live-cache.ts";
import { checkDoors } from "./live-doors.ts";
import { checkEvents } from "./live-events.ts";
import { checkFailures } from "./live-failures.ts";
import { checkFigures } from "./live-figures.ts";
import { checkIds } from "./live-ids.ts";
import { checkIdentity } from "./live-identity.ts";
import { checkLeaving } from "./live-leaving.ts";
import { checkOwnDoors } from "./live-own-doors.ts";
import { checkOverload } from "./live-overload.ts";
import { Report } from "./live-report.ts";
import { type LiveOptions, startLive } from "./live-scene.ts";

const HELP = "npm run test:live -- --url URL --engine FAMILY; more in test/runtime/live.ts\n";

function options(): LiveOptions | undefined {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      ...{ url: text, engine: text, model: text, "api-key-env": text, only: text },
      ...{ "kv-events": text, "kv-replay": text, pid: text, samples: text, "max-running": text },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help || values.url === undefined || values.engine === undefined) return undefined;
  const number = (given: string | undefined) => (given === undefined ? undefined : Number(given));
  return {
    url: values.url.replace(/(\/v1)?\/*$/, ""),
    engine: values.engine,
    model: values.model,
    keyName: values["api-key-env"],
    kvEvents: values["kv-events"],
    kvReplay: values["kv-replay"],
    pid: number(values.pid),
    samples: number(values.samples) ?? 20,
    maxRunning: number(values["max-running"]),
    only: values.only,
  };
}

async function main(): Promise<number> {
  const asked = options();
  if (asked === undefined) {
    process.stdout.write(HELP);
    return 2;
  }
  const report = new Report(asked.only);
  const live = await startLive(asked);
  try {
    const reads = [checkIdentity, checkAnswers, checkDoors, checkOwnDoors];
    const caches = [checkCache, checkEvents, checkIds];
    for (const check of [
      ...reads,
      ...caches,
      checkLeaving,
      checkOverload,
      checkFigures,
      checkFailures,
    ]) {
      await check(live, report);
    }
  } finally {
    await live.pop.stop();
  }
  const code = report.end();
  if (code !== 0)
    process.stderr.write(`\nwhat the PoP wrote last:\n${live.pop.output.slice(-4_000)}`);
  return code;
}

process.exitCode = await main();
