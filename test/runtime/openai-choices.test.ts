/**
 * The corners of OpenAI's Chat door with the official client: several choices, streamed and plain,
 * log probabilities, an output format, and what an endpoint of another dialect cannot do.
 */
import OpenAI, { APIError } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { VendorServer } from "../vendors/server.ts";
import { VENDORS } from "../vendors/vendors.ts";
import { type ServerProcess, startEngine, startPop } from "./pop-process.ts";
import { type Behaviour, RogueEngine } from "./rogue-engine.ts";

const messages = [{ role: "user" as const, content: "Say something short." }];
const LOGPROBS = {
  content: [{ token: "Hi", logprob: -0.1, bytes: [72, 105], top_logprobs: [] }],
  refusal: null,
};

describe("the corners of the Chat door", () => {
  let engine: ServerProcess;
  let rogue: RogueEngine;
  let anthropic: VendorServer;
  let pop: ServerProcess;
  let client: OpenAI;
  let behaviour: Behaviour = { kind: "good" };

  beforeAll(async () => {
    engine = await startEngine("--profile", "instant", "--model", "stage");
    rogue = await RogueEngine.start(["scripted"], () => behaviour);
    anthropic = await VendorServer.start(VENDORS.messages, {
      models: ["claude"],
      director: () => {
        throw new Error("nothing of this file may reach it");
      },
    });
    const claude = { id: "claude", url: anthropic.base, engine: "anthropic" };
    pop = await startPop({
      endpoints: [
        { id: "engine", url: engine.base, engine: "vllm" },
        { id: "rogue", url: rogue.base, engine: "vllm", models: ["scripted"] },
        { ...claude, apiKey: anthropic.key, models: ["claude"] },
      ],
    });
    client = new OpenAI({ apiKey: "none", baseURL: `${pop.base}/v1`, maxRetries: 0 });
  });

  afterAll(async () => {
    await pop?.stop();
    await Promise.all([engine?.stop(), rogue?.stop(), anthropic?.stop()]);
  });

  test("n choices, plain: each with its index and reason, usage once", async () => {
    const answer = await client.chat.completions.create({
      ...{ model: "stage", messages, n: 3, max_tokens: 5 },
    });
    expect(answer.choices.map(({ index }) => index).sort()).toEqual([0, 1, 2]);
    expect(answer.choices.every(({ finish_reason: reason }) => reason === "length")).toBe(true);
    expect(answer.usage?.completion_tokens).toBe(15);
  });

  test("n choices, streamed: the stream ends when the last has ended", async () => {
    const stream = await client.chat.completions.create({
      ...{ model: "stage", messages, n: 3, max_tokens: 5, stream: true },
      stream_options: { include_usage: true },
    });
    const texts = ["", "", ""];
    const reasons: string[] = [];
    let usage = 0;
    for await (const { choices, usage: said } of stream) {
      for (const { index, delta, finish_reason: reason } of choices) {
        texts[index] += delta.content ?? "";
        if (reason !== null) reasons.push(`${index} ${reason}`);
      }
      usage = said?.completion_tokens ?? usage;
    }
    expect(texts.every((text) => text.length > 0)).toBe(true);
    expect(reasons.sort()).toEqual(["0 length", "1 length", "2 length"]);
    expect(usage).toBe(15);
  });

  test("log probabilities arrive as the engine gave them", async () => {
    const message = { role: "assistant", content: "Hi" };
    const choices = [{ index: 0, message, logprobs: LOGPROBS, finish_reason: "stop" }];
    const body = JSON.stringify({ id: "x", object: "chat.completion", model: "m", choices });
    behaviour = { kind: "status", status: 200, body };
    const answer = await client.chat.completions.create({
      ...{ model: "scripted", messages, logprobs: true, top_logprobs: 1 },
    });
    expect(answer.choices[0].logprobs).toEqual(LOGPROBS);
    behaviour = { kind: "good" };
  });

  test.each([
    ["several choices", { n: 2 }],
    ["log probabilities", { logprobs: true }],
  ])(
    "%s are refused where only Messages is spoken, before anything is sent",
    async (_name, more) => {
      const asked = client.chat.completions.create({ model: "claude", messages, ...more });
      const error = await asked.catch((reason: unknown) => reason as APIError);
      expect(error).toBeInstanceOf(APIError);
      expect((error as APIError).message).toContain("what the body asks for");
      expect(anthropic.asked).toHaveLength(0);
    },
  );

  test("an output format without a type is named", async () => {
    const response_format = { type: 7 } as never;
    const asked = client.chat.completions.create({ model: "stage", messages, response_format });
    await expect(asked).rejects.toMatchObject({ status: 400, param: "response_format.type" });
  });
});
