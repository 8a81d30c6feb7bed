import { describe, expect, test } from "vitest";
import { GridError } from "../../../src/grid/errors.ts";
import type { Exchange, Headers } from "../../../src/grid/exchange.ts";
import { Relay, type RelayEnd, type RelayHost } from "../../../src/stream/relay.ts";
import type { Task } from "../../../src/task/task.ts";

const SSE = { "content-type": "text/event-stream" };
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const bytes = (text: string) => encoder.encode(text);
const delta = (text: string) =>
  `data: {"choices":[{"index":0,"delta":{"content":${JSON.stringify(text)}}}]}\n\n`;
const ROLE = 'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n';
const FINISH = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n';
const USAGE =
  'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,' +
  '"prompt_tokens_details":{"cached_tokens":4}}}\n\n';
const DONE = "data: [DONE]\n\n";

/** An Exchange that remembers what the client saw. */
class Client implements Exchange {
  readonly method = "POST";
  readonly path = "/";
  readonly query = "";
  readonly headers: Headers = {};
  status = 0;
  sent: Headers = {};
  text = "";
  state: "open" | "ended" | "destroyed" = "open";
  room = true;
  drain: (() => void) | undefined;
  body = () => Promise.resolve(new Uint8Array());
  onGone() {}
  head(status: number, headers: Headers) {
    this.status = status;
    this.sent = headers;
  }
  write(chunk: Uint8Array) {
    this.text += decoder.decode(chunk);
    return this.room;
  }
  onDrain(listener: () => void) {
    this.drain = listener;
  }
  end(chunk?: Uint8Array) {
    if (chunk !== undefined) this.text += decoder.decode(chunk);
    this.state = "ended";
  }
  destroy() {
    this.state = "destroyed";
  }
  get headSent() {
    return this.status !== 0;
  }
  get closed() {
    return this.state !== "open";
  }
}

function attempt(over: Partial<Task> = {}, limits = {}) {
  const client = new Client();
  const seen = { ends: [] as RelayEnd[], firsts: 0, aborts: [] as GridError[], resumes: 0 };
  const host: RelayHost = {
    headers: () => ({ "x-request-id": "r1" }),
    errorEvent: (error) => bytes(`data: {"error":{"code":"${error.code}"}}\n\n`),
    errorBody: (error) => bytes(`{"error":{"code":"${error.code}"}}`),
    progress() {},
    firstContent: () => void seen.firsts++,
    resume: () => void seen.resumes++,
    abort: (reason) => void seen.aborts.push(reason),
    settled: (end) => void seen.ends.push(end),
  };
  const task = { route: "chat", stream: true, usageAdded: false, choices: 1, ...over } as Task;
  const bounds = { heldBytes: 4096, eventBytes: 65_536, responseBytes: 8192, ...limits };
  const relay = new Relay(task, client, host, bounds, () => 5, 0, "chat");
  const feed = (...texts: string[]) => texts.map((text) => relay.onData(bytes(text)));
  return { client, relay, feed, seen };
}

describe("a stream", () => {
  test("passes byte for byte, and is done at its terminal event", () => {
    const { client, relay, feed, seen } = attempt();
    relay.onHead(200, SSE);
    feed(ROLE);
    expect(client.headSent).toBe(false); // held: a role is not content
    feed(delta("he"), delta("llo"), FINISH, DONE);
    relay.onEnd();
    expect(client.text).toBe(ROLE + delta("he") + delta("llo") + FINISH + DONE);
    expect(client.sent["content-type"]).toMatch(/^text\/event-stream/);
    expect(client.state).toBe("ended");
    expect(seen.firsts).toBe(1);
    expect(seen.ends).toMatchObject([{ kind: "done" }]);
  });

  test("the usage event that only we asked for stays with us", () => {
    const { client, relay, feed, seen } = attempt({ usageAdded: true });
    relay.onHead(200, SSE);
    feed(delta("x"), FINISH, USAGE, DONE);
    relay.onEnd();
    expect(client.text).toBe(delta("x") + FINISH + DONE);
    expect(seen.ends[0]).toMatchObject({ usage: { promptTokens: 9, cachedTokens: 4 } });
  });

  test.each([
    ["nothing", []],
    ["the role", [ROLE]],
    ["half of the first content event", [ROLE, delta("hello").slice(0, 20)]],
  ])("that breaks after %s fails unseen", (_name, texts) => {
    for (const how of ["end", "error"] as const) {
      const { client, relay, feed, seen } = attempt();
      relay.onHead(200, SSE);
      feed(...texts);
      if (how === "end") relay.onEnd();
      else relay.onError(new GridError("disconnected", "reset"));
      expect(client.headSent).toBe(false);
      expect(client.text).toBe("");
      expect(seen.ends).toMatchObject([{ kind: "failed", error: { retry: "elsewhere" } }]);
    }
  });

  test.each(["end", "error"])("that breaks after content (%s) gets the typed error", (how) => {
    const { client, relay, feed, seen } = attempt();
    relay.onHead(200, SSE);
    feed(ROLE + delta("a"), delta("cut off").slice(0, 25));
    if (how === "end") relay.onEnd();
    else relay.onError(new GridError("disconnected", "reset"));
    const code = how === "end" ? "truncated" : "disconnected";
    expect(client.text).toBe(`${ROLE}${delta("a")}data: {"error":{"code":"${code}"}}\n\n`);
    expect(seen.ends).toMatchObject([{ kind: "broken", error: { code } }]);
  });

  test("an error event before content is a failure to be tried elsewhere", () => {
    const { client, relay, feed, seen } = attempt();
    relay.onHead(200, SSE);
    feed('data: {"error":{"message":"out of blocks","type":"server_error"}}\n\n');
    expect(client.headSent).toBe(false);
    expect(seen.ends).toMatchObject([{ kind: "failed", error: { code: "endpoint_error" } }]);
    expect(seen.aborts).toHaveLength(1);
  });

  // As recorded from vLLM 0.32.0, whose streams begin before all of a request was looked at.
  test.each([
    ["Grammar error: Invalid type: nonsense", "BadRequestError", 400, "endpoint_rejected", "never"],
    ["The engine is currently busy", "Service Unavailable", 503, "endpoint_busy", "elsewhere"],
    [
      "EngineCore encountered an issue",
      "Internal Server Error",
      500,
      "endpoint_error",
      "elsewhere",
    ],
    ["The model `x` does not exist", "NotFoundError", 404, "endpoint_error", "elsewhere"],
  ])("%s (%s) is what its status says", (message, type, status, code, retry) => {
    const { client, relay, feed, seen } = attempt();
    relay.onHead(200, SSE);
    feed(`data: ${JSON.stringify({ error: { message, type, param: null, code: status } })}\n\n`);
    feed(DONE);
    relay.onEnd();
    expect(client.headSent).toBe(false);
    expect(seen.ends).toMatchObject([{ kind: "failed", error: { code, retry, message } }]);
    const isRejected = code === "endpoint_rejected";
    expect(seen.ends).toMatchObject([{ error: { source: isRejected ? "client" : "endpoint" } }]);
  });

  test("an error event after content goes through as the engine wrote it", () => {
    const { client, relay, feed, seen } = attempt();
    const error = 'data: {"error":{"message":"boom"}}\n\n';
    relay.onHead(200, SSE);
    feed(delta("a"), error);
    relay.onEnd();
    expect(client.text).toBe(delta("a") + error);
    expect(seen.ends).toMatchObject([{ kind: "broken", error: { message: "boom" } }]);
  });

  test("an engine that forgets [DONE] after finishing is completed", () => {
    const { client, relay, feed, seen } = attempt();
    relay.onHead(200, SSE);
    feed(delta("a"), FINISH);
    relay.onEnd();
    expect(client.text).toBe(delta("a") + FINISH + DONE);
    expect(seen.ends).toMatchObject([{ kind: "done" }]);
  });

  test("a slow client pauses the engine and resumes it", () => {
    const { client, relay, feed, seen } = attempt();
    relay.onHead(200, SSE);
    feed(delta("a"));
    client.room = false;
    expect(feed(delta("b"))).toEqual([false]);
    expect(relay.paused).toBe(true);
    client.drain?.();
    expect(relay.paused).toBe(false);
    expect(seen.resumes).toBe(1);
  });

  test("an event over the bound ends it before memory does", () => {
    const { relay, feed, seen } = attempt({}, { eventBytes: 1024 });
    relay.onHead(200, SSE);
    feed(`data: "${"x".repeat(700)}`, "x".repeat(700));
    expect(seen.ends).toMatchObject([{ kind: "failed", error: { code: "bad_response" } }]);
    expect(seen.aborts).toHaveLength(1);
  });

  test("a slow prefill shows life, and may still be repaired elsewhere", () => {
    const { client, relay, seen } = attempt();
    relay.keepAlive();
    expect(client.text).toBe(": keep-alive\n\n");
    expect(client.status).toBe(200);
    relay.onError(new GridError("disconnected", "reset"));
    expect(client.state).toBe("open");
    expect(seen.ends).toMatchObject([{ kind: "failed" }]);
  });

  test("after its end nothing is heard any more", () => {
    const { client, relay, feed, seen } = attempt();
    relay.onHead(200, SSE);
    feed(delta("a"));
    relay.clientGone();
    feed(delta("b"));
    relay.onEnd();
    relay.onError(new GridError("disconnected", "x"));
    expect(client.text).toBe(delta("a"));
    expect(seen.ends).toEqual([{ kind: "gone", usage: undefined }]);
  });
});

describe("a plain answer", () => {
  const json = '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}';
  const plain = (headers: Headers = {}) => {
    const all = attempt({ stream: false });
    all.relay.onHead(200, { "content-type": "application/json", ...headers });
    return all;
  };

  test("is sent whole, with its length", () => {
    const { client, relay, feed, seen } = plain();
    feed(json.slice(0, 9), json.slice(9));
    expect(client.headSent).toBe(false);
    relay.onEnd();
    expect(client.text).toBe(json);
    expect(client.sent["content-length"]).toBe(String(json.length));
    expect(seen.ends).toMatchObject([{ kind: "done", usage: { promptTokens: 3 } }]);
  });

  test("that is cut short is tried elsewhere", () => {
    const { client, relay, feed, seen } = plain({ "content-length": "999" });
    feed(json);
    relay.onEnd();
    expect(client.headSent).toBe(false);
    expect(seen.ends).toMatchObject([{ kind: "failed", error: { code: "truncated" } }]);
  });

  test.each([
    ["", "bad_response"],
    [" \n", "bad_response"],
    ["}", "bad_response"],
    [json.slice(0, -2), "bad_response"],
    ['"a text"', "bad_response"],
    ['{"error":{"message":"boom","code":500}}', "endpoint_error"],
    ['{\n  "object": "error", "message": "boom"}', "endpoint_error"],
  ])("%j with status 200 is none, and tried elsewhere", (text, code) => {
    const { client, relay, feed, seen } = plain();
    if (text !== "") feed(text);
    relay.onEnd();
    expect(client.headSent).toBe(false);
    expect(seen.ends).toMatchObject([{ kind: "failed", error: { code, retry: "elsewhere" } }]);
  });

  test.each([
    ['{"error":null,"choices":[]}', {}],
    ['{"id":"error","choices":[]}', {}],
    ['\ufeff {"choices":[]}\r\n', {}],
    ["gzipped", { "content-encoding": "gzip" }],
  ])("%j is one, and passes", (text, headers) => {
    const { client, relay, feed, seen } = plain(headers);
    feed(text);
    relay.onEnd();
    expect(client).toMatchObject({ status: 200, state: "ended" });
    expect(seen.ends).toMatchObject([{ kind: "done" }]);
  });

  test("where a stream was asked for is tried elsewhere", () => {
    const { client, relay, seen } = attempt();
    relay.onHead(200, { "content-type": "application/json" });
    expect(client.headSent).toBe(false);
    expect(seen.ends).toMatchObject([{ kind: "failed", error: { code: "bad_response" } }]);
    expect(seen.aborts).toHaveLength(1);
  });

  test("too large to hold streams; a break then destroys the connection", () => {
    const { client, relay, feed, seen } = plain();
    feed("x".repeat(5000));
    expect(client.text.length).toBe(5000);
    relay.onError(new GridError("disconnected", "reset"));
    expect(client.state).toBe("destroyed");
    expect(seen.ends).toMatchObject([{ kind: "broken" }]);
  });

  test("over its bound is broken off", () => {
    const { client, feed, seen } = plain();
    feed("x".repeat(5000), "x".repeat(5000));
    expect(client.state).toBe("destroyed");
    expect(seen.aborts).toHaveLength(1);
  });
});

test("a page of HTML is no answer, whatever its status", () => {
  const { client, relay, seen } = attempt();
  relay.onHead(200, { "content-type": "text/html" });
  expect(client.headSent).toBe(false);
  expect(seen.ends).toMatchObject([{ kind: "failed", error: { code: "bad_response" } }]);
  expect(seen.aborts).toHaveLength(1);
});

describe("an engine that refuses", () => {
  test.each([400, 413, 422])("the request itself (%i) is quoted to the caller", (status) => {
    const { client, relay, feed, seen } = attempt();
    relay.onHead(status, { "content-type": "application/json" });
    feed('{"error":{"message":"max_tokens is too large"}}');
    relay.onEnd();
    expect(client.status).toBe(status);
    expect(client.text).toContain("max_tokens is too large");
    expect(seen.ends).toMatchObject([{ kind: "done", status }]);
  });

  test.each([401, 404, 408, 429, 500, 502, 503, 302])("with %i is tried elsewhere", (status) => {
    const { client, relay, feed, seen } = attempt();
    relay.onHead(status, { "retry-after": "3" });
    feed("<html>secret internals</html>");
    relay.onEnd();
    expect(client.headSent).toBe(false);
    expect(seen.ends).toMatchObject([{ kind: "failed", error: { retry: "elsewhere" } }]);
    expect((seen.ends[0] as { error: GridError }).error.message).not.toContain("secret");
  });
});
