/**
 * What one request's answer looked like in time: time to first byte and first token, the latency
 * between tokens and its jitter. Constant memory and no clock of its own: every call is given the
 * time. Events that arrive together in one chunk share the gap before it, as a reader sees them.
 */
import type { Millis } from "../grid/units.ts";

export class StreamMeter {
  private readonly startMs: Millis;
  private firstContentMs: Millis = 0;
  private lastContentMs: Millis = 0;
  private gaps = 0;
  private deviationMs = 0;

  bytes = 0;
  chunks = 0;
  contentEvents = 0;
  /** Time from the start to the first byte of the answer's body. */
  firstByteMs: Millis | undefined = undefined;
  /** Time from the start to the first content. */
  ttftMs: Millis | undefined = undefined;

  /** @param startMs when the request was sent (or came: the caller decides); spans count from it */
  constructor(startMs: Millis) {
    this.startMs = startMs;
  }

  /** `count` bytes of the answer's body came. */
  onBytes(count: number, nowMs: Millis): void {
    if (this.firstByteMs === undefined) this.firstByteMs = nowMs - this.startMs;
    this.bytes += count;
    this.chunks++;
  }

  /** `events` events with content came together; 0 counts for nothing. */
  onContent(events: number, nowMs: Millis): void {
    if (events <= 0) return;
    this.contentEvents += events;
    if (this.ttftMs === undefined) {
      // What came along with the first content has no gap that anybody saw.
      this.ttftMs = nowMs - this.startMs;
      this.firstContentMs = nowMs;
      this.lastContentMs = nowMs;
      return;
    }
    const gapMs = (nowMs - this.lastContentMs) / events;
    const meanMs = this.itlMs ?? gapMs;
    this.deviationMs += Math.abs(gapMs - meanMs) * events;
    this.gaps += events;
    this.lastContentMs = nowMs;
  }

  /** Mean inter-token latency; undefined before the second token. */
  get itlMs(): Millis | undefined {
    return this.gaps === 0 ? undefined : (this.lastContentMs - this.firstContentMs) / this.gaps;
  }

  /**
   * Jitter: mean absolute deviation of the gaps, each from the mean of the gaps before it, which
   * needs no list of gaps. Undefined before the second token.
   */
  get jitterMs(): Millis | undefined {
    return this.gaps === 0 ? undefined : this.deviationMs / this.gaps;
  }
}
