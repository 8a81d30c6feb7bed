/**
 * The official client, as its users use it, through a PoP, against the emulated engine and a real
 * llama.cpp engine on a tiny model: what it sends must be understood and what it gets must be
 * what it expects. Both engines run as processes of their own.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI, { APIError, AuthenticationError, NotFoundError, RateLimitError } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeTinyGguf } from "../../edge/engine/gguf.ts";
import { metric, type ServerProcess, startEngine, startPop } from "./pop-process.ts";
import { type Behaviour, RogueEngine } from "./rogue-engine.ts";

const KEY = "a-key-of-a-tenant";
const sha256 = createHash("sha256").update(KEY).digest("hex");
const messages = [{ role: "user" as const, content: "Say something short." }];

interface Stage {
  name: string;
  start(folder: string): Promise<ServerProcess>;
  family: string;
}

const STAGES: Stage[] = [
  {
    name: "the emulated engine",
    start: () => startEngine("--profile", "instant", "--model", "stage"),
    family: "vllm",
  },
  {
    name: "a real llama.cpp engine",
    start: (folder) => {
      const file = join(folder, "tiny.gguf");
      writeTinyGguf(file);
      return startEngine("--gguf", file, "--model", "stage");
    },
    family: "llama.cpp",
  },
];

describe.each(STAGES)("through a PoP, $name", ({ start, family }) => {
  let folder: string;
  let engine: ServerProcess;
  let pop: ServerProcess;
  let client: OpenAI;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "gridpoint-openai-"));
    engine = await start(folder);
    const auth = { keys: [{ sha256, tenant: "tenant" }] };
    const endpoints = [{ id: "engine", url: engine.base, engine: family }];
    pop = await startPop({ endpoints, auth }, { key: KEY });
    client = new OpenAI({ apiKey: KEY, baseURL: `${pop.base}/v1`, maxRetries: 0 });
  });

  afterAll(async () => {
    await pop?.stop();
    await engine?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("models: list and retrieve", async () => {
    const ids = (await client.models.list()).data.map((model) => model.id);
    expect(ids).toEqual(["stage"]);
    expect(await client.models.retrieve("stage")).toMatchObject({ id: "stage", object: "model" });
    await expect(client.models.retrieve("none")).rejects.toBeInstanceOf(NotFoundError);
  });

  test("a plain chat, with headers of the grid", async () => {
    const { data, response } = await client.chat.completions
      .create({ model: "stage", messages, max_tokens: 8 })
      .withResponse();
    expect(data.object).toBe("chat.completion");
    expect(data.choices[0]?.message.role).toBe("assistant");
    expect(data.choices[0]?.message.content?.length).toBeGreaterThan(0);
    expect(data.usage?.completion_tokens).toBeGreaterThan(0);
    expect(data.usage?.total_tokens).toBe(
      (data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0),
    );
    expect(response.headers.get("x-request-id")).toBeTruthy();
    expect(response.headers.get("x-grid-route")).toMatch(/pop=test.*endpoint=engine/);
    expect(Number(response.headers.get("x-grid-overhead-ms"))).toBeGreaterThanOrEqual(0);
    expect(response.headers.get("server-timing")).toBeTruthy();
  });

  test("a streamed chat: role first, content, finish, no usage that nobody asked for", async () => {
    const stream = await client.chat.completions.create({
      model: "stage",
      messages,
      max_tokens: 8,
      stream: true,
    });
    let text = "";
    let finish: string | null = null;
    let first = true;
    for await (const chunk of stream) {
      if (first) expect(chunk.choices[0]?.delta.role).toBe("assistant");
      first = false;
      expect(chunk.usage ?? null).toBeNull();
      expect(chunk.choices).toHaveLength(1);
      text += chunk.choices[0]?.delta.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    expect(text.length).toBeGreaterThan(0);
    expect(["stop", "length"]).toContain(finish);
  });

  test("usage in a stream when it is asked for", async () => {
    const stream = await client.chat.completions.create({
      model: "stage",
      messages,
      max_tokens: 4,
      stream: true,
      stream_options: { include_usage: true },
    });
    const usages = [];
    for await (const chunk of stream) if (chunk.usage) usages.push(chunk.usage);
    expect(usages).toHaveLength(1);
    expect(usages[0]?.completion_tokens).toBe(4);
  });

  test("the .stream() helper ends with a whole message", async () => {
    const helper = client.chat.completions.stream({ model: "stage", messages, max_tokens: 6 });
    const final = await helper.finalChatCompletion();
    expect(final.choices[0]?.message.content?.length).toBeGreaterThan(0);
  });

  test("completions, plain and streamed", async () => {
    const plain = await client.completions.create({
      model: "stage",
      prompt: "Once upon a time",
      max_tokens: 6,
    });
    expect(plain.object).toBe("text_completion");
    expect(plain.choices[0]?.text.length).toBeGreaterThan(0);
    const stream = await client.completions.create({
      model: "stage",
      prompt: "Once upon a time",
      max_tokens: 6,
      stream: true,
    });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.text ?? "";
    expect(text.length).toBeGreaterThan(0);
  });

  test("embeddings: the client's default form (base64) and floats agree", async () => {
    const input = ["one text", "another text"];
    const packed = await client.embeddings.create({ model: "stage", input });
    const floats = await client.embeddings.create({
      model: "stage",
      input,
      encoding_format: "float",
    });
    expect(packed.data).toHaveLength(2);
    const [first, second] = packed.data.map((item) => item.embedding);
    expect(first?.length).toBeGreaterThan(1);
    expect(first?.every((value) => Number.isFinite(value))).toBe(true);
    expect(first).not.toEqual(second);
    for (const [n, value] of (floats.data[0]?.embedding ?? []).entries()) {
      expect(first?.[n]).toBeCloseTo(value, 4);
    }
  });

  test("an abort frees the engine", async () => {
    const stream = await client.chat.completions.create({
      model: "stage",
      messages,
      max_tokens: 2_000,
      stream: true,
    });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    stream.controller.abort();
    const endMs = performance.now() + 1_000;
    while ((await running(engine)) > 0 && performance.now() < endMs);
    expect(await running(engine)).toBe(0);
  });

  test("a wrong key, and a model that nobody serves", async () => {
    const stranger = new OpenAI({ apiKey: "wrong", baseURL: `${pop.base}/v1`, maxRetries: 2 });
    await expect(
      stranger.chat.completions.create({ model: "stage", messages }),
    ).rejects.toBeInstanceOf(AuthenticationError);
    const missing = client.chat.completions.create({ model: "none", messages });
    await expect(missing).rejects.toMatchObject({ status: 404, code: "model_not_found" });
    await expect(missing).rejects.toThrow(/stage/);
  });
});

const running = async (engine: ServerProcess): Promise<number> =>
  (await metric(engine, "vllm:num_requests_running")) +
  (await metric(engine, "llamacpp:requests_processing"));

describe("tools and retries, against an engine that does as it is told", () => {
  let rogue: RogueEngine;
  let behaviour: Behaviour = { kind: "good" };
  let pop: ServerProcess;

  beforeAll(async () => {
    rogue = await RogueEngine.start(["m", "twice"], ({ body }) =>
      body.user === "holder" ? { kind: "falls-silent", tokens: 1 } : behaviour,
    );
    const entry = { url: rogue.base, engine: "vllm" };
    pop = await startPop({
      endpoints: [
        { ...entry, id: "rogue", models: ["m"], maxInFlight: 1 },
        { ...entry, id: "first", models: ["twice"] },
        { ...entry, id: "second", models: ["twice"] },
      ],
      limits: { queueLength: 0 },
    });
  });

  afterAll(async () => {
    await pop?.stop();
    await rogue?.stop();
  });

  const clientOf = (maxRetries: number): OpenAI =>
    new OpenAI({ apiKey: "none", baseURL: `${pop.base}/v1`, maxRetries });

  test("a tool call reaches the client as the engine made it", async () => {
    const call = { id: "call_1", type: "function", function: { name: "now", arguments: "{}" } };
    const message = { role: "assistant", content: null, tool_calls: [call] };
    const choices = [{ index: 0, message, finish_reason: "tool_calls" }];
    const body = JSON.stringify({ id: "x", object: "chat.completion", model: "m", choices });
    behaviour = { kind: "status", status: 200, body };
    const answer = await clientOf(0).chat.completions.create({
      model: "m",
      messages,
      tools: [{ type: "function", function: { name: "now", parameters: { type: "object" } } }],
    });
    expect(answer.choices[0]?.message.tool_calls).toEqual([call]);
    behaviour = { kind: "good" };
  });

  test("saturated: the client waits as Retry-After says, tries again, and is served", async () => {
    const holder = await clientOf(0).chat.completions.create({
      model: "m",
      messages,
      stream: true,
      user: "holder",
    });
    const refused = clientOf(0).chat.completions.create({ model: "m", messages });
    await expect(refused).rejects.toBeInstanceOf(RateLimitError);
    const error = (await refused.catch((reason: unknown) => reason)) as APIError;
    const waitS = Number(error.headers?.get("retry-after"));
    expect(waitS).toBeGreaterThan(0);
    const startMs = performance.now();
    const served = clientOf(2).chat.completions.create({ model: "m", messages });
    setTimeout(() => holder.controller.abort(), 100);
    expect((await served).choices[0]?.message.content).toBe("word ");
    expect(performance.now() - startMs).toBeGreaterThan(waitS * 1_000 * 0.7);
  });

  test("after our own retries the client is told not to multiply them", async () => {
    behaviour = { kind: "status", status: 500 };
    const before = rogue.requests;
    const failed = clientOf(3).chat.completions.create({ model: "twice", messages });
    const error = await failed.then(
      () => undefined,
      (reason: unknown) => reason as APIError,
    );
    behaviour = { kind: "good" };
    expect(error).toBeInstanceOf(APIError);
    expect(error?.status).toBeGreaterThanOrEqual(500);
    expect(error?.headers?.get("x-should-retry")).toBe("false");
    expect(rogue.requests - before).toBe(2);
  });
});
