/**
 * The share of the GPU that the telecom side leaves to inference, over time. The engine only obeys;
 * who sets the share (an operator, a test, a schedule) is outside.
 */
import { badRequest } from "./http.ts";

export interface ShareStep {
  /** Milliseconds after the start. */
  atMs: number;
  /** 0..1 */
  share: number;
}

/** @throws ApiError 400 unless it is a number from 0 to 1. */
export function parseShare(value: unknown): number {
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw badRequest("share must be a number from 0 to 1", "share");
}

/** @throws ApiError 400 saying which step is wrong; steps must ascend in time. */
export function parseShareSchedule(json: string): ShareStep[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw badRequest("the share schedule is not valid JSON", "share-schedule");
  }
  if (!Array.isArray(value) || value.length > 10_000) {
    throw badRequest('the share schedule must be an array like [{"atMs":0,"share":0.8}]');
  }
  let lastMs = -1;
  return value.map((step: Partial<ShareStep> | null, i) => {
    const atMs = step?.atMs;
    if (typeof atMs !== "number" || !(atMs > lastMs)) {
      throw badRequest(`step ${i} of the share schedule: atMs must be a number above ${lastMs}`);
    }
    lastMs = atMs;
    return { atMs, share: parseShare(step?.share) };
  });
}

/** Applies the steps in time with one timer that does not keep the process alive. */
export class ShareSchedule {
  private readonly steps: readonly ShareStep[];
  private readonly apply: (share: number) => void;
  private timer: NodeJS.Timeout | undefined;
  private startMs = 0;
  private at = 0;

  constructor(steps: readonly ShareStep[], apply: (share: number) => void) {
    this.steps = steps;
    this.apply = apply;
  }

  start(): void {
    this.startMs = performance.now();
    this.at = 0;
    this.advance();
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private advance(): void {
    const nowMs = performance.now() - this.startMs;
    while (this.at < this.steps.length && this.steps[this.at].atMs <= nowMs) {
      this.apply(this.steps[this.at++].share);
    }
    if (this.at === this.steps.length) return;
    const delayMs = Math.min(this.steps[this.at].atMs - nowMs, 0x7fffffff);
    this.timer = setTimeout(() => this.advance(), delayMs);
    this.timer.unref();
  }
}
