/**
 * The step model of an inference engine with continuous batching: pure and seeded. It has no clock;
 * the caller asks how long the next step takes (`begin`), lets that time pass, and collects the
 * tokens (`commit`). The emulated engine's server and the simulated grid drive the same code.
 *
 * One step, after vLLM's v1 scheduler: every running sequence gets its decode token or its next
 * prefill chunk under one token budget; then waiting ones are admitted, oldest first, while their
 * uncached blocks fit. Who cannot get a block for its next token preempts the youngest, which is
 * recomputed later. Blocks become shareable when they are computed, not before: two equal prompts
 * that arrive together both pay, as in the real engine.
 */
import type { Millis, Tokens } from "../grid/units.ts";
import { BlockPool } from "./blocks.ts";
import type { EngineProfile } from "./profiles.ts";

export type SequenceState = "waiting" | "running" | "done" | "aborted";

/** What a caller wants generated. */
export interface SequenceSpec {
  /** At least 1. */
  promptTokens: Tokens;
  /** Tokens to generate, at least 1. */
  maxTokens: Tokens;
  /** Chained content keys of the prompt's whole blocks, in order; safe integers. */
  keys: readonly number[];
  /** Key of a later whole block, prompt and output together; without it output is not shared. */
  keyOf?: (block: number) => number;
}

/** A request inside the engine. Read it; only the model writes it. */
export interface Sequence<Owner> {
  readonly owner: Owner;
  readonly spec: SequenceSpec;
  state: SequenceState;
  /** Tokens whose KV is computed or was found. */
  computed: Tokens;
  generated: Tokens;
  /** Prompt tokens found in the cache at first admission. */
  cached: Tokens;
  preemptions: number;
  /** Tokens it computes in the current step. */
  chunk: Tokens;
  /** What it would have to compute, as seen when it arrived; 0 once admitted. */
  uncachedEstimate: Tokens;
  readonly blocks: number[];
}

export interface EngineLoad {
  running: number;
  waiting: number;
  /** Uncached prompt tokens of waiting sequences. */
  waitingUncachedTokens: Tokens;
  usedBlocks: number;
  totalBlocks: number;
  /** Sequences that may run at once under the present share. */
  maxRunning: number;
}

/** Counters since the start; they only grow. */
export interface EngineCounters {
  steps: number;
  queriedTokens: Tokens;
  hitTokens: Tokens;
  prefillTokens: Tokens;
  generatedTokens: Tokens;
  preemptions: number;
}

/** Hears what happens to the cache, as an engine's KV events tell it. */
export interface CacheListener<Owner> {
  /** A block of the sequence, by its number in it, can be shared from now on. */
  onStored(sequence: Sequence<Owner>, block: number): void;
  onRemoved(key: number): void;
}

export class EngineModel<Owner> {
  readonly profile: EngineProfile;
  readonly pool: BlockPool;
  readonly counters: EngineCounters = {
    steps: 0,
    queriedTokens: 0,
    hitTokens: 0,
    prefillTokens: 0,
    generatedTokens: 0,
    preemptions: 0,
  };
  private readonly running: Sequence<Owner>[] = [];
  private readonly waiting: Sequence<Owner>[] = [];
  private waitingUncached = 0;
  private share = 1;
  private random: number;
  private readonly listener: CacheListener<Owner> | undefined;

  constructor(profile: EngineProfile, seed: number, listener?: CacheListener<Owner>) {
    this.profile = profile;
    this.listener = listener;
    this.pool = new BlockPool(profile.kvBlocks);
    if (listener !== undefined) this.pool.onForget = (key) => listener.onRemoved(key);
    this.random = seed >>> 0;
  }

  /** @throws RangeError when it could never fit the KV cache. */
  submit(spec: SequenceSpec, owner: Owner): Sequence<Owner> {
    const total = spec.promptTokens + spec.maxTokens;
    if (!(spec.promptTokens >= 1) || !(spec.maxTokens >= 1) || total > this.kvTokens) {
      throw new RangeError(
        `${spec.promptTokens} prompt and ${spec.maxTokens} output tokens do not fit ` +
          `the KV cache of ${this.kvTokens} tokens`,
      );
    }
    const sequence: Sequence<Owner> = {
      owner,
      spec,
      state: "waiting",
      computed: 0,
      generated: 0,
      cached: 0,
      preemptions: 0,
      chunk: 0,
      uncachedEstimate: 0,
      blocks: [],
    };
    this.enqueue(sequence, false);
    return sequence;
  }

  /** KV cache size in tokens. */
  get kvTokens(): Tokens {
    return this.profile.kvBlocks * this.profile.blockTokens;
  }

  get isIdle(): boolean {
    return this.running.length === 0 && this.waiting.length === 0;
  }

  /** The client left: its slot and blocks are free at once. */
  abort(sequence: Sequence<Owner>): void {
    if (sequence.state === "running") this.leave(sequence);
    else if (sequence.state === "waiting") this.dequeue(sequence);
    else return;
    sequence.state = "aborted";
  }

  /** Part of the GPU that inference may use, 0..1: scales speed and admitted sequences. */
  setShare(share: number): void {
    if (!(share >= 0 && share <= 1)) throw new RangeError(`share must be from 0 to 1: ${share}`);
    this.share = share;
  }

  /** A restart: every sequence is aborted, all KV content is lost. Returns the aborted ones. */
  restart(): Sequence<Owner>[] {
    const lost = [...this.running, ...this.waiting];
    for (const sequence of lost) this.abort(sequence);
    this.pool.clear();
    return lost;
  }

  load(): EngineLoad {
    return {
      running: this.running.length,
      waiting: this.waiting.length,
      waitingUncachedTokens: this.waitingUncached,
      usedBlocks: this.pool.capacity - this.pool.free,
      totalBlocks: this.pool.capacity,
      maxRunning: this.maxRunning,
    };
  }

  /**
   * Plans the next step. Returns its length in milliseconds, or -1 when there is nothing to do or
   * the share is 0. Call `commit` when the time has passed. `onAdmit` hears who left the queue.
   */
  begin(onAdmit?: (sequence: Sequence<Owner>) => void): Millis {
    if (this.share === 0 || this.isIdle) return -1;
    const preempted = this.counters.preemptions;
    const budget = this.planRunning(this.profile.tokenBudget);
    if (this.counters.preemptions === preempted) this.admit(budget, onAdmit);
    return this.duration();
  }

  /** Ends the planned step: `onToken` hears of each new token, of the last one in state "done". */
  commit(onToken: (sequence: Sequence<Owner>) => void): void {
    this.counters.steps++;
    let kept = 0;
    const planned = this.running.length;
    for (let i = 0; i < planned; i++) {
      const sequence = this.running[i];
      if (this.advance(sequence)) this.running[kept++] = sequence;
      else this.pool.release(sequence.blocks);
    }
    const emitted = this.emitted.splice(0);
    this.running.length = kept;
    for (const sequence of emitted) onToken(sequence);
  }

  private readonly emitted: Sequence<Owner>[] = [];

  private get maxRunning(): number {
    return this.share === 0 ? 0 : Math.max(1, Math.floor(this.profile.maxSeqs * this.share));
  }

  /** Moves one sequence over its chunk; false when it is done. */
  private advance(sequence: Sequence<Owner>): boolean {
    if (sequence.chunk === 0) return true;
    const before = sequence.computed;
    sequence.computed += sequence.chunk;
    if (sequence.generated === 0) this.counters.prefillTokens += sequence.chunk;
    sequence.chunk = 0;
    this.publish(sequence, before);
    if (sequence.computed < totalTokens(sequence)) return true;
    sequence.generated++;
    this.counters.generatedTokens++;
    this.emitted.push(sequence);
    if (sequence.generated < sequence.spec.maxTokens) return true;
    sequence.state = "done";
    return false;
  }

  private publish(sequence: Sequence<Owner>, before: Tokens): void {
    const size = this.profile.blockTokens;
    const end = Math.floor(sequence.computed / size);
    for (let block = Math.floor(before / size); block < end; block++) {
      const key = keyAt(sequence.spec, block);
      if (key === undefined) continue;
      if (this.pool.publish(sequence.blocks[block], key)) this.listener?.onStored(sequence, block);
    }
  }

  private planRunning(budget: Tokens): Tokens {
    let left = budget;
    for (let i = 0; i < this.running.length && left > 0; i++) {
      const sequence = this.running[i];
      const chunk = Math.min(totalTokens(sequence) - sequence.computed, left);
      if (!this.grow(sequence, sequence.computed + chunk)) break;
      sequence.chunk = chunk;
      left -= chunk;
    }
    return left;
  }

  /** Blocks for `tokens` tokens; preempts the youngest while none is free. False: it was itself. */
  private grow(sequence: Sequence<Owner>, tokens: Tokens): boolean {
    const wanted = Math.ceil(tokens / this.profile.blockTokens);
    while (sequence.blocks.length < wanted) {
      const block = this.pool.take();
      if (block >= 0) {
        sequence.blocks.push(block);
        continue;
      }
      const victim = this.running[this.running.length - 1];
      this.preempt(victim);
      if (victim === sequence) return false;
    }
    return true;
  }

  private preempt(sequence: Sequence<Owner>): void {
    this.leave(sequence);
    sequence.state = "waiting";
    sequence.preemptions++;
    this.counters.preemptions++;
    this.enqueue(sequence, true);
  }

  private admit(budget: Tokens, onAdmit?: (sequence: Sequence<Owner>) => void): void {
    let left = budget;
    while (left > 0 && this.waiting.length > 0 && this.running.length < this.maxRunning) {
      const sequence = this.waiting[0];
      const hits = this.hitBlocks(sequence);
      if (!this.fits(sequence, hits)) break;
      this.dequeue(sequence);
      this.place(sequence, hits);
      onAdmit?.(sequence);
      sequence.chunk = Math.min(totalTokens(sequence) - sequence.computed, left);
      left -= sequence.chunk;
    }
  }

  /** Leading blocks in the cache; at least the last token is always computed. */
  private hitBlocks(sequence: Sequence<Owner>): number {
    const limit = Math.floor((totalTokens(sequence) - 1) / this.profile.blockTokens);
    let hits = 0;
    while (hits < limit) {
      const key = keyAt(sequence.spec, hits);
      if (key === undefined || this.pool.find(key) < 0) break;
      hits++;
    }
    return hits;
  }

  private fits(sequence: Sequence<Owner>, hits: number): boolean {
    const wanted = Math.ceil(totalTokens(sequence) / this.profile.blockTokens) - hits;
    let free = this.pool.free;
    for (let block = 0; block < hits; block++) {
      if (this.pool.isIdle(this.pool.find(keyAt(sequence.spec, block) as number))) free--;
    }
    return wanted <= free;
  }

  private place(sequence: Sequence<Owner>, hits: number): void {
    for (let block = 0; block < hits; block++) {
      const found = this.pool.find(keyAt(sequence.spec, block) as number);
      this.pool.share(found);
      sequence.blocks.push(found);
    }
    sequence.computed = hits * this.profile.blockTokens;
    this.counters.queriedTokens += totalTokens(sequence);
    this.counters.hitTokens += sequence.computed;
    if (sequence.preemptions === 0) sequence.cached = sequence.computed;
    sequence.state = "running";
    this.running.push(sequence);
    this.grow(sequence, totalTokens(sequence));
  }

  private enqueue(sequence: Sequence<Owner>, first: boolean): void {
    const hit = this.hitBlocks(sequence) * this.profile.blockTokens;
    sequence.uncachedEstimate = totalTokens(sequence) - hit;
    this.waitingUncached += sequence.uncachedEstimate;
    if (first) this.waiting.unshift(sequence);
    else this.waiting.push(sequence);
  }

  private dequeue(sequence: Sequence<Owner>): void {
    if (this.waiting[0] === sequence) this.waiting.shift();
    else this.waiting.splice(this.waiting.indexOf(sequence), 1);
    this.waitingUncached -= sequence.uncachedEstimate;
    sequence.uncachedEstimate = 0;
  }

  /** Out of the batch; its blocks stay cached as far as they were computed. */
  private leave(sequence: Sequence<Owner>): void {
    this.running.splice(this.running.lastIndexOf(sequence), 1);
    this.pool.release(sequence.blocks);
    sequence.computed = 0;
    sequence.chunk = 0;
  }

  /** Length of the planned step: overhead plus the longer of memory and compute time. */
  private duration(): Millis {
    const { costs } = this.profile;
    let tokens = 0;
    let context = 0;
    let attention = 0;
    for (const { chunk, computed } of this.running) {
      tokens += chunk;
      context += chunk === 0 ? 0 : computed + chunk;
      attention += chunk * (computed + chunk / 2);
    }
    const memoryMs = costs.weightsMs + context * costs.contextTokenMs;
    const computeMs = tokens * costs.tokenMs + attention * costs.attentionMs;
    const idealMs = costs.overheadMs + Math.max(memoryMs, computeMs);
    return idealMs === 0 ? 0 : (idealMs * this.jitterFactor(costs.jitter)) / this.share;
  }

  /** About normal around 1 (sum of three uniform draws), never beyond three deviations. */
  private jitterFactor(deviation: number): number {
    if (deviation === 0) return 1;
    return 1 + 2 * deviation * (this.draw() + this.draw() + this.draw() - 1.5);
  }

  /** Uniform in 0..1 (mulberry32). */
  private draw(): number {
    this.random = (this.random + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.random ^ (this.random >>> 15), 1 | this.random);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }
}

function totalTokens(sequence: Sequence<unknown>): Tokens {
  return sequence.spec.promptTokens + sequence.generated;
}

/** Content key of one of its whole blocks. */
export function keyAt(spec: SequenceSpec, block: number): number | undefined {
  return block < spec.keys.length ? spec.keys[block] : spec.keyOf?.(block);
}
