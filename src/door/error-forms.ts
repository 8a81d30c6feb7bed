/**
 * A GridError in each dialect, as the body of an answer and as an event of a stream that has begun;
 * the vendors' SDKs throw both as typed exceptions.
 */
import type { Dialect } from "../grid/dialect.ts";
import type { GridError } from "../grid/errors.ts";
import type { Exchange, Headers } from "../grid/exchange.ts";
import { verbOf } from "../task/route.ts";
import { messageOf, openAiErrorBody } from "./rescue.ts";

type DoorRequest = Pick<Exchange, "path" | "query" | "headers">;

interface ErrorForm {
  body(error: GridError, requestId: string): unknown;
  /** Frame of a stream around the body. */
  event(json: string): string;
  /** Header that names the request, beside `x-request-id`. */
  requestIdHeader?: string;
}

/** Anthropic's own names, by status. */
const MESSAGES_TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
  504: "timeout_error",
  529: "overloaded_error",
};

function messagesBody(error: GridError, requestId: string): unknown {
  const fallback = error.status >= 500 ? "api_error" : "invalid_request_error";
  const param = error.param === undefined ? {} : { param: error.param };
  return {
    type: "error",
    error: {
      type: MESSAGES_TYPES[error.status] ?? fallback,
      message: messageOf(error),
      details: { error_code: error.code, ...param },
    },
    request_id: requestId,
  };
}

/** Google's own names, by status. */
const GEMINI_STATUSES: Readonly<Record<number, string>> = {
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "ABORTED",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  501: "UNIMPLEMENTED",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

function geminiBody(error: GridError): unknown {
  const fallback = error.status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
  const { code: reason, param, status: code } = error;
  const metadata = param === undefined ? {} : { metadata: { param } };
  const info = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", domain: "gridpoint" };
  const details = [{ ...info, reason: reason.toUpperCase(), ...metadata }];
  const status = GEMINI_STATUSES[code] ?? fallback;
  return { error: { code, message: messageOf(error), status, details } };
}

const FORMS: Readonly<Record<Dialect, ErrorForm>> = {
  chat: { body: openAiErrorBody, event: (json) => `data: ${json}\n\n` },
  messages: {
    body: messagesBody,
    // Frames without the name are invisible to Anthropic's SDK.
    event: (json) => `event: error\ndata: ${json}\n\n`,
    requestIdHeader: "request-id",
  },
  gemini: { body: geminiBody, event: (json) => `data: ${json}\r\n\r\n` },
  responses: { body: openAiErrorBody, event: responsesEvent },
};

/** The event of a stream has the error's fields at its top; numbered where it is sent. */
function responsesEvent(json: string): string {
  const { error } = JSON.parse(json) as ReturnType<typeof openAiErrorBody>;
  const { message, type, param, code } = error;
  const event = { type: "error", code: code ?? type, message, param, sequence_number: 0 };
  return `event: error\ndata: ${JSON.stringify(event)}\n\n`;
}

const encoder = new TextEncoder();

export function errorBody(dialect: Dialect, error: GridError, requestId: string): Uint8Array {
  return encoder.encode(JSON.stringify(FORMS[dialect].body(error, requestId)));
}

export function errorEvent(dialect: Dialect, error: GridError, requestId: string): Uint8Array {
  const form = FORMS[dialect];
  return encoder.encode(form.event(JSON.stringify(form.body(error, requestId))));
}

/** Headers that name the request, in the names that the dialect's SDKs look for. */
export function nameRequest(dialect: Dialect, headers: Headers, requestId: string): Headers {
  headers["x-request-id"] = requestId;
  const { requestIdHeader } = FORMS[dialect];
  if (requestIdHeader !== undefined) headers[requestIdHeader] = requestId;
  return headers;
}

/** The dialect of a request that no route may have matched. */
export function dialectOf({ path, query, headers }: DoorRequest): Dialect {
  if (path.startsWith("/v1beta/") || verbOf(path) !== undefined) return "gemini";
  if (path.startsWith("/v1/messages") || headers["anthropic-version"] !== undefined) {
    return "messages";
  }
  if (/^\/v1\/(responses|realtime)(\/|$)/.test(path)) return "responses";
  // `/v1/models` is everybody's: Google's clients are known by how they show their key.
  const google = headers["x-goog-api-key"] !== undefined || /(?:^|&)key=/.test(query);
  return google ? "gemini" : "chat";
}
