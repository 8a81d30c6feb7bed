/** What the grid says in the headers of an answer, good or bad. Part of `pop.ts`. */
import { replyError } from "./door/reply.ts";
import { errorEvent, nameRequest } from "./door/error-forms.ts";
import { errorHeaders } from "./door/rescue.ts";
import type { Flight } from "./feedback/observe.ts";
import type { GridError } from "./grid/errors.ts";
import type { Exchange, Headers } from "./grid/exchange.ts";
import { PEER_ANSWER_HEADER } from "./grid/handover.ts";
import type { Millis } from "./grid/units.ts";
import type { EndpointRecord } from "./state/endpoint-table.ts";
import { loadText, type LoadNow } from "./state/pop-load.ts";
import { DOORS, type Route } from "./task/route.ts";
import type { Task } from "./task/task.ts";

/** What another PoP may add to `x-grid-route`: its own, and nothing that is none. */
const ROUTE = /^[A-Za-z0-9._;=/, -]{1,512}$/;

/** With three digits behind the point, as `toFixed` writes it, in a third of the time. */
export function millisText(ms: Millis): string {
  const micros = Math.round(Math.max(ms, 0) * 1000);
  const below = micros % 1000;
  const zeros = below < 10 ? "00" : below < 100 ? "0" : "";
  return `${(micros - below) / 1000}.${zeros}${below}`;
}

/**
 * Adds the grid's headers to those of a committed answer. `x-grid-route` is a list with one entry
 * per hop, the nearest PoP first; `hops` counts those behind the entry.
 * @param engine headers as they came from the endpoint or from the other PoP's door
 */
export function addGridHeaders(
  headers: Headers,
  popId: string,
  flight: Flight,
  record: EndpointRecord | undefined,
  engine: Headers,
  nowMs: Millis,
): void {
  const { task } = flight;
  const queuedMs = task.queuedSinceMs > 0 ? flight.sentMs - task.queuedSinceMs : 0;
  const overhead = millisText(flight.sentMs - task.arrivedMs - queuedMs);
  const away = record?.pop !== undefined;
  const behind = away ? engine["x-grid-route"] : undefined;
  const next = behind !== undefined && ROUTE.test(behind) ? `, ${behind}` : "";
  headers["x-grid-route"] =
    `pop=${popId};tier=${record?.spec.tier ?? "edge"};` +
    `endpoint=${flight.endpointId};reason=${flight.choice};` +
    `hit=${Math.round(flight.matchedTokens)};hops=${away ? 1 : 0}${next}`;
  headers["x-grid-overhead-ms"] = overhead;
  headers["server-timing"] =
    `grid;dur=${overhead}, queue;dur=${millisText(queuedMs)}, ` +
    `endpoint;dur=${millisText(nowMs - flight.sentMs)}`;
  if (task.models !== undefined) headers["x-grid-model"] = encodeURI(task.model);
  nameRequest(DOORS[task.route].dialect, headers, task.id);
}

/** What an answer that is an error says beside the error. */
export interface RescueContext {
  popId: string;
  requestId: string;
  attempts: number;
  /** Load of this PoP now, for a peer that is refused; undefined = it is in no fleet. */
  load(): LoadNow | undefined;
}

/** The error in the dialect of the caller, in or out of a stream; a peer gets it typed. */
export function answerError(
  exchange: Exchange,
  route: Route,
  error: GridError,
  task: Task | undefined,
  context: RescueContext,
): void {
  if (exchange.closed) return;
  if (error.code === "client_gone") return exchange.destroy(error);
  const { dialect } = DOORS[route];
  if (exchange.headSent) return exchange.end(errorEvent(dialect, error, context.requestId));
  const headers = errorHeaders(error, context.attempts > 1);
  if (task !== undefined) headers["x-grid-route"] = `pop=${context.popId};reason=none`;
  if (task?.handover !== undefined) {
    headers[PEER_ANSWER_HEADER.refusal] = error.code;
    const load = context.load();
    const text = load === undefined ? undefined : loadText(load);
    if (text !== undefined) headers[PEER_ANSWER_HEADER.load] = text;
  }
  replyError(exchange, dialect, error, headers, context.requestId);
}
