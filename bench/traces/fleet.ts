/** The simulated engines of one run, as an all-knowing router sees them. */
import { type Engine, type EngineKind, type Job, uncachedOf } from "./engine.ts";
import { FcfsEngine } from "./engine-fcfs.ts";
import { SharingEngine } from "./engine-sharing.ts";
import { StepEngine, stepProfile } from "./engine-step.ts";
import type { Events } from "./events.ts";
import { BLOCK_TOKENS, type Trace, type TraceRequest } from "./trace.ts";

export interface FleetOptions {
  workers: number;
  engine: EngineKind;
  /** KV cache of each, in blocks. */
  cacheBlocks: number;
  seed: number;
}

export class SimulatedFleet {
  readonly engines: Engine[];
  private readonly events: Events;
  /** Per worker: requests on their way to it, and their uncached tokens when they were sent. */
  private readonly comingRequests: Uint32Array;
  private readonly comingTokens: Float64Array;

  constructor(options: FleetOptions, trace: Trace, events: Events) {
    const { workers, engine, cacheBlocks, seed } = options;
    this.events = events;
    this.comingRequests = new Uint32Array(workers);
    this.comingTokens = new Float64Array(workers);
    // What runs needs its blocks too: the largest request must always fit.
    const largest = trace.requests.reduce(
      (most, { inputTokens, outputTokens }) => Math.max(most, inputTokens + outputTokens),
      0,
    );
    const kvBlocks = Math.max(cacheBlocks, Math.ceil(largest / BLOCK_TOKENS) + 1);
    this.engines = Array.from({ length: workers }, (_, worker) => {
      if (engine === "fcfs") return new FcfsEngine(events, cacheBlocks);
      if (engine === "sharing") return new SharingEngine(events, cacheBlocks);
      return new StepEngine(events, stepProfile(kvBlocks, largest), seed + worker);
    });
  }

  get size(): number {
    return this.engines.length;
  }

  submit(job: Job, nowMs: number): void {
    this.engines[job.worker].submit(job, nowMs);
  }

  /**
   * Submits it after the way there. Until then it counts already: a router with exact knowledge
   * knows what it has sent, and does not send everybody to a place that only looks free.
   */
  send(job: Job, wayMs: number, nowMs: number): void {
    const { worker, request } = job;
    const tokens = this.uncached(worker, request);
    this.comingRequests[worker]++;
    this.comingTokens[worker] += tokens;
    this.events.at(nowMs + wayMs, (atMs) => {
      this.comingRequests[worker]--;
      this.comingTokens[worker] -= tokens;
      this.submit(job, atMs);
    });
  }

  inFlight(worker: number): number {
    return this.engines[worker].inFlight + this.comingRequests[worker];
  }

  outstanding(worker: number, nowMs: number): number {
    return this.engines[worker].outstandingTokens(nowMs) + this.comingTokens[worker];
  }

  expected(worker: number, request: TraceRequest): number {
    return this.engines[worker].expectedBlocks(request.blocks);
  }

  uncached(worker: number, request: TraceRequest): number {
    return uncachedOf(request, this.expected(worker, request));
  }
}
