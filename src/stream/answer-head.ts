/** What the head of an engine's answer says it is, and the head of our streams. */
import type { Exchange, Headers } from "../grid/exchange.ts";

const SSE_HEADERS: Headers = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
};

export function commitStreamHead(exchange: Exchange, headers: Headers): void {
  if (exchange.headSent) return;
  Object.assign(headers, SSE_HEADERS);
  delete headers["content-length"];
  exchange.head(200, headers);
}

export function isEventStream(headers: Headers): boolean {
  return headers["content-type"]?.startsWith("text/event-stream") ?? false;
}

/** A page of some balancer in front of the engine is no answer, whatever its status. */
export function isJson(headers: Headers): boolean {
  const type = headers["content-type"];
  return type === undefined || type.includes("json");
}
