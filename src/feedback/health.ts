/**
 * May an endpoint be used? Three opinions in one column: the watcher's phase, the breaker of the
 * request path, and the mark of an engine that said it was busy. Breaker and busy mark expire by
 * themselves; the phase is the watcher's alone.
 */
import type { ErrorCode, GridError } from "../grid/errors.ts";
import type { Rest } from "../grid/endpoint.ts";
import type { Millis, Row } from "../grid/units.ts";
import type { EndpointTable } from "../state/endpoint-table.ts";
import { Breaker } from "./breaker.ts";

/** A busy endpoint is left alone for what its Retry-After says, within these bounds. */
const BUSY_MS_DEFAULT = 500;
const BUSY_MS_MAX = 5_000;
/** A vendor's window is a minute; what it says of later is looked at again then. */
const LIMITED_MS_MAX = 60_000;
/** Ends of an attempt that say nothing against the endpoint. */
const NOT_ITS_FAULT: readonly ErrorCode[] = [
  "client_gone",
  "total_timeout",
  "endpoint_busy",
  "peer_refused",
  "invalid_result",
];

/** What is made of an error. */
type Failure = Pick<GridError, "code" | "status" | "retryAfterS">;

interface Mark {
  breaker: Breaker;
  busyUntilMs: Millis;
  /** What the endpoint said itself, however long it is. */
  saidUntilMs: Millis;
  limited: boolean;
}

export class HealthMarks {
  private readonly table: EndpointTable;
  private readonly marks = new Map<Row, Mark>();

  constructor(table: EndpointTable) {
    this.table = table;
  }

  /** The phase changed, or time passed: writes the column. True when the row came up by it. */
  refresh(row: Row, nowMs: Millis): boolean {
    const record = this.table.records[row];
    const mark = this.marks.get(row);
    const marked = mark !== undefined && !(mark.breaker.allows(nowMs) && mark.busyUntilMs <= nowMs);
    const down = record?.phase === "ready" && !marked ? 0 : 1;
    const rose = down === 0 && this.table.columns.down[row] === 1;
    this.table.columns.down[row] = down;
    return rose;
  }

  started(row: Row, nowMs: Millis): void {
    const mark = this.marks.get(row);
    if (mark === undefined) return;
    mark.breaker.started(nowMs);
    this.refresh(row, nowMs);
  }

  succeeded(row: Row, nowMs: Millis): void {
    const mark = this.marks.get(row);
    if (mark === undefined) return;
    mark.breaker.succeeded(nowMs);
    this.refresh(row, nowMs);
  }

  failed(row: Row, { code, status, retryAfterS }: Failure, nowMs: Millis): void {
    const mark = this.mark(row);
    if (code === "endpoint_busy") {
      const waitMs = retryAfterS === undefined ? BUSY_MS_DEFAULT : retryAfterS * 1000;
      rests(mark, nowMs + Math.min(waitMs, BUSY_MS_MAX), nowMs + waitMs, status === 429);
    }
    if (NOT_ITS_FAULT.includes(code)) mark.breaker.abandoned();
    else mark.breaker.failed(nowMs);
    this.refresh(row, nowMs);
  }

  /** The endpoint's rate limit is spent: it gets nothing until the limit is said to be lifted. */
  limited(row: Row, forMs: Millis, nowMs: Millis): void {
    rests(this.mark(row), nowMs + Math.min(forMs, LIMITED_MS_MAX), nowMs + forMs, true);
    this.refresh(row, nowMs);
  }

  /** The rest of those rows that is over first; undefined: none of them rests. */
  restOf(rows: Iterable<Row>, nowMs: Millis): Rest | undefined {
    let first: Rest | undefined;
    for (const row of rows) {
      const mark = this.marks.get(row);
      if (mark === undefined || mark.busyUntilMs <= nowMs) continue;
      const rest = { limited: mark.limited, leftMs: mark.saidUntilMs - nowMs };
      if (first === undefined || rest.leftMs < first.leftMs) first = rest;
    }
    return first;
  }

  /** The client left: the endpoint showed neither good nor bad. */
  abandoned(row: Row, nowMs: Millis): void {
    const mark = this.marks.get(row);
    if (mark === undefined) return;
    mark.breaker.abandoned();
    this.refresh(row, nowMs);
  }

  /** A new endpoint took the row, or it restarted: old marks are not about it. */
  forget(row: Row): void {
    this.marks.delete(row);
  }

  /** Marks expire with time. Returns the rows that came up. */
  sweep(nowMs: Millis): Row[] {
    return [...this.marks.keys()].filter((row) => this.refresh(row, nowMs));
  }

  private mark(row: Row): Mark {
    let mark = this.marks.get(row);
    if (mark === undefined) {
      mark = { breaker: new Breaker(), busyUntilMs: 0, saidUntilMs: 0, limited: false };
      this.marks.set(row, mark);
    }
    return mark;
  }
}

function rests(mark: Mark, untilMs: Millis, saidUntilMs: Millis, limited: boolean): void {
  mark.busyUntilMs = Math.max(mark.busyUntilMs, untilMs);
  mark.saidUntilMs = Math.max(mark.saidUntilMs, saidUntilMs);
  mark.limited = limited;
}
