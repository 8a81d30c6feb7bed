/** All policies over one trace: options to replays, replays to the rows of the report. */
import { DEFAULT_WEIGHTS } from "../../src/kernel/weights.ts";
import { Calibration, type CalibrationRow } from "./calibration.ts";
import { CONTENDERS } from "./contenders.ts";
import type { Options } from "./options.ts";
import { evenPlaces, type Places, readPlaces } from "./places.ts";
import { type Replay, type ReplayHooks, type ReplayOptions, replay, speedUpFor } from "./replay.ts";
import { BLOCK_TOKENS, type Trace, type TraceFacts, factsOf } from "./trace.ts";

export interface TtftSummary {
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/** The stable form of `--json`. */
export interface PolicyRow {
  policy: string;
  hitRatio: number;
  imbalance: number;
  ttftMs: TtftSummary;
  /** Load with p90 TTFT at the SLO, in capacities (workers x 8,000 prompt tokens/s). */
  sloCapacity?: number;
  usdPerMTok: number;
}

export interface PolicyResult {
  row: PolicyRow;
  /** Ascending. */
  ttftMs: Float64Array;
  seconds: number;
  refused: number;
  handedOver: number;
  givenBack: number;
  /** Undefined: this policy predicts nothing. */
  calibration: CalibrationRow | undefined;
}

const MIB = 1024 * 1024;
/** As the config's defaults. */
const BUDGET_TOKENS = 1024;
const DIGEST_BYTES = 16 * MIB;
const INDEX_MIN_BYTES = 8 * MIB;
const INDEX_MAX_BYTES = 256 * MIB;
/** Of the index, per block: seven eighths of it may be empty. */
const INDEX_BYTES_PER_BLOCK = 300;

export class Bench {
  readonly trace: Trace;
  readonly facts: TraceFacts;
  readonly places: Places;
  private readonly options: Options;

  constructor(trace: Trace, options: Options) {
    this.trace = trace;
    this.options = options;
    this.facts = factsOf(trace);
    this.places =
      options.geo === undefined
        ? evenPlaces(options.routers, options.workers)
        : readPlaces(options.geo);
  }

  get workers(): number {
    return this.places.popOf.length;
  }

  /** Offered load in capacities of prompt tokens. */
  get share(): number {
    const { load } = this.options;
    const given = Number(load.slice(1)) / 100;
    return load.startsWith("I") ? given / (1 - this.facts.idealTokens) : given;
  }

  speedUp(share: number): number {
    return speedUpFor(share, this.facts.inputTokens, this.facts.durationMs, this.workers);
  }

  replayOptions(share: number): ReplayOptions {
    const { options, trace } = this;
    const cacheBlocks = Math.max(
      Math.floor((trace.uniqueBlocks / this.workers) * options.cache),
      1,
    );
    const longest = trace.requests.reduce((most, { blocks }) => Math.max(most, blocks.length), 8);
    const wanted = trace.uniqueBlocks * INDEX_BYTES_PER_BLOCK;
    const kernel = {
      rows: 256,
      chunkBytes: 512,
      indexBytes: Math.min(Math.max(wanted, INDEX_MIN_BYTES), INDEX_MAX_BYTES),
      digestBytes: this.places.names.length > 1 ? DIGEST_BYTES : 0,
      promptBytesMax: longest * BLOCK_TOKENS,
    } as const;
    const { engine, seed, spreadMs, gossipMs, digestMs, binding, entry, keep } = options;
    return {
      ...{ workers: this.workers, engine, cacheBlocks, spreadMs, seed, entry },
      speedUp: this.speedUp(share),
      pop: {
        ...{ binding, budgetTokens: BUDGET_TOKENS, weights: DEFAULT_WEIGHTS, adaptive: true },
        ...{ kernel, cacheBlocks, sessions: trace.namesSessions, seed },
        ...{ assumedRate: options.assumedRate, gives: !keep },
      },
      grid: { places: this.places, gossipMs, digestMs },
    };
  }

  run(policy: string, hooks: ReplayHooks): PolicyResult {
    const startMs = performance.now();
    const done = this.replay(policy, this.share, hooks);
    const seconds = (performance.now() - startMs) / 1000;
    const ttftMs = ascending(done.ttftMs);
    const { sloTtftMs } = this.options;
    const sloCapacity = sloTtftMs === undefined ? undefined : this.capacity(policy, sloTtftMs);
    const row: PolicyRow = {
      policy,
      hitRatio: done.hitRatio,
      imbalance: done.imbalance,
      ttftMs: summaryOf(ttftMs),
      ...(sloCapacity === undefined ? {} : { sloCapacity }),
      usdPerMTok: this.usdPerMTok(done, sloCapacity),
    };
    const { refused, grid } = done;
    const handedOver = grid?.handedOver ?? 0;
    const calibration = grid && Calibration.sum(grid.pops.map((pop) => pop.calibration));
    const givenBack = grid?.refusals ?? 0;
    return { row, ttftMs, seconds, refused, handedOver, givenBack, calibration };
  }

  private replay(policy: string, share: number, hooks: ReplayHooks = {}): Replay {
    return replay(this.trace, CONTENDERS[policy], this.replayOptions(share), hooks);
  }

  /** Largest load with p90 TTFT within the SLO, by bisection to a hundredth. */
  private capacity(policy: string, sloTtftMs: number): number {
    const isWithin = (share: number) => {
      const done = this.replay(policy, share);
      return done.refused === 0 && quantileOf(ascending(done.ttftMs), 0.9) <= sloTtftMs;
    };
    let low = 0;
    let high = 0.5;
    while (high < CAPACITY_MAX && isWithin(high)) {
      low = high;
      high *= 2;
    }
    while (high - low > 0.01) {
      const middle = (low + high) / 2;
      if (isWithin(middle)) low = middle;
      else high = middle;
    }
    return low;
  }

  /**
   * Per million tokens, prompts and answers. With a known SLO capacity: what the workers cost
   * while they carry just that. Without: what the prefill that was not saved costs.
   */
  private usdPerMTok(done: Replay, sloCapacity: number | undefined): number {
    const { inputTokens, outputTokens, durationMs } = this.facts;
    const megaTokens = (inputTokens + outputTokens) / 1e6;
    const hours =
      sloCapacity === undefined
        ? done.prefilledTokens / PREFILL_TOKENS_PER_HOUR
        : (this.workers * durationMs) / this.speedUp(Math.max(sloCapacity, 0.01)) / 3_600_000;
    return (hours * this.options.usdPerHour) / megaTokens;
  }
}

const CAPACITY_MAX = 16;
const PREFILL_TOKENS_PER_HOUR = 8000 * 3600;

/** Without those that never got a token. */
function ascending(ttftMs: Float64Array): Float64Array {
  return ttftMs.filter((value) => !Number.isNaN(value)).sort();
}

/** Nearest rank of an ascending list. */
export function quantileOf(sorted: Float64Array, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.max(Math.ceil(sorted.length * share) - 1, 0))];
}

export function summaryOf(sorted: Float64Array): TtftSummary {
  return {
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    p50: quantileOf(sorted, 0.5),
    p90: quantileOf(sorted, 0.9),
    p99: quantileOf(sorted, 0.99),
    max: quantileOf(sorted, 1),
  };
}
