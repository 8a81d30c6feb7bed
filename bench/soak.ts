/**
 * Does a PoP leak? Ten minutes at 80 % of the capacity that was measured just before, with prompts
 * that never repeat (the prefix index and the session table turn over many times), streams and
 * plain answers mixed, and some callers leaving in mid-stream.
 *
 * The rule: the first minute (a fifth of a shorter run) is warm-up. Of what follows, the median
 * RSS of the last fifth may exceed the median of the first fifth by 5 % plus 5 MiB at most; the
 * index must have turned over ten times; no request may fail and none may count as running after.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { monotonicMs } from "./load/clock.ts";
import { chatRequest, Connection } from "./load/http-client.ts";
import { announced, launch, type Running, until } from "./load/process.ts";
import { rssMb } from "./load/process-stat.ts";
import { median } from "./load/quantile.ts";
import { startUpstream } from "./load/targets.ts";

const CLI = fileURLToPath(new URL("../edge/cli.ts", import.meta.url));
const LOAD_SHARE = 0.8;
const TURNOVERS = 10;
const GROWTH_SHARE = 1.05;
const GROWTH_MB = 5;
const CONNECTIONS = 32;
const PROMPT_BYTES = 8 * 1024;
const MOST_OPEN = 2_000;
/** Every so manieth request is plain, and every so manieth stream is left by its caller. */
const PLAIN_EACH = 4;
const LEAVE_EACH = 50;

interface PopState {
  running: number;
  queue: { length: number };
  sessions: { count: number; limit: number };
  prefixIndex: { entries: number; capacity: number; bytes: number; evicted: number };
}

interface Report {
  seconds: number;
  capacityRps: number;
  targetRps: number;
  requests: number;
  left: number;
  errors: number;
  /** Starts that were due while too many were open: the load was not what it says. */
  skipped: number;
  indexTurnovers: number;
  rssMb: { first: number; last: number; most: number };
  growthMb: number;
  flat: boolean;
  problems: string[];
}

/** Random letters, from which every prompt is a different cut. */
function randomText(bytes: number): string {
  let state = 0x9e3779b9;
  const letters = Array.from({ length: bytes }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return String.fromCharCode(97 + ((state >>> 24) % 26));
  });
  return letters.join("");
}

const POOL = randomText(1 << 20);

/** Requests that differ from each other in their first bytes, so that no prefix is shared. */
class Load {
  requests = 0;
  left = 0;
  errors = 0;
  skipped = 0;
  readonly #base: string;
  readonly #port: number;
  readonly #idle: Connection[] = [];
  readonly #open = new Set<Connection>();
  #id = 0;

  constructor(base: string) {
    this.#base = base;
    this.#port = Number(new URL(base).port);
  }

  get open(): number {
    return this.#open.size;
  }

  /** Starts one request; `onEnd` hears when it is over, in whichever way. */
  launch(onEnd: () => void): void {
    if (this.#open.size >= MOST_OPEN) {
      this.skipped++;
      return;
    }
    const id = ++this.#id;
    let connection = this.#idle.pop();
    while (connection?.closed === true) connection = this.#idle.pop();
    connection ??= new Connection("127.0.0.1", this.#port);
    this.#open.add(connection);
    this.#run(connection, id, onEnd);
  }

  #run(connection: Connection, id: number, onEnd: () => void): void {
    const stream = id % PLAIN_EACH !== 0;
    const back = (): void => {
      this.#open.delete(connection);
      if (!connection.closed) this.#idle.push(connection);
      onEnd();
    };
    connection.send(this.#request(id, stream), {
      onFirst: () => {
        if (!stream || id % LEAVE_EACH !== 1) return;
        this.left++;
        connection.destroy();
        back();
      },
      onEnd: (timing, failure) => {
        const whole = failure === undefined && timing.status === 200 && timing.done === stream;
        if (whole) this.requests++;
        else this.errors++;
        back();
      },
    });
  }

  #request(id: number, stream: boolean): Buffer {
    const at = (id * 7_919) % (POOL.length - PROMPT_BYTES);
    const prompt = `${id} ${POOL.slice(at, at + PROMPT_BYTES)}`;
    const wish = `id=${id}:chunks=5:gap=5`;
    return chatRequest(this.#base, stream, wish, { "x-grid-session": `session-${id}` }, prompt);
  }

  stop(): void {
    for (const connection of [...this.#open, ...this.#idle]) connection.destroy();
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Finished requests per second with all connections busy all the time. */
async function capacity(base: string, seconds: number): Promise<number> {
  const load = new Load(base);
  let over = false;
  const again = (): void => {
    // Not in the same turn: a failing server must not become endless recursion.
    if (!over) setImmediate(() => load.launch(again));
  };
  for (let n = 0; n < CONNECTIONS; n++) again();
  await sleep(seconds * 250);
  const before = load.requests;
  const startMs = monotonicMs();
  await sleep(seconds * 750);
  over = true;
  const rps = ((load.requests - before) * 1_000) / (monotonicMs() - startMs);
  load.stop();
  if (load.requests === 0) throw new Error("no request succeeded while capacity was measured");
  return rps;
}

/** `rate` starts per second; one RSS sample per second. */
async function soak(load: Load, pid: number, rate: number, seconds: number): Promise<number[]> {
  const samples: number[] = [];
  const startMs = monotonicMs();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((monotonicMs() - startMs) * rate) / 1_000);
    for (; sent < due; sent++) load.launch(() => {});
  }, 2);
  for (let second = 0; second < seconds; second++) {
    await sleep(startMs + (second + 1) * 1_000 - monotonicMs());
    samples.push(rssMb(pid));
  }
  clearInterval(timer);
  const endMs = monotonicMs() + 5_000;
  while (load.open > 0 && monotonicMs() < endMs) await sleep(10);
  return samples;
}

function judge(samples: number[], seconds: number): Pick<Report, "rssMb" | "growthMb" | "flat"> {
  const settled = samples.slice(Math.min(60, Math.floor(seconds / 5)));
  const fifth = Math.max(1, Math.floor(settled.length / 5));
  const first = median(settled.slice(0, fifth));
  const last = median(settled.slice(-fifth));
  return {
    rssMb: { first, last, most: Math.max(...samples) },
    growthMb: last - first,
    flat: last <= first * GROWTH_SHARE + GROWTH_MB,
  };
}

function problemsOf(report: Omit<Report, "problems">, state: PopState): string[] {
  const problems: string[] = [];
  if (!report.flat) problems.push(`RSS grew by ${report.growthMb.toFixed(1)} MiB`);
  if (report.errors > 0) problems.push(`${report.errors} requests failed`);
  if (report.indexTurnovers < TURNOVERS) {
    problems.push(`the index turned over ${report.indexTurnovers.toFixed(1)} times only`);
  }
  if (state.running > 0) problems.push(`${state.running} requests count as running at the end`);
  if (state.queue.length > 0) problems.push(`${state.queue.length} wait in the queue at the end`);
  return problems;
}

async function startPop(upstream: string, folder: string): Promise<[Running, string]> {
  const config = join(folder, "soak.json");
  const endpoint = { id: "upstream", url: upstream, engine: "vllm", models: ["bench"] };
  writeFileSync(
    config,
    JSON.stringify({
      listen: { port: 0 },
      kernel: { indexBytes: 1 << 20, chunkBytes: 128 },
      limits: { sessions: 1_000 },
      endpoints: [{ ...endpoint, maxInFlight: 4_096, prefillBudgetTokens: 1_000_000 }],
    }),
  );
  const running = launch(process.execPath, [CLI, "serve", "--config", config]);
  const base = await until(running, "the PoP", () => announced(running));
  await until(running, "the PoP", async () => (await fetch(`${base}/readyz`)).ok || undefined);
  return [running, base];
}

const stateOf = async (base: string): Promise<PopState> =>
  (await (await fetch(`${base}/grid/state`)).json()) as PopState;

async function measure(running: Running, base: string, seconds: number): Promise<Report> {
  const capacityRps = await capacity(base, Math.min(8, Math.max(2, seconds / 5)));
  const targetRps = capacityRps * LOAD_SHARE;
  const before = await stateOf(base);
  const load = new Load(base);
  const samples = await soak(load, running.pid, targetRps, seconds);
  const state = await stateOf(base);
  load.stop();
  const index = state.prefixIndex;
  const report = {
    seconds,
    capacityRps: Math.round(capacityRps),
    targetRps: Math.round(targetRps),
    requests: load.requests,
    left: load.left,
    errors: load.errors,
    skipped: load.skipped,
    indexTurnovers: (index.evicted - before.prefixIndex.evicted) / index.capacity,
    ...judge(samples, seconds),
  };
  return { ...report, problems: problemsOf(report, state) };
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (Number.isInteger(seconds) && seconds >= 5 && seconds <= 86_400) return seconds;
  throw new Error(`--seconds must be a whole number from 5 to 86400, not "${text}"`);
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: "string", default: "600" },
      json: { type: "boolean", default: false },
    },
  });
  const seconds = secondsOf(values.seconds);
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-soak-"));
  const upstream = await startUpstream();
  let pop: Running | undefined;
  try {
    const [running, base] = await startPop(upstream.base, folder);
    pop = running;
    const report = await measure(running, base, seconds);
    print(report, values.json);
    return report.problems.length === 0 ? 0 : 1;
  } finally {
    await pop?.stop();
    await upstream.running.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function print(report: Report, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(report, null, 2));
    return;
  }
  const { rssMb: rss } = report;
  console.log(
    `${report.requests} requests in ${report.seconds} s (capacity ${report.capacityRps}/s, ` +
      `load ${report.targetRps}/s), ${report.left} left by their callers, ` +
      `${report.errors} failed, ${report.skipped} skipped\n` +
      `prefix index turned over ${report.indexTurnovers.toFixed(1)} times\n` +
      `RSS after warm-up ${rss.first.toFixed(1)} MiB, at the end ${rss.last.toFixed(1)} MiB, ` +
      `at most ${rss.most.toFixed(1)} MiB: ${report.flat ? "flat" : "NOT flat"}`,
  );
  for (const problem of report.problems) console.log(`FAILED: ${problem}`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
