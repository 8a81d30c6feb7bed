/** All admitted prefills at once with equal shares: chunked prefill that is fair to everybody. */
import { type Job, PREFILL_PER_MS, PrefillEngine } from "./engine.ts";

interface Share {
  job: Job;
  /** Tokens that everybody must have had until this one is through. */
  endsAt: number;
}

/** Rounding of a share's end. */
const TOKENS_NEAR = 1e-6;

export class SharingEngine extends PrefillEngine {
  private readonly shares: Share[] = [];
  /** Tokens that each share has had since the start. */
  private served = 0;
  private servedAtMs = 0;
  /** Only the newest planned end counts. */
  private plan = 0;

  protected canPrefill(): boolean {
    return true;
  }

  protected prefill(job: Job, nowMs: number): void {
    this.serve(nowMs);
    const share = { job, endsAt: this.served + job.uncachedTokens };
    let place = this.shares.length;
    while (place > 0 && this.shares[place - 1].endsAt > share.endsAt) place--;
    this.shares.splice(place, 0, share);
    this.planEnd(nowMs);
  }

  protected prefillingTokens(nowMs: number): number {
    this.serve(nowMs);
    return this.shares.reduce((sum, { endsAt }) => sum + Math.max(endsAt - this.served, 0), 0);
  }

  private serve(nowMs: number): void {
    const count = this.shares.length;
    if (count > 0) this.served += ((nowMs - this.servedAtMs) * PREFILL_PER_MS) / count;
    this.servedAtMs = nowMs;
  }

  private planEnd(nowMs: number): void {
    const plan = ++this.plan;
    if (this.shares.length === 0) return;
    const tokens = Math.max(this.shares[0].endsAt - this.served, 0) * this.shares.length;
    this.events.at(nowMs + tokens / PREFILL_PER_MS, (endMs) => {
      if (plan === this.plan) this.endShares(endMs);
    });
  }

  private endShares(nowMs: number): void {
    this.serve(nowMs);
    const ended: Job[] = [];
    while (this.shares.length > 0 && this.shares[0].endsAt <= this.served + TOKENS_NEAR) {
      ended.push((this.shares.shift() as Share).job);
    }
    this.planEnd(nowMs);
    for (const job of ended) this.prefilled(job, nowMs);
  }
}
