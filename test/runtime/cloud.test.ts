/**
 * Vendors' clouds as endpoints of the core tier, and aliases that fall back to them: the vendors'
 * protocols on loopback, strict about keys, versions and fields that are not theirs.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Plot, Refusal, type Scene } from "../vendors/scene.ts";
import { sleep, VendorServer } from "../vendors/server.ts";
import { VENDORS } from "../vendors/vendors.ts";
import { eventually, type ServerProcess, startEngine, startPop } from "./pop-process.ts";

const SCENE: Scene = {
  say: [{ kind: "text", pieces: ["From ", "a cloud."] }],
  stop: "end",
  usage: { input: 20, cached: 0, output: 4, reasoning: 0 },
};
const answers = (headers: Record<string, string> = {}): Plot => {
  return { kind: "answers", scene: SCENE, headers };
};
const messages = [{ role: "user", content: "Hello" }];

describe("clouds and aliases", () => {
  let engine: ServerProcess;
  let openai: VendorServer;
  let anthropic: VendorServer;
  let pop: ServerProcess;

  beforeAll(async () => {
    engine = await startEngine("--profile", "instant", "--model", "llama-8b");
    const director = () => answers();
    openai = await VendorServer.start(VENDORS.chat, { models: ["gpt-x"], director });
    anthropic = await VendorServer.start(VENDORS.messages, { models: ["claude"], director });
    pop = await startPop({
      pop: { id: "p", region: "eu" },
      endpoints: [
        { id: "local", url: engine.base, engine: "vllm" },
        {
          ...{ id: "gpt", url: `${openai.base}/v1`, engine: "openai", apiKey: openai.key },
          ...{ models: ["gpt-x"], priceIn: 2.5, priceOut: 10 },
        },
        { id: "claude", url: anthropic.base, engine: "anthropic", apiKey: anthropic.key },
      ],
      models: { aliases: { small: ["llama-8b", "gpt-x"], far: ["gpt-x", "claude"] } },
      poll: { intervalMs: 50 },
    });
    await eventually("every endpoint is ready", async () => {
      const { endpoints } = await pop.json<{ endpoints: { phase: string }[] }>("/grid/state");
      return endpoints.every(({ phase }) => phase === "ready");
    });
  });

  afterAll(async () => {
    await pop?.stop();
    await Promise.all([engine?.stop(), openai?.stop(), anthropic?.stop()]);
  });

  async function ask(model: string, more: object = {}, headers: Record<string, string> = {}) {
    const response = await fetch(`${pop.base}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ model, messages, max_tokens: 9, ...more }),
    });
    const body = (await response.json()) as Record<string, never>;
    return { status: response.status, headers: response.headers, body };
  }

  test("are of the core tier, in no region, and looked at without costing tokens", async () => {
    const { endpoints } = await pop.json<{ endpoints: Record<string, unknown>[] }>("/grid/state");
    const gpt = endpoints.find(({ id }) => id === "gpt");
    expect(gpt).toMatchObject({ tier: "core", phase: "ready" });
    const looks = [...openai.requests, ...anthropic.requests];
    expect(looks.every(({ method, path }) => method === "GET" && path === "/v1/models")).toBe(true);
    await sleep(300);
    // Own engines are polled every 50 ms here; a vendor is not.
    expect(openai.requests.length).toBeLessThan(6);
    const elsewhere = await ask("gpt-x", {}, { "x-grid-region": "eu" });
    expect(elsewhere.status).toBe(503);
  });

  test("get the key where they look for it, and what is theirs alone", async () => {
    openai.forget();
    anthropic.forget();
    expect((await ask("gpt-x", { top_p: 0.5 })).status).toBe(200);
    expect(openai.requests[0].headers.authorization).toBe(`Bearer ${openai.key}`);
    const { status, body } = await ask("claude");
    expect([status, body]).toMatchObject([
      200,
      { object: "chat.completion", choices: [{ message: { content: "From a cloud." } }] },
    ]);
    expect(anthropic.requests[0].headers).toMatchObject({
      "x-api-key": anthropic.key,
      // The version that tells reasoning tokens: chat's usage has them.
      "anthropic-version": "2026-10-21",
    });
    expect([...openai.refused, ...anthropic.refused]).toEqual([]);
  });

  test("an OpenAI model behind the Messages door is asked in OpenAI's own words", async () => {
    openai.forget();
    const response = await fetch(`${pop.base}/v1/messages`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-x", messages, max_tokens: 9, top_k: 4 }),
    });
    expect(response.status).toBe(200);
    const sent = openai.requests[0].body as Record<string, unknown>;
    expect(sent).toMatchObject({ max_completion_tokens: 9 });
    expect(sent).not.toHaveProperty("top_k");
    expect(sent).not.toHaveProperty("max_tokens");
  });

  test("an alias is a model of the list, and goes to its first choice", async () => {
    const ids = (await pop.json<{ data: { id: string }[] }>("/v1/models")).data.map(({ id }) => id);
    expect(ids).toEqual(["claude", "gpt-x", "llama-8b", "small", "far"]);
    const { headers, body } = await ask("small");
    expect(headers.get("x-grid-model")).toBe("llama-8b");
    expect(body).toMatchObject({ model: "llama-8b" });
    expect((await ask("gpt-x")).headers.get("x-grid-model")).toBeNull();
  });

  test("a spent rate limit takes the endpoint out until it is lifted", async () => {
    openai.forget();
    anthropic.forget();
    const spent = { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s" };
    openai.director = () => answers(spent);
    const first = await ask("far");
    expect(first.headers.get("x-grid-model")).toBe("gpt-x");
    expect(first.headers.get("x-ratelimit-remaining-requests")).toBeNull();
    openai.director = () => answers();
    // The next choice of the chain serves meanwhile.
    expect((await ask("far")).headers.get("x-grid-model")).toBe("claude");
    expect(openai.asked).toHaveLength(1);
    const alone = await ask("gpt-x");
    expect([alone.status, alone.headers.get("retry-after")]).toEqual([429, "1"]);
    await eventually("the limit is lifted", async () => (await ask("gpt-x")).status === 200, 3_000);
    expect((await ask("far")).headers.get("x-grid-model")).toBe("gpt-x");
  });

  test("a refusal for the rate is left alone for as long as the vendor says", async () => {
    openai.forget();
    const refusal = new Refusal(429, "Rate limit reached");
    openai.director = () => ({ kind: "refuses", refusal, headers: { "retry-after": "1" } });
    // Unseen by the caller: the chain goes on.
    expect((await ask("far")).headers.get("x-grid-model")).toBe("claude");
    openai.director = () => answers();
    expect((await ask("far")).headers.get("x-grid-model")).toBe("claude");
    expect(openai.asked).toHaveLength(1);
    await eventually("it is asked again", async () => (await ask("gpt-x")).status === 200, 3_000);
  });

  test("a chain whose first model died goes on to the next, streamed too", async () => {
    openai.forget();
    await engine.kill("SIGKILL");
    for (const stream of [false, true]) {
      const response = await fetch(`${pop.base}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ stream, model: "small", messages }),
      });
      expect(response.status).toBe(200);
      expect(response.headers.get("x-grid-model")).toBe("gpt-x");
      expect(await response.text()).toContain("a cloud.");
    }
    expect(openai.asked.map(({ model }) => model)).toEqual(["gpt-x", "gpt-x"]);
    expect((await ask("nobody")).body).toMatchObject({ error: { code: "model_not_found" } });
  });
});
