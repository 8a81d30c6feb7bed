/**
 * What a request teaches: load counted at choice time, the prefix credited when sent and taken
 * back when it failed, the rates learned from what was seen, the session pinned. Everything is
 * written into the columns and tables of `state/`; nothing is kept here but the constants.
 */
import type { GridError } from "../grid/errors.ts";
import type { Decision } from "../grid/decision.ts";
import type { Millis, Row, Tokens } from "../grid/units.ts";
import type { EndpointRecord, EndpointTable } from "../state/endpoint-table.ts";
import type { Task } from "../task/task.ts";

/** The part of the kernel that feedback writes to. */
export interface PrefixKnowledge {
  learn(chain: Uint32Array, row: Row, nowMs: Millis): void;
  forget(chain: Uint32Array, row: Row, fromChunk: number): void;
}

/** The part of the session table that feedback writes to. */
export interface SessionPins {
  pin(tenant: string, session: string, endpointId: string): void;
}

/** One request at one endpoint, from choice to end. */
export interface Flight {
  readonly task: Task;
  readonly row: Row;
  readonly endpointId: string;
  readonly choice: string;
  readonly predictedTtftMs: Millis;
  readonly matchedTokens: Tokens;
  readonly uncachedTokens: Tokens;
  /** What of them counts as load of the row: its part, where it stands for several endpoints. */
  readonly loadTokens: Tokens;
  readonly sentMs: Millis;
  /** Eligible endpoints elsewhere at the time of the choice. */
  others: number;
  /** Of a hand-over: from which time to first token on it had better gone elsewhere. */
  elsewhereTtftMs: Millis | undefined;
  /** Still counted in `ownTokens`: no first token yet. */
  prefilling: boolean;
  open: boolean;
  /** Of a plain answer: what ends its assumed prefill, kept here by who set it. */
  assumption: object | undefined;
}

export interface Usage {
  promptTokens: number;
  completionTokens: number;
  cachedTokens?: number | undefined;
}

/** Weight of a new sample in the learned means: half of the memory is about 7 samples. */
const LEARN = 0.1;
/** A rate sample beyond this factor of the mean moves it only as far as the factor. */
const OUTLIER = 4;
/** Predicted and observed hits that differ by more than this share of the prompt. */
const BELIEF_GAP = 0.05;
/** What is believed and gone costs a wrong choice, what is held and not believed only a chance. */
const SCALE_DOWN = 0.02;
const SCALE_UP = 0.005;
const SCALE_MIN = 0.25;
const SCALE_MAX = 1.5;
/** Shorter busy periods say more about fixed costs than about the rate. */
const RATE_TOKENS_MIN = 256;
/** After so many samples an endpoint is known by itself. */
const RATE_SAMPLES_OWN = 20;
/** A long busy period is closed into a sample after this many tokens. */
const RATE_TOKENS_MAX = 16_384;

export class Feedback {
  private readonly table: EndpointTable;
  private readonly prefix: PrefixKnowledge;
  private readonly sessions: SessionPins;

  constructor(table: EndpointTable, prefix: PrefixKnowledge, sessions: SessionPins) {
    this.table = table;
    this.prefix = prefix;
    this.sessions = sessions;
  }

  /** At choice time, before anything is sent: the next decision must see the load. */
  started(task: Task, decision: Decision, nowMs: Millis): Flight {
    const { columns, records } = this.table;
    const { row, uncachedTokens } = decision;
    const record = records[row] as NonNullable<(typeof records)[number]>;
    const loadTokens = uncachedTokens / record.replicas;
    if (columns.ownTokens[row] === 0) {
      // The engine begins half a round trip later, and half a round trip later we see it.
      this.beginBusy(record, nowMs + (columns.rttMs[row] as number));
    }
    columns.inFlight[row] = (columns.inFlight[row] as number) + 1;
    columns.ownTokens[row] = (columns.ownTokens[row] as number) + loadTokens;
    columns.sentTokens[row] = (columns.sentTokens[row] as number) + loadTokens;
    record.requests++;
    record.prefills++;
    this.prefix.learn(task.chain, row, nowMs);
    if (task.session !== undefined) {
      this.sessions.pin(task.tenant, task.session, record.spec.id);
    }
    return {
      task,
      row,
      endpointId: record.spec.id,
      choice: decision.choice,
      predictedTtftMs: decision.ttftMs,
      matchedTokens: decision.matchedTokens,
      uncachedTokens,
      loadTokens,
      sentMs: nowMs,
      others: 0,
      elsewhereTtftMs: undefined,
      prefilling: true,
      open: true,
      assumption: undefined,
    };
  }

  /** Its prefill is through: the load is gone, and the rate can be learned. */
  firstContent(flight: Flight, nowMs: Millis): void {
    if (!flight.task.stream) return this.assumePrefilled(flight);
    if (!flight.prefilling) return;
    this.endPrefill(flight);
    const record = this.table.records[flight.row];
    if (record === undefined) return;
    // Another PoP measures the rates of its own engines, and tells them with its load.
    if (record.pop === undefined) this.learnRate(record, nowMs);
    const error = nowMs - flight.sentMs - flight.predictedTtftMs;
    record.ttftErrorMs += LEARN * (error - record.ttftErrorMs);
  }

  /**
   * A plain answer does not show its first token: its prefill counts as through when the
   * predicted time has passed. Nothing is learned from it.
   */
  assumePrefilled(flight: Flight): void {
    if (!flight.prefilling) return;
    this.endPrefill(flight);
    this.markMixed(flight.row);
  }

  /** Ended well, or broke late: what the engine said of its cache corrects the estimate. */
  ended(flight: Flight, usage: Usage | undefined, itlMs: Millis | undefined): void {
    this.close(flight);
    const record = this.table.records[flight.row];
    if (record === undefined) return;
    if (itlMs !== undefined) record.itlMs = mean(record.itlMs, itlMs);
    const cached = usage?.cachedTokens;
    if (usage === undefined || cached === undefined) return;
    const believed = (flight.matchedTokens - cached) / Math.max(usage.promptTokens, 1);
    // Believed but gone: its cache serves prefixes with less than its size, or with more.
    const step = believed > BELIEF_GAP ? -SCALE_DOWN : believed < -BELIEF_GAP ? SCALE_UP : 0;
    record.mirrorScale = clamp(record.mirrorScale * (1 + step), SCALE_MIN, SCALE_MAX);
    if (flight.matchedTokens <= 0) return;
    const trust = this.table.columns.trust;
    const truth = Math.min(cached / flight.matchedTokens, 1);
    trust[flight.row] = (trust[flight.row] as number) * (1 - LEARN) + truth * LEARN;
  }

  /** Failed before content, or refused: the credit for its prefix is taken back. */
  failed(flight: Flight, { source }: Pick<GridError, "source"> = { source: "endpoint" }): void {
    this.close(flight);
    const record = this.table.records[flight.row];
    if (record === undefined) return;
    if (source !== "client") record.failures++;
    const chunks = flight.task.chain.length / 2;
    const known = Math.round(chunks * share(flight.matchedTokens, flight.task.promptTokens));
    if (known < chunks) this.prefix.forget(flight.task.chain, flight.row, known);
  }

  /** Frees the place; the table may free the row of an endpoint that was removed. */
  private close(flight: Flight): void {
    if (!flight.open) return;
    flight.open = false;
    // Given up before its first token: nobody knows how much of it was done.
    if (flight.prefilling) this.markMixed(flight.row);
    this.endPrefill(flight);
    const { inFlight } = this.table.columns;
    inFlight[flight.row] = Math.max((inFlight[flight.row] as number) - 1, 0);
    this.table.settle(flight.row);
  }

  private endPrefill(flight: Flight): void {
    if (!flight.prefilling) return;
    flight.prefilling = false;
    const { ownTokens, busyTokens } = this.table.columns;
    const { row, loadTokens } = flight;
    const left = (ownTokens[row] as number) - loadTokens;
    ownTokens[row] = left > 1e-6 ? left : 0;
    busyTokens[row] = (busyTokens[row] as number) + loadTokens;
    const record = this.table.records[row];
    if (record !== undefined) record.prefills--;
  }

  private markMixed(row: Row): void {
    const record = this.table.records[row];
    if (record !== undefined) record.busyMixed = true;
  }

  private beginBusy(record: EndpointRecord, sinceMs: Millis): void {
    const { busySinceMs, busyTokens } = this.table.columns;
    busySinceMs[record.row] = sinceMs;
    busyTokens[record.row] = 0;
    record.busyMixed = false;
  }

  /**
   * Prefill rate over a busy period: tokens that came through, by the time since the first of
   * them was sent. Right for one request alone and for several prefilled together.
   */
  private learnRate(record: EndpointRecord, nowMs: Millis): void {
    const { columns } = this.table;
    const { row } = record;
    const tokens = columns.busyTokens[row] as number;
    const idle = columns.ownTokens[row] === 0;
    if (!idle && tokens < RATE_TOKENS_MAX) return;
    if (tokens >= RATE_TOKENS_MIN && !record.busyMixed) {
      const elapsedMs = Math.max(nowMs - (columns.busySinceMs[row] as number), 0.1);
      const rate = columns.prefillRate[row] as number;
      const sample = clamp(tokens / elapsedMs, rate / OUTLIER, rate * OUTLIER);
      columns.prefillRate[row] = mean(rate, sample);
      if (record.rateSamples++ < RATE_SAMPLES_OWN) this.teachAlike(record);
    }
    this.beginBusy(record, nowMs);
  }

  /**
   * Endpoints of which little is known are taken to be as fast as each other, where they are
   * declared alike. If each learned by itself from a wrong start, the first that was used would
   * look best and be used again: a few engines would get all the work while the rest stayed idle.
   */
  private teachAlike({ row, spec, models }: EndpointRecord): void {
    const { prefillRate } = this.table.columns;
    for (const other of this.table.own()) {
      if (other.row === row || other.rateSamples >= RATE_SAMPLES_OWN) continue;
      const isAlike =
        other.spec.engine === spec.engine &&
        other.spec.prefillTokensPerS === spec.prefillTokensPerS &&
        other.models.join() === models.join();
      if (isAlike) prefillRate[other.row] = prefillRate[row] as number;
    }
  }
}

function mean(old: number, sample: number): number {
  return old + LEARN * (sample - old);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(part / whole, 1) : 0;
}
