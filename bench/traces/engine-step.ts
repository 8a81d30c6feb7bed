/**
 * The emulated engine's step model (`src/sim/engine.ts`): continuous batching under a token
 * budget, paged KV cache with references, preemption, decode that prefill steps delay.
 */
import { EngineModel, type Sequence } from "../../src/sim/engine.ts";
import type { EngineProfile } from "../../src/sim/profiles.ts";
import { type Engine, type Job, PREFILL_PER_MS, PendingBlocks, uncachedOf } from "./engine.ts";
import type { Events } from "./events.ts";
import { BLOCK_TOKENS } from "./trace.ts";

/**
 * Compute-bound prefill at the rate of the other engines; a decode step of a small batch takes
 * about 20 ms as there. Attention's quadratic part is left out, or the loads would not compare.
 */
const COSTS = {
  overheadMs: 2,
  weightsMs: 16,
  contextTokenMs: 1e-5,
  tokenMs: 1 / PREFILL_PER_MS,
  attentionMs: 0,
  jitter: 0.05,
};
const TOKEN_BUDGET = 2048;

export function stepProfile(kvBlocks: number, maxModelLen: number): EngineProfile {
  return {
    id: "bench",
    description: "the bench's engine",
    costs: COSTS,
    kvBlocks,
    blockTokens: BLOCK_TOKENS,
    maxSeqs: 64,
    tokenBudget: TOKEN_BUDGET,
    maxModelLen,
  };
}

export class StepEngine implements Engine {
  inFlight = 0;
  activeBlocks = 0;
  private readonly events: Events;
  private readonly model: EngineModel<Job>;
  private readonly pending = new PendingBlocks();
  private readonly prefilling = new Set<Sequence<Job>>();
  private stepping = false;

  constructor(events: Events, profile: EngineProfile, seed: number) {
    this.events = events;
    this.model = new EngineModel(profile, seed);
  }

  get kvUsage(): number {
    const { usedBlocks, totalBlocks } = this.model.load();
    return usedBlocks / totalBlocks;
  }

  submit(job: Job, nowMs: number): void {
    const { request } = job;
    job.uncachedTokens = uncachedOf(request, this.expectedBlocks(request.blocks));
    const whole = Math.floor(request.inputTokens / BLOCK_TOKENS);
    const sequence = this.model.submit(
      {
        promptTokens: request.inputTokens,
        maxTokens: request.outputTokens,
        keys: Array.from(request.blocks.subarray(0, whole)),
      },
      job,
    );
    this.pending.add(request.blocks);
    this.prefilling.add(sequence);
    this.inFlight++;
    this.activeBlocks += request.blocks.length;
    if (!this.stepping) this.step(nowMs);
  }

  outstandingTokens(): number {
    let tokens = 0;
    for (const { owner, computed, spec } of this.prefilling) {
      tokens += computed > 0 ? spec.promptTokens - computed : owner.uncachedTokens;
    }
    return tokens;
  }

  expectedBlocks(path: Uint32Array): number {
    let depth = 0;
    while (depth < path.length && this.isExpected(path[depth])) depth++;
    return depth;
  }

  private isExpected(block: number): boolean {
    return this.pending.has(block) || this.model.pool.find(block) >= 0;
  }

  private step(nowMs: number): void {
    const lengthMs = this.model.begin();
    this.stepping = lengthMs >= 0;
    if (!this.stepping) return;
    this.events.at(nowMs + lengthMs, (endMs) => {
      const tokens: Sequence<Job>[] = [];
      this.model.commit((sequence) => tokens.push(sequence));
      for (const sequence of tokens) this.emitted(sequence, endMs);
      this.step(endMs);
    });
  }

  private emitted(sequence: Sequence<Job>, nowMs: number): void {
    const job = sequence.owner;
    if (this.prefilling.delete(sequence)) {
      this.pending.remove(job.request.blocks);
      job.hitBlocks = sequence.cached / BLOCK_TOKENS;
      job.uncachedTokens = Math.max(job.request.inputTokens - sequence.cached, 1);
      job.onPrefilled(job, nowMs);
    }
    if (sequence.state !== "done") return;
    this.inFlight--;
    this.activeBlocks -= job.request.blocks.length;
    job.onEnd(job, nowMs);
  }
}
