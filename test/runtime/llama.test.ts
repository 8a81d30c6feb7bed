/**
 * The real engine: llama.cpp on a generated tiny model, in its own process. What is checked here no
 * emulation can show: that reused KV gives the same text, that a native generation is really given
 * up, that the numbers in `usage` are llama.cpp's own.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tinyGguf, writeTinyGguf } from "../../edge/engine/gguf.ts";
import { type ServerProcess, startEngine } from "./pop-process.ts";

const folder = mkdtempSync(join(tmpdir(), "gridpoint-llama-"));
const file = join(folder, "tiny.gguf");
let engine: ServerProcess;

beforeAll(async () => {
  writeTinyGguf(file);
  const size = ["--parallel", "2", "--max-queue", "2", "--context", "2048"];
  engine = await startEngine("--gguf", file, "--model", "tiny", ...size);
});

afterAll(async () => {
  await engine?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(engine.base + path, { method: "POST", body: JSON.stringify(body), signal });
}

async function complete(prompt: string, more: Record<string, unknown> = {}) {
  const body = { model: "tiny", prompt, max_tokens: 16, temperature: 0, ...more };
  return (await post("/v1/completions", body)).json();
}

async function busy(): Promise<number> {
  const slots = await engine.json<{ is_processing: boolean }[]>("/slots");
  return slots.filter((slot) => slot.is_processing).length;
}

async function until(wanted: number, limitMs = 2000): Promise<number> {
  const start = performance.now();
  while ((await busy()) !== wanted) {
    if (performance.now() - start > limitMs) throw new Error(`not ${wanted} busy slots in time`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return performance.now() - start;
}

describe("the tiny model", () => {
  test("is the same file for the same options, and another for another seed", () => {
    const hash = (seed: number): string =>
      createHash("sha256").update(tinyGguf({ seed }).file).digest("hex");
    expect(hash(1)).toBe(hash(1));
    expect(hash(1)).not.toBe(hash(2));
    expect(tinyGguf().summary).toEqual({ bytes: 223_456, parameters: 107_328, vocabulary: 260 });
    expect(() => tinyGguf({ heads: 5 })).toThrow(/multiple of heads/);
  });
});

describe("the real engine", () => {
  test("chats, streamed and not, with the same greedy text and right counts", async () => {
    const messages = [{ role: "user", content: "hello" }];
    const body = { model: "tiny", messages, max_tokens: 12, temperature: 0 };
    const plain = await (await post("/v1/chat/completions", body)).json();
    expect(plain.choices[0]).toMatchObject({ finish_reason: "length" });
    // "[user]hello\n[assistant]": one token per byte.
    expect(plain.usage).toMatchObject({ prompt_tokens: 23, completion_tokens: 12 });
    const asked = { ...body, stream: true, stream_options: { include_usage: true } };
    const text = await (await post("/v1/chat/completions", asked)).text();
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    const events = text.split("\n\n").filter((event) => event.startsWith("data: {"));
    const list = events.map((event) => JSON.parse(event.slice(6)));
    const content = list.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
    expect(content).toBe(plain.choices[0].message.content);
    expect(list.at(-2).choices[0].finish_reason).toBe("length");
    expect(list.at(-1)).toMatchObject({ choices: [], usage: plain.usage });
  });

  test("reuses a known prefix: real cached_tokens, less time, the same text", async () => {
    const story = "abcdefghij klmnop ".repeat(60);
    const cold = await complete(`${story}and`);
    const warm = await complete(`${story}and`);
    expect(cold.usage.prompt_tokens_details.cached_tokens).toBe(0);
    expect(warm.usage.prompt_tokens_details.cached_tokens).toBe(cold.usage.prompt_tokens - 1);
    expect(warm.choices[0].text).toBe(cold.choices[0].text);
    const branch = await complete(`${story}but`);
    expect(branch.usage.prompt_tokens_details.cached_tokens).toBe(story.length);
    const turn = await complete(`${story}and${cold.choices[0].text}`, { max_tokens: 4 });
    expect(turn.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(story.length + 3);
    expect(await engine.text("/metrics")).toMatch(/llamacpp:prompt_tokens_cached_total{.*} [1-9]/);
  });

  test("gives the same text alone and decoded together with others", async () => {
    const prompts = ["one", "two", "three", "four"];
    const alone: string[] = [];
    for (const prompt of prompts) alone.push((await complete(prompt)).choices[0].text);
    const together = await Promise.all(prompts.map((prompt) => complete(prompt)));
    expect(together.map((answer) => answer.choices[0].text)).toEqual(alone);
  });

  test("cuts at a stop string, also across tokens, and never sends a part of it", async () => {
    const whole = (await complete("stop here", { max_tokens: 30 })).choices[0].text as string;
    const stop = whole.slice(6, 9);
    const cut = await complete("stop here", { max_tokens: 30, stop });
    expect(cut.choices[0]).toMatchObject({
      finish_reason: "stop",
      text: whole.slice(0, whole.indexOf(stop)),
    });
    const body = { prompt: "stop here", max_tokens: 30, temperature: 0, stop, stream: true };
    const text = await (await post("/v1/completions", { model: "tiny", ...body })).text();
    const events = text.split("\n\n").filter((event) => event.startsWith("data: {"));
    const streamed = events.map((event) => JSON.parse(event.slice(6)).choices[0].text).join("");
    expect(streamed).toBe(cut.choices[0].text);
    await until(0);
  });

  test("answers in a JSON schema", async () => {
    const properties = { ok: { type: "boolean" } };
    const schema = { type: "object", properties, required: ["ok"], additionalProperties: false };
    const format = { type: "json_schema", json_schema: { name: "x", strict: true, schema } };
    const messages = [{ role: "user", content: "ok?" }];
    const body = { model: "tiny", messages, response_format: format, max_tokens: 200, seed: 1 };
    // Ten seeds: what llama.cpp's own grammar allows around the JSON would show in some of them.
    for (let seed = 1; seed <= 10; seed++) {
      const answer = await (await post("/v1/chat/completions", { ...body, seed })).json();
      expect(JSON.parse(answer.choices[0].message.content)).toEqual({ ok: expect.any(Boolean) });
    }
    const object = { ...body, response_format: { type: "json_object" }, max_tokens: 1, seed: 1 };
    const begun = await (await post("/v1/chat/completions", object)).json();
    expect(begun.choices[0].message.content).toMatch(/^\s*\{?$/);
  });

  test("a client that leaves frees the slot within 50 ms, in prefill too", async () => {
    for (const prompt of ["short", "a long prompt ".repeat(100)]) {
      const aborts = new AbortController();
      const body = { model: "tiny", prompt, max_tokens: 900, stream: true };
      const call = post("/v1/completions", body, aborts.signal)
        .then((response) => response.text())
        .catch((error: Error) => error.name);
      await until(1);
      aborts.abort();
      expect(await until(0)).toBeLessThan(50);
      expect(await call).toBe("AbortError");
    }
    expect((await complete("still well")).choices[0].text).toHaveLength(16);
  });

  test("outlives callers who leave at any moment, and answers the others the same", async () => {
    const size = ["--parallel", "4", "--max-queue", "64", "--context", "4096"];
    const shared = await startEngine("--gguf", file, "--model", "tiny", ...size);
    const ask = async (prompt: string, signal?: AbortSignal): Promise<string> => {
      const fixed = { model: "tiny", max_tokens: 8, temperature: 0, ignore_eos: true };
      const body = JSON.stringify({ ...fixed, prompt });
      const init = { method: "POST", body, signal };
      return (await (await fetch(`${shared.base}/v1/completions`, init)).json()).choices[0].text;
    };
    const alone = await ask("the same");
    const texts = new Set<string>();
    let left = 0;
    const call = async (length: number, mostMs: number, end: number): Promise<void> => {
      for (let round = 0; performance.now() < end; round++) {
        const leaving = AbortSignal.timeout((round * 7) % mostMs);
        const prompt = `${left} ${"prompt ".repeat(length / 7)}`;
        await ask(prompt, leaving).catch(() => left++);
        if (length < 100 && round % 3 === 0) texts.add(await ask("the same"));
      }
    };
    // Beside others that start, decode and end; then in one long prefill after the other.
    const beside = Array.from({ length: 4 }, () => call(42, 20, performance.now() + 1200));
    await Promise.all(beside);
    await call(3500, 5, performance.now() + 1200);
    expect([...texts]).toEqual([alone]);
    expect(await ask("the same")).toBe(alone);
    expect(left).toBeGreaterThan(30);
    await shared.stop();
    expect(shared.child.exitCode).toBe(0);
  });

  test("queues what has no slot, refuses what has no place", async () => {
    const aborts = new AbortController();
    const body = { model: "tiny", prompt: "x", max_tokens: 1900 };
    const calls = Array.from({ length: 4 }, () =>
      post("/v1/completions", body, aborts.signal).catch(() => undefined),
    );
    await until(2);
    while (!/requests_deferred{.*} 2$/m.test(await engine.text("/metrics"))) await until(2);
    const refused = await post("/v1/completions", body);
    expect(refused.status).toBe(503);
    expect((await refused.json()).error.message).toMatch(/queue is full/);
    aborts.abort();
    await Promise.all(calls);
    await until(0);
  });

  test("embeds: unit vectors, the same for the same text", async () => {
    const body = { model: "tiny", input: ["hello", "other", "hello"] };
    const answer = await (await post("/v1/embeddings", body)).json();
    const [first, second, third] = answer.data.map((row: { embedding: number[] }) => row.embedding);
    expect(first).toHaveLength(64);
    expect(first).toEqual(third);
    expect(first).not.toEqual(second);
    expect(Math.hypot(...first)).toBeCloseTo(1, 4);
    expect(answer.usage.prompt_tokens).toBe(15);
    const long = await post("/v1/embeddings", { model: "tiny", input: "x".repeat(3000) });
    expect(long.status).toBe(400);
  });

  test.each([
    [{ model: "other", prompt: "x" }, 404, /does not exist/],
    [{ model: "tiny", prompt: "x".repeat(2100) }, 400, /exceeds the available context/],
    [{ model: "tiny", prompt: "x", temperature: -1 }, 400, /temperature must be/],
    [{ model: "tiny", prompt: "x", logit_bias: { 5: 1 } }, 400, /logit_bias is not supported/],
  ])("refuses %j", async (body, status, message) => {
    const response = await post("/v1/completions", body);
    expect(response.status).toBe(status);
    expect((await response.json()).error.message).toMatch(message);
  });

  test("health, models and props, and nothing of llama.cpp's log on its output", async () => {
    expect(await engine.json("/health")).toEqual({ status: "ok" });
    expect(await engine.json("/v1/models")).toMatchObject({
      data: [{ id: "tiny", max_model_len: 2048 }],
    });
    expect(await engine.json("/props")).toMatchObject({ total_slots: 2 });
    expect(engine.output.trim()).toBe(`listening on ${engine.base}`);
  });

  test("says what is wrong with a file that is not there or no model", async () => {
    await expect(startEngine("--gguf", join(folder, "none.gguf"))).rejects.toThrow(/no such file/);
  });
});
