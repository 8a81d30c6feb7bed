/** What a dialect asks of a request's headers before its body is read. */
import type { Dialect } from "../grid/dialect.ts";
import { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";

/** Anthropic's API versions: SDKs before 1.0 send the first, later ones the second. */
const VERSIONS = ["2023-06-01", "2026-10-21"];

/** @throws GridError invalid_request naming the header */
export function checkDialectHeaders(dialect: Dialect, headers: Headers): void {
  if (dialect !== "messages") return;
  const version = headers["anthropic-version"];
  // A client without any is taken for one of the first version: curl by hand.
  if (version === undefined || VERSIONS.includes(version)) return;
  const message = `Header anthropic-version must be one of ${VERSIONS.join(", ")}.`;
  throw new GridError("invalid_request", message, { param: "anthropic-version" });
}
