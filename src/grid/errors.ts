/**
 * One error type: what went wrong (`code`), whose fault (`source`), whether trying again can help
 * (`retry`), and the HTTP status a caller sees. `door/rescue.ts` turns it into the dialect of the
 * caller. The message names what the caller can change. Shape after pingora-error.
 */

export type ErrorSource = "client" | "proxy" | "endpoint" | "peer";
export type ErrorRetry = "never" | "same" | "elsewhere";

/** Status and default source and retry of every code. The comment says if state changed. */
export const ERROR_CODES = {
  // The request never entered: no state changed.
  invalid_json: { status: 400, source: "client", retry: "never" },
  invalid_request: { status: 400, source: "client", retry: "never" },
  invalid_utf8: { status: 400, source: "client", retry: "never" },
  malformed_http: { status: 400, source: "client", retry: "never" },
  invalid_api_key: { status: 401, source: "client", retry: "never" },
  model_not_allowed: { status: 403, source: "client", retry: "never" },
  not_found: { status: 404, source: "client", retry: "never" },
  /** What the request continues is not held here. */
  previous_response_not_found: { status: 400, source: "client", retry: "never" },
  /** As OpenAI words it: the socket is as old as it may get. */
  websocket_connection_limit_reached: { status: 400, source: "client", retry: "never" },
  model_not_found: { status: 404, source: "client", retry: "never" },
  method_not_allowed: { status: 405, source: "client", retry: "never" },
  request_timeout: { status: 408, source: "client", retry: "same" },
  payload_too_large: { status: 413, source: "client", retry: "never" },
  unsupported_media_type: { status: 415, source: "client", retry: "never" },
  headers_too_large: { status: 431, source: "client", retry: "never" },
  context_length_exceeded: { status: 400, source: "client", retry: "never" },
  // Admission refused: counted, nothing else changed.
  saturated: { status: 429, source: "proxy", retry: "same" },
  queue_timeout: { status: 503, source: "proxy", retry: "same" },
  no_endpoint: { status: 503, source: "proxy", retry: "same" },
  draining: { status: 503, source: "proxy", retry: "same" },
  internal: { status: 500, source: "proxy", retry: "never" },
  // Between PoPs: the peer's door refused the hand-over. Only its load, as it told it, is new.
  peer_refused: { status: 503, source: "peer", retry: "elsewhere" },
  peer_not_trusted: { status: 403, source: "client", retry: "never" },
  hop_limit: { status: 508, source: "peer", retry: "never" },
  // An endpoint failed: its health mark changed, the prefix we credited to it was taken back.
  connect_failed: { status: 502, source: "endpoint", retry: "elsewhere" },
  connect_timeout: { status: 504, source: "endpoint", retry: "elsewhere" },
  first_token_timeout: { status: 504, source: "endpoint", retry: "elsewhere" },
  idle_timeout: { status: 504, source: "endpoint", retry: "elsewhere" },
  total_timeout: { status: 504, source: "proxy", retry: "never" },
  disconnected: { status: 502, source: "endpoint", retry: "elsewhere" },
  truncated: { status: 502, source: "endpoint", retry: "elsewhere" },
  endpoint_busy: { status: 503, source: "endpoint", retry: "elsewhere" },
  endpoint_error: { status: 502, source: "endpoint", retry: "elsewhere" },
  /** The answer was whole but not what was asked for (a strict schema): a model's slip. */
  invalid_result: { status: 502, source: "endpoint", retry: "elsewhere" },
  bad_response: { status: 502, source: "endpoint", retry: "elsewhere" },
  /** The engine refused the request itself (4xx): its answer goes to the caller as it is. */
  endpoint_rejected: { status: 400, source: "endpoint", retry: "never" },
  /** The caller left. Never sent to anybody; frees the endpoint. */
  client_gone: { status: 499, source: "client", retry: "never" },
} as const satisfies Record<string, { status: number; source: ErrorSource; retry: ErrorRetry }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorDetail {
  /** Body field the error is about, in the caller's dialect (`messages[0].role`). */
  param?: string;
  /** Seconds after which a retry makes sense; becomes `Retry-After`. */
  retryAfterS?: number;
  /** HTTP status when it differs from the code's default. */
  status?: number;
  source?: ErrorSource;
  retry?: ErrorRetry;
  cause?: unknown;
}

export class GridError extends Error {
  readonly code: ErrorCode;
  readonly source: ErrorSource;
  readonly retry: ErrorRetry;
  readonly status: number;
  readonly param: string | undefined;
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    const row = ERROR_CODES[code];
    this.name = "GridError";
    this.code = code;
    this.source = detail.source ?? row.source;
    this.retry = detail.retry ?? row.retry;
    this.status = detail.status ?? row.status;
    this.param = detail.param;
    this.retryAfterS = detail.retryAfterS;
  }
}
