/**
 * The end of a certificate, said while there is time: in the log, and as a metric. A PoP whose
 * certificate ran out keeps the links that it has, so without a word it would be found out at the
 * first cut of the network, all at once.
 */
import type { Log } from "../src/grid/effects.ts";
import type { Millis } from "../src/grid/units.ts";

const DAY_MS = 86_400_000;
const AGAIN_MS = 3_600_000;

export class Expiry {
  /** As the metric's label. */
  readonly name: string;
  private readonly file: string;
  private readonly log: Log;
  private notAfter: Millis;
  private saidMs: Millis;

  /** @param nowMs its starter has looked at it, and said what there was to say */
  constructor(name: string, file: string, notAfterMs: Millis, log: Log, nowMs = Date.now()) {
    this.name = name;
    this.file = file;
    this.log = log;
    this.notAfter = notAfterMs;
    this.saidMs = nowMs;
  }

  get notAfterMs(): Millis {
    return this.notAfter;
  }

  renewed(notAfterMs: Millis): void {
    this.notAfter = notAfterMs;
  }

  /** To be called now and then: in the last day it is said every hour, and when it is over. */
  look(nowMs = Date.now()): void {
    const { notAfter, file, saidMs } = this;
    if (notAfter - nowMs > DAY_MS) return;
    const isOver = notAfter < nowMs;
    if (nowMs - saidMs < AGAIN_MS && !(isOver && saidMs <= notAfter)) return;
    this.saidMs = nowMs;
    const at = new Date(notAfter).toISOString();
    if (isOver) this.log("error", "certificate ran out", { file, at });
    else this.log("warn", "certificate runs out", { file, at });
  }
}
