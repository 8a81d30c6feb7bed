/**
 * One PoP of the bench: the shipped kernel, queue, feedback and tables, over simulated engines on
 * virtual time. What `src/pop-stages.ts` does with sockets is done here with events, nothing else.
 * Row r of its table is worker r; rows of other PoPs' workers are candidates like its own, and a
 * request for one of them is handed over to its PoP, which decides among its own.
 */
import { elsewhereFromMs } from "../../src/admission/handover.ts";
import { type QueueHost, WaitQueue } from "../../src/admission/queue.ts";
import { hasPrefillRoom } from "../../src/admission/room.ts";
import { Feedback, type Flight } from "../../src/feedback/observe.ts";
import type { Candidate, Decision } from "../../src/grid/decision.ts";
import type { EndpointSpec } from "../../src/grid/endpoint.ts";
import { GridError } from "../../src/grid/errors.ts";
import type { Ask, Kernel, KernelOptions, Weights } from "../../src/kernel/kernel.ts";
import { type CostTerms, termsOf } from "../../src/kernel/terms.ts";
import { createWasmKernel, type KernelExports } from "../../src/kernel/wasm.ts";
import { lambdaAt } from "../../src/kernel/weights.ts";
import { surveyOf } from "../../src/pop-survey.ts";
import { type EndpointRecord, EndpointTable } from "../../src/state/endpoint-table.ts";
import { SessionTable } from "../../src/state/session-table.ts";
import type { Task } from "../../src/task/task.ts";
import module from "../../wasm/module.bytes.ts";
import { ASK, CHAT, MODEL, TASK } from "./blank.ts";
import { Calibration } from "./calibration.ts";
import { DECODE_MS, SLOTS } from "./engine.ts";
import type { Events } from "./events.ts";
import type { SimulatedFleet } from "./fleet.ts";
import { HeardLoads, type PopPlace, type SaidLoad, workersOf } from "./heard.ts";
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
  /** Prefill tokens per second that are assumed of a worker until its rate is learned. */
  assumedRate: number;
  /** A PoP gives back what it would serve much later than its sender thinks. */
  gives: boolean;
  /** KV cache of each worker, in blocks, as its engine says. */
  cacheBlocks: number;
  sessions: boolean;
  seed: number;
}

/** A request on its way through the grid. */
export interface Journey {
  readonly request: TraceRequest;
  readonly arrivedMs: number;
  /** Workers of PoPs that gave it back. */
  tried: number[];
  givenBack: number;
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
  /** TTFT from which on it had better go elsewhere; undefined = it is not to be given back. */
  readonly elsewhereMs: number | undefined;
  firstContent(nowMs: number): void;
  ended(nowMs: number, cachedTokens: number): void;
  /** The other PoP did not take it: it is decided again. */
  refused(): void;
}

/** Where requests for other PoPs' workers go. */
export type HandOver = (worker: number, journey: Journey, upstream: Upstream) => void;

export const WAKE_MS = 100;
export const SURVEY_MS = 200;
/** As the config's default. */
const AGE_MS = 30_000;
/** As the config's default: how often a request may be given back. */
const RETRIES = 3;
/** What the roster assumes of an engine that does not say. */
const UNKNOWN_KV_USAGE = 0.2;
/** Rows of other PoPs lack it, so that what was handed over stays here. */
const LOCAL = 2;
const ANYWHERE = ASK.tenant;

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
    prefillTokensPerS: options.assumedRate,
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
  readonly calibration = new Calibration();
  private readonly options: PopOptions;
  private readonly events: Events;
  private readonly fleet: SimulatedFleet;
  private readonly feedback: Feedback;
  private readonly sessions: SessionTable;
  private readonly random: () => number;
  private readonly handOver: HandOver;
  private readonly place: PopPlace;
  private readonly heard: HeardLoads;

  constructor(
    options: PopOptions,
    place: PopPlace,
    fleet: SimulatedFleet,
    events: Events,
    handOver: HandOver,
  ) {
    this.options = options;
    this.place = place;
    this.own = workersOf(place, place.index);
    this.events = events;
    this.fleet = fleet;
    this.handOver = handOver;
    this.random = randomWords(options.seed);
    this.kernel = newKernel(options.kernel);
    this.kernel.setWeights(options.weights);
    this.table = new EndpointTable(this.kernel.columns);
    this.heard = new HeardLoads(place, this.kernel, this.table.columns);
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

  private isOwn(worker: number): boolean {
    return this.place.popOf[worker] === this.place.index;
  }

  private addRow(worker: number, { popOf, rttMs }: PopPlace): void {
    const isOwn = this.isOwn(worker);
    const pop = isOwn ? undefined : "peer";
    const tenants = isOwn ? ANYWHERE | LOCAL : ANYWHERE;
    this.table.add(specOf(worker, this.options), 0, tenants, 0, pop);
    const c = this.table.columns;
    c.down[worker] = 0;
    c.capabilities[worker] = CHAT;
    c.kvUsage[worker] = UNKNOWN_KV_USAGE;
    c.rttMs[worker] = rttMs[popOf[worker]];
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

  /** What it says of itself at this moment. */
  load(): SaidLoad {
    return this.heard.load(this.events.nowMs, this.queue);
  }

  hear(pop: number, load: SaidLoad, atMs: number): void {
    this.heard.hear(pop, load, atMs);
  }

  /** Every candidate with every term of its cost, as `POST /grid/explain` has them. */
  explain(request: TraceRequest): (Candidate & CostTerms)[] {
    const nothing = () => {};
    const journey = { request, arrivedMs: this.events.nowMs, tried: [], givenBack: 0 };
    const ends = { prefilled: nothing, ended: nothing, refused: nothing };
    const task = this.taskOf({ ...journey, ...ends }, undefined);
    const { kernel, events } = this;
    const rows = kernel.explain(this.ask(task, []), events.nowMs);
    return rows.map((candidate) => {
      const terms = termsOf(kernel.columns, candidate, kernel.weights, events.nowMs);
      return { ...candidate, ...terms };
    });
  }

  private take(task: JourneyTask): void {
    try {
      const tried = task.local ? [] : task.journey.tried;
      const turn = this.queue.turn(task, tried, this.events.nowMs, () => {});
      if (turn instanceof Promise) turn.catch((error) => task.journey.refused(error));
    } catch (error) {
      if (!(error instanceof GridError)) throw error;
      if (task.upstream === undefined) task.journey.refused(error);
      else task.upstream.refused();
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
    const ask: Ask = {
      ...ASK,
      tenant: (task as JourneyTask).local ? LOCAL : ANYWHERE,
      promptTokens: task.promptTokens,
      outTokens: task.expectedOutTokens,
      chain: task.chain,
      sessionRow: pinned === undefined ? -1 : this.table.row(pinned),
      tried,
      random: this.random(),
    };
    if (!(task as JourneyTask).local) this.heard.sizeQueues(ask);
    return ask;
  }

  declines(task: Task, decision: Decision): GridError | undefined {
    const { upstream } = task as JourneyTask;
    if (upstream?.elsewhereMs === undefined || decision.ttftMs <= upstream.elsewhereMs) {
      return undefined;
    }
    return new GridError("saturated", "it would be much later here");
  }

  decide(task: Task, tried: readonly number[]): Decision {
    return this.kernel.decide(this.ask(task, tried), this.events.nowMs);
  }

  canStart(row: number, tokens: number): boolean {
    const isEarly = this.options.binding === "early" || !this.isOwn(row);
    const least = isEarly ? Number.POSITIVE_INFINITY : this.options.budgetTokens;
    const record = this.table.records[row] as EndpointRecord;
    return hasPrefillRoom(this.table.columns, record, least, tokens);
  }

  start(task: Task, decision: Decision): Flight {
    const { journey, upstream } = task as JourneyTask;
    const flight = this.feedback.started(task, decision, this.events.nowMs);
    if (this.isOwn(flight.row)) {
      this.send(flight, journey, upstream);
    } else {
      this.heard.sent(flight.row, flight.loadTokens, this.events.nowMs);
      this.handOver(flight.row, journey, this.upstreamOf(flight, decision));
    }
    return flight;
  }

  /** As `src/pop-stages.ts` looks elsewhere. */
  private elsewhereMs(flight: Flight, { row, ttftMs, socialMs, priceUsd }: Decision) {
    const { journey, sloTtftMs } = flight.task as JourneyTask;
    if (!this.options.gives || journey.givenBack >= RETRIES) return undefined;
    const chosen = { row, ttftMs, socialMs, priceUsd };
    const other = this.decide(flight.task, [...journey.tried, ...this.behindDoorOf(row)]);
    return elsewhereFromMs(chosen, other, sloTtftMs, this.options.weights.priceTie);
  }

  private behindDoorOf(row: number): number[] {
    return workersOf(this.place, this.place.popOf[row]);
  }

  private upstreamOf(flight: Flight, decision: Decision): Upstream {
    const { journey } = flight.task as JourneyTask;
    return {
      elsewhereMs: this.elsewhereMs(flight, decision),
      firstContent: (nowMs) => this.firstContent(flight, nowMs),
      ended: (_nowMs, cachedTokens) => this.end(flight, cachedTokens),
      refused: () => {
        this.feedback.failed(flight);
        const tried = [...journey.tried, ...this.behindDoorOf(flight.row)];
        this.enter({ ...journey, tried, givenBack: journey.givenBack + 1 });
      },
    };
  }

  private firstContent(flight: Flight, nowMs: number): void {
    this.calibration.first(flight, nowMs);
    this.feedback.firstContent(flight, nowMs);
    this.queue.firstContent(flight.task, nowMs);
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
          this.firstContent(flight, nowMs);
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
    this.calibration.ended(flight, usage);
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
    const { weights } = this.options;
    const lambda = weights.lambda * lambdaAt(surveyOf(this.table).busy);
    this.kernel.setWeights({ ...weights, lambda });
  }
}
