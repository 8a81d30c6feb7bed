/**
 * The order of one publisher's events, sans I/O. Sequence numbers start at 0 with the publisher's
 * process; PUB drops what a slow or absent subscriber cannot take, and a ROUTER beside it replays
 * what its buffer still has. The rules:
 *
 *   - On every connection, and when events are missing, a replay is asked for from the last event
 *     applied. That one must come again, the same bytes: else it is another process (restart).
 *   - Live events that come meanwhile wait, within a bound, and follow in order.
 *   - A number that goes back without a replay that explains it: restart.
 *   - No replay, a failed one, or one whose buffer starts too late: a loss. The host is asked
 *     whether what it knows outweighs what it missed; else everything is forgotten (reset).
 *   - A last event that was dropped shows no gap: a quiet stream is audited by a replay.
 *
 * `isWhole` says that all events since the publisher's start, or since it cleared everything, were
 * applied: what is not known to be held is then known not to be held.
 */
import type { Millis } from "../grid/units.ts";

export type ResetWhy = "gap" | "restart";

export interface FeedHost {
  /** One batch, in order. Returns whether it cleared everything. */
  apply(payload: Uint8Array): boolean;
  /** Forget what this publisher said. */
  reset(why: ResetWhy): void;
  /** So many batches are lost for good: is what is known worth keeping all the same? */
  survives(missed: number): boolean;
  /** Ask for everything from a number on; false = nobody to ask. */
  askReplay(from: number): boolean;
}

export interface FeedCounters {
  received: number;
  /** Events that were missing when a later one came. */
  missed: number;
  gaps: number;
  replays: number;
  replayed: number;
  replayFailures: number;
  /** Losses after which what was known was kept. */
  survived: number;
  resets: number;
}

export interface FeedLimits {
  /** Most batches that wait for a replay, and their bytes. */
  waiting: number;
  waitingBytes: number;
  /** Longest silence within a replay, ms. */
  replayMs: Millis;
  /** A stream that was quiet for so long after events is audited once, ms. */
  auditMs: Millis;
}

export const FEED_LIMITS: FeedLimits = {
  waiting: 10_000,
  waitingBytes: 32 * 1024 * 1024,
  replayMs: 2_000,
  auditMs: 1_500,
};

interface Waiting {
  sequence: number;
  payload: Uint8Array;
}

interface Replay {
  /** Undefined: everything is wanted. */
  lastApplied: number | undefined;
  /** What was expected when it began: a replay that moves nothing on is no help. */
  next: number | undefined;
  heardMs: Millis;
  first: number | undefined;
}

export class KvFeed {
  readonly counters: FeedCounters = {
    received: 0,
    missed: 0,
    gaps: 0,
    replays: 0,
    replayed: 0,
    replayFailures: 0,
    survived: 0,
    resets: 0,
  };
  isWhole = false;
  isConnected = false;
  lastEventMs: Millis | undefined = undefined;
  private readonly host: FeedHost;
  private readonly limits: FeedLimits;
  /** Number expected next; undefined before the first event. */
  private next: number | undefined;
  private lastPrint = 0;
  private replay: Replay | undefined;
  private waiting: Waiting[] = [];
  private waitingBytes = 0;
  /** Highest number that a replay delivered on this connection. */
  private replayedTo = -1;
  /** Number of the last live event on this connection. */
  private liveLast = -1;
  private audited = true;

  constructor(host: FeedHost, limits: FeedLimits = FEED_LIMITS) {
    this.host = host;
    this.limits = limits;
  }

  /** Waits for a replay: the order is not known to be whole now. */
  get isSyncing(): boolean {
    return this.replay !== undefined;
  }

  /** Subscribed: what was missed in between is asked for. */
  connected(nowMs: Millis): void {
    this.isConnected = true;
    this.liveLast = -1;
    this.replayedTo = -1;
    this.startReplay(nowMs);
  }

  disconnected(): void {
    this.isConnected = false;
    this.endReplay();
  }

  /** A published message: topic, number, payload. */
  live(frames: readonly Uint8Array[], nowMs: Millis): void {
    const sequence = frames.length < 3 ? undefined : sequenceOf(frames[frames.length - 2]);
    const payload = frames[frames.length - 1];
    if (sequence === undefined || sequence < 0) return;
    this.counters.received++;
    this.lastEventMs = nowMs;
    this.audited = false;
    const wentBack = sequence <= this.liveLast;
    this.liveLast = sequence;
    if (wentBack) this.restarted(nowMs);
    if (this.replay !== undefined) this.wait(sequence, payload, nowMs);
    else this.take(sequence, payload, nowMs);
  }

  /** One message of a replay; the last two frames are number and payload. */
  replayedMessage(frames: readonly Uint8Array[], nowMs: Millis): void {
    const { replay } = this;
    if (replay === undefined || frames.length < 2) return;
    const sequence = sequenceOf(frames[frames.length - 2]);
    const payload = frames[frames.length - 1];
    if (sequence === undefined) return this.replayFailed(nowMs);
    replay.heardMs = nowMs;
    if (sequence < 0) return this.replayEnds(replay, nowMs);
    if (replay.first === undefined) {
      replay.first = sequence;
      if (!this.continues(replay, sequence, payload, nowMs)) return;
    }
    if (sequence < (this.next ?? 0)) return;
    if (this.next !== undefined && sequence > this.next) this.hole(sequence);
    this.counters.replayed++;
    this.replayedTo = sequence;
    this.applyOne(sequence, payload);
  }

  /** Nobody answers, or not to the end. */
  replayFailed(nowMs: Millis): void {
    if (this.replay === undefined) return;
    this.counters.replayFailures++;
    this.endReplay();
    this.drain(nowMs, true);
  }

  tick(nowMs: Millis): void {
    if (this.replay !== undefined) {
      if (nowMs - this.replay.heardMs >= this.limits.replayMs) this.replayFailed(nowMs);
      return;
    }
    const quiet = this.lastEventMs !== undefined && nowMs - this.lastEventMs >= this.limits.auditMs;
    if (!this.isConnected || this.audited || !quiet) return;
    this.startReplay(nowMs);
  }

  private startReplay(nowMs: Millis): void {
    this.audited = true;
    const { next } = this;
    const lastApplied = next === undefined || next === 0 ? undefined : next - 1;
    if (!this.host.askReplay(lastApplied ?? 0)) return;
    this.counters.replays++;
    this.replay = { lastApplied, next, heardMs: nowMs, first: undefined };
  }

  private endReplay(): void {
    this.replay = undefined;
  }

  /** The first replayed event must be the last one applied, the same bytes. False: it was not. */
  private continues(replay: Replay, sequence: number, payload: Uint8Array, nowMs: Millis): boolean {
    const { lastApplied } = replay;
    if (lastApplied === undefined) {
      if (sequence === 0) this.isWhole = true;
      return true;
    }
    if (sequence > lastApplied) {
      // The buffer starts too late, or it is another process that is far ahead: the same loss.
      this.lose(sequence);
      return true;
    }
    if (sequence === lastApplied && print(payload) === this.lastPrint) return true;
    this.restarted(nowMs);
    return false;
  }

  private replayEnds(replay: Replay, nowMs: Millis): void {
    this.endReplay();
    if (replay.lastApplied === undefined && replay.first === undefined) this.startsFresh();
    // Not even the last event that we applied: that process is gone.
    if (replay.lastApplied !== undefined && replay.first === undefined) this.restarted(nowMs);
    else this.drain(nowMs, this.next === replay.next);
  }

  /** A replay of everything that brings nothing: nothing was published yet. */
  private startsFresh(): void {
    this.next = 0;
    this.isWhole = true;
  }

  /** Another process publishes: from nothing, by replay where there is one. */
  private restarted(nowMs: Millis): void {
    this.endReplay();
    this.forget("restart");
    this.startReplay(nowMs);
  }

  private forget(why: ResetWhy): void {
    this.counters.resets++;
    this.next = undefined;
    this.isWhole = false;
    this.replayedTo = -1;
    this.host.reset(why);
  }

  private wait(sequence: number, payload: Uint8Array, nowMs: Millis): void {
    this.waiting.push({ sequence, payload });
    this.waitingBytes += payload.length;
    const { waiting, waitingBytes } = this.limits;
    if (this.waiting.length > waiting || this.waitingBytes > waitingBytes) this.replayFailed(nowMs);
  }

  /** What waited for the replay, in order; without one its gaps are losses. */
  private drain(nowMs: Millis, noReplay: boolean): void {
    const { waiting } = this;
    this.waiting = [];
    this.waitingBytes = 0;
    for (const { sequence, payload } of waiting) {
      if (this.replay !== undefined) this.wait(sequence, payload, nowMs);
      else if (this.next !== undefined && sequence > this.next)
        this.missing(sequence, payload, nowMs, noReplay);
      else this.take(sequence, payload, nowMs);
    }
  }

  private take(sequence: number, payload: Uint8Array, nowMs: Millis): void {
    const { next } = this;
    if (next === undefined) {
      if (sequence === 0) this.isWhole = true;
      this.applyOne(sequence, payload);
    } else if (sequence === next) this.applyOne(sequence, payload);
    else if (sequence > next) this.missing(sequence, payload, nowMs, false);
    // What a replay brought already comes once more when it was on the way.
    else if (sequence > this.replayedTo) this.startsAnew(sequence, payload, nowMs);
  }

  /** A number below what was applied: another process. */
  private startsAnew(sequence: number, payload: Uint8Array, nowMs: Millis): void {
    this.restarted(nowMs);
    if (this.replay !== undefined) this.wait(sequence, payload, nowMs);
    else this.take(sequence, payload, nowMs);
  }

  private missing(sequence: number, payload: Uint8Array, nowMs: Millis, noReplay: boolean): void {
    this.counters.gaps++;
    this.counters.missed += sequence - (this.next as number);
    if (!noReplay) this.startReplay(nowMs);
    if (this.replay !== undefined) return this.wait(sequence, payload, nowMs);
    this.lose(sequence);
    this.applyOne(sequence, payload);
  }

  /** A hole within a replay: the publisher itself has lost them. */
  private hole(sequence: number): void {
    this.counters.gaps++;
    this.counters.missed += sequence - (this.next as number);
    this.lose(sequence);
  }

  /** What came before a number is lost for good. */
  private lose(sequence: number): void {
    this.isWhole = false;
    if (!this.host.survives(sequence - (this.next ?? 0))) return this.forget("gap");
    this.counters.survived++;
    this.next = sequence;
  }

  private applyOne(sequence: number, payload: Uint8Array): void {
    this.next = sequence + 1;
    this.lastPrint = print(payload);
    if (this.host.apply(payload)) this.isWhole = true;
  }
}

/** Eight bytes, big-endian, signed; undefined when it is something else. */
function sequenceOf(bytes: Uint8Array): number | undefined {
  if (bytes.length !== 8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return view.getInt32(0) * 0x1_0000_0000 + view.getUint32(4);
}

/** Tells two payloads apart; each carries the time of its making. FNV-1a. */
function print(payload: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of payload) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
