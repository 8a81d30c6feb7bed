/** One policy over one trace: what every request got, and what it cost the engines. */
import type { GridError } from "../../src/grid/errors.ts";
import { type EngineKind, type Job, PREFILL_RATE } from "./engine.ts";
import { Events } from "./events.ts";
import { SimulatedFleet } from "./fleet.ts";
import { BenchGrid, type GridOptions } from "./grid.ts";
import type { PolicyInput, Policy } from "./policy.ts";
import { entryPop } from "./places.ts";
import type { BenchPop, Journey, PopOptions } from "./pop.ts";
import { mix, randomShare, randomWords } from "./random.ts";
import { BLOCK_TOKENS, type Trace, type TraceRequest } from "./trace.ts";

export const ENTRIES = ["random", "session"] as const;
export type Entry = (typeof ENTRIES)[number];

export interface ReplayOptions {
  workers: number;
  engine: EngineKind;
  cacheBlocks: number;
  /** The trace's clock runs so much faster. */
  speedUp: number;
  /** Each request somewhere in its tick of so many trace milliseconds. */
  spreadMs: number;
  seed: number;
  pop: PopOptions;
  grid: GridOptions;
  /** A conversation comes in at one PoP, or each request anywhere. */
  entry: Entry;
}

/** A rival's constructor, or our grid. */
export type Contender = ((input: PolicyInput) => Policy) | "gridpoint";

export interface Replay {
  ttftMs: Float64Array;
  hitRatio: number;
  imbalance: number;
  /** Uncached tokens that were prefilled. */
  prefilledTokens: number;
  durationMs: number;
  refused: number;
  grid: BenchGrid | undefined;
}

export interface ReplayHooks {
  /** Told now and then how far it is. */
  progress?: (share: number) => void;
  /** Called before the request with this index enters. */
  explain?: { index: number; run: (pop: BenchPop, request: TraceRequest) => void };
}

const PROGRESS_EVERY = 256;

export function replay(
  trace: Trace,
  contender: Contender,
  options: ReplayOptions,
  hooks: ReplayHooks = {},
): Replay {
  return new Run(trace, contender, options, hooks).all();
}

class Run {
  private readonly trace: Trace;
  private readonly options: ReplayOptions;
  private readonly hooks: ReplayHooks;
  private readonly events = new Events();
  private readonly fleet: SimulatedFleet;
  private readonly policy: Policy | undefined;
  private readonly grid: BenchGrid | undefined;
  private readonly ttftMs: Float64Array;
  private readonly arrivals: { request: TraceRequest; atMs: number }[];
  private open = 0;
  private next = 0;
  private hits = 0;
  private prefilledTokens = 0;
  private refused = 0;
  private mostSum = 0;
  private meanSum = 0;

  constructor(trace: Trace, contender: Contender, options: ReplayOptions, hooks: ReplayHooks) {
    this.trace = trace;
    this.options = options;
    this.hooks = hooks;
    this.fleet = new SimulatedFleet(options, trace, this.events);
    this.ttftMs = new Float64Array(trace.requests.length).fill(Number.NaN);
    this.arrivals = arrivalsOf(trace, options);
    if (contender === "gridpoint") {
      const { grid, pop } = options;
      this.grid = new BenchGrid(grid, pop, this.fleet, this.events, () => this.isOver);
    } else {
      const random = randomWords(mix(options.seed, 0x9011c1));
      this.policy = contender({ fleet: this.fleet, places: options.grid.places, random });
    }
  }

  private get isOver(): boolean {
    return this.next >= this.arrivals.length && this.open === 0;
  }

  all(): Replay {
    this.schedule();
    while (this.events.step());
    const blocks = this.trace.requests.reduce((sum, request) => sum + request.blocks.length, 0);
    return {
      ttftMs: this.ttftMs,
      hitRatio: blocks > 0 ? this.hits / blocks : 0,
      imbalance: this.meanSum > 0 ? this.mostSum / this.meanSum : 1,
      prefilledTokens: this.prefilledTokens,
      durationMs: this.events.nowMs,
      refused: this.refused,
      grid: this.grid,
    };
  }

  private schedule(): void {
    if (this.next >= this.arrivals.length) return;
    const { request, atMs } = this.arrivals[this.next];
    this.events.at(atMs, (nowMs) => {
      this.next++;
      this.open++;
      this.arrive(request, nowMs);
      if (this.next % PROGRESS_EVERY === 0) this.hooks.progress?.(this.next / this.arrivals.length);
      this.schedule();
    });
  }

  private arrive(request: TraceRequest, nowMs: number): void {
    this.sampleImbalance(nowMs);
    const pop = this.entryOf(request);
    if (this.grid !== undefined) {
      const { explain } = this.hooks;
      if (explain?.index === request.index) explain.run(this.grid.pops[pop], request);
      this.grid.enter(this.journeyOf(request, nowMs), pop);
      return;
    }
    const worker = (this.policy as Policy).route(request, nowMs, pop);
    const { popOf, rttMs } = this.options.grid.places;
    const wayMs = rttMs[pop][popOf[worker]] / 2;
    const journey = this.journeyOf(request, nowMs);
    const job = {
      request,
      worker,
      uncachedTokens: 0,
      hitBlocks: 0,
      onPrefilled: ({ hitBlocks }: Job, atMs: number) => journey.prefilled(atMs + wayMs, hitBlocks),
      onEnd: () => journey.ended(),
    };
    this.fleet.send(job, wayMs, nowMs);
  }

  private entryOf({ index, session }: TraceRequest): number {
    const { entry, grid, seed } = this.options;
    return entryPop(grid.places, entry === "session" ? session : index, mix(seed, 0xe17));
  }

  private journeyOf(request: TraceRequest, arrivedMs: number): Journey {
    return {
      request,
      arrivedMs,
      tried: [],
      givenBack: 0,
      prefilled: (nowMs, hitBlocks) => {
        this.ttftMs[request.index] = nowMs - arrivedMs;
        this.hits += hitBlocks;
        this.prefilledTokens += Math.max(request.inputTokens - hitBlocks * BLOCK_TOKENS, 1);
      },
      ended: () => {
        this.open--;
      },
      refused: (_error: GridError) => {
        this.open--;
        this.refused++;
      },
    };
  }

  /** Outstanding prefill tokens: the most of all workers, and their mean. */
  private sampleImbalance(nowMs: number): void {
    let most = 0;
    let sum = 0;
    for (let worker = 0; worker < this.fleet.size; worker++) {
      const tokens = this.fleet.outstanding(worker, nowMs);
      most = Math.max(most, tokens);
      sum += tokens;
    }
    this.mostSum += most;
    this.meanSum += sum / this.fleet.size;
  }
}

function arrivalsOf(
  trace: Trace,
  { seed, spreadMs, speedUp }: ReplayOptions,
): { request: TraceRequest; atMs: number }[] {
  const words = randomWords(mix(seed, 0x5b7ead));
  const arrivals = trace.requests.map((request) => {
    const spread = spreadMs > 0 ? randomShare(words) * spreadMs : 0;
    return { request, atMs: (request.atMs + spread) / speedUp };
  });
  return spreadMs > 0 ? arrivals.sort((a, b) => a.atMs - b.atMs) : arrivals;
}

/** Speed-up at which the trace offers a share of what the workers can prefill. */
export function speedUpFor(
  share: number,
  tokens: number,
  durationMs: number,
  workers: number,
): number {
  if (!(durationMs > 0) || !(tokens > 0)) return 1;
  return (share * workers * PREFILL_RATE * durationMs) / 1000 / tokens;
}
