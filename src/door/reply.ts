/** Answers that the door writes itself, and what it asks of a body's headers before it reads it. */
import type { Dialect } from "../grid/dialect.ts";
import { GridError } from "../grid/errors.ts";
import type { Exchange, Headers } from "../grid/exchange.ts";
import { errorBody, nameRequest } from "./error-forms.ts";

const JSON_TYPE = /^application\/(json|[\w.+-]+\+json)\s*(;|$)/i;
const encoder = new TextEncoder();

/** @throws GridError unsupported_media_type */
export function checkMedia(headers: Headers): void {
  const type = headers["content-type"];
  if (type !== undefined && !JSON_TYPE.test(type)) {
    throw new GridError(
      "unsupported_media_type",
      `content-type '${type.slice(0, 100)}' is not supported. Send 'application/json'.`,
    );
  }
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new GridError(
      "unsupported_media_type",
      `content-encoding '${encoding.slice(0, 100)}' is not supported. Send the body uncompressed.`,
    );
  }
}

/** The error as a plain answer, in the dialect of the caller. */
export function replyError(
  exchange: Exchange,
  dialect: Dialect,
  error: GridError,
  headers: Headers,
  requestId: string,
): void {
  if (exchange.closed) return;
  if (exchange.headSent) return exchange.destroy(error);
  nameRequest(dialect, headers, requestId);
  replyBytes(exchange, error.status, errorBody(dialect, error, requestId), headers);
}

export function replyJson(
  exchange: Exchange,
  status: number,
  value: unknown,
  headers: Headers = {},
): void {
  replyBytes(exchange, status, encoder.encode(JSON.stringify(value)), headers);
}

function replyBytes(exchange: Exchange, status: number, body: Uint8Array, headers: Headers): void {
  headers["content-type"] = "application/json";
  headers["content-length"] = String(body.byteLength);
  exchange.head(status, headers);
  exchange.end(body);
}
