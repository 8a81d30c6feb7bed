/** The HTTP worker against servers that answer as each engine family does. Origin: fixtures. */
import { readFileSync } from "node:fs";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { UndiciTransport } from "../../edge/transport-undici.ts";
import { CAPABILITY, type EndpointSpec, type EngineFamily } from "../../src/grid/endpoint.ts";
import { GridError } from "../../src/grid/errors.ts";
import { capabilityMask } from "../../src/forward/abilities.ts";
import { FAMILIES } from "../../src/forward/families.ts";
import { HttpWorker, type HttpWorkerOptions } from "../../src/forward/workers/http-worker.ts";
import type { Task } from "../../src/task/task.ts";
import { type Loopback, openHttp, openRaw } from "./loopback.ts";

type Page = string | { status: number; body?: string };

const fixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/engines/${name}`, import.meta.url), "utf8");
const list = (...data: object[]): string => JSON.stringify({ object: "list", data });
const openapi = (...paths: string[]): string =>
  JSON.stringify({ paths: Object.fromEntries(paths.map((path) => [path, {}])) });

interface Case {
  pages: Record<string, Page>;
  probe: object;
  load: object;
  /** Paths that must never be asked. */
  never?: string[];
}

const NO_CONTEXT = { id: "m" };
const CASES: Partial<Record<EngineFamily, Case>> = {
  vllm: {
    pages: {
      "/health": "",
      "/v1/models": list(
        { id: "meta-llama/Llama-3.1-8B", max_model_len: 32768 },
        { id: "sql-lora" },
      ),
      "/version": '{"version":"0.32.0"}',
      "/metrics": fixture("vllm-metrics.txt"),
      "/openapi.json": openapi("/v1/chat/completions", "/v1/completions"),
    },
    probe: {
      phase: "ready",
      version: "0.32.0",
      models: [{ id: "meta-llama/Llama-3.1-8B", contextTokens: 32768 }, { id: "sql-lora" }],
      kvTokens: 32_000,
      capabilities: capabilityMask(FAMILIES.vllm.capabilities) & ~CAPABILITY.embeddings,
    },
    load: { source: "metrics", running: 12, waiting: 3, kvUsage: 0.625, kvTokens: 32_000 },
  },
  sglang: {
    pages: {
      "/v1/loads": fixture("sglang-loads.json"),
      "/v1/models": list({ id: "qwen", max_model_len: 40960 }),
      "/server_info": '{"version":"0.6.2"}',
    },
    probe: {
      phase: "ready",
      version: "0.6.2",
      models: [{ id: "qwen", contextTokens: 40960 }],
      kvTokens: 200_000,
      slots: 128,
      capabilities: undefined,
    },
    load: { source: "loads", running: 5, waiting: 2, queuedTokens: 3000, kvUsage: 0.4, slots: 128 },
    never: ["/health", "/health_generate", "/metrics"],
  },
  "tensorrt-llm": {
    pages: {
      "/health": "",
      "/v1/models": list({ id: "llama" }),
      "/version": '{"version":"1.2.0"}',
      "/prometheus/metrics": fixture("tensorrt-llm-metrics.txt"),
      "/metrics": "[]",
    },
    probe: { phase: "ready", version: "1.2.0", models: [{ id: "llama" }], kvTokens: 131_072 },
    load: { source: "metrics", running: 3, waiting: 2, kvUsage: 0.62 },
    never: ["/metrics", "/perf_metrics", "/kv_cache_events"],
  },
  "llama.cpp": {
    pages: {
      "/health": '{"status":"ok"}',
      "/v1/models": list({ id: "tiny.gguf", meta: { n_ctx_train: 32768 } }),
      "/slots": fixture("llama.cpp-slots.json"),
      "/metrics": fixture("llama.cpp-metrics.txt"),
      "/props": fixture("llama.cpp-props.json"),
      "/v1/embeddings": { status: 501, body: '{"error":{"code":501}}' },
    },
    probe: {
      phase: "ready",
      version: "b11669-abcdef12",
      models: [{ id: "tiny.gguf", contextTokens: 2048 }],
      kvTokens: 8192,
      slots: 4,
      capabilities: capabilityMask(FAMILIES["llama.cpp"].capabilities) | CAPABILITY.vision,
    },
    load: { source: "slots", running: 1, waiting: 0, queuedTokens: 200, kvUsage: 0.125, slots: 4 },
    never: ["/metrics"],
  },
  nim: {
    pages: {
      "/v1/health/ready": '{"object":"health-response","message":"Service is ready."}',
      "/v1/models": list({ id: "meta/llama-3.1-8b-instruct", max_model_len: 131072 }),
      "/v1/version": '{"release":"1.13.0","api":"1.13.0"}',
      "/v1/metrics": fixture("nim-metrics.txt"),
    },
    probe: { phase: "ready", version: "1.13.0" },
    load: { source: "metrics", running: 9, waiting: 4, kvUsage: 0.11 },
  },
  triton: {
    pages: {
      "/health/ready": "",
      "/v1/models": list({ id: "ensemble" }),
      "/v2": '{"name":"triton","version":"2.70.0"}',
      "/metrics": fixture("triton-metrics.txt"),
    },
    probe: { phase: "ready", version: "2.70.0", kvTokens: 399_360 },
    load: { source: "metrics", running: 5, waiting: 2, kvUsage: 0.00016 },
  },
  ollama: {
    pages: {
      "/api/version": '{"version":"0.40.1"}',
      "/v1/models": list({ id: "llama3.2:3b" }),
      "/api/ps": fixture("ollama-ps.json"),
    },
    probe: { phase: "ready", version: "0.40.1", models: [{ id: "llama3.2:3b" }] },
    load: { source: "api-ps", running: undefined, waiting: undefined, kvUsage: undefined },
  },
  dynamo: {
    pages: {
      "/health": '{"status":"healthy","endpoints":[]}',
      "/v1/models": list(NO_CONTEXT),
      "/metrics": fixture("dynamo-metrics.txt"),
    },
    probe: { phase: "ready", models: [NO_CONTEXT], kvTokens: undefined },
    load: { source: "metrics", running: 9, waiting: 3, kvTokens: undefined },
  },
  "openai-compatible": {
    pages: { "/v1/models": list({ id: "m", context_window: 4096 }) },
    probe: { phase: "ready", models: [{ id: "m", contextTokens: 4096 }], capabilities: undefined },
    load: { source: "none", running: undefined },
  },
};

const transport = new UndiciTransport();
let servers: Loopback[] = [];
const asked: { method: string; url: string; headers: NodeJS.Dict<string | string[]> }[] = [];

async function serve(pages: Record<string, Page>): Promise<string> {
  const server = await openHttp((request, response) => {
    request.resume();
    const url = request.url ?? "";
    asked.push({ method: request.method ?? "", url, headers: request.headers });
    const page = pages[url.split("?")[0]] ?? { status: 404, body: "not found" };
    const { status, body = "" } = typeof page === "string" ? { status: 200, body: page } : page;
    response.writeHead(status).end(body);
  });
  servers.push(server);
  return server.origin;
}

function spec(engine: EngineFamily, url: string, more: Partial<EndpointSpec> = {}): EndpointSpec {
  return {
    id: "e1",
    url,
    engine,
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

const make = (
  engine: EngineFamily,
  url: string,
  more: Partial<EndpointSpec> = {},
  options: Partial<HttpWorkerOptions> = {},
): HttpWorker =>
  new HttpWorker(spec(engine, url, more), { transport, clock: () => 42, ...options });

afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
  asked.length = 0;
});
afterAll(() => transport.close());

describe.each(Object.entries(CASES) as [EngineFamily, Case][])("worker %s", (engine, wanted) => {
  it("says what it is", async () => {
    const worker = make(engine, await serve(wanted.pages));
    expect(await worker.phase()).toMatchObject({ phase: "ready" });
    expect(await worker.probe()).toMatchObject(wanted.probe);
  });

  it("says its load, and nothing that the engine did not say", async () => {
    const worker = make(engine, await serve(wanted.pages));
    expect(await worker.load()).toMatchObject({ atMs: 42, ...wanted.load });
  });

  it("asks nothing that generates, destroys or costs", async () => {
    const worker = make(engine, await serve(wanted.pages));
    await worker.probe();
    await worker.phase();
    await worker.load();
    const paths = asked.map(({ url }) => url.split("?")[0]);
    for (const path of wanted.never ?? []) expect(paths).not.toContain(path);
    const posts = asked.filter(({ method }) => method === "POST").map(({ url }) => url);
    expect(posts).toEqual(engine === "llama.cpp" ? ["/v1/embeddings"] : []);
  });
});

describe("worker: token ids of prompts", () => {
  const task = { route: "chat", body: new TextEncoder().encode('{"messages":[]}') } as Task;
  const pages = { "/tokenize": '{"count":2,"max_model_len":9,"tokens":[1,2],"token_strs":null}' };
  const TWICE = ["tokenize", "tokenize"];
  const paths = () => asked.map(({ method, url }) => `${method} ${url}`);

  it("vLLM with /render is asked there: /tokenize ignores what templates read", async () => {
    const rendered = '{"request_id":"chatcmpl-8","token_ids":[3,46],"features":null}';
    const both = { ...pages, "/v1/chat/completions/render": rendered };
    const worker = make("vllm", await serve(both));
    expect(worker.tokenizes("chat")).toBe(true);
    expect(await worker.tokenize(task)).toEqual([3, 46]);
    expect(paths()).toEqual(["POST /v1/chat/completions/render"]);
  });

  it.each([403, 404])("vLLM without it (%i): /tokenize, and not asked again", async (status) => {
    const off = { "/v1/chat/completions/render": { status, body: '{"error":{}}' } };
    const worker = make("vllm", await serve({ ...off, ...pages }));
    expect(await worker.tokenize(task)).toEqual([1, 2]);
    expect(await worker.tokenize(task)).toEqual([1, 2]);
    expect(paths().map((path) => path.split("/").at(-1))).toEqual(["render", ...TWICE]);
  });
});

describe("worker: fallbacks", () => {
  it("SGLang without /v1/loads: /metrics, and 404 is not asked again", async () => {
    const pages = { "/get_model_info": "{}", "/metrics": fixture("sglang-metrics.txt") };
    const worker = make("sglang", await serve(pages));
    expect(await worker.load()).toMatchObject({
      source: "metrics",
      running: 6,
      waiting: 1,
      kvTokens: 65536,
    });
    await worker.load();
    expect(asked.filter(({ url }) => url.startsWith("/v1/loads"))).toHaveLength(1);
    expect(await worker.phase()).toMatchObject({ phase: "ready" });
  });

  it("old vLLM: old name of KV use, block count None stays unknown", async () => {
    const worker = make("vllm", await serve({ "/metrics": fixture("vllm-metrics-old.txt") }));
    const sample = await worker.load();
    expect(sample).toMatchObject({ running: 2, waiting: 1, kvUsage: 0.5 });
    expect(sample.kvTokens).toBeUndefined();
  });

  it("vLLM 0.32.0, as recorded: its own count of tokens is what counts", async () => {
    const page = fixture("vllm-0.32-metrics.txt");
    const known = { running: 0, waiting: 0, kvUsage: 0, kvTokens: 16_384, blockTokens: 32 };
    const read = async (text: string) => make("vllm", await serve({ "/metrics": text })).load();
    expect(await read(page)).toMatchObject({ source: "metrics", ...known });
    const less = page.replace('kv_cache_size_tokens="16384"', 'kv_cache_size_tokens="9000"');
    expect(await read(less)).toMatchObject({ kvTokens: 9_000, blockTokens: 32 });
    const none = page.replace('kv_cache_size_tokens="16384"', 'kv_cache_size_tokens="None"');
    expect(await read(none)).toMatchObject({ kvTokens: 16_384 });
  });

  it("llama.cpp with all slots busy: the waiting ones come from /metrics", async () => {
    const slots = JSON.parse(fixture("llama.cpp-slots.json")) as object[];
    const busy = slots.map(() => slots[0]);
    const pages = { "/slots": JSON.stringify(busy), "/metrics": fixture("llama.cpp-metrics.txt") };
    const sample = await make("llama.cpp", await serve(pages)).load();
    expect(sample).toMatchObject({ source: "slots", running: 4, waiting: 12, kvUsage: 0.5 });
    expect(sample.queuedTokens).toBeUndefined();
  });

  it("no source at all: a silent engine, no failure", async () => {
    expect(await make("vllm", await serve({})).load()).toMatchObject({ source: "none" });
  });

  it("a source that fails: GridError, and the reason", async () => {
    const worker = make("vllm", await serve({ "/metrics": { status: 500 } }));
    await expect(worker.load()).rejects.toThrow(/metrics: status 500/);
    const broken = make(
      "sglang",
      await serve({ "/v1/loads": "<html>", "/metrics": { status: 503 } }),
    );
    await expect(broken.load()).rejects.toBeInstanceOf(GridError);
  });

  it("the operator's capabilities need no probing", async () => {
    const origin = await serve(CASES.vllm?.pages ?? {});
    const probe = await make("vllm", origin, { capabilities: ["chat"] }).probe();
    expect(probe.capabilities).toBe(CAPABILITY.chat);
    expect(asked.map(({ url }) => url)).not.toContain("/openapi.json");
  });
});

describe("worker: phases", () => {
  const phase = async (page: Page) => make("vllm", await serve({ "/health": page })).phase();

  it.each([
    [{ status: 503, body: '{"error":{"message":"Loading model","code":503}}' }, "loading"],
    [{ status: 503, body: '{"status":"shutting_down"}' }, "draining"],
    [{ status: 503, body: "engine is dead" }, "down"],
    [{ status: 500 }, "down"],
    [{ status: 429 }, "ready"],
  ] as [Page, string][])("%j is %s", async (page, wanted) => {
    expect(await phase(page)).toMatchObject({ phase: wanted });
  });

  it("401 names the key", async () => {
    expect((await phase({ status: 401 })).detail).toContain("API key");
    const pages = { "/health": "", "/v1/models": { status: 401 } };
    expect(await make("vllm", await serve(pages)).probe()).toMatchObject({ phase: "down" });
  });

  it("no health path: says which were tried", async () => {
    expect((await make("vllm", await serve({})).phase()).detail).toContain("/health, /ping");
  });

  it("asleep by its metrics though /health says 200", async () => {
    const metrics = 'vllm:engine_sleep_state{sleep_state="awake"} 0\nvllm:num_requests_running 0\n';
    const worker = make("vllm", await serve({ "/health": "", "/metrics": metrics }));
    expect(await worker.probe()).toMatchObject({ phase: "sleeping" });
    expect(await worker.phase()).toMatchObject({ phase: "sleeping" });
  });

  it("never throws: nobody there, silence, too much", async () => {
    const dead = await openHttp(() => {});
    await dead.close();
    const worker = make("vllm", dead.origin);
    expect(await worker.phase()).toMatchObject({ phase: "down" });
    expect((await worker.probe()).detail).toContain("ECONNREFUSED");
    await expect(worker.load()).rejects.toMatchObject({ code: "connect_failed" });
    const mute = await openRaw(() => {});
    servers.push(mute);
    const waiting = make("vllm", mute.origin, {}, { readTimeoutMs: 30, probeTimeoutMs: 30 });
    expect((await waiting.probe()).detail).toContain("within 30 ms");
    const flood = make(
      "vllm",
      await serve({ "/health": "x".repeat(5_000) }),
      {},
      { bodyBytesMax: 1_000 },
    );
    expect((await flood.phase()).detail).toContain("larger than 1000 bytes");
  });
});

describe("worker: restarts", () => {
  const metrics = (start: number, tokens: number) =>
    `process_start_time_seconds ${start}\nvllm:prompt_tokens_total{engine="0"} ${tokens}\n` +
    "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n";

  it("are seen by the start time, and told once", async () => {
    const pages: Record<string, Page> = { "/health": "", "/metrics": metrics(1, 10) };
    const worker = make("vllm", await serve(pages));
    expect((await worker.load()).restarted).toBeUndefined();
    expect((await worker.load()).restarted).toBe(false);
    pages["/metrics"] = metrics(2, 10);
    expect((await worker.load()).restarted).toBe(true);
    expect((await worker.probe()).restarted).toBe(false);
  });

  it("are seen by a counter that fell, and by another version", async () => {
    const pages: Record<string, Page> = {
      "/health": "",
      "/version": '{"version":"1"}',
      "/metrics": "vllm:prompt_tokens_total 10\n",
    };
    const worker = make("vllm", await serve(pages));
    await worker.probe();
    pages["/metrics"] = "vllm:prompt_tokens_total 3\n";
    expect((await worker.load()).restarted).toBe(true);
    pages["/version"] = '{"version":"2"}';
    expect((await worker.probe()).restarted).toBe(true);
  });
});

describe("worker: probes", () => {
  it("carry the key", async () => {
    const worker = make("vllm", await serve({ "/health": "" }), { apiKey: "k" });
    await worker.phase();
    expect(asked[0].headers.authorization).toBe("Bearer k");
  });
});
