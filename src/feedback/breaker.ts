/**
 * Circuit breaker of one endpoint. It opens after failures in a row, or when too large a share of
 * a window failed; the mark expires, by itself, after a time that doubles while probes go on
 * failing; then one request at a time is let through as a probe, and one success closes it. Every
 * mark expires, the probe's too, so an endpoint is never lost for good. Pure: time is an argument.
 */
import type { Millis } from "../grid/units.ts";

export interface BreakerOptions {
  /** Failures in a row that open it. */
  consecutiveFailures: number;
  /** Share of failures in the window that opens it, above 0 to 1. */
  failureRatio: number;
  /** Results in the window below which the share says nothing. */
  samplesMin: number;
  windowMs: Millis;
  /** How long it stays open at first, and at most. */
  openMs: Millis;
  openMsMax: Millis;
  /** A probe that has no result after this long is given up, and another may go. */
  probeMs: Millis;
}

export const BREAKER_OPTIONS: BreakerOptions = {
  consecutiveFailures: 3,
  failureRatio: 0.5,
  samplesMin: 20,
  windowMs: 10_000,
  openMs: 1_000,
  openMsMax: 30_000,
  probeMs: 30_000,
};

export type BreakerState = "closed" | "open" | "half-open";

/** The window is cut in this many slots, which expire one by one. */
const SLOTS = 10;

export class Breaker {
  private readonly options: BreakerOptions;
  private readonly good = new Uint32Array(SLOTS);
  private readonly bad = new Uint32Array(SLOTS);
  /** Number of the newest slot: time divided by the length of a slot. */
  private slot = 0;
  private inARow = 0;
  private opened = false;
  private openUntilMs: Millis = 0;
  private openForMs: Millis = 0;
  private probing = false;
  private probeUntilMs: Millis = 0;

  constructor(options: Partial<BreakerOptions> = {}) {
    this.options = { ...BREAKER_OPTIONS, ...options };
  }

  state(nowMs: Millis): BreakerState {
    if (!this.opened) return "closed";
    return nowMs < this.openUntilMs ? "open" : "half-open";
  }

  /** May a request be chosen for it now? Asking changes nothing. */
  allows(nowMs: Millis): boolean {
    const state = this.state(nowMs);
    return state === "closed" || (state === "half-open" && !this.probeRuns(nowMs));
  }

  /** A request was sent. In the half-open state it is the probe. */
  started(nowMs: Millis): void {
    if (this.state(nowMs) !== "half-open") return;
    this.probing = true;
    this.probeUntilMs = nowMs + this.options.probeMs;
  }

  /** It served a request. While open this is an older one, and says nothing of now. */
  succeeded(nowMs: Millis): void {
    const state = this.state(nowMs);
    if (state === "open") return;
    if (state === "half-open") return this.close();
    this.inARow = 0;
    this.turn(nowMs);
    this.good[this.slot % SLOTS]++;
  }

  /** It failed a request by its own fault. */
  failed(nowMs: Millis): void {
    const state = this.state(nowMs);
    if (state === "open") return;
    if (state === "half-open") {
      this.open(nowMs, Math.min(this.openForMs * 2, this.options.openMsMax));
      return;
    }
    this.inARow++;
    this.turn(nowMs);
    this.bad[this.slot % SLOTS]++;
    const row = this.inARow >= this.options.consecutiveFailures;
    if (row || this.shareFailed()) this.open(nowMs, this.options.openMs);
  }

  /** A request ended without saying anything of the endpoint: the caller left. */
  abandoned(): void {
    this.probing = false;
  }

  /** When the state changes by itself next; undefined when it does not. */
  nextChangeMs(nowMs: Millis): Millis | undefined {
    const state = this.state(nowMs);
    if (state === "open") return this.openUntilMs;
    return state === "half-open" && this.probeRuns(nowMs) ? this.probeUntilMs : undefined;
  }

  private probeRuns(nowMs: Millis): boolean {
    return this.probing && nowMs < this.probeUntilMs;
  }

  private open(nowMs: Millis, forMs: Millis): void {
    this.opened = true;
    this.probing = false;
    this.openForMs = forMs;
    this.openUntilMs = nowMs + forMs;
  }

  private close(): void {
    this.opened = false;
    this.probing = false;
    this.inARow = 0;
    this.good.fill(0);
    this.bad.fill(0);
  }

  private shareFailed(): boolean {
    let good = 0;
    let bad = 0;
    for (let i = 0; i < SLOTS; i++) {
      good += this.good[i];
      bad += this.bad[i];
    }
    const all = good + bad;
    return all >= this.options.samplesMin && bad / all >= this.options.failureRatio;
  }

  /** Empties the slots that have left the window. */
  private turn(nowMs: Millis): void {
    const slot = Math.floor((nowMs * SLOTS) / this.options.windowMs);
    if (slot - this.slot >= SLOTS) {
      this.good.fill(0);
      this.bad.fill(0);
      this.slot = slot;
    }
    while (this.slot < slot) {
      this.slot++;
      this.good[this.slot % SLOTS] = 0;
      this.bad[this.slot % SLOTS] = 0;
    }
  }
}
