/**
 * What the PoPs predicted against what came: time to first token from the moment of the choice,
 * and tokens found in the KV cache. A request that is handed over counts where it was chosen
 * last, so once; the prediction of its sender is not counted.
 */
import type { Flight, Usage } from "../../src/feedback/observe.ts";

export interface CalibrationRow {
  /** Means from the choice of a worker on. */
  predictedTtftMs: number;
  observedTtftMs: number;
  /** Mean of the differences' sizes. */
  ttftErrorMs: number;
  /** Of all prompt tokens. */
  predictedHits: number;
  observedHits: number;
  /** Sum of the differences' sizes, of all prompt tokens. */
  hitError: number;
}

export class Calibration {
  private firsts = 0;
  private predictedMs = 0;
  private observedMs = 0;
  private errorMs = 0;
  private promptTokens = 0;
  private predictedTokens = 0;
  private observedTokens = 0;
  private errorTokens = 0;

  first({ sentMs, predictedTtftMs }: Flight, nowMs: number): void {
    const observed = nowMs - sentMs;
    this.firsts++;
    this.predictedMs += predictedTtftMs;
    this.observedMs += observed;
    this.errorMs += Math.abs(observed - predictedTtftMs);
  }

  ended({ matchedTokens }: Flight, { promptTokens, cachedTokens = 0 }: Usage): void {
    this.promptTokens += promptTokens;
    this.predictedTokens += matchedTokens;
    this.observedTokens += cachedTokens;
    this.errorTokens += Math.abs(matchedTokens - cachedTokens);
  }

  static sum(all: readonly Calibration[]): CalibrationRow {
    const mean = (of: (one: Calibration) => number, per: (one: Calibration) => number) =>
      sumOf(all, of) / Math.max(sumOf(all, per), 1);
    const perFirst = (of: (one: Calibration) => number) => mean(of, (one) => one.firsts);
    const perToken = (of: (one: Calibration) => number) => mean(of, (one) => one.promptTokens);
    return {
      predictedTtftMs: perFirst((one) => one.predictedMs),
      observedTtftMs: perFirst((one) => one.observedMs),
      ttftErrorMs: perFirst((one) => one.errorMs),
      predictedHits: perToken((one) => one.predictedTokens),
      observedHits: perToken((one) => one.observedTokens),
      hitError: perToken((one) => one.errorTokens),
    };
  }
}

function sumOf(all: readonly Calibration[], read: (one: Calibration) => number): number {
  return all.reduce((sum, one) => sum + read(one), 0);
}
