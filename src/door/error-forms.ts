/**
 * A GridError in each dialect, as the body of an answer and as an event of a stream that has begun;
 * the vendors' SDKs throw both as typed exceptions.
 */
import type { Dialect } from "../grid/dialect.ts";
import type { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import { messageOf, openAiErrorBody } from "./rescue.ts";

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

const FORMS: Readonly<Record<Dialect, ErrorForm>> = {
  chat: { body: openAiErrorBody, event: (json) => `data: ${json}\n\n` },
  messages: {
    body: messagesBody,
    // Frames without the name are invisible to Anthropic's SDK.
    event: (json) => `event: error\ndata: ${json}\n\n`,
    requestIdHeader: "request-id",
  },
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
export function dialectOf(path: string, headers: Headers): Dialect {
  if (path.startsWith("/v1/messages") || headers["anthropic-version"] !== undefined) {
    return "messages";
  }
  return /^\/v1\/(responses|realtime)(\/|$)/.test(path) ? "responses" : "chat";
}
