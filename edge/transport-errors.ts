/**
 * What a transport's failure means for the grid. The question is never only "what broke" but "may
 * the request be sent elsewhere unseen", so every message says whether a byte of the answer came.
 * Codes: undici's `UND_ERR_*`, Node's system errors, and what fetch hides in `cause`.
 */
import { GridError, type ErrorCode } from "../src/grid/errors.ts";
import type { Headers, OutRequest } from "../src/grid/exchange.ts";

const CONNECT_TIMEOUT = new Set(["UND_ERR_CONNECT_TIMEOUT", "ETIMEDOUT"]);
/** The other end spoke, but not HTTP that can be passed on. */
const NOT_HTTP = /^HPE_|^UND_ERR_HEADERS_OVERFLOW$|^UND_ERR_HTTP_PARSER/;
/** Our own request cannot be put on the wire, e.g. a line break in a header value. */
const NOT_SENDABLE = new Set(["UND_ERR_INVALID_ARG", "UND_ERR_NOT_SUPPORTED"]);

/** An error with a code, as Node's sockets and undici have. */
export class CodedError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export function errorCodeOf(error: unknown): string {
  const { code, errors, name } = error as { code?: unknown; errors?: unknown[]; name?: string };
  if (typeof code === "string") return code;
  // undici's parser errors have their code only when llhttp names one.
  if (name === "HTTPParserError") return "HPE_UNKNOWN";
  return Array.isArray(errors) && errors.length > 0 ? errorCodeOf(errors[0]) : "";
}

/** A name with several addresses fails with an error for each, and says nothing itself. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errors } = error as AggregateError;
  return error.message === "" && Array.isArray(errors)
    ? errors.map(wordsOf).join(", ")
    : error.message;
}

function classify(code: string, started: boolean): ErrorCode {
  if (NOT_SENDABLE.has(code)) return "internal";
  if (!started) return CONNECT_TIMEOUT.has(code) ? "connect_timeout" : "connect_failed";
  return NOT_HTTP.test(code) ? "bad_response" : "disconnected";
}

/**
 * @param started the request had a connection: it may have reached the endpoint
 * @param byteSeen a byte of the response arrived
 * @param reused the connection had carried a request before: a server may close an idle one just
 *   when we use it (RFC 9112, 9.3.1), which says nothing about its health
 */
export function transportError(
  error: unknown,
  request: OutRequest,
  started: boolean,
  byteSeen: boolean,
  reused: boolean,
): GridError {
  if (error instanceof GridError) return error;
  const code = errorCodeOf(error);
  const kind = classify(code, started);
  const detail = wordsOf(error);
  const what = code === "" || detail.includes(code) ? detail : `${detail} (${code})`;
  const where = `${request.method} ${request.origin}${request.path}`;
  const seen = byteSeen ? "after the response had begun" : "before any byte of the response";
  const message = started ? `${where} broke ${seen}: ${what}` : `${where} not sent: ${what}`;
  const stale = kind === "disconnected" && reused && !byteSeen && request.again !== true;
  return new GridError(kind, message, { cause: error, retry: stale ? "same" : undefined });
}

/** undici gives repeated headers as arrays; the grid wants one string each. Usually a no-op. */
export function plainHeaders(headers: Record<string, string | string[] | undefined>): Headers {
  for (const name in headers) {
    const value = headers[name];
    if (typeof value !== "string") headers[name] = value === undefined ? "" : value.join(", ");
  }
  return headers as Headers;
}
