/** The command line of the trace bench. */
import { parseArgs } from "node:util";
import { CONTENDERS, DEFAULT_POLICIES } from "./contenders.ts";
import { ENGINES, type EngineKind } from "./engine.ts";
import { FORMATS, type Format } from "./formats.ts";
import { ENTRIES, type Entry } from "./replay.ts";
import type { Binding } from "./pop.ts";

export class UsageError extends Error {}

export const USAGE = `npm run bench:traces -- [options]

  --trace FILE       .jsonl or .csv, also .gz or .br (the Mooncake conversation trace)
  --format F         ${FORMATS.join(", ")}; detected when clear
  --sessions N       sessions of an agentic trace that take part, 0 = all (160)
  --window-s S       they start within it, and what is later is left out (7200)
  --workers N        1..256 (16)
  --cache X          KV cache of each worker: 1x, 0.5x, ... of unique blocks / workers (1x)
  --load L           U70: 70 % of capacity in prompt tokens; I70: in those that an ideal cache
                     leaves; a number: as U (I70)
  --engine E         ${ENGINES.join(", ")} (fcfs)
  --binding B        early, late (late)
  --routers K        PoPs that share the workers (1)
  --gossip-ms G      period of their load gossip, 10..60000 (250)
  --digest-ms D      period of their prefix digests (1000)
  --entry E          requests come in anywhere (random) or per conversation (session) (random)
  --keep             a PoP keeps what is handed to it, also what it will serve much later than
                     its sender thinks
  --assumed-rate R   prefill tokens/s that the routers start from; they learn the rest (4000)
  --geo FILE         PoPs, their workers and users, and round trips; see bench/traces/places.ts
  --spread-ticks MS  each request somewhere in its tick of so many trace ms (0)
  --policies LIST    of ${Object.keys(CONTENDERS).join(",\n                     ")}
                     (the first eleven; with --geo threshold-spill too)
  --slo-ttft-ms MS   find the load at which p90 TTFT is just below it
  --usd-per-hour X   price of a worker, for $ per million tokens (2)
  --explain ROW      show our candidates for this request of the trace
  --svg FILE         chart of TTFT per policy
  --seed N           (1)
  --json             one JSON object for machines
`;

export interface Options {
  trace: string | undefined;
  format: Format | undefined;
  sessions: number;
  windowMs: number;
  workers: number;
  cache: number;
  load: string;
  engine: EngineKind;
  binding: Binding;
  routers: number;
  gossipMs: number;
  digestMs: number;
  entry: Entry;
  keep: boolean;
  assumedRate: number;
  geo: string | undefined;
  spreadMs: number;
  policies: string[];
  sloTtftMs: number | undefined;
  usdPerHour: number;
  explain: number | undefined;
  svg: string | undefined;
  seed: number;
  json: boolean;
}

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const SPEC = {
  trace: text,
  format: text,
  sessions: text,
  "window-s": text,
  workers: text,
  cache: text,
  load: text,
  engine: text,
  binding: text,
  routers: text,
  "gossip-ms": text,
  "digest-ms": text,
  entry: text,
  keep: flag,
  "assumed-rate": text,
  geo: text,
  "spread-ticks": text,
  policies: text,
  "slo-ttft-ms": text,
  "usd-per-hour": text,
  explain: text,
  svg: text,
  seed: text,
  json: flag,
  help: flag,
} as const;

function within(name: string, given: string, low: number, high: number): number {
  const value = Number(given);
  if (Number.isFinite(value) && value >= low && value <= high) return value;
  throw new UsageError(`--${name} must be a number between ${low} and ${high}, not "${given}"`);
}

function whole(name: string, given: string, low: number, high: number): number {
  const value = within(name, given, low, high);
  if (Number.isInteger(value)) return value;
  throw new UsageError(`--${name} must be a whole number, not "${given}"`);
}

function oneOf<Name extends string>(name: string, given: string, known: readonly Name[]): Name {
  const found = known.find((one) => one === given);
  if (found !== undefined) return found;
  throw new UsageError(`--${name} must be one of ${known.join(", ")}, not "${given}"`);
}

function policiesOf(given: string | undefined, isGeo: boolean): string[] {
  if (given === undefined) return [...DEFAULT_POLICIES, ...(isGeo ? ["threshold-spill"] : [])];
  const names = given.split(",");
  const wrong = names.find((name) => !(name in CONTENDERS));
  if (wrong === undefined) return [...new Set(names)];
  throw new UsageError(`--policies: "${wrong}" is none of ${Object.keys(CONTENDERS).join(", ")}`);
}

function loadOf(given: string): string {
  if (!/^[UI]?\d+(\.\d+)?$/.test(given)) {
    throw new UsageError(`--load must be U70, I70 or a number of per cent, not "${given}"`);
  }
  const load = /^\d/.test(given) ? `U${given}` : given;
  within("load", load.slice(1), 0.001, 1000);
  return load;
}

function cacheOf(given: string): number {
  return within("cache", given.replace(/x$/, ""), 0.001, 1000);
}

/** @throws UsageError that says what to write instead; undefined = help is wanted */
export function optionsFrom(args: string[]): Options | undefined {
  const { values: v } = parseArgsOrSay(args);
  if (v.help) return undefined;
  const maybe = <T>(given: string | undefined, read: (given: string) => T) =>
    given === undefined ? undefined : read(given);
  return {
    trace: v.trace,
    format: maybe(v.format, (given) => oneOf("format", given, FORMATS)),
    sessions: whole("sessions", v.sessions ?? "160", 0, 1_000_000),
    windowMs: within("window-s", v["window-s"] ?? "7200", 1, 1e7) * 1000,
    workers: whole("workers", v.workers ?? "16", 1, 256),
    cache: cacheOf(v.cache ?? "1x"),
    load: loadOf(v.load ?? "I70"),
    engine: oneOf("engine", v.engine ?? "fcfs", ENGINES),
    binding: oneOf("binding", v.binding ?? "late", ["early", "late"]),
    routers: whole("routers", v.routers ?? "1", 1, 64),
    gossipMs: within("gossip-ms", v["gossip-ms"] ?? "250", 10, 60_000),
    digestMs: within("digest-ms", v["digest-ms"] ?? "1000", 10, 600_000),
    entry: oneOf("entry", v.entry ?? "random", ENTRIES),
    keep: v.keep ?? false,
    assumedRate: within("assumed-rate", v["assumed-rate"] ?? "4000", 1, 1e6),
    geo: v.geo,
    spreadMs: within("spread-ticks", v["spread-ticks"] ?? "0", 0, 1e6),
    policies: policiesOf(v.policies, v.geo !== undefined),
    sloTtftMs: maybe(v["slo-ttft-ms"], (given) => within("slo-ttft-ms", given, 1, 1e7)),
    usdPerHour: within("usd-per-hour", v["usd-per-hour"] ?? "2", 0, 1e6),
    explain: maybe(v.explain, (given) => whole("explain", given, 0, 1e9)),
    svg: v.svg,
    seed: whole("seed", v.seed ?? "1", 0, 2 ** 32 - 1),
    json: v.json ?? false,
  };
}

function parseArgsOrSay(args: string[]) {
  try {
    return parseArgs({ args, options: SPEC, strict: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
