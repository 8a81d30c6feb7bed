/**
 * The poller of one endpoint: health with hysteresis, load between. One round at a time, the next
 * timed from the end of the last, with jitter so that many pollers do not beat together. A load
 * read that fails costs knowledge, never dispatch: only health takes an endpoint out, after
 * several failures, and back in, after a full probe (it may be another process by then).
 */
import type { Clock, Rng } from "../grid/effects.ts";
import type { Millis } from "../grid/units.ts";
import type { Timers } from "./timers.ts";
import type { LoadSample, Probe, WatchListener, Worker } from "./worker.ts";

export interface WatchOptions {
  /** Pause between rounds, ms. 250: see routing.md on herding; shorter costs the engines. */
  pollMs: Millis;
  /** Share of the pause that is random, 0..1. */
  jitter: number;
  /** Longest wait for one read of the worker, ms. */
  timeoutMs: Millis;
  /** Failed health checks in a row that take the endpoint out. */
  failuresToDown: number;
  /** Good ones in a row that bring it back. */
  successesToUp: number;
  /** A full probe at least this often, ms. */
  reprobeMs: Millis;
}

export interface Watch {
  stop(): void;
  /** The request path saw a failure there: check health now. */
  nudge(): void;
}

/** While the load can be read the endpoint lives, so health is asked only every so many rounds. */
const HEALTH_EVERY = 4;
/** Longest pause while an endpoint is down, ms: a recovered one is seen this soon. */
const DOWN_PAUSE_MAX_MS = 2_000;
/** A full probe is several reads one after another; it gets as many time-outs. */
const PROBE_READS = 6;

class EndpointWatch implements Watch {
  private readonly worker: Worker;
  private readonly options: WatchOptions;
  private readonly listener: WatchListener;
  private readonly clock: Clock;
  private readonly rng: Rng;
  private readonly timers: Timers;
  private timer: unknown;
  private running = false;
  private stopped = false;
  private nudged = false;
  private up: boolean | undefined;
  private failures = 0;
  private successes = 0;
  private rounds = 0;
  private probedAtMs = Number.NEGATIVE_INFINITY;
  private reported = "";

  constructor(
    worker: Worker,
    options: WatchOptions,
    listener: WatchListener,
    clock: Clock,
    rng: Rng,
    timers: Timers,
  ) {
    this.worker = worker;
    this.options = options;
    this.listener = listener;
    this.clock = clock;
    this.rng = rng;
    this.timers = timers;
  }

  start(): void {
    void this.round();
  }

  stop(): void {
    this.stopped = true;
    this.timers.clearTimeout(this.timer);
  }

  nudge(): void {
    if (this.stopped) return;
    this.nudged = true;
    if (this.running) return;
    this.timers.clearTimeout(this.timer);
    void this.round();
  }

  private async round(): Promise<void> {
    this.running = true;
    const nudged = this.nudged;
    this.nudged = false;
    this.rounds++;
    if (this.up === true) await this.roundUp(nudged);
    else await this.roundDown();
    this.running = false;
    if (!this.stopped) this.schedule();
  }

  /** In service: read the load; ask for health when that fails, now and then, or when nudged. */
  private async roundUp(nudged: boolean): Promise<void> {
    const load = nudged ? "silent" : await this.readLoad();
    if (this.stopped) return;
    const due = this.clock() - this.probedAtMs >= this.options.reprobeMs;
    if (load === "restarted" || (due && !nudged)) {
      await this.fullProbe(load === "restarted");
      return;
    }
    const check = load === "silent" || this.failures > 0 || this.rounds % HEALTH_EVERY === 0;
    if (check) this.judge(await this.guarded(this.worker.phase(), this.options.timeoutMs));
  }

  /** Out of service, or not known yet: cheap checks until enough are good, then a full probe. */
  private async roundDown(): Promise<void> {
    const first = this.up === undefined && this.failures === 0;
    if (!first) {
      const probe = await this.guarded(this.worker.phase(), this.options.timeoutMs);
      if (this.stopped) return;
      if (probe.phase !== "ready") {
        this.judge(probe);
        return;
      }
      if (++this.successes < this.options.successesToUp) return;
    }
    await this.fullProbe(false);
    if (!this.stopped && this.up === true) await this.readLoad();
  }

  private async fullProbe(restarted: boolean): Promise<void> {
    const probe = await this.guarded(this.worker.probe(), this.options.timeoutMs * PROBE_READS);
    if (this.stopped) return;
    this.probedAtMs = this.clock();
    if (probe.phase !== "ready") {
      this.judge(probe);
      return;
    }
    this.failures = 0;
    this.successes = 0;
    this.up = true;
    this.reported = "ready";
    this.listener.onPhase(restarted ? { ...probe, restarted: true } : probe);
  }

  /** Hysteresis: what an engine says itself (sleeping, draining, loading) counts at once. */
  private judge(probe: Probe): void {
    if (this.stopped) return;
    if (probe.phase === "ready") {
      this.failures = 0;
      return;
    }
    this.successes = 0;
    this.failures++;
    const certain = probe.phase !== "down" && probe.phase !== "unknown";
    if (this.up === true && !certain && this.failures < this.options.failuresToDown) return;
    this.up = false;
    const report = `${probe.phase} ${probe.detail}`;
    if (report === this.reported) return;
    this.reported = report;
    this.listener.onPhase(probe);
  }

  private async readLoad(): Promise<"read" | "silent" | "restarted"> {
    let sample: LoadSample;
    try {
      sample = await this.bounded(this.worker.load(), this.options.timeoutMs);
    } catch (error) {
      if (!this.stopped) this.listener.onLoadError((error as Error).message);
      return "silent";
    }
    if (this.stopped) return "read";
    this.listener.onLoad(sample);
    if (sample.restarted === true) return "restarted";
    return sample.source === "none" ? "silent" : "read";
  }

  /** A worker never throws here, but one that never answers is down all the same. */
  private async guarded(reading: Promise<Probe>, timeoutMs: Millis): Promise<Probe> {
    try {
      return await this.bounded(reading, timeoutMs);
    } catch (error) {
      return { phase: "down", detail: (error as Error).message };
    }
  }

  private bounded<T>(reading: Promise<T>, timeoutMs: Millis): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`no answer within ${timeoutMs} ms`));
      const timer = this.timers.setTimeout(late, timeoutMs);
      reading.then(resolve, reject).finally(() => this.timers.clearTimeout(timer));
    });
  }

  private schedule(): void {
    if (this.nudged) {
      void this.round();
      return;
    }
    const { pollMs, jitter } = this.options;
    const random = 1 + jitter * (this.rng() / 0x1_0000_0000 - 0.5);
    this.timer = this.timers.setTimeout(() => void this.round(), this.pauseMs(pollMs) * random);
  }

  private pauseMs(pollMs: Millis): Millis {
    if (this.up === true || this.successes > 0) return pollMs;
    const doublings = Math.min(Math.max(this.failures - this.options.failuresToDown, 0), 8);
    return Math.max(pollMs, Math.min(pollMs * 2 ** doublings, DOWN_PAUSE_MAX_MS));
  }
}

/**
 * Watches one endpoint until stopped. The first thing it does is a full probe, whose result is
 * reported whatever it is; then `onPhase` comes on every change and every full probe.
 */
export function watchEndpoint(
  worker: Worker,
  options: WatchOptions,
  listener: WatchListener,
  clock: Clock,
  rng: Rng,
  timers: Timers,
): Watch {
  const watch = new EndpointWatch(worker, options, listener, clock, rng, timers);
  watch.start();
  return watch;
}
