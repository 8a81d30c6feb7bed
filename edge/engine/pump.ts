/**
 * Lets the step model run in real time with one timer for all requests. Steps end at their exact
 * virtual times: a timer that fires late collects every step that ended meanwhile, so the mean pace
 * is right even for steps shorter than the timer's grain.
 */
import type { EngineModel, Sequence } from "../../src/sim/engine.ts";

/** Beyond this lag the pump gives up catching up: the machine is too slow for the profile. */
const LAG_LIMIT_MS = 250;
/** Timers are not finer than this; a step ending that soon is collected now. */
const GRAIN_MS = 0.25;
/** Steps per turn of the event loop, so that sockets are served between. */
const STEPS_PER_TURN = 64;

export interface PumpListener<Owner> {
  onAdmit(sequence: Sequence<Owner>, nowMs: number): void;
  onToken(sequence: Sequence<Owner>, nowMs: number): void;
  /** After each step. */
  onStep(nowMs: number): void;
}

export class Pump<Owner> {
  private readonly model: EngineModel<Owner>;
  private readonly speed: number;
  private readonly listener: PumpListener<Owner>;
  private isStepping = false;
  private endMs = 0;
  private timer: NodeJS.Timeout | undefined;
  private immediate: NodeJS.Immediate | undefined;

  /** `speed` divides every step time. */
  constructor(model: EngineModel<Owner>, speed: number, listener: PumpListener<Owner>) {
    this.model = model;
    this.speed = speed;
    this.listener = listener;
  }

  /** There may be work: starts the next step unless one is under way. */
  kick(): void {
    if (this.isStepping) return;
    this.isStepping = true;
    this.immediate = setImmediate(() => {
      const nowMs = performance.now();
      if (this.plan(nowMs, nowMs)) this.schedule(nowMs);
    });
  }

  stop(): void {
    clearTimeout(this.timer);
    clearImmediate(this.immediate);
    this.isStepping = false;
  }

  private plan(startMs: number, nowMs: number): boolean {
    const stepMs = this.model.begin((sequence) => this.listener.onAdmit(sequence, nowMs));
    this.isStepping = stepMs >= 0;
    this.endMs = startMs + stepMs / this.speed;
    return this.isStepping;
  }

  private schedule(nowMs: number): void {
    const delayMs = this.endMs - nowMs;
    if (delayMs <= GRAIN_MS) this.immediate = setImmediate(this.run);
    else this.timer = setTimeout(this.run, delayMs);
  }

  private readonly run = (): void => {
    const nowMs = performance.now();
    for (let step = 0; step < STEPS_PER_TURN; step++) {
      if (this.endMs - nowMs > GRAIN_MS) break;
      this.model.commit((sequence) => this.listener.onToken(sequence, nowMs));
      this.listener.onStep(nowMs);
      const isLate = nowMs - this.endMs > LAG_LIMIT_MS;
      if (!this.plan(isLate ? nowMs : this.endMs, nowMs)) return;
    }
    this.schedule(nowMs);
  };
}
