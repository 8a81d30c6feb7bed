/**
 * What stands before a newcomer at an endpoint, in uncached prompt tokens: what the engine last
 * said, with what was sent since and less what drained, but never less than our own requests that
 * are in prefill. The kernel reckons the same in WebAssembly; this is its twin's form, and what
 * the other PoPs are told.
 */
import type { Millis, Row, Tokens } from "../grid/units.ts";
import type { EndpointColumns } from "./endpoint-table.ts";

/** The value where it is above the floor, else the floor: also for NaN, unlike Math.max. */
export function over(value: number, floor: number): number {
  if (value > floor) return value;
  return floor;
}

/** The value where it is below the ceiling, else the ceiling: also for NaN, unlike Math.min. */
export function under(value: number, ceiling: number): number {
  if (value < ceiling) return value;
  return ceiling;
}

/**
 * Our own requests in prefill, less what the engine should have done of them since its busy period
 * began. One that is overdue by as much again counts in full: it is slower than we know.
 */
export function ownBacklog(
  columns: EndpointColumns,
  row: Row,
  rate: number,
  nowMs: Millis,
): Tokens {
  const own = columns.ownTokens[row] as number;
  const busyMs = nowMs - (columns.busySinceMs[row] as number);
  const done = over(rate * busyMs - (columns.busyTokens[row] as number), 0);
  return own - under(done, over(2 * own - done, 0));
}

/** Without what waits in this PoP's queue. */
export function backlogAt(columns: EndpointColumns, row: Row, rate: number, nowMs: Millis): Tokens {
  const sampledMs = columns.sampleAtMs[row] as number;
  let told = 0;
  if (sampledMs > Number.NEGATIVE_INFINITY) {
    const ageMs = nowMs - sampledMs;
    const drained = ageMs > 0 ? rate * ageMs : 0;
    told = (columns.queuedTokens[row] as number) + (columns.sentTokens[row] as number) - drained;
  }
  return over(over(told, ownBacklog(columns, row, rate, nowMs)), 0);
}
