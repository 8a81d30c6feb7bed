/** What an answer that is no success means: whose fault it is, and how long to stay away. */
import { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import type { Millis } from "../grid/units.ts";
import type { StreamError } from "./event.ts";

/** 529 is Anthropic's "overloaded". */
const BUSY = [429, 503, 529];
/** Where a limit is reached and nobody says for how long. */
export const UNKNOWN_MS = 1_000;

/** The endpoint's failure; undefined when the request itself is wrong. */
export function failureOf(status: number, headers: Headers): GridError | undefined {
  if (isCallersFault(status)) return undefined;
  const busy = BUSY.includes(status);
  const said = headers["retry-after"] ?? headers["retry-after-ms"];
  const retryAfterS = said === undefined ? undefined : retryAfterMs(headers) / 1_000;
  const detail = { retryAfterS, status: status === 429 ? 429 : undefined };
  const message = `The endpoint answered ${status}.`;
  return new GridError(busy ? "endpoint_busy" : "endpoint_error", message, detail);
}

/** Statuses of errors that are told in words only. */
const STATUS_OF: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  overloaded_error: 529,
};

/**
 * The error in a stream, or in an answer of status 200. vLLM's streams begin with 200 before it has
 * looked at all of the request, so that a schema it cannot compile (`code` 400) and a full queue
 * (503) come as events (0.32): neither is a failure of the engine, and the first would be refused
 * by any other.
 */
export function toldFailure({ message, code = "", type = "", param }: StreamError): GridError {
  const status = Number(code) || STATUS_OF[code] || STATUS_OF[type] || 0;
  if (isCallersFault(status)) {
    const about = param === undefined ? {} : { param };
    return new GridError("endpoint_rejected", message, { status, source: "client", ...about });
  }
  if (!BUSY.includes(status)) return new GridError("endpoint_error", message);
  return new GridError("endpoint_busy", message, status === 429 ? { status } : {});
}

/**
 * 4xx that says the request itself is wrong. Not so: 401, 403 and 404 (our key, our knowledge of
 * its models), 408 and 429 (its load): another endpoint may serve.
 */
function isCallersFault(status: number): boolean {
  if (status < 400 || status >= 500) return false;
  return ![401, 402, 403, 404, 405, 407, 408, 421, 425, 429].includes(status);
}

/** `retry-after-ms`, or `retry-after` as seconds or as a date. */
export function retryAfterMs(headers: Headers): Millis {
  const exact = Number(headers["retry-after-ms"] ?? Number.NaN);
  if (exact > 0) return exact;
  const given = headers["retry-after"];
  if (given === undefined) return UNKNOWN_MS;
  const seconds = Number(given);
  return seconds > 0 ? seconds * 1_000 : untilMs(given, headers);
}

/** From the answer's own Date to a date in it. */
export function untilMs(text: string | undefined, headers: Headers): Millis {
  const span = Date.parse(text ?? "") - Date.parse(headers.date ?? "");
  return Number.isFinite(span) ? Math.max(span, 0) : UNKNOWN_MS;
}
