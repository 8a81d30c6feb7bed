/**
 * `npm start`: three PoPs in front of four emulated engines, as far apart as Tokyo, London and
 * Oregon are, so that a grid can be watched without a GPU. PoPs and engines are processes of their
 * own and talk over the same wires as real ones; they end with this one, however it ends.
 */
import { randomBytes, randomInt } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cityRttMs } from "./city-rtt.ts";
import { type Command, helpText, parseCommandLine, UsageError } from "./cli-options.ts";
import { type DemoEngine, type DemoPop, KEY_VARIABLE, POPS, popConfig } from "./demo-grid.ts";
import { served, servedLine, servedTable, welcome } from "./demo-view.ts";
import { type Distance, startDistance } from "./distance.ts";
import { createLog } from "./log.ts";
import { type Child, startChild } from "./process.ts";
import { listenFault, stopSignal } from "./serve.ts";
import { type GridView, gridView } from "./top-view.ts";

const COMMAND: Command = {
  usage: "gridpoint demo [--port PORT]",
  summary: "Runs three PoPs with four emulated engines on this machine. Ctrl-C ends all of it.",
  options: {
    port: {
      type: "string",
      short: "p",
      value: "PORT",
      help: "the first PoP's port, the others' follow (default 8801; 0 takes free ones)",
    },
  },
};

const HOST = "127.0.0.1";
const PORT = 8_801;
/** Below what systems give to outgoing connections and to port 0. */
const ANY_FROM = 10_000;
const ANY_BELOW = 32_000;
const READY_MS = 15_000;
const ASK_MS = 1_000;
/** People press Ctrl-C to be done: running streams get a moment, not half a minute. */
const DRAIN_MS = 1_000;
const REDRAW_MS = 1_000;

/** Everything that has to be ended. */
interface Running {
  engines: Child[];
  pops: Child[];
  distances: Distance[];
  folder: string;
}

export async function runDemo(args: string[]): Promise<number> {
  const line = parseCommandLine(COMMAND, args);
  if (line.help) {
    process.stdout.write(helpText(COMMAND));
    return 0;
  }
  const port = line.count("port", 0, 65_535) ?? PORT;
  if (port + POPS.length - 1 > 65_535)
    throw new UsageError("--port leaves no room for three PoPs.");
  const startedMs = performance.now();
  const ports = await freePorts(port);
  if (typeof ports === "string") {
    process.stderr.write(`gridpoint: ${ports}\n`);
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-demo-"));
  const running: Running = { engines: [], pops: [], distances: [], folder };
  // Heard from the first moment on: whoever stops it while it starts leaves nothing behind.
  const stopped = stopSignal(createLog({ level: "error", format: "text" }));
  try {
    const started = await Promise.race([startGrid(running, ports).then(() => true), stopped]);
    if (started !== true) return 0;
    process.stdout.write(describe(running, performance.now() - startedMs));
    tellOfEnds(running, stopped);
    await show(running, stopped);
    process.stdout.write("\nstopping\n");
    return 0;
  } finally {
    await endAll(running);
  }
}

/** One port per PoP, each free when asked; or why not. */
async function freePorts(first: number): Promise<number[] | string> {
  if (first === 0) return await anyPorts();
  const ports: number[] = [];
  for (let i = 0; i < POPS.length; i++) {
    const port = await probe(first + i);
    if (typeof port === "string") return port;
    ports.push(port);
  }
  return ports;
}

/** Nobody else is given one of these between now and the PoPs' start. */
async function anyPorts(): Promise<number[] | string> {
  let found: number[] | string = "";
  for (let tries = 0; tries < 10; tries++) {
    found = await freePorts(randomInt(ANY_FROM, ANY_BELOW));
    if (typeof found !== "string") break;
  }
  return found;
}

/** Asked before anything is started, so that a busy port costs nothing and leaves nothing. */
function probe(port: number): Promise<number | string> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      resolve(listenFault({ host: HOST, port }, error.code) ?? error.message);
    });
    server.listen({ host: HOST, port }, () => server.close(() => resolve(port)));
  });
}

async function startGrid(running: Running, ports: readonly number[]): Promise<void> {
  const doors = ports.map((port) => `http://${HOST}:${port}`);
  const engines = POPS.flatMap((pop) => pop.engines.map((engine) => ({ pop, engine })));
  // All at once; when one fails the others are ended before the error is thrown.
  await all(engines, ({ pop, engine }) => startEngine(pop, engine), running.engines);
  const key = randomBytes(24).toString("hex");
  let next = 0;
  const urls = POPS.map((pop) => pop.engines.map(() => running.engines[next++].url));
  await all(
    POPS,
    (pop, index) => startPop(running, pop, { ports, doors, urls: urls[index], key }),
    running.pops,
  );
  await untilJoined(doors);
}

/** Starts one of each; those that came up are in `into`, in order, also when another did not. */
async function all<T>(
  items: readonly T[],
  start: (item: T, index: number) => Promise<Child>,
  into: Child[],
): Promise<void> {
  const started = await Promise.allSettled(items.map(start));
  for (const one of started) if (one.status === "fulfilled") into.push(one.value);
  const failed = started.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function startEngine(pop: DemoPop, { id, profile, models }: DemoEngine): Promise<Child> {
  // The script that runs now: cli.ts from source, its bundle when installed.
  const args = [process.argv[1], "engine", "--port", "0", "--profile", profile];
  args.push("--drain-ms", String(DRAIN_MS));
  for (const model of models) args.push("--model", model);
  return startChild({ args, name: `engine ${pop.id}/${id}`, readyMs: READY_MS });
}

interface Neighbours {
  ports: readonly number[];
  doors: readonly string[];
  urls: readonly string[];
  key: string;
}

async function startPop(running: Running, pop: DemoPop, near: Neighbours): Promise<Child> {
  const away = async (url: string, rttMs: number): Promise<string> => {
    const distance = await startDistance(url, rttMs);
    running.distances.push(distance);
    return distance.url;
  };
  const engineUrls = await Promise.all(
    near.urls.map((url, index) => away(url, pop.engines[index].rttMs)),
  );
  const via: Record<string, string> = {};
  for (const [index, other] of POPS.entries()) {
    if (other === pop) continue;
    const door = near.doors[index];
    via[door] = await away(door, cityRttMs(pop.city, other.city));
  }
  const port = near.ports[POPS.indexOf(pop)];
  const file = join(running.folder, `${pop.id}.json`);
  writeFileSync(file, JSON.stringify(popConfig({ pop, port, engineUrls, via })));
  return await startChild({
    args: [process.argv[1], "serve", "--config", file],
    name: `PoP ${pop.id}`,
    readyMs: READY_MS,
    env: { ...process.env, [KEY_VARIABLE]: near.key },
  });
}

async function look(door: string): Promise<GridView | undefined> {
  try {
    const answer = await fetch(`${door}/grid/state`, { signal: AbortSignal.timeout(ASK_MS) });
    return gridView(await answer.json(), new Map());
  } catch {
    return undefined;
  }
}

/** Each PoP sees all engines of all PoPs as ready. */
async function untilJoined(doors: readonly string[]): Promise<void> {
  const wanted = POPS.reduce((sum, pop) => sum + pop.engines.length, 0);
  const untilMs = performance.now() + READY_MS;
  while (performance.now() < untilMs) {
    const views = await Promise.all(doors.map(look));
    const joined = views.every((view) => {
      const endpoints = view?.pops.flatMap((pop) => pop.endpoints) ?? [];
      return endpoints.filter(({ phase }) => phase === "ready").length === wanted;
    });
    if (joined) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(
    `the PoPs did not find each other within ${READY_MS} ms; see ${doors[0]}/grid/state`,
  );
}

function describe({ engines, pops }: Running, tookMs: number): string {
  const ways = POPS.flatMap((a, i) =>
    POPS.slice(i + 1).map((b) => `${a.id}-${b.id} ${Math.round(cityRttMs(a.city, b.city))} ms`),
  );
  const [urls, pids] = [pops.map(({ url }) => url), pops.map(({ pid }) => pid)];
  return welcome({
    pops: POPS,
    urls,
    pids,
    enginePids: engines.map(({ pid }) => pid),
    ways,
    tookMs,
  });
}

/** The table until it is stopped. */
async function show({ pops }: Running, stopped: Promise<void>): Promise<void> {
  const terminal = process.stdout.isTTY === true;
  const names = POPS.map(({ id }) => id);
  let drawn = 0;
  let last = "";
  let over = false;
  void stopped.then(() => {
    over = true;
  });
  while (!over) {
    const lines = served(names, await Promise.all(pops.map(({ url }) => look(url))));
    const text = terminal ? servedTable(names, lines).join("\n") : servedLine(names, lines);
    if (text !== last && !over) {
      const up = terminal && drawn > 0 ? `\x1b[${drawn}F\x1b[J` : "";
      process.stdout.write(`${up}${terminal && drawn === 0 ? "\n" : ""}${text}\n`);
      drawn = text.split("\n").length;
      last = text;
    }
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, REDRAW_MS).unref())]);
  }
}

async function endAll({ engines, pops, distances, folder }: Running): Promise<void> {
  await Promise.all(pops.map((pop) => pop.stop(DRAIN_MS + 1_000)));
  for (const distance of distances) distance.close();
  await Promise.all(engines.map((engine) => engine.stop()));
  rmSync(folder, { recursive: true, force: true });
}

/** A process that dies is part of the show; the grid routes around it. */
function tellOfEnds({ engines, pops }: Running, stopped: Promise<void>): void {
  const log = createLog({ level: "warn", format: "text" });
  let stopping = false;
  void stopped.then(() => {
    stopping = true;
  });
  const names = POPS.flatMap(({ id, engines: own }) => own.map((one) => `${id}/${one.id}`));
  const tell = (id: string) => (how: number | string) => {
    if (!stopping) log("warn", "process-ended", { id, how });
  };
  engines.forEach((child, index) => void child.exited.then(tell(`engine ${names[index]}`)));
  pops.forEach((child, index) => void child.exited.then(tell(`PoP ${POPS[index].id}`)));
}
