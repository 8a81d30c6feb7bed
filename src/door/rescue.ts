/**
 * A GridError in the caller's dialect. OpenAI's SDKs read `error.{message,type,param,code}`, map
 * the status to an exception, and retry 408, 409, 429 and 5xx by themselves, with `Retry-After` as
 * the pause and `x-should-retry` as the last word: where we have already tried elsewhere, another
 * round of theirs would only multiply the load. What an endpoint or a runtime said may name hosts,
 * addresses and keys; of that the caller sees nothing.
 */
import type { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";

export interface OpenAiError {
  error: { message: string; type: string; param: string | null; code: string | null };
}

const MESSAGE_LENGTH_MAX = 2_000;
const RETRY_AFTER_S_MAX = 3_600;

/** Places and secrets in a message: URLs, addresses with or without port, tokens. */
const SECRETS: readonly [RegExp, string][] = [
  [/\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s"'`<>)\]]+/gi, "[address]"],
  [/\bbearer\s+[^\s"',;]+/gi, "[key]"],
  [/(?<![\w-])(?:sk|pk|gp|hf|nvapi|gsk|key|token)[-_][A-Za-z0-9_-]{8,}/g, "[key]"],
  [/(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.]*\w)/g, "[address]"],
  [/\[[0-9a-f:.]{2,45}\](?::\d{1,5})?/gi, "[address]"],
  [/(?<![\w.:-])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])/gi, "[address]"],
  [/(?<![\w.-])[a-z][\w-]{0,62}(?:\.[\w-]{1,63}){0,8}:\d{2,5}(?!\w)/gi, "[address]"],
  [/(?<![\w.-])[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.(?:internal|local|lan|svc)\b/gi, "[address]"],
];

/** The message without places and secrets, at most 2,000 characters. */
function clean(message: string): string {
  let text = message.slice(0, MESSAGE_LENGTH_MAX);
  for (const [pattern, shown] of SECRETS) text = text.replace(pattern, shown);
  return text;
}

/** What the caller may read. */
export function messageOf(error: GridError): string {
  // Ours about the caller's own request: it quotes nothing but the request.
  return error.source === "client" ? error.message : clean(error.message);
}

/** OpenAI's own names, by status. */
function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/** The body of an error answer. `code` is the GridError's, which OpenAI's names agree with. */
export function openAiErrorBody(error: GridError): OpenAiError {
  return {
    error: {
      message: messageOf(error),
      type: typeOf(error.status),
      param: error.param ?? null,
      code: error.code,
    },
  };
}

/** Statuses that OpenAI's SDKs retry unless told otherwise. */
function sdkRetries(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

/** Whole seconds, at least 1: an SDK reads 0 as "at once". */
function retryAfter(error: GridError): string | undefined {
  const given = error.retryAfterS;
  if (given === undefined && error.status !== 429 && error.status !== 503) return undefined;
  const seconds = given === undefined || Number.isNaN(given) ? 1 : Math.ceil(given);
  return String(Math.min(Math.max(seconds, 1), RETRY_AFTER_S_MAX));
}

/**
 * Headers of an error answer, beside its content type.
 * @param alreadyRetried we tried more than one endpoint, or the request must not be repeated
 * @param allow methods of the path, for 405
 */
export function errorHeaders(
  error: GridError,
  alreadyRetried: boolean,
  allow?: readonly string[],
): Headers {
  const headers: Headers = {};
  const after = retryAfter(error);
  if (after !== undefined) headers["retry-after"] = after;
  if (sdkRetries(error.status) && (alreadyRetried || error.retry === "never")) {
    headers["x-should-retry"] = "false";
  }
  if (error.status === 401) headers["www-authenticate"] = "Bearer";
  if (error.status === 405 && allow !== undefined) headers.allow = allow.join(", ");
  return headers;
}
