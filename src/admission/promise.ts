/**
 * Interactive requests are in time or refused at once. Whoever is let in to wait was predicted to
 * be in time, so how late a first token comes against its prediction must be known, not assumed: a
 * high quantile of observed / predicted is tracked (Robbins and Monro), and a prediction counts
 * that much longer.
 */
import type { Decision } from "../grid/decision.ts";
import { GridError } from "../grid/errors.ts";
import type { Millis } from "../grid/units.ts";
import type { Task } from "../task/task.ts";

/** Of a thousand that were let in, five may be late. */
const KEPT_SHARE = 0.995;
/** A late one widens the margin by 3 %; 200 in time narrow it by as much. */
const STEP = 0.03;
/** Before anything was seen. */
const FIRST_FACTOR = 1.05;
/** An engine that hangs is no reason to refuse everybody. */
const FACTOR_MAX = 1.5;
/** What is predicted to come soon errs by more of itself, and is in time all the same. */
const TELLING_SHARE = 0.5;

export class Promises {
  private factor = FIRST_FACTOR;

  /** The latest prediction, since its arrival, with which a request may wait. */
  latestMs(sloTtftMs: Millis): Millis {
    return sloTtftMs / this.factor;
  }

  /** The error for one that would be late; else it may wait, and what was predicted is kept. */
  tooLate(task: Task, { ttftMs }: Decision, nowMs: Millis): GridError | undefined {
    if (task.priority !== "interactive") return undefined;
    const firstTokenMs = nowMs - task.arrivedMs + ttftMs;
    const latestMs = this.latestMs(task.sloTtftMs);
    if (firstTokenMs > latestMs) return late(task, firstTokenMs, latestMs);
    // A second attempt pays for the first, which says nothing of predictions.
    if (task.tried.length === 0) task.promisedTtftMs = firstTokenMs;
    return undefined;
  }

  /** Its first token is here. */
  kept(task: Task, nowMs: Millis): void {
    const { promisedTtftMs, sloTtftMs, arrivedMs } = task;
    task.promisedTtftMs = undefined;
    if (promisedTtftMs === undefined || promisedTtftMs < sloTtftMs * TELLING_SHARE) return;
    const isLate = nowMs - arrivedMs > promisedTtftMs * this.factor;
    const moved = this.factor + STEP * (isLate ? KEPT_SHARE : KEPT_SHARE - 1);
    this.factor = Math.min(Math.max(moved, 1), FACTOR_MAX);
  }
}

function late(task: Task, firstTokenMs: Millis, latestMs: Millis): GridError {
  return new GridError(
    "saturated",
    `All endpoints are busy: its first token would take about ${Math.round(firstTokenMs)} ms, ` +
      `more than its target of ${task.sloTtftMs} has room for. Retry after the time in ` +
      "Retry-After, raise x-grid-slo-ttft-ms, or lower x-grid-priority to wait for it.",
    { retryAfterS: Math.max(Math.ceil((firstTokenMs - latestMs) / 1000), 1) },
  );
}
