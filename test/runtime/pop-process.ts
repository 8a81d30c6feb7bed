/**
 * Starts the real processes that the suites of this folder look at from outside: one PoP, or one
 * engine, each on a free port. Waits for the line that names the URL, keeps
 * what was printed for the message of a failed test, and ends them by their own handle.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listenTo, type Output } from "./command.ts";
import { freePorts } from "./free-ports.ts";
import { commandLine, ENVIRONMENT, type RuntimeName, runtimeUnderTest } from "./runtimes.ts";
import { workerdCommand } from "./workerd-process.ts";

const READY_MS = 15_000;
const MOST_OUTPUT = 64 * 1024;
const LISTENING = /listening on (https?:\/\/127\.0\.0\.1:\d+)/;

export class ServerProcess {
  readonly child: ChildProcess;
  base = "";
  /** Sent as bearer token by the reads below. */
  key = "none";
  readonly said: Output["said"];
  readonly #output: Output["output"];

  constructor(child: ChildProcess) {
    this.child = child;
    const { output, said } = listenTo(child, MOST_OUTPUT);
    this.#output = output;
    this.said = said;
  }

  get port(): number {
    return Number(new URL(this.base).port);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get output(): string {
    return this.#output();
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resident memory in MiB. */
  get rssMb(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  }

  async json<T = Record<string, unknown>>(path: string, init?: RequestInit): Promise<T> {
    const headers = { authorization: `Bearer ${this.key}`, ...init?.headers };
    const response = await fetch(`${this.base}${path}`, { ...init, headers });
    return (await response.json()) as T;
  }

  async text(path: string): Promise<string> {
    return (await fetch(`${this.base}${path}`)).text();
  }

  kill(signal: NodeJS.Signals): Promise<void> {
    return this.#end(signal, undefined);
  }

  /** SIGTERM, and SIGKILL when that is not heard within two seconds. */
  stop(): Promise<void> {
    return this.#end("SIGTERM", 2_000);
  }

  async #end(signal: NodeJS.Signals, hardMs: number | undefined): Promise<void> {
    if (!this.alive) return;
    const gone = new Promise<void>((resolve) => this.child.once("exit", () => resolve()));
    this.child.kill(signal);
    const hard =
      hardMs === undefined ? undefined : setTimeout(() => this.child.kill("SIGKILL"), hardMs);
    await gone;
    clearTimeout(hard);
  }
}

/** Asks `found` every few milliseconds. @throws Error naming `what` after `withinMs`. */
export async function eventually<T>(
  what: string,
  found: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs = READY_MS,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const value = await found();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Starts the command line, or another script, and waits until it says where it listens. */
export async function startCli(
  args: string[],
  runtime: RuntimeName,
  script?: string,
): Promise<ServerProcess> {
  const child = spawn(...commandLine(runtime, args, script), {
    // It ends with us, however we end: it holds the other end of a channel.
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: { ...process.env, ...ENVIRONMENT, GRIDPOINT_ENDS_WITH_PARENT: "1" },
  });
  const server = new ServerProcess(child);
  try {
    [, server.base] = await server.said(LISTENING);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

async function startWorkerd(config: PopEntry, worker?: string): Promise<ServerProcess> {
  const { port: wanted } = config["listen"] as { port: number };
  const port = wanted === 0 ? (await freePorts(1))[0] : wanted;
  const state = mkdtempSync(join(tmpdir(), "gridpoint-state-"));
  const { file, args, env } = await workerdCommand(config, port, state, worker);
  const child = spawn(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  child.once("exit", () => rmSync(state, { recursive: true, force: true }));
  const server = new ServerProcess(child);
  server.base = `http://127.0.0.1:${port}`;
  try {
    await eventually("workerd answers", async () => {
      if (!server.alive) throw new Error(`workerd ended:\n${server.output}`);
      return fetch(`${server.base}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/**
 * `gridpoint engine --port 0 ...args`, which does not wait for open requests when it is ended.
 * GRIDPOINT_LLAMA_BACKEND=cuda (or vulkan) has the suites run the real engine on a GPU, with the
 * platform package of that name installed.
 */
export function startEngine(...args: string[]): Promise<ServerProcess> {
  const backend = process.env["GRIDPOINT_LLAMA_BACKEND"];
  const where = backend !== undefined && args.includes("--gguf") ? ["--backend", backend] : [];
  return startCli(["engine", "--port", "0", "--drain-ms", "0", ...args, ...where], "node");
}

export type EndpointEntry = { id: string; url: string } & Record<string, unknown>;

export interface PopEntry {
  endpoints: EndpointEntry[];
  [section: string]: unknown;
}

/** Fast polls, so that a test need not wait for what an operator would wait for. */
const FAST_POLL = { intervalMs: 100, failuresToDown: 2, successesToUp: 1, reprobeMs: 500 };

export interface PopOptions {
  /** Wait until /readyz says yes; default true. */
  ready?: boolean;
  /** An API key that the config knows, for reading /grid/state. */
  key?: string;
  /** Default: the one under test. */
  runtime?: RuntimeName;
  /** On workerd: another worker around the shipped one. */
  worker?: string;
  /** Further options of `gridpoint serve`. */
  args?: string[];
}

/** One PoP with that config, on a free port; resolves when it is ready to serve. */
export async function startPop(config: PopEntry, options: PopOptions = {}): Promise<ServerProcess> {
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-test-"));
  try {
    const file = join(folder, "pop.json");
    const whole = {
      pop: { id: "test", tier: "edge", region: "here" },
      listen: { host: "127.0.0.1", port: 0 },
      poll: FAST_POLL,
      ...config,
    };
    writeFileSync(file, JSON.stringify(whole));
    const runtime = options.runtime ?? runtimeUnderTest;
    const pop =
      runtime === "workerd"
        ? await startWorkerd(whole, options.worker)
        : await startCli(["serve", "--config", file, ...(options.args ?? [])], runtime);
    pop.key = options.key ?? pop.key;
    if (options.ready !== false) await untilReady(pop);
    return pop;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function untilReady(pop: ServerProcess): Promise<void> {
  try {
    await eventually("/readyz", async () => (await fetch(`${pop.base}/readyz`)).ok);
    await everyEndpoint(pop, "ready");
  } catch (error) {
    await pop.stop();
    throw new Error(`${String(error)}\n${pop.output}`);
  }
}

/** What the suites read of `GET /grid/state`. */
export interface EndpointState {
  id: string;
  phase: string;
  inFlight: number;
}

interface PopState {
  running: number;
  queue: { length: number };
  endpoints: EndpointState[];
}

export const popState = (pop: ServerProcess): Promise<PopState> => pop.json("/grid/state");

/** Waits until all endpoints are in that phase. */
export async function everyEndpoint(pop: ServerProcess, phase: string): Promise<void> {
  await eventually(`every endpoint ${phase}`, async () =>
    (await popState(pop)).endpoints.every((endpoint) => endpoint.phase === phase),
  );
}

/** Sum over all label sets of one metric of `GET /metrics`. */
export async function metric(server: ServerProcess, name: string): Promise<number> {
  let sum = 0;
  for (const line of (await server.text("/metrics")).split("\n")) {
    const found = /^([A-Za-z_:][\w:]*)(\{.*\})? (\S+)/.exec(line);
    if (found?.[1] === name) sum += Number(found[3]);
  }
  return sum;
}

/** Requests that the PoP counts as waiting or running, in all of its books. */
export async function inFlight(pop: ServerProcess): Promise<number> {
  const { running, queue, endpoints } = await popState(pop);
  return endpoints.reduce((sum, endpoint) => sum + endpoint.inFlight, running + queue.length);
}
