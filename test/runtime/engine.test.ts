/**
 * The emulated engine over its wire: the OpenAI API, vLLM's and SGLang's load pages, each fault,
 * and that a client that leaves frees its slot. In this process; `gridpoint engine` itself is
 * started as a process only where the process is the point.
 */
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { EmulatedEngine, type EmulatedEngineOptions } from "../../edge/engine/server.ts";
import { profileNamed } from "../../src/sim/profiles.ts";
import { startCli } from "./pop-process.ts";
import { SOURCE } from "./program.ts";

const open: EmulatedEngine[] = [];
const INSTANT = profileNamed("instant");
/** One token every 5 ms: slow enough to be caught in the middle. */
const PACED = { ...INSTANT, id: "paced", costs: { ...INSTANT.costs, overheadMs: 5 } };

async function engine(options: Partial<EmulatedEngineOptions> = {}): Promise<EmulatedEngine> {
  const started = await new EmulatedEngine({ profile: INSTANT, models: ["m"], ...options }).start();
  open.push(started);
  return started;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

function post(to: EmulatedEngine, path: string, body: unknown, signal?: AbortSignal) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "content-type": "application/json" };
  return fetch(to.url + path, { method: "POST", body: text, headers, signal });
}

function chat(to: EmulatedEngine, more: Record<string, unknown> = {}, signal?: AbortSignal) {
  const messages = [{ role: "user", content: "Tell me about the weather in the mountains." }];
  return post(to, "/v1/chat/completions", { model: "m", messages, max_tokens: 8, ...more }, signal);
}

interface Chunk {
  choices: {
    index: number;
    delta: { role?: string; content?: string };
    finish_reason: string | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number };
}

function chunks(text: string): Chunk[] {
  const events = text.split("\n\n").filter((event) => event !== "" && event !== "data: [DONE]");
  return events.map((event) => JSON.parse(event.slice("data: ".length)) as Chunk);
}

async function waitFor(isTrue: () => Promise<boolean>, limitMs = 2000): Promise<number> {
  const start = performance.now();
  while (!(await isTrue())) {
    if (performance.now() - start > limitMs) throw new Error(`not within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return performance.now() - start;
}

const get = async (to: EmulatedEngine, path: string) => (await fetch(to.url + path)).text();
const core = async (to: EmulatedEngine) => JSON.parse(await get(to, "/v1/loads")).loads[0];

describe("the API", () => {
  test("a plain chat says that it is emulated and counts its tokens", async () => {
    const answer = await (await chat(await engine())).json();
    expect(answer).toMatchObject({
      object: "chat.completion",
      model: "m",
      choices: [{ index: 0, finish_reason: "length", message: { role: "assistant" } }],
      usage: { completion_tokens: 8, prompt_tokens_details: { cached_tokens: 0 } },
    });
    expect(answer.choices[0].message.content).toMatch(/^\[emulated vllm-like engine\] /);
    expect(answer.usage.total_tokens).toBe(answer.usage.prompt_tokens + 8);
  });

  test("streamed and plain give the same text; usage comes last when asked for", async () => {
    const one = await engine();
    const plain = await (await chat(one)).json();
    const response = await chat(one, { stream: true, stream_options: { include_usage: true } });
    expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
    const text = await response.text();
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    const list = chunks(text);
    expect(list[0].choices[0].delta.role).toBe("assistant");
    const content = list.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
    expect(content).toBe(plain.choices[0].message.content);
    expect(list.at(-2)?.choices[0].finish_reason).toBe("length");
    expect(list.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 8 } });
  });

  test("a repeated prompt and the next turn of a conversation are found in the cache", async () => {
    const one = await engine();
    const messages = [{ role: "user", content: "once upon a time ".repeat(40) }];
    const first = await (await chat(one, { messages, max_tokens: 64 })).json();
    const again = await (await chat(one, { messages })).json();
    const told = { role: "assistant", content: first.choices[0].message.content };
    const next = [...messages, told, { role: "user", content: "and then?" }];
    const turn = await (await chat(one, { messages: next })).json();
    const prompt = first.usage.prompt_tokens;
    const whole = Math.floor((prompt - 1) / 16) * 16;
    expect(again.usage.prompt_tokens_details.cached_tokens).toBe(whole);
    const known = turn.usage.prompt_tokens_details.cached_tokens;
    expect(known).toBeGreaterThan(prompt);
    expect(await get(one, "/metrics")).toMatch(/vllm:prefix_cache_hits_total{[^}]*} [1-9]/);
  });

  test("n, stop, natural end, ignore_eos and min_tokens", async () => {
    const one = await engine({ outputTokens: 10 });
    const three = await (await chat(one, { n: 3, ignore_eos: true })).json();
    expect(three.choices.map((choice: { index: number }) => choice.index)).toEqual([0, 1, 2]);
    expect(three.usage.completion_tokens).toBe(24);
    const stopped = await (await chat(one, { stop: ["like", "zzz"] })).json();
    expect(stopped.choices[0]).toMatchObject({
      finish_reason: "stop",
      message: { content: "[emulated vllm-" },
    });
    const natural = await (await chat(one, { max_tokens: 1000 })).json();
    expect(natural.choices[0].finish_reason).toBe("stop");
    expect(natural.usage.completion_tokens).toBeLessThanOrEqual(15);
    const forced = await (await chat(one, { max_tokens: 100, ignore_eos: true })).json();
    expect(forced.usage.completion_tokens).toBe(100);
    const least = await (await chat(one, { max_tokens: 100, min_tokens: 50 })).json();
    expect(least.usage.completion_tokens).toBe(50);
  });

  test("completions take texts and token ids", async () => {
    const one = await engine();
    const text = await (await post(one, "/v1/completions", { prompt: ["a", "b"], n: 2 })).json();
    expect(text.choices).toHaveLength(4);
    expect(text.usage.prompt_tokens).toBe(2);
    const ids = await (await post(one, "/v1/completions", { prompt: [5, 6, 7] })).json();
    expect(ids.usage.prompt_tokens).toBe(3);
  });

  test("embeddings are unit vectors that depend on the text only, in both encodings", async () => {
    const one = await engine();
    const input = ["hello", "other", "hello"];
    const floats = (await (await post(one, "/v1/embeddings", { input })).json()).data;
    expect(floats[0].embedding).toEqual(floats[2].embedding);
    expect(floats[0].embedding).not.toEqual(floats[1].embedding);
    expect(Math.hypot(...floats[0].embedding)).toBeCloseTo(1, 5);
    const asked = { input, encoding_format: "base64" };
    const coded = (await (await post(one, "/v1/embeddings", asked)).json()).data;
    const bytes = Buffer.from(coded[0].embedding, "base64");
    expect(bytes.readFloatLE(0)).toBeCloseTo(floats[0].embedding[0], 6);
  });

  test("models, version, tokenize, and vLLM's metric names", async () => {
    const one = await engine({ models: ["m", "n"] });
    const models = JSON.parse(await get(one, "/v1/models"));
    expect(models.data.map((model: { id: string }) => model.id)).toEqual(["m", "n"]);
    expect(models.data[0].max_model_len).toBe(INSTANT.maxModelLen);
    expect(JSON.parse(await get(one, "/version")).version).toMatch(/emulated/);
    const tokens = await (await post(one, "/tokenize", { prompt: "abcdefgh" })).json();
    expect(tokens).toMatchObject({ count: 2, max_model_len: INSTANT.maxModelLen });
    await (await chat(one)).text();
    const metrics = await get(one, "/metrics");
    for (const line of [
      /^vllm:num_requests_running{engine="0",model_name="m"} 0$/m,
      /^vllm:num_requests_waiting{.*} 0$/m,
      /^vllm:kv_cache_usage_perc{.*} 0$/m,
      /^vllm:generation_tokens_total{.*} 8$/m,
      /^vllm:request_success_total{.*finished_reason="length"} 1$/m,
      /^vllm:time_to_first_token_seconds_bucket{.*le="\+Inf"} 1$/m,
      /^vllm:inter_token_latency_seconds_count{.*} 7$/m,
      /^vllm:cache_config_info{block_size="16".*num_gpu_blocks="65536"} 1$/m,
    ]) {
      expect(metrics).toMatch(line);
    }
  });

  test.each([
    ["broken JSON", "{", 400, /not valid JSON/],
    ["an unknown model", { model: "x", messages: [] }, 404, /`x` does not exist/],
    ["no messages", { model: "m" }, 400, /messages must be/],
    ["a wrong type", { model: "m", messages: [{ role: "user" }], stream: "yes" }, 400, /boolean/],
    ["too long", { messages: [{ role: "user" }], max_tokens: 1e6 }, 400, /maximum context/],
  ])("refuses %s", async (_name, body, status, message) => {
    const response = await post(await engine(), "/v1/chat/completions", body);
    expect(response.status).toBe(status);
    expect((await response.json()).error.message).toMatch(message);
  });

  test("asks for its key on /v1 only, and for known routes", async () => {
    const one = await engine({ apiKey: "secret" });
    expect((await chat(one)).status).toBe(401);
    expect((await fetch(`${one.url}/health`)).status).toBe(200);
    const headers = { authorization: "Bearer secret" };
    expect((await fetch(`${one.url}/v1/models`, { headers })).status).toBe(200);
    expect((await fetch(`${one.url}/none`)).status).toBe(404);
  });

  test("refuses with 503 when its queue is full", async () => {
    const one = await engine({ profile: { ...PACED, maxSeqs: 1 }, maxQueue: 1 });
    const aborts = new AbortController();
    const long = { max_tokens: 1000, ignore_eos: true };
    const first = chat(one, long, aborts.signal).catch(() => null);
    await waitFor(async () => (await core(one)).num_running_reqs === 1);
    const second = chat(one, {}, aborts.signal).catch(() => null);
    await waitFor(async () => (await core(one)).num_waiting_reqs === 1);
    expect((await core(one)).num_waiting_uncached_tokens).toBeGreaterThan(0);
    const refused = await chat(one);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("1");
    aborts.abort();
    await Promise.all([first, second]);
  });
});

describe("a client that leaves", () => {
  test.each([true, false])("frees the slot within 50 ms (stream: %s)", async (stream) => {
    const one = await engine({ profile: PACED });
    const aborts = new AbortController();
    const body = { stream, max_tokens: 5000, ignore_eos: true };
    const call = chat(one, body, aborts.signal).then((response) => response.text());
    const cut = call.catch((error: Error) => error.name);
    await waitFor(async () => (await core(one)).num_running_reqs === 1);
    aborts.abort();
    expect(await waitFor(async () => (await core(one)).num_running_reqs === 0)).toBeLessThan(50);
    expect((await core(one)).num_used_tokens).toBe(0);
    expect(await cut).toBe("AbortError");
    expect(await get(one, "/metrics")).toMatch(/finished_reason="abort"} 1$/m);
  });
});

/** Raw bytes until the connection ends, and how it ended. */
function raw(to: EmulatedEngine, body: object): Promise<{ text: string; how: "end" | "reset" }> {
  return new Promise((resolve) => {
    const messages = [{ role: "user", content: "x" }];
    const json = JSON.stringify({ model: "m", messages, ...body });
    const socket = connect(Number(new URL(to.url).port), "127.0.0.1");
    let text = "";
    socket.setEncoding("latin1").on("data", (part: string) => {
      text += part;
    });
    socket.on("end", () => resolve({ text, how: "end" }));
    socket.on("error", () => resolve({ text, how: "reset" }));
    socket.write(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" +
        `Content-Length: ${json.length}\r\n\r\n${json}`,
    );
  });
}

const contents = (text: string): number => text.match(/"content":"[^"]/g)?.length ?? 0;

describe("faults", () => {
  const body = { stream: true, max_tokens: 20, ignore_eos: true };

  test("reset: the connection breaks after the asked tokens, then all is well again", async () => {
    const one = await engine({ profile: PACED });
    await post(one, "/fault", { kind: "reset", afterTokens: 3 });
    const { text, how } = await raw(one, body);
    expect([contents(text), how]).toEqual([3, "reset"]);
    expect((await raw(one, body)).text).toContain("[DONE]");
  });

  test("truncate: a clean end without finish reason or [DONE]", async () => {
    const one = await engine({ profile: PACED });
    await post(one, "/fault", { kind: "truncate", afterTokens: 2 });
    const { text, how } = await raw(one, body);
    expect([contents(text), how]).toEqual([2, "end"]);
    expect(text).not.toContain("[DONE]");
    expect(text).not.toContain('finish_reason":"');
  });

  test("exit: everything of the engine goes", async () => {
    const one = await engine({ profile: PACED });
    await post(one, "/fault", { kind: "exit", afterTokens: 2 });
    const { text, how } = await raw(one, body);
    expect([contents(text), how]).toEqual([2, "reset"]);
    await expect(fetch(`${one.url}/health`)).rejects.toThrow();
  });

  test("stall: nothing more comes, and the connection stays", async () => {
    const one = await engine({ profile: PACED });
    await post(one, "/fault", { kind: "stall", afterTokens: 2 });
    const aborts = new AbortController();
    const reader = (await chat(one, body, aborts.signal)).body?.getReader();
    let text = "";
    const quiet = Symbol("quiet");
    for (;;) {
      const late = new Promise<typeof quiet>((resolve) => setTimeout(resolve, 150, quiet));
      const part = await Promise.race([reader?.read(), late]);
      if (part === quiet) break;
      expect(part).toMatchObject({ done: false });
      text += new TextDecoder().decode((part as { value: Uint8Array }).value);
    }
    expect(contents(text)).toBe(2);
    aborts.abort();
  });

  test("drip: every event waits, none is lost", async () => {
    const one = await engine();
    await post(one, "/fault", { kind: "drip", ms: 15 });
    const start = performance.now();
    const text = await (await chat(one, { stream: true, max_tokens: 5 })).text();
    expect(performance.now() - start).toBeGreaterThan(6 * 14);
    expect(contents(text)).toBe(5);
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
  });

  test("status and delay, as often as counted", async () => {
    const one = await engine({ faults: [] });
    await post(one, "/fault", { kind: "status", status: 429, retryAfterS: 7, count: 2 });
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++) statuses.push((await chat(one)).status);
    expect(statuses).toEqual([429, 429, 200]);
    await post(one, "/fault", { kind: "delay", ms: 60 });
    const start = performance.now();
    expect((await chat(one)).status).toBe(200);
    expect(performance.now() - start).toBeGreaterThan(55);
  });

  test("freeze-metrics and slow-health, until cleared", async () => {
    const one = await engine();
    await post(one, "/fault", { kind: "freeze-metrics" });
    await post(one, "/fault", { kind: "slow-health", ms: 60, count: 0 });
    await (await chat(one)).text();
    expect(await get(one, "/metrics")).toMatch(/generation_tokens_total{.*} 0$/m);
    const start = performance.now();
    await get(one, "/health");
    expect(performance.now() - start).toBeGreaterThan(55);
    await fetch(`${one.url}/fault`, { method: "DELETE" });
    expect(await get(one, "/metrics")).toMatch(/generation_tokens_total{.*} 8$/m);
    expect(JSON.parse(await get(one, "/fault"))).toEqual({ faults: [], frozen: false });
  });

  test("restart: the port closes, comes back, and the cache is gone", async () => {
    const one = await engine();
    const messages = [{ role: "user", content: "remember me ".repeat(20) }];
    await (await chat(one, { messages })).text();
    await post(one, "/fault", { kind: "restart", ms: 50 });
    await waitFor(async () => !(await fetch(`${one.url}/health`).catch(() => ({ ok: false }))).ok);
    await waitFor(async () => (await fetch(`${one.url}/health`).catch(() => ({ ok: false }))).ok);
    const after = await (await chat(one, { messages })).json();
    expect(after.usage.prompt_tokens_details.cached_tokens).toBe(0);
  });

  test("says what is wrong with a fault that it does not know", async () => {
    const one = await engine();
    const unknown = await post(one, "/fault", { kind: "melt" });
    expect((await unknown.json()).error.message).toMatch(/kind must be one of exit, reset/);
    const field = await post(one, "/fault", { kind: "reset", after: 3 });
    expect((await field.json()).error.message).toMatch(/unknown field "after"; known: afterTokens/);
  });
});

describe("the share of the GPU", () => {
  test("scales speed and admission, by command and by schedule", async () => {
    const one = await engine({ profile: { ...PACED, maxSeqs: 100 } });
    const timed = async (): Promise<number> => {
      const start = performance.now();
      await (await chat(one, { max_tokens: 10 })).text();
      return performance.now() - start;
    };
    const whole = await timed();
    expect(await (await post(one, "/share", { share: 0.25 })).json()).toEqual({ share: 0.25 });
    expect(await timed()).toBeGreaterThan(2 * whole);
    expect((await core(one)).max_running_requests).toBe(25);
    expect((await post(one, "/share", { share: 2 })).status).toBe(400);
    const steps = [
      { atMs: 0, share: 0.8 },
      { atMs: 500, share: 0.1 },
    ];
    const other = await engine({ shareSchedule: steps });
    expect(JSON.parse(await get(other, "/share"))).toEqual({ share: 0.8 });
    await waitFor(async () => JSON.parse(await get(other, "/share")).share === 0.1);
  });
});

describe("the process", () => {
  test("says where it listens, finishes what is open on SIGTERM, and ends with 0", async () => {
    const pace = ["--profile", "instant", "--itl-ms", "10", "--drain-ms", "5000"];
    // From source, as whoever works on Gridpoint runs it.
    const line = ["engine", "--port", "0", ...pace, "--model", "m"];
    const one = await startCli(line, "node", SOURCE);
    const body = { model: "m", prompt: "x", max_tokens: 20, ignore_eos: true };
    const init = { method: "POST", body: JSON.stringify(body) };
    const call = fetch(`${one.base}/v1/completions`, init);
    await waitFor(async () => /running_reqs":1/.test(await one.text("/v1/loads")));
    one.child.kill("SIGTERM");
    const answer = (await (await call).json()) as { usage: { completion_tokens: number } };
    expect(answer.usage.completion_tokens).toBe(20);
    await waitFor(async () => !one.alive);
    expect(one.child.exitCode).toBe(0);
  });
});
