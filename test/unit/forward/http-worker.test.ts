import { describe, expect, it } from "vitest";
import type { EndpointSpec } from "../../../src/grid/endpoint.ts";
import type { Transport } from "../../../src/grid/exchange.ts";
import { HttpWorker } from "../../../src/forward/workers/http-worker.ts";
import type { Route } from "../../../src/task/route.ts";
import type { Task } from "../../../src/task/task.ts";

const transport = {} as Transport;

function spec(url: string, more: Partial<EndpointSpec>): EndpointSpec {
  return {
    id: "e1",
    url,
    engine: "vllm",
    dialects: ["chat"],
    tier: "edge",
    region: "eu",
    models: [],
    tenants: [],
    admission: "new-and-existing",
    priceIn: 0,
    priceCached: 0,
    priceOut: 0,
    maxInFlight: 8,
    prefillBudgetTokens: 2048,
    prefillTokensPerS: 1000,
    itlMs: 20,
    rttMs: 1,
    headers: {},
    ...more,
  };
}

const make = (url: string, more: Partial<EndpointSpec> = {}): HttpWorker =>
  new HttpWorker(spec(url, more), { transport, clock: () => 0, via: "run-b" });

describe("http worker: requests", () => {
  it("go to the right path with key, id and the operator's headers", () => {
    const worker = make("https://gpu.example:8443/tenant-a/v1/", {
      apiKey: "secret",
      headers: { "X-Team": "blue", Host: "evil", "Transfer-Encoding": "chunked" },
    });
    const body = new Uint8Array([1]);
    const task = (route: Route, id: string) => ({ route, id, body, dialectHeaders: {} }) as Task;
    const request = worker.outbound(task("embeddings", "r-9"));
    expect(request).toMatchObject({
      origin: "https://gpu.example:8443",
      method: "POST",
      path: "/tenant-a/v1/embeddings",
    });
    expect(request.body).toBe(body);
    expect(request.headers).toEqual({
      authorization: "Bearer secret",
      "content-type": "application/json",
      "accept-encoding": "identity",
      "user-agent": "gridpoint",
      "x-grid-via": "run-b",
      "x-request-id": "r-9",
      "x-team": "blue",
    });
    expect(worker.outbound(task("chat", "r-10")).headers).not.toBe(request.headers);
    const passed = worker.outbound({ ...task("chat", "r"), via: "run-a" });
    expect(passed.headers["x-grid-via"]).toBe("run-a, run-b");
    expect(worker.outbound(task("completions", "r")).path).toBe("/tenant-a/v1/completions");
  });

  it.each<[string, Route, Partial<EndpointSpec>, Record<string, string>, string | undefined]>([
    ["of another dialect, Anthropic's cloud", "chat", { engine: "anthropic" }, {}, "2026-10-21"],
    ["of its own without a version", "messages", { engine: "anthropic" }, {}, "2023-06-01"],
    [
      "of its own with one",
      "messages",
      { engine: "anthropic" },
      { "anthropic-version": "2026-10-21" },
      "2026-10-21",
    ],
    [
      "where the operator names one",
      "chat",
      { engine: "anthropic", headers: { "anthropic-version": "2023-06-01" } },
      {},
      "2023-06-01",
    ],
    ["of another dialect, an imitation", "chat", { engine: "vllm" }, {}, "2023-06-01"],
    ["to an engine of chat", "chat", { dialects: ["chat"] }, {}, undefined],
  ])("%s: asks for the right version of Messages", (_name, route, more, dialectHeaders, wanted) => {
    const worker = make("https://x", { dialects: ["messages"], ...more });
    const fields = { model: "m", messages: [{ role: "user", content: "x" }] };
    const task = { route, id: "r", model: "m", fields, body: new Uint8Array(0), dialectHeaders };
    const { headers } = worker.outbound(task as unknown as Task);
    expect(headers["anthropic-version"]).toBe(wanted);
  });

  it.each(["ftp://x", "not a url", "http://user:pw@x"])("refuses the url %s", (url) => {
    expect(() => make(url)).toThrow(/endpoint e1: url must be/);
  });

  it("pass back what is the caller's", () => {
    const worker = make("http://x:1");
    const headers = {
      "content-type": "text/event-stream",
      "retry-after": "3",
      // Limits and account are the operator's with a vendor, not the caller's with us.
      "x-ratelimit-remaining-requests": "1",
      "anthropic-ratelimit-tokens-remaining": "1",
      "openai-organization": "org-1",
      "request-id": "theirs",
      "content-encoding": "gzip",
      "x-hop": "1",
      connection: "keep-alive, X-Hop",
      "keep-alive": "timeout=5",
      "content-length": "12",
      "transfer-encoding": "chunked",
      "set-cookie": "a=b",
      server: "uvicorn",
      "x-request-id": "theirs",
      "x-grid-route": "forged",
      "access-control-allow-origin": "*",
    };
    expect(worker.inboundHeaders(headers)).toEqual({
      "content-type": "text/event-stream",
      "retry-after": "3",
      "content-encoding": "gzip",
    });
    expect(headers.server).toBe("uvicorn");
  });
});
