/** Why a request's body was not read whole, in the words of every adapter. */
import { GridError } from "../src/grid/errors.ts";

export function tooLarge(limitBytes: number): GridError {
  return new GridError(
    "payload_too_large",
    `The request body is larger than ${limitBytes} bytes. Send less, or ask the operator to ` +
      "raise limits.bodyBytes.",
  );
}

export function tooSlow(timeoutMs: number, size: number): GridError {
  return new GridError(
    "request_timeout",
    `The request body did not arrive within ${timeoutMs} ms (${size} bytes came). Send it faster.`,
  );
}

export function leftWhileSending(): GridError {
  return new GridError("client_gone", "The client left while it sent its body.");
}

/** What arrived is no body: a chunk's size, say, that is no number. */
export function badBody(cause: unknown): GridError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  const rule = detail.slice(0, 200);
  return new GridError("malformed_http", `The request body cannot be read: ${rule}.`, { cause });
}
