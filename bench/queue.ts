/**
 * `npm run bench:queue`: what the wait queue costs while many wait. "wake" is one wake of which
 * one request starts and another comes in its place; "join" is that other's coming; "idle" is a
 * request that finds nobody waiting. Real kernel, table and order; engines are counters. Prompts
 * are 32 KiB, a half of each shared with others, from 64 tenants. `--json` for machines.
 */
import { type QueueHost, WaitQueue } from "../src/admission/queue.ts";
import { hasPrefillRoom } from "../src/admission/room.ts";
import { Feedback, type Flight } from "../src/feedback/observe.ts";
import type { Decision } from "../src/grid/decision.ts";
import type { EndpointSpec } from "../src/grid/endpoint.ts";
import { GridError } from "../src/grid/errors.ts";
import { PRIORITIES, type Task } from "../src/task/task.ts";
import type { Kernel } from "../src/kernel/kernel.ts";
import { type EndpointRecord, EndpointTable } from "../src/state/endpoint-table.ts";
import { SessionTable } from "../src/state/session-table.ts";
import { askOf, makeKernel, promptText, type Quantiles, quantilesOf, xorshift } from "./decide.ts";

const MIB = 1024 * 1024;
const PROMPT_BYTES = 32 * 1024;
const TENANTS = 64;
const UNBOUNDED = 1e9;
const LIMITS = {
  ...{ queueLength: UNBOUNDED, queueBytes: UNBOUNDED, queueAgeMs: UNBOUNDED },
  ...{ queueWaitMs: UNBOUNDED, queueBatchWaitMs: UNBOUNDED },
};

export interface QueueRow {
  endpoints: number;
  waiting: number;
  wake: Quantiles;
  join: Quantiles;
  idle: Quantiles;
}

/** A PoP without sockets: what `pop-stages.ts` does for the queue. */
class Bed implements QueueHost<Flight> {
  readonly queue: WaitQueue<Flight>;
  nowMs = 0;
  private readonly kernel: Kernel;
  private readonly table: EndpointTable;
  private readonly feedback: Feedback;
  private readonly running: Flight[] = [];
  private readonly chains: Uint32Array[];
  private readonly next = xorshift(5);
  private ids = 0;

  constructor(endpoints: number) {
    const options = { chunkBytes: 512, indexBytes: 64 * MIB, promptBytesMax: 4 * MIB } as const;
    this.kernel = makeKernel({ ...options, rows: 256 }).kernel;
    this.table = new EndpointTable(this.kernel.columns);
    const sessions = new SessionTable({ max: 10_000, ttlMs: UNBOUNDED, clock: () => this.nowMs });
    this.feedback = new Feedback(this.table, this.kernel, sessions);
    this.queue = new WaitQueue(this, LIMITS);
    for (let row = 0; row < endpoints; row++) {
      this.table.add({ ...SPEC, id: `e${row}` }, 0, 0xffffffff, 0);
      this.kernel.columns.down[row] = 0;
      this.kernel.columns.capabilities[row] = 1;
      this.kernel.setModelRow(0, row, true);
    }
    const shared = promptText(PROMPT_BYTES / 2, 1);
    this.chains = Array.from({ length: 256 }, (_, seed) => {
      return this.kernel.hash([shared, promptText(PROMPT_BYTES / 2, seed + 2)], "bench").chain;
    });
  }

  /** A request comes; whoever waits for it hears nothing. */
  come(): void {
    const { next } = this;
    const task = {
      ...{ id: `${this.ids++}`, tenant: `t${next() % TENANTS}`, session: undefined, stream: true },
      ...{ priority: PRIORITIES[next() % 3], sloTtftMs: UNBOUNDED, arrivedMs: this.nowMs },
      ...{ promptTokens: 4_096 + (next() % 8_192), tried: NONE },
      ...{ chain: this.chains[next() % this.chains.length], body: BODY },
    } as Task;
    const turn = this.queue.turn(task, [], this.nowMs, () => {});
    if (turn instanceof Promise) turn.catch(() => {});
  }

  /** The request that runs for longest has its first token and ends. */
  finish(): void {
    const flight = this.running.shift();
    if (flight === undefined) return;
    this.feedback.firstContent(flight, this.nowMs);
    this.feedback.ended(flight, undefined, undefined);
  }

  decide({ chain, promptTokens }: Task, tried: readonly number[]): Decision {
    const ask = { ...askOf(chain, PROMPT_BYTES), promptTokens, tried, random: this.next() };
    return this.kernel.decide(ask, this.nowMs);
  }

  canStart(row: number, tokens: number): boolean {
    const record = this.table.records[row] as EndpointRecord;
    return hasPrefillRoom(this.table.columns, record, SPEC.prefillBudgetTokens, tokens);
  }

  start(task: Task, decision: Decision): Flight {
    const flight = this.feedback.started(task, decision, this.nowMs);
    this.running.push(flight);
    return flight;
  }

  waiting(row: number, tokens: number): void {
    this.table.columns.waitingTokens[row] += tokens;
  }

  clearWaiting(): void {
    this.table.columns.waitingTokens.fill(0);
  }

  refuse(): GridError {
    return new GridError("no_endpoint", "nobody");
  }

  retryAfterS(): number {
    return 1;
  }
}

const NONE: readonly number[] = [];
const BODY = new Uint8Array(1024);
const SPEC: EndpointSpec = {
  ...{
    id: "",
    url: "http://bench",
    engine: "vllm",
    dialects: ["chat"],
    tier: "edge",
    region: "bench",
  },
  ...{ models: ["bench"], tenants: [], admission: "new-and-existing" },
  ...{ priceIn: 0, priceCached: 0, priceOut: 0, maxInFlight: 256, prefillBudgetTokens: 1_024 },
  ...{ prefillTokensPerS: 8_000, itlMs: 20, rttMs: 0, headers: {} },
};

/** Times what each round does, `rounds` times. */
export function measureQueue(endpoints: number, waiting: number, rounds: number): QueueRow {
  const wakes: number[] = [];
  const joins: number[] = [];
  const idle: number[] = [];
  const bed = new Bed(endpoints);
  const timed = (into: number[], work: () => void) => {
    const startMs = performance.now();
    work();
    into.push((performance.now() - startMs) * 1000);
  };
  for (let round = 0; round < rounds; round++) {
    timed(idle, () => bed.come());
    bed.finish();
    bed.nowMs += 1_000;
  }
  while (bed.queue.length < waiting) bed.come();
  for (let round = 0; round < rounds; round++) {
    bed.nowMs += 800 / endpoints;
    bed.finish();
    timed(wakes, () => bed.queue.wake(bed.nowMs));
    while (bed.queue.length < waiting) timed(joins, () => bed.come());
  }
  const later = (samples: number[]) => quantilesOf(samples.slice(samples.length / 4));
  return { endpoints, waiting, wake: later(wakes), join: later(joins), idle: later(idle) };
}

const CASES: [number, number][] = [
  [16, 100],
  [16, 1_000],
  [64, 1_000],
  [256, 1_000],
  [16, 10_000],
];

function run(): void {
  const rows = CASES.map(([endpoints, waiting]) => measureQueue(endpoints, waiting, 4_000));
  if (process.argv.includes("--json")) return console.log(JSON.stringify({ rows }));
  console.log("microseconds of one call");
  const line = (cells: (string | number)[]) =>
    console.log(cells.map((cell) => String(cell).padStart(10)).join(""));
  line(["endpoints", "waiting", "wake p50", "p99", "join p50", "p99", "idle p50", "p99"]);
  for (const { endpoints, waiting, wake, join, idle } of rows) {
    const figures = [wake, join, idle].flatMap(({ p50Us, p99Us }) => [p50Us, p99Us]);
    line([endpoints, waiting, ...figures]);
  }
}

if (import.meta.main) run();
