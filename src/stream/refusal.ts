/** What an answer that is no success means: whose fault it is, and how long to stay away. */
import { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import type { Millis } from "../grid/units.ts";

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
