/**
 * The Gemini door. Model and verb stand in the path, the key may stand in the query, and a stream
 * without `alt=sse` is one JSON array. Behind the door both are as everywhere: the key is in a
 * header, the stream is an event stream, and `ArrayExchange` makes the array of its events.
 */
import { GridError } from "../grid/errors.ts";
import type { BodyRoom, Exchange, Headers } from "../grid/exchange.ts";
import { DOORS, ROUTES, type Route, verbOf } from "../task/route.ts";

const STREAM_VERB = "streamGenerateContent";
/** Of every door that has the model in its path. */
const VERBS: ReadonlyMap<string, Route> = new Map(
  ROUTES.flatMap((route) => {
    const { path, streamPath } = DOORS[route];
    const verbs = [path, streamPath].map((one) => /\{model\}:([A-Za-z]+)/.exec(one ?? "")?.[1]);
    return verbs.flatMap((verb) => (verb === undefined ? [] : [[verb, route] as const]));
  }),
);

/** @throws GridError not_found naming the verbs that exist */
export function geminiRoute(exchange: Exchange): Route {
  const verb = verbOf(exchange.path)?.verb ?? "";
  const route = VERBS.get(verb);
  if (route !== undefined) return route;
  const known = [...VERBS.keys()].join(", ");
  const said = verb === "" ? "no method" : `the method '${verb}'`;
  const message = `The path has ${said}. Use models/MODEL:METHOD with one of ${known}.`;
  throw new GridError("not_found", message);
}

/** The exchange as the doors behind understand it. */
export function geminiExchange(exchange: Exchange): Exchange {
  const query = new URLSearchParams(exchange.query);
  const key = query.get("key");
  const streams = verbOf(exchange.path)?.verb === STREAM_VERB;
  const alt = query.get("alt") ?? "json";
  if (alt !== "json" && alt !== "sse") {
    const message = `Query parameter alt must be sse or json, not '${alt.slice(0, 32)}'.`;
    throw new GridError("invalid_request", message, { param: "alt" });
  }
  const asArray = streams && alt === "json";
  if (key === null && !asArray) return exchange;
  const headers = { ...exchange.headers };
  if (key !== null) headers["x-goog-api-key"] ??= key;
  // Another PoP that gets the request is asked for the same.
  query.delete("key");
  if (asArray) query.set("alt", "sse");
  const told = { headers, query: query.toString() };
  return asArray ? new ArrayExchange(exchange, told) : new ToldExchange(exchange, told);
}

/** The key of a caller that sends it in the query, as a header. */
export function withQueryKey(exchange: Exchange): Headers {
  const key = new URLSearchParams(exchange.query).get("key");
  return key === null ? exchange.headers : { "x-goog-api-key": key, ...exchange.headers };
}

interface Told {
  headers: Headers;
  query: string;
}

/** An exchange that says other headers and another query. */
class ToldExchange implements Exchange {
  readonly headers: Headers;
  readonly query: string;
  protected readonly inner: Exchange;

  constructor(inner: Exchange, { headers, query }: Told) {
    this.inner = inner;
    this.headers = headers;
    this.query = query;
  }

  get method(): string {
    return this.inner.method;
  }

  get path(): string {
    return this.inner.path;
  }

  get remoteAddress(): string | undefined {
    return this.inner.remoteAddress;
  }

  get headSent(): boolean {
    return this.inner.headSent;
  }

  get closed(): boolean {
    return this.inner.closed;
  }

  body(limitBytes: number, timeoutMs: number, room?: BodyRoom): Promise<Uint8Array> {
    return this.inner.body(limitBytes, timeoutMs, room);
  }

  onGone(listener: () => void): void {
    this.inner.onGone(listener);
  }

  head(status: number, headers: Headers): void {
    this.inner.head(status, headers);
  }

  write(chunk: Uint8Array): boolean {
    return this.inner.write(chunk);
  }

  onDrain(listener: () => void): void {
    this.inner.onDrain(listener);
  }

  end(chunk?: Uint8Array): void {
    this.inner.end(chunk);
  }

  destroy(error: Error): void {
    this.inner.destroy(error);
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** An event stream as a JSON array, one element per event; comments become white space. */
class ArrayExchange extends ToldExchange {
  private streams = false;
  private elements = 0;

  override head(status: number, headers: Headers): void {
    this.streams = headers["content-type"]?.startsWith("text/event-stream") ?? false;
    if (this.streams) headers["content-type"] = "application/json; charset=utf-8";
    super.head(status, headers);
  }

  override write(chunk: Uint8Array): boolean {
    return super.write(this.streams ? encoder.encode(this.elementsOf(chunk)) : chunk);
  }

  override end(chunk?: Uint8Array): void {
    if (!this.streams) return super.end(chunk);
    const last = chunk === undefined ? "" : this.elementsOf(chunk);
    super.end(encoder.encode(`${last}${this.elements === 0 ? "[" : ""}]\n`));
  }

  /** Only whole events are ever written, so each chunk can be taken apart by itself. */
  private elementsOf(chunk: Uint8Array): string {
    let text = "";
    for (const line of decoder.decode(chunk).split(/\r\n|\n|\r/)) {
      if (!line.startsWith("data:")) continue;
      text += `${this.elements++ === 0 ? "[" : ",\r\n"}${line.slice(5).trim()}`;
    }
    // A client that waits sees that its request lives.
    return text === "" ? "\n" : text;
  }
}
