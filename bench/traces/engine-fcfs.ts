/** One prefill at a time, first come first served. */
import { type Job, PREFILL_PER_MS, PrefillEngine } from "./engine.ts";

export class FcfsEngine extends PrefillEngine {
  private busyUntilMs = 0;
  private busy = false;

  protected canPrefill(): boolean {
    return !this.busy;
  }

  protected prefill(job: Job, nowMs: number): void {
    this.busy = true;
    this.busyUntilMs = nowMs + job.uncachedTokens / PREFILL_PER_MS;
    this.events.at(this.busyUntilMs, (endMs) => {
      this.busy = false;
      this.prefilled(job, endMs);
    });
  }

  protected prefillingTokens(nowMs: number): number {
    return this.busy ? Math.max(this.busyUntilMs - nowMs, 0) * PREFILL_PER_MS : 0;
  }
}
