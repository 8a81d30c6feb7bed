/**
 * Which headers cross the proxy. One table for both ways of thinking: hop-by-hop headers never
 * cross (RFC 9110 section 7.6.1, and what `Connection` names), framing is the transport's own, and
 * what an engine says of itself, its cookies or in our name (`x-grid-…`) does not reach callers.
 */
import type { Headers } from "../grid/exchange.ts";

const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/** Never taken from an operator's extra headers: the transport or the worker sets them. */
const OUTBOUND_DROPPED = new Set([...HOP_BY_HOP, "host", "content-length", "expect"]);

/** Never passed from an engine to a caller. `content-encoding` passes: bytes are not touched. */
const INBOUND_DROPPED = new Set([
  ...HOP_BY_HOP,
  "content-length", // a relayed body may gain or lose an event; the door frames it
  "date", // the door's server writes its own
  "server",
  "via",
  "x-powered-by",
  "set-cookie",
  "set-cookie2",
  "alt-svc",
  "strict-transport-security",
  "access-control-allow-origin", // CORS is the door's decision
  "access-control-allow-credentials",
  "access-control-allow-headers",
  "access-control-allow-methods",
  "access-control-expose-headers",
  "access-control-max-age",
  "x-request-id", // ours, set by the door
  "server-timing",
  "endpoint-load-metrics", // ORCA load report of the engine
  "request-id", // Anthropic's name for it; set by the door where the caller's dialect has it
  // Whose account the operator has with a vendor is not the callers' business.
  "openai-organization",
  "openai-project",
  "anthropic-organization-id",
  "anthropic-workspace-id",
]);

/** Ours in whatever name; the limits are the operator's with a vendor, not the caller's with us. */
const INBOUND_PREFIXES = ["x-grid-", "x-ratelimit-", "anthropic-ratelimit-"];

function isOurs(name: string): boolean {
  for (const prefix of INBOUND_PREFIXES) if (name.startsWith(prefix)) return true;
  return false;
}

/** Response headers of an engine that may reach the client. A new object, lower-case names. */
export function inboundHeaders(headers: Headers): Headers {
  const named = headers.connection;
  const kept: Headers = {};
  for (const name in headers) {
    if (!INBOUND_DROPPED.has(name) && !isOurs(name)) kept[name] = headers[name];
  }
  if (named !== undefined) {
    for (const token of named.split(",")) delete kept[token.trim().toLowerCase()];
  }
  return kept;
}

/** An operator's extra request headers, lower-case, without those that are not theirs to set. */
export function outboundHeaders(headers: Headers): Headers {
  const kept: Headers = {};
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (!OUTBOUND_DROPPED.has(lower)) kept[lower] = value;
  }
  return kept;
}
