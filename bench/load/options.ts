/** The command line of the load bench. */
import { parseArgs } from "node:util";
import { RUNTIMES, type RuntimeName } from "../../test/runtime/runtimes.ts";

export const TARGETS = ["direct", "gridpoint", "haproxy", "nginx", "portkey"] as const;
export type TargetName = (typeof TARGETS)[number];

export interface Options {
  targets: TargetName[];
  /** Those that gridpoint is measured on, each a row of its own. */
  runtimes: RuntimeName[];
  /** Above 1: only gridpoint on Node, with so many processes beside one. */
  processes: number;
  /** With `processes`: by load on cores of their own (saturate.ts). */
  saturate: boolean;
  /** What is measured has a core of its own, where there are two (cores.ts). */
  ownCore: boolean;
  /** Seconds per phase. */
  durationS: number;
  rounds: number;
  /** Passes over all targets in a round, each of a third of `durationS` per phase. */
  passes: number;
  /** Streamed requests per second of the TTFT phase; measured at a fifth of it as well. */
  rate: number;
  /** Connections of the plain phase. */
  connections: number;
  /** Streams held open in the per-chunk phase, and how they are paced. */
  streams: number;
  gapMs: number;
  cancels: number;
  json: boolean;
  smoke: boolean;
  node: string;
  /** Folder whose node_modules holds @portkey-ai/gateway; "" = look beside this checkout. */
  portkey: string;
}

export class UsageError extends Error {}

export const USAGE = `npm run bench:load -- [options]

  --targets LIST   of ${TARGETS.join(",")} (default: all that are installed)
  --runtimes LIST  gridpoint on each of ${RUNTIMES.join(",")} that is installed (node)
  --processes N    instead of all this: N processes on one port beside one, and what N carry,
                   2..64
  --saturate       with --processes: under full load, each process on a core of its own, clients
                   and engines on others; wants 4N cores
  --cores shared|own  own: what is measured has a core of its own, where there are two (shared)
  --duration S     seconds per phase, 0.1..60 (3)
  --rounds N       rounds over all targets, 1..20 (3)
  --passes N       passes of a round, each a third of --duration of what counts CPU, 1..20 (5)
  --rate N         streamed requests per second for TTFT, 1..5000 (500)
  --connections N  connections of the plain phase, 1..256 (16)
  --streams N      streams held open in the per-chunk phase, 1..512 (32)
  --gap MS         time between two chunks of a stream, 1..1000 (5)
  --cancels N      cancelled streams per round, 0..2000 (100)
  --node PATH      the Node that runs gridpoint and portkey (this one)
  --portkey DIR    folder with node_modules/@portkey-ai/gateway
  --json           one JSON object for machines
  --smoke          under 3 s, direct and gridpoint only
`;

function within(name: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= low && value <= high) return value;
  throw new UsageError(`--${name} must be a number between ${low} and ${high}, not "${text}"`);
}

/** @throws UsageError unless every name of the list is known. */
function listOf<T extends string>(option: string, text: string, known: readonly T[]): T[] {
  const names = text.split(",") as T[];
  const wrong = names.find((name) => !known.includes(name));
  if (wrong === undefined) return names;
  throw new UsageError(`--${option}: "${wrong}" is none of ${known.join(", ")}`);
}

function targetsOf(text: string | undefined): TargetName[] {
  if (text === undefined) return [...TARGETS];
  // Added time is measured against direct: it is always there.
  return [...new Set(["direct", ...listOf("targets", text, TARGETS)] as const)];
}

function isOwn(cores: string): boolean {
  if (cores === "own" || cores === "shared") return cores === "own";
  throw new UsageError(`--cores must be own or shared, not "${cores}"`);
}

function valuesOf(args: string[]) {
  const text = { type: "string" } as const;
  return parseArgs({
    args,
    options: {
      targets: text,
      runtimes: { ...text, default: "node" },
      processes: { ...text, default: "1" },
      saturate: { type: "boolean", default: false },
      cores: { ...text, default: "shared" },
      duration: { ...text, default: "3" },
      rounds: { ...text, default: "3" },
      passes: { ...text, default: "5" },
      rate: { ...text, default: "500" },
      connections: { ...text, default: "16" },
      streams: { ...text, default: "32" },
      gap: { ...text, default: "5" },
      cancels: { ...text, default: "100" },
      node: { ...text, default: process.execPath },
      portkey: { ...text, default: "" },
      json: { type: "boolean", default: false },
      smoke: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  }).values;
}

/** @throws Error that names the option to change. */
export function parseOptions(args: string[]): Options {
  const values = valuesOf(args);
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const options: Options = {
    targets: targetsOf(values.targets),
    runtimes: listOf("runtimes", values.runtimes, RUNTIMES),
    processes: Math.trunc(within("processes", values.processes, 1, 64)),
    saturate: values.saturate,
    ownCore: isOwn(values.cores),
    durationS: within("duration", values.duration, 0.1, 60),
    rounds: Math.trunc(within("rounds", values.rounds, 1, 20)),
    passes: Math.trunc(within("passes", values.passes, 1, 20)),
    rate: within("rate", values.rate, 1, 5_000),
    connections: Math.trunc(within("connections", values.connections, 1, 256)),
    streams: Math.trunc(within("streams", values.streams, 1, 512)),
    gapMs: Math.trunc(within("gap", values.gap, 1, 1_000)),
    cancels: Math.trunc(within("cancels", values.cancels, 0, 2_000)),
    json: values.json,
    smoke: values.smoke,
    node: values.node,
    portkey: values.portkey,
  };
  if (options.saturate && options.processes < 2) {
    throw new UsageError("--saturate goes with --processes 2 or more");
  }
  if (!options.smoke) return options;
  return {
    ...options,
    targets: values.targets === undefined ? ["direct", "gridpoint"] : options.targets,
    durationS: 0.2,
    rounds: 1,
    passes: 1,
    rate: 200,
    connections: 4,
    streams: 8,
    cancels: 10,
  };
}
