import { describe, expect, it } from "vitest";
import { geminiExchange, geminiRoute } from "../../../src/door/gemini.ts";
import { GridError } from "../../../src/grid/errors.ts";
import type { Exchange, Headers } from "../../../src/grid/exchange.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** An exchange that keeps what is sent. */
class Kept implements Exchange {
  readonly method = "POST";
  readonly path: string;
  readonly query: string;
  readonly headers: Headers = { authorization: "Bearer own" };
  sent = "";
  status = 0;
  answer: Headers = {};
  closed = false;
  destroyed: Error | undefined;

  constructor(path: string, query = "") {
    this.path = path;
    this.query = query;
  }

  get headSent(): boolean {
    return this.status > 0;
  }

  body(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(0));
  }

  onGone(): void {}
  onDrain(): void {}

  head(status: number, headers: Headers): void {
    this.status = status;
    this.answer = headers;
  }

  write(chunk: Uint8Array): boolean {
    this.sent += decoder.decode(chunk);
    return false;
  }

  end(chunk?: Uint8Array): void {
    if (chunk !== undefined) this.write(chunk);
    this.closed = true;
  }

  destroy(error: Error): void {
    this.destroyed = error;
  }
}

const STREAM = "/v1beta/models/m:streamGenerateContent";
const SSE = { "content-type": "text/event-stream; charset=utf-8" };
const event = (value: unknown) => encoder.encode(`data: ${JSON.stringify(value)}\r\n\r\n`);

describe("a stream as an array", () => {
  const open = () => {
    const kept = new Kept(STREAM);
    const exchange = geminiExchange(kept);
    exchange.head(200, { ...SSE });
    return { kept, exchange };
  };

  it("has an element per event, whichever way the events are written", () => {
    const { kept, exchange } = open();
    expect(kept.answer["content-type"]).toBe("application/json; charset=utf-8");
    // Room is the inner exchange's to tell.
    expect(exchange.write(event({ n: 1, text: "data: [\n]" }))).toBe(false);
    const two = decoder.decode(event({ n: 2 })) + decoder.decode(event({ n: 3 }));
    exchange.write(encoder.encode(two));
    exchange.end(event({ error: { code: 502 } }));
    expect(JSON.parse(kept.sent)).toEqual([
      ...[{ n: 1, text: "data: [\n]" }, { n: 2 }, { n: 3 }, { error: { code: 502 } }],
    ]);
    expect(kept.closed).toBe(true);
  });

  it("a comment is white space, before the first element too", () => {
    const { kept, exchange } = open();
    exchange.write(encoder.encode(": keep-alive\n\n"));
    exchange.write(event(1));
    exchange.write(encoder.encode(": keep-alive\n\n"));
    exchange.end();
    expect(JSON.parse(kept.sent)).toEqual([1]);
  });

  it("without an event is empty", () => {
    const { kept, exchange } = open();
    exchange.end();
    expect(JSON.parse(kept.sent)).toEqual([]);
  });

  it("that never became one passes as it is", () => {
    const kept = new Kept(STREAM);
    const exchange = geminiExchange(kept);
    exchange.head(400, { "content-type": "application/json" });
    exchange.end(encoder.encode('{"error":{}}'));
    expect(kept).toMatchObject({ sent: '{"error":{}}', status: 400 });
  });

  it("breaks as the inner exchange breaks", () => {
    const { kept, exchange } = open();
    const error = new Error("gone");
    exchange.destroy(error);
    expect(kept.destroyed).toBe(error);
  });
});

describe("what stands behind the door", () => {
  it("is told the key in a header, and asked for an event stream", () => {
    const exchange = geminiExchange(new Kept(STREAM, "key=AIza%2B1&alt=json"));
    expect(exchange.headers["x-goog-api-key"]).toBe("AIza+1");
    expect(exchange.query).toBe("alt=sse");
    expect(exchange.path).toBe(STREAM);
  });

  it("gets the caller's own exchange where nothing is to be told", () => {
    for (const kept of [
      new Kept(STREAM, "alt=sse"),
      new Kept("/v1/models/m:generateContent"),
      new Kept("/v1/models/m:countTokens", "x=1"),
    ]) {
      expect(geminiExchange(kept)).toBe(kept);
    }
  });

  it("is chosen by the verb", () => {
    const routeOf = (path: string) => geminiRoute(new Kept(path));
    expect(routeOf(STREAM)).toBe("gemini");
    expect(routeOf("/v1/models/a:b:generateContent")).toBe("gemini");
    expect(routeOf("/v1/models/m:countTokens")).toBe("gemini-count");
    expect(routeOf("/v1/models/m:batchEmbedContents")).toBe("gemini-embed-batch");
    expect(() => routeOf("/v1/models/m:dance")).toThrow(GridError);
    expect(() => routeOf("/v1/models/m")).toThrow(/no method/);
  });
});
