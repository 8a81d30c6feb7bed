/**
 * One PoP of the bench: the shipped kernel, queue, feedback and tables, over simulated engines on
 * virtual time. What `src/pop-stages.ts` does with sockets is done here with events, nothing else.
 * Row r of its table is worker r; rows of other PoPs' workers are candidates like its own, and a
 * request for one of them is handed over to its PoP, which decides among its own.
 */
import { type QueueHost, WaitQueue } from "../../src/admission/queue.ts";
import { hasPrefillRoom } from "../../src/admission/room.ts";
import { Feedback, type Flight } from "../../src/feedback/observe.ts";
import type { Decision } from "../../src/grid/decision.ts";
import type { EndpointSpec } from "../../src/grid/endpoint.ts";
import { GridError } from "../../src/grid/errors.ts";
import type { Ask, Kernel, KernelOptions, Weights } from "../../src/kernel/kernel.ts";
import { createWasmKernel, type KernelExports } from "../../src/kernel/wasm.ts";
import { lambdaAt } from "../../src/kernel/weights.ts";
import { type EndpointRecord, EndpointTable } from "../../src/state/endpoint-table.ts";
import { SessionTable } from "../../src/state/session-table.ts";
import type { Task } from "../../src/task/task.ts";
import module from "../../wasm/module.bytes.ts";
import { DECODE_MS, PREFILL_RATE, SLOTS } from "./engine.ts";
import type { Events } from "./events.ts";
import type { SimulatedFleet } from "./fleet.ts";
import { randomWords } from "./random.ts";
import { BLOCK_TOKENS, type TraceRequest } from "./trace.ts";

export type Binding = "early" | "late";

export interface PopOptions {
  binding: Binding;
  /** Outstanding uncached tokens at which the queue holds work back. */
  budgetTokens: number;
  weights: Readonly<Weights>;
  /** Lambda follows the load, as in the PoP; false: it stays. */
  adaptive: boolean;
  kernel: KernelOptions;
  /** KV cache of each worker, in blocks, as its engine says. */
  cacheBlocks: number;
  sessions: boolean;
  seed: number;
}

/** A request on its way through the grid. */
export interface Journey {
  readonly request: TraceRequest;
  readonly arrivedMs: number;
  /** Handed over so far. */
  hops: number;
  prefilled(nowMs: number, hitBlocks: number): void;
  ended(): void;
  refused(error: GridError): void;
}

interface JourneyTask extends Task {
  readonly journey: Journey;
  /** Handed over: only workers of this PoP may take it. */
  readonly local: boolean;
  /** Of a handed-over one: hears when the first and the last token pass by. */
  readonly upstream: Upstream | undefined;
}

/** The PoP that handed a request over. */
export interface Upstream {
  /** TTFT that it counted on, the way there and back included. */
  readonly hintMs: number;
  firstContent(nowMs: number): void;
  ended(nowMs: number, cachedTokens: number): void;
  /** The other PoP did not take it. */
  refused(): void;
}

/** Which workers are the PoP's own, and the round trip to each worker. */
export interface PopPlace {
  own: readonly number[];
  rtts: readonly number[];
}

/** Where requests for other PoPs' workers go. */
export type HandOver = (worker: number, journey: Journey, upstream: Upstream) => void;

export const WAKE_MS = 100;
export const SURVEY_MS = 200;
/** As the config's default. */
const AGE_MS = 30_000;
/** Predicted wait at which a worker counts as half busy (as in `src/pop-stages.ts`). */
const BUSY_HALF_MS = 500;
/** What the roster assumes of an engine that does not say. */
const UNKNOWN_KV_USAGE = 0.2;
/** Rows of other PoPs lack it, so that what was handed over stays here. */
const LOCAL = 2;
const ANYWHERE = 1;
const MODEL = 0;
const CHAT = 1;

const encoder = new TextEncoder();

function newKernel(options: KernelOptions): Kernel {
  const exports = new WebAssembly.Instance(module, {}).exports as unknown as KernelExports;
  return createWasmKernel(options, exports, (text, target) => encoder.encodeInto(text, target));
}

function specOf(worker: number, options: PopOptions): EndpointSpec {
  return {
    id: `worker-${worker}`,
    url: "http://simulated",
    engine: "vllm",
    dialects: ["chat"],
    tier: "edge",
    region: "bench",
    models: ["bench"],
    tenants: [],
    admission: "new-and-existing",
    priceIn: 0,
    priceCached: 0,
    priceOut: 0,
    maxInFlight: SLOTS,
    prefillBudgetTokens: options.budgetTokens,
    prefillTokensPerS: PREFILL_RATE,
    itlMs: DECODE_MS,
    rttMs: 0,
    headers: {},
  };
}

export class BenchPop implements QueueHost<Flight> {
  readonly kernel: Kernel;
  readonly table: EndpointTable;
  readonly own: readonly number[];
  readonly queue: WaitQueue<Flight>;
  private readonly options: PopOptions;
  private readonly events: Events;
  private readonly fleet: SimulatedFleet;
  private readonly feedback: Feedback;
  private readonly sessions: SessionTable;
  private readonly random: () => number;
  private readonly handOver: HandOver;

  constructor(
    options: PopOptions,
    place: PopPlace,
    fleet: SimulatedFleet,
    events: Events,
    handOver: HandOver,
  ) {
    this.options = options;
    this.own = place.own;
    this.events = events;
    this.fleet = fleet;
    this.handOver = handOver;
    this.random = randomWords(options.seed);
    this.kernel = newKernel(options.kernel);
    this.kernel.setWeights(options.weights);
    this.table = new EndpointTable(this.kernel.columns);
    const clock = () => events.nowMs;
    this.sessions = new SessionTable({ max: 100_000, ttlMs: 1_800_000, clock });
    this.feedback = new Feedback(this.table, this.kernel, this.sessions);
    const unbounded = Number.MAX_SAFE_INTEGER;
    this.queue = new WaitQueue(this, {
      ...{ queueLength: unbounded, queueBytes: unbounded, queueAgeMs: AGE_MS },
      ...{ queueWaitMs: unbounded, queueBatchWaitMs: unbounded },
    });
    for (let worker = 0; worker < fleet.size; worker++) this.addRow(worker, place);
  }

  private addRow(worker: number, { own, rtts }: PopPlace): void {
    const isOwn = own.includes(worker);
    const pop = isOwn ? undefined : "peer";
    const tenants = isOwn ? ANYWHERE | LOCAL : ANYWHERE;
    this.table.add(specOf(worker, this.options), 0, tenants, 0, pop);
    const c = this.table.columns;
    c.down[worker] = 0;
    c.capabilities[worker] = CHAT;
    c.kvUsage[worker] = UNKNOWN_KV_USAGE;
    c.rttMs[worker] = rtts[worker];
    this.kernel.setModelRow(MODEL, worker, true);
    if (isOwn) this.kernel.setRowChunks(worker, this.options.cacheBlocks);
  }

  /** A client's request. */
  enter(journey: Journey): void {
    this.take(this.taskOf(journey, undefined));
  }

  /** Another PoP's, whose client gets each token `wayMs` later. */
  receive(journey: Journey, upstream: Upstream, wayMs: number): void {
    const prefilled = (nowMs: number, hits: number) => journey.prefilled(nowMs + wayMs, hits);
    this.take(this.taskOf({ ...journey, prefilled }, upstream));
  }

  /** TTFT that this PoP expects for a request among its own workers. */
  expects(journey: Journey): number {
    const task = this.taskOf(journey, undefined);
    return this.kernel.decide({ ...this.ask(task, []), tenant: LOCAL }, this.events.nowMs).ttftMs;
  }

  explain(request: TraceRequest): ReturnType<Kernel["explain"]> {
    const nothing = () => {};
    const journey = { request, arrivedMs: this.events.nowMs, hops: 0 };
    const ends = { prefilled: nothing, ended: nothing, refused: nothing };
    const task = this.taskOf({ ...journey, ...ends }, undefined);
    return this.kernel.explain(this.ask(task, []), this.events.nowMs);
  }

  private take(task: JourneyTask): void {
    try {
      const turn = this.queue.turn(task, [], this.events.nowMs, () => {});
      if (turn instanceof Promise) turn.catch((error) => task.journey.refused(error));
    } catch (error) {
      if (!(error instanceof GridError)) throw error;
      task.journey.refused(error);
    }
  }

  private taskOf(journey: Journey, upstream: Upstream | undefined): JourneyTask {
    const { request } = journey;
    return {
      ...TASK,
      id: "",
      session: this.options.sessions ? String(request.session) : undefined,
      arrivedMs: journey.arrivedMs,
      promptTokens: request.inputTokens,
      expectedOutTokens: request.outputTokens,
      chain: request.chain,
      journey,
      local: upstream !== undefined,
      upstream,
    };
  }

  private ask(task: Task, tried: readonly number[]): Ask {
    const pinned =
      task.session === undefined ? undefined : this.sessions.endpointOf(task.tenant, task.session);
    return {
      ...ASK,
      tenant: (task as JourneyTask).local ? LOCAL : ANYWHERE,
      promptTokens: task.promptTokens,
      outTokens: task.expectedOutTokens,
      chain: task.chain,
      sessionRow: pinned === undefined ? -1 : this.table.row(pinned),
      tried,
      random: this.random(),
    };
  }

  decide(task: Task, tried: readonly number[]): Decision {
    return this.kernel.decide(this.ask(task, tried), this.events.nowMs);
  }

  canStart(row: number, tokens: number): boolean {
    if (this.options.binding === "early" || !this.own.includes(row)) return true;
    const record = this.table.records[row] as EndpointRecord;
    return hasPrefillRoom(this.table.columns, record, this.options.budgetTokens, tokens);
  }

  start(task: Task, decision: Decision): Flight {
    const { journey, upstream } = task as JourneyTask;
    const flight = this.feedback.started(task, decision, this.events.nowMs);
    if (this.own.includes(flight.row)) this.send(flight, journey, upstream);
    else this.handOver(flight.row, journey, this.upstreamOf(flight));
    return flight;
  }

  private upstreamOf(flight: Flight): Upstream {
    return {
      hintMs: flight.predictedTtftMs,
      firstContent: (nowMs) => this.feedback.firstContent(flight, nowMs),
      ended: (_nowMs, cachedTokens) => this.end(flight, cachedTokens),
      refused: () => this.feedback.failed(flight),
    };
  }

  private send(flight: Flight, journey: Journey, upstream: Upstream | undefined): void {
    const { request } = journey;
    this.fleet.submit(
      {
        request,
        worker: flight.row,
        uncachedTokens: 0,
        hitBlocks: 0,
        onPrefilled: (job, nowMs) => {
          this.feedback.firstContent(flight, nowMs);
          upstream?.firstContent(nowMs);
          journey.prefilled(nowMs, job.hitBlocks);
          this.queue.wake(nowMs);
        },
        onEnd: (job, nowMs) => {
          const cached = Math.min(job.hitBlocks * BLOCK_TOKENS, request.inputTokens);
          this.end(flight, cached);
          upstream?.ended(nowMs, cached);
          journey.ended();
          this.queue.wake(nowMs);
        },
      },
      this.events.nowMs,
    );
  }

  private end(flight: Flight, cachedTokens: number): void {
    const { promptTokens, expectedOutTokens } = flight.task;
    const usage = { promptTokens, completionTokens: expectedOutTokens, cachedTokens };
    this.feedback.ended(flight, usage, DECODE_MS);
  }

  clearWaiting(): void {
    this.table.columns.waitingTokens.fill(0);
  }

  waiting(row: number, tokens: number): void {
    const { waitingTokens } = this.table.columns;
    const left = waitingTokens[row] + tokens;
    waitingTokens[row] = left > 1e-6 ? left : 0;
  }

  refuse(): GridError {
    return new GridError("no_endpoint", "no worker can take it");
  }

  retryAfterS(): number {
    return 1;
  }

  /** What the PoP's tick does about lambda. */
  survey(): void {
    if (!this.options.adaptive) return;
    const c = this.table.columns;
    let busy = 0;
    for (let row = 0; row < this.fleet.size; row++) {
      const own = Math.max(c.ownTokens[row], c.queuedTokens[row]);
      const waitMs = (own + c.waitingTokens[row]) / c.prefillRate[row];
      busy += waitMs / (waitMs + BUSY_HALF_MS);
    }
    const { weights } = this.options;
    const lambda = weights.lambda * lambdaAt(busy / this.fleet.size);
    this.kernel.setWeights({ ...weights, lambda });
  }
}

const TASK: Omit<Task, "id" | "session" | "arrivedMs" | "promptTokens" | "chain"> = {
  route: "chat",
  model: "bench",
  stream: true,
  body: new Uint8Array(),
  fields: {},
  path: "/v1/chat/completions",
  dialectHeaders: {},
  usageShown: false,
  prompt: [],
  needs: CHAT,
  maxTokens: undefined,
  choices: 1,
  usageAdded: false,
  cacheKey: undefined,
  serviceTier: undefined,
  tenant: "bench",
  regions: [],
  priority: "default",
  sloTtftMs: Number.POSITIVE_INFINITY,
  sloItlMs: Number.POSITIVE_INFINITY,
  maxCostUsd: Number.POSITIVE_INFINITY,
  slice: undefined,
  queuedSinceMs: 0,
  handover: undefined,
  promptBytes: 0,
  tokensPerChunk: BLOCK_TOKENS,
  expectedOutTokens: 0,
};

const ASK: Ask = {
  model: MODEL,
  needs: CHAT,
  regions: undefined,
  tenant: ANYWHERE,
  tierCeiling: 2,
  promptTokens: 0,
  tokensPerChunk: BLOCK_TOKENS,
  outTokens: 0,
  contextNeed: 0,
  sloTtftMs: Number.POSITIVE_INFINITY,
  maxCostUsd: Number.POSITIVE_INFINITY,
  chain: new Uint32Array(),
  sessionRow: -1,
  tried: [],
  mayWait: true,
  random: 0,
};
