/**
 * Answers to what never became a request: bytes that the HTTP parser of the runtime refuses. Only
 * Node's parser codes are known by name (llhttp 9); anything else is "malformed".
 */
import { GridError } from "../grid/errors.ts";
import { openAiErrorBody } from "./rescue.ts";

export interface MalformedAnswer {
  status: number;
  reason: string;
  /** JSON text. */
  body: string;
}

/**
 * @param code the parser's error code, e.g. `HPE_INVALID_HEADER_TOKEN`
 * @param detail its message, which names the rule that was broken
 */
export function malformed(code: string, detail: string): MalformedAnswer {
  const error = malformedError(code, detail);
  return {
    status: error.status,
    reason: REASONS[error.status] ?? "Bad Request",
    body: JSON.stringify(openAiErrorBody(error)),
  };
}

const REASONS: Record<number, string> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function malformedError(code: string, detail: string): GridError {
  if (code === "HPE_HEADER_OVERFLOW") {
    return new GridError("headers_too_large", "The request headers are too large. Send fewer.");
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new GridError("request_timeout", "The request headers did not arrive in time.");
  }
  // Parser messages are fixed texts ("Content-Length can't be present with Transfer-Encoding").
  const rule = detail.replace(/^Parse Error:\s*/, "").slice(0, 200);
  return new GridError("malformed_http", `The HTTP request is malformed: ${rule}.`);
}
