/**
 * `npm start`: one PoP in front of three emulated engines at different tiers, prices and speeds, so
 * that routing can be watched without a GPU. The engines are processes of their own and are reached
 * over the same wire as real ones; they end with this one, however it ends.
 */
import { createServer } from "node:net";
import { parseConfig, type PopConfig } from "../src/config.ts";
import type { Log } from "../src/grid/effects.ts";
import { type Command, helpText, parseCommandLine } from "./cli-options.ts";
import { type Distance, startDistance } from "./distance.ts";
import { createLog } from "./log.ts";
import { type Child, startChild } from "./process.ts";
import { drainAndClose, listenFault, listenOrExplain, stopSignal } from "./serve.ts";

const COMMAND: Command = {
  usage: "gridpoint demo [--port PORT]",
  summary: "Runs one PoP with three emulated engines on this machine. Ctrl-C ends all of it.",
  options: {
    port: { type: "string", short: "p", value: "PORT", help: "the PoP's port (default 8801)" },
  },
};

const HOST = "127.0.0.1";
const PORT = 8_801;
const READY_MS = 10_000;
/** People press Ctrl-C to be done: running streams get a moment, not half a minute. */
const DRAIN_MS = 1_000;

/** One engine of the demo. USD per million tokens; `rttMs` is what `distance.ts` adds. */
interface DemoEngine {
  id: string;
  tier: "edge" | "regional" | "core";
  region: string;
  profile: string;
  gpu: string;
  models: string[];
  rttMs: number;
  priceIn: number;
  priceOut: number;
}

const ENGINES: DemoEngine[] = [
  {
    id: "edge-1",
    tier: "edge",
    region: "eu-de",
    profile: "l40s-8b",
    gpu: "1 x L40S",
    models: ["demo-8b"],
    rttMs: 1,
    priceIn: 0.05,
    priceOut: 0.1,
  },
  {
    id: "regional-1",
    tier: "regional",
    region: "eu-fr",
    profile: "h100-8b",
    gpu: "1 x H100",
    models: ["demo-8b"],
    rttMs: 12,
    priceIn: 0.1,
    priceOut: 0.3,
  },
  {
    id: "core-1",
    tier: "core",
    region: "us-va",
    profile: "b200-70b",
    gpu: "1 x B200",
    models: ["demo-8b", "demo-70b"],
    rttMs: 80,
    priceIn: 0.6,
    priceOut: 1.2,
  },
];

export async function runDemo(args: string[]): Promise<number> {
  const line = parseCommandLine(COMMAND, args);
  if (line.help) {
    process.stdout.write(helpText(COMMAND));
    return 0;
  }
  const port = line.count("port", 0, 65_535) ?? PORT;
  const startedMs = performance.now();
  const fault = await portFault(port);
  if (fault !== undefined) {
    process.stderr.write(`gridpoint: ${fault}\n`);
    return 1;
  }
  const log = createLog({ level: "warn", format: "text" });
  const children = await startEngines();
  const distances = await Promise.all(
    children.map(({ url }, index) => startDistance(url, ENGINES[index].rttMs)),
  );
  try {
    const config = demoConfig(port, distances);
    const server = await listenOrExplain(config, log);
    if (server === undefined) return 1;
    await firstReady(server.url);
    process.stdout.write(welcome(server.url, children, performance.now() - startedMs));
    const stopped = stopSignal(createLog({ level: "error", format: "text" }));
    tellOfEnds(children, stopped, log);
    await stopped;
    process.stdout.write("\nstopping\n");
    await drainAndClose(server, DRAIN_MS, log);
    return 0;
  } finally {
    for (const distance of distances) distance.close();
    await Promise.all(children.map((child) => child.stop()));
  }
}

/** Asked before anything is started, so that a busy port costs nothing and leaves nothing. */
function portFault(port: number): Promise<string | undefined> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once("error", (error: NodeJS.ErrnoException) => {
      resolve(listenFault({ host: HOST, port }, error.code) ?? error.message);
    });
    probe.listen({ host: HOST, port }, () => probe.close(() => resolve(undefined)));
  });
}

/** All three at once; when one fails the others are ended before the error is thrown. */
async function startEngines(): Promise<Child[]> {
  const started = await Promise.allSettled(ENGINES.map(startEngine));
  const children = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const failed = started.find((one) => one.status === "rejected");
  if (failed === undefined) return children;
  await Promise.all(children.map((child) => child.stop()));
  throw failed.reason;
}

function startEngine(engine: DemoEngine): Promise<Child> {
  const { id, profile, models } = engine;
  // The script that runs now: cli.ts from source, its bundle when installed.
  const args = [process.argv[1], "engine", "--port", "0", "--profile", profile];
  args.push("--drain-ms", String(DRAIN_MS));
  for (const model of models) args.push("--model", model);
  return startChild({ args, name: `engine ${id}`, readyMs: READY_MS });
}

function demoConfig(port: number, distances: Distance[]): PopConfig {
  const parsed = parseConfig({
    pop: { id: "demo", tier: "edge", region: "eu-de" },
    listen: { host: HOST, port },
    endpoints: ENGINES.map(({ id, tier, region, models, rttMs, priceIn, priceOut }, index) => {
      const { url } = distances[index];
      const priceCached = priceIn / 10;
      const engine = "vllm";
      return { id, url, engine, tier, region, models, rttMs, priceIn, priceCached, priceOut };
    }),
  });
  if (parsed.ok) return parsed.config;
  throw new Error(parsed.problems.map(({ path, message }) => `${path} ${message}`).join("\n"));
}

/** The engines answer already; the PoP says so after its first polls. */
async function firstReady(url: string): Promise<void> {
  const untilMs = performance.now() + READY_MS;
  while (performance.now() < untilMs) {
    const answer = await fetch(`${url}/readyz`);
    await answer.arrayBuffer();
    if (answer.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the PoP was not ready after ${READY_MS} ms; ${url}/readyz says why`);
}

function welcome(url: string, children: Child[], tookMs: number): string {
  const rows = ENGINES.map((engine, index) => [
    engine.id,
    `${engine.gpu}, emulated`,
    engine.models.join(", "),
    `$${engine.priceIn.toFixed(2)} in, $${engine.priceOut.toFixed(2)} out per 1M tokens`,
    `${engine.rttMs} ms away`,
    `pid ${children[index].pid}`,
  ]);
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const table = rows.map((row) =>
    `  ${row.map((x, i) => x.padEnd(widths[i])).join("  ")}`.trimEnd(),
  );
  return `Gridpoint demo: one PoP, three emulated engines, ready in ${(tookMs / 1000).toFixed(1)} s

  base URL  ${url}/v1

${table.join("\n")}

Ask it something (the answer is filler text: the engines compute time, not words):

  curl -N ${url}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"demo-8b","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

Which engine would take it, and why (nothing is sent):

  curl -s ${url}/grid/explain -H 'content-type: application/json' \\
    -d '{"model":"demo-8b","messages":[{"role":"user","content":"Hello"}]}'

Look around:   curl -s ${url}/grid/state   and   curl -s ${url}/metrics
Try:           kill -9 ${children[0].pid}   then ask again: another engine answers

Ctrl-C ends everything.
`;
}

/** An engine that dies is part of the show; the PoP routes around it. */
function tellOfEnds(children: Child[], stopped: Promise<void>, log: Log): void {
  let stopping = false;
  void stopped.then(() => {
    stopping = true;
  });
  children.forEach((child, index) => {
    void child.exited.then((how) => {
      if (!stopping) log("warn", "engine-ended", { id: ENGINES[index].id, how });
    });
  });
}
