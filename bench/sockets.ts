/**
 * WebSockets of the Responses door: what one costs when it is idle, and what a PoP adds between two
 * tokens when each of a thousand has a stream. The engine writes the time into every token, so a
 * delay is one token's, whatever the timers of the machine do: the added delay of a gap is how much
 * later the token came than the one before it did, against when both were written.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { monotonicMs } from "./load/clock.ts";
import { announced, launch, type Running, until } from "./load/process.ts";
import { cpuUs, rssMb } from "./load/process-stat.ts";
import { quantile } from "./load/quantile.ts";

export interface SocketOptions {
  sockets: number;
  chunks: number;
  gapMs: number;
  /** For what was opened or closed to be cleared away, before memory is read. */
  settleMs: number;
}

export interface SocketFigures extends SocketOptions {
  tokens: number;
  addedGapMs: { p50: number; p99: number; max: number };
  tokenDelayMs: { p50: number; p99: number };
  cpuUsPerToken: number;
  idleKibPerSocket: number;
}

const CLI = fileURLToPath(new URL("../edge/cli.ts", import.meta.url));
const UPSTREAM = fileURLToPath(new URL("sockets-upstream.ts", import.meta.url));
/** Connects at once; the listen backlog of Linux is 511 behind Node's server. */
const BATCH = 100;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function openAll(base: string, count: number): Promise<WebSocket[]> {
  const url = `${base.replace("http", "ws")}/v1/responses`;
  const sockets: WebSocket[] = [];
  while (sockets.length < count) {
    const size = Math.min(BATCH, count - sockets.length);
    const batch = Array.from({ length: size }, () => new WebSocket(url));
    await Promise.all(batch.map((socket) => once(socket, "open")));
    sockets.push(...batch);
  }
  return sockets;
}

async function closeAll(sockets: readonly WebSocket[]): Promise<void> {
  await Promise.all(
    sockets.map(async (socket) => {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    }),
  );
}

interface Samples {
  gaps: number[];
  delays: number[];
}

const DELTA = '"delta":"';

/** The token of a delta, without a parse: the client's own work delays what it measures. */
function deltaOf(text: string): string | undefined {
  if (!text.startsWith('{"type":"response.output_text.delta"')) return undefined;
  const from = text.indexOf(DELTA) + DELTA.length;
  return text.slice(from, text.indexOf('"', from));
}

/** One stream on the socket, to its end. */
function streamOn(socket: WebSocket, options: SocketOptions, into: Samples): Promise<void> {
  const { chunks, gapMs } = options;
  let before = Number.NaN;
  return new Promise((resolve, reject) => {
    socket.removeAllListeners();
    socket.on("close", () => reject(new Error("a socket was closed")));
    socket.on("message", (bytes: Buffer) => {
      const nowMs = monotonicMs();
      const text = String(bytes);
      const delta = deltaOf(text);
      if (delta !== undefined) {
        const delay = nowMs - Number(delta);
        into.delays.push(delay);
        if (!Number.isNaN(before)) into.gaps.push(delay - before);
        before = delay;
        return;
      }
      const { type } = JSON.parse(text) as { type: string };
      if (type === "response.completed") resolve();
      else if (type === "error") reject(new Error(text));
    });
    const user = `chunks=${chunks}:gap=${gapMs}`;
    const ask = { model: "clock", input: "Go.", store: false, user };
    socket.send(JSON.stringify({ type: "response.create", ...ask }));
  });
}

async function started(
  options: SocketOptions,
  folder: string,
): Promise<[Running, Running, string]> {
  const upstream = launch(process.execPath, [UPSTREAM]);
  const engine = await until(upstream, "the engine", () => announced(upstream));
  const config = {
    listen: { host: "127.0.0.1", port: 0 },
    endpoints: [{ id: "clock", url: engine, models: ["clock"], maxInFlight: 100_000 }],
    limits: { connections: 3 * options.sockets + 1_000, queueLength: 65_536 },
    poll: { intervalMs: 1_000, successesToUp: 1 },
    // A thousand connections to the engine begin at once.
    timeouts: { connectMs: 10_000 },
  };
  const file = join(folder, "pop.json");
  writeFileSync(file, JSON.stringify(config));
  const pop = launch(process.execPath, [CLI, "serve", "--config", file]);
  const base = await until(pop, "the PoP", () => announced(pop));
  while (!(await fetch(`${base}/readyz`)).ok) await sleep(20);
  return [upstream, pop, base];
}

export async function measureSockets(options: SocketOptions): Promise<SocketFigures> {
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-sockets-"));
  const running: Running[] = [];
  try {
    const [upstream, pop, base] = await started(options, folder);
    running.push(upstream, pop);
    await sleep(options.settleMs);
    const bareMb = rssMb(pop.pid);
    // With all that a young process compiles and grows on the way: the most that one can cost.
    const sockets = await openAll(base, options.sockets);
    await sleep(options.settleMs);
    const idleMb = rssMb(pop.pid) - bareMb;
    const warm: Samples = { gaps: [], delays: [] };
    await Promise.all(sockets.map((socket) => streamOn(socket, { ...options, chunks: 4 }, warm)));
    const samples: Samples = { gaps: [], delays: [] };
    const cpuBefore = cpuUs(pop.pid);
    await Promise.all(sockets.map((socket) => streamOn(socket, options, samples)));
    const cpu = cpuUs(pop.pid) - cpuBefore;
    for (const socket of sockets) socket.removeAllListeners();
    await closeAll(sockets);
    const { gaps, delays } = samples;
    return {
      ...options,
      tokens: delays.length,
      addedGapMs: { p50: quantile(gaps, 0.5), p99: quantile(gaps, 0.99), max: quantile(gaps, 1) },
      tokenDelayMs: { p50: quantile(delays, 0.5), p99: quantile(delays, 0.99) },
      cpuUsPerToken: cpu / delays.length,
      idleKibPerSocket: (idleMb * 1024) / options.sockets,
    };
  } finally {
    for (const one of running) await one.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      sockets: { type: "string", default: "1000" },
      chunks: { type: "string", default: "40" },
      gap: { type: "string", default: "250" },
      json: { type: "boolean", default: false },
    },
  });
  const figures = await measureSockets({
    sockets: Number(values.sockets),
    chunks: Number(values.chunks),
    gapMs: Number(values.gap),
    settleMs: 1_500,
  });
  if (values.json) console.log(JSON.stringify(figures));
  else {
    const { addedGapMs: gap, tokenDelayMs: delay } = figures;
    const { sockets, gapMs, tokens, cpuUsPerToken, idleKibPerSocket } = figures;
    console.log(
      `${sockets} sockets with a stream each, a token every ${gapMs} ms: ${tokens} tokens`,
    );
    console.log(
      `added between two tokens   p50 ${gap.p50.toFixed(2)}  p99 ${gap.p99.toFixed(2)} ms`,
    );
    console.log(
      `delay of a token           p50 ${delay.p50.toFixed(2)}  p99 ${delay.p99.toFixed(2)} ms`,
    );
    console.log(`CPU of the PoP             ${cpuUsPerToken.toFixed(1)} us per token`);
    console.log(`memory of an idle socket   ${idleKibPerSocket.toFixed(1)} KiB`);
  }
}
