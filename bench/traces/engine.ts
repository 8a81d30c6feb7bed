/**
 * A simulated engine: what a router can send to, and what an all-knowing one could see of it.
 * "fcfs" prefills one request at a time, "sharing" all at once with equal shares, "step" is the
 * emulated engine's model. The first two: LRU cache, hits counted when a prefill starts, a
 * request's blocks there when it ends, 64 requests at most between prefill and last token,
 * 20 ms per output token.
 */
import { BlockCache } from "./cache.ts";
import type { Events } from "./events.ts";
import { BLOCK_TOKENS, type TraceRequest } from "./trace.ts";

export const ENGINES = ["fcfs", "sharing", "step"] as const;
export type EngineKind = (typeof ENGINES)[number];

/** Tokens per second of prefill; also what loads are counted in. */
export const PREFILL_RATE = 8000;
export const PREFILL_PER_MS = PREFILL_RATE / 1000;
export const DECODE_MS = 20;
export const SLOTS = 64;

export interface Job {
  readonly request: TraceRequest;
  readonly worker: number;
  /** Uncached tokens as seen when it came, then as found when its prefill started. */
  uncachedTokens: number;
  hitBlocks: number;
  /** First token is there. */
  onPrefilled(job: Job, nowMs: number): void;
  /** Last token is there. */
  onEnd(job: Job, nowMs: number): void;
}

export interface Engine {
  submit(job: Job, nowMs: number): void;
  /** Uncached prefill tokens queued or not yet computed. */
  outstandingTokens(nowMs: number): number;
  /** Blocks of the path in the cache or in a request that is here already, from the root. */
  expectedBlocks(path: Uint32Array): number;
  /** Requests that are here. */
  readonly inFlight: number;
  /** Blocks of all requests that are here. */
  readonly activeBlocks: number;
  /** Share of KV cache blocks in use; undefined = the engine does not say. */
  readonly kvUsage: number | undefined;
}

export function uncachedOf(request: TraceRequest, hitBlocks: number): number {
  return Math.max(request.inputTokens - hitBlocks * BLOCK_TOKENS, 1);
}

/** Blocks of requests that came and are not in the cache yet. */
export class PendingBlocks {
  private readonly counts = new Map<number, number>();

  has(block: number): boolean {
    return this.counts.has(block);
  }

  add(path: Uint32Array): void {
    for (const block of path) this.counts.set(block, (this.counts.get(block) ?? 0) + 1);
  }

  remove(path: Uint32Array): void {
    for (const block of path) {
      const left = (this.counts.get(block) ?? 1) - 1;
      if (left === 0) this.counts.delete(block);
      else this.counts.set(block, left);
    }
  }
}

/** What "fcfs" and "sharing" have in common: the wait queue, the cache, decode. */
export abstract class PrefillEngine implements Engine {
  inFlight = 0;
  activeBlocks = 0;
  readonly kvUsage = undefined;
  protected readonly events: Events;
  protected readonly cache: BlockCache;
  private readonly pending = new PendingBlocks();
  private readonly waiting: Job[] = [];
  private waitingTokens = 0;
  private slots = SLOTS;

  constructor(events: Events, cacheBlocks: number) {
    this.events = events;
    this.cache = new BlockCache(cacheBlocks);
  }

  submit(job: Job, nowMs: number): void {
    const { request } = job;
    job.uncachedTokens = uncachedOf(request, this.expectedBlocks(request.blocks));
    this.pending.add(request.blocks);
    this.inFlight++;
    this.activeBlocks += request.blocks.length;
    this.waitingTokens += job.uncachedTokens;
    this.waiting.push(job);
    this.admit(nowMs);
  }

  outstandingTokens(nowMs: number): number {
    return this.waitingTokens + this.prefillingTokens(nowMs);
  }

  expectedBlocks(path: Uint32Array): number {
    // What is held is closed towards the root: halving finds the deepest block.
    let low = 0;
    let high = path.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const block = path[middle - 1];
      if (this.cache.has(block) || this.pending.has(block)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** May another prefill start? */
  protected abstract canPrefill(): boolean;
  protected abstract prefill(job: Job, nowMs: number): void;
  protected abstract prefillingTokens(nowMs: number): number;

  protected prefilled(job: Job, nowMs: number): void {
    const { request } = job;
    this.cache.touch(request.blocks);
    this.pending.remove(request.blocks);
    this.events.at(nowMs + request.outputTokens * DECODE_MS, (endMs) => this.end(job, endMs));
    job.onPrefilled(job, nowMs);
    this.admit(nowMs);
  }

  private end(job: Job, nowMs: number): void {
    this.slots++;
    this.inFlight--;
    this.activeBlocks -= job.request.blocks.length;
    job.onEnd(job, nowMs);
    this.admit(nowMs);
  }

  private admit(nowMs: number): void {
    while (this.waiting.length > 0 && this.slots > 0 && this.canPrefill()) {
      const job = this.waiting.shift() as Job;
      this.waitingTokens -= job.uncachedTokens;
      this.slots--;
      job.hitBlocks = this.cache.match(job.request.blocks);
      job.uncachedTokens = uncachedOf(job.request, job.hitBlocks);
      this.prefill(job, nowMs);
    }
  }
}
