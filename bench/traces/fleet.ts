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

  constructor(options: FleetOptions, trace: Trace, events: Events) {
    const { workers, engine, cacheBlocks, seed } = options;
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

  inFlight(worker: number): number {
    return this.engines[worker].inFlight;
  }

  outstanding(worker: number, nowMs: number): number {
    return this.engines[worker].outstandingTokens(nowMs);
  }

  expected(worker: number, request: TraceRequest): number {
    return this.engines[worker].expectedBlocks(request.blocks);
  }

  uncached(worker: number, request: TraceRequest): number {
    return uncachedOf(request, this.expected(worker, request));
  }
}
