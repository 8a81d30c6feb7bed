/**
 * What the emulated engine says beside filler: calls of tools, JSON of a schema, log probabilities;
 * and that the doors carry them, streamed and plain.
 */
import { Validator } from "@cfworker/json-schema";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { instanceOf } from "../../edge/engine/json-instance.ts";
import { type ServerProcess, startEngine, startPop } from "./pop-process.ts";

const SCHEMA = {
  type: "object",
  properties: {
    city: { type: "string", minLength: 2 },
    days: { type: "integer", minimum: 3 },
    'naïve "key" 🚀': { enum: ["ü", "b"] },
  },
  required: ["city", "days"],
  additionalProperties: false,
};
const tools = [
  { type: "function" as const, function: { name: "weather", parameters: SCHEMA } },
  { type: "function" as const, function: { name: "clock" } },
];
const messages = [{ role: "user" as const, content: "How is the weather?" }];
const ARGS = { city: "emulated", days: 3, 'naïve "key" 🚀': "ü" };

let engine: ServerProcess;
let pop: ServerProcess;
let client: OpenAI;

beforeAll(async () => {
  engine = await startEngine("--profile", "instant", "--model", "m", "--output-tokens", "12");
  pop = await startPop({ endpoints: [{ id: "engine", url: engine.base, engine: "vllm" }] });
  client = new OpenAI({ apiKey: "any", baseURL: `${pop.base}/v1`, maxRetries: 0 });
});
afterAll(async () => {
  await pop?.stop();
  await engine?.stop();
});

const post = async (path: string, body: object): Promise<Record<string, never>> => {
  const headers = { "content-type": "application/json" };
  const response = await fetch(pop.base + path, {
    ...{ method: "POST", headers, body: JSON.stringify(body) },
  });
  return (await response.json()) as Record<string, never>;
};

describe("tools", () => {
  test("a call is streamed, its arguments in pieces, and the loop has an end", async () => {
    const asked = { model: "m", messages, tools };
    const plain = await client.chat.completions.create(asked);
    const { message, finish_reason } = plain.choices[0];
    expect(finish_reason).toBe("tool_calls");
    const call = message.tool_calls?.[0];
    if (call?.type !== "function") throw new Error("no call");
    expect(call.function.name).toBe("weather");
    expect(JSON.parse(call.function.arguments)).toEqual(ARGS);
    const pieces: string[] = [];
    const stream = client.chat.completions.stream({ ...asked, stream: true });
    stream.on("chunk", ({ choices }) => {
      const piece = choices[0]?.delta.tool_calls?.[0]?.function?.arguments;
      if (piece) pieces.push(piece);
    });
    const { choices, usage } = await stream.finalChatCompletion();
    expect(choices[0].message.tool_calls).toMatchObject([{ function: call.function }]);
    expect(choices[0].finish_reason).toBe("tool_calls");
    expect(pieces.length).toBeGreaterThan(10);
    expect(pieces.join("")).toBe(call.function.arguments);
    expect(usage ?? plain.usage).toMatchObject({ completion_tokens: pieces.length });
    const said = { role: "tool" as const, tool_call_id: call.id, content: "rain" };
    const next = await client.chat.completions.create({
      ...{ ...asked, messages: [...messages, message, said] },
    });
    expect(next.choices[0]).toMatchObject({ finish_reason: "stop" });
    expect(next.choices[0].message.content).toMatch(/^\[emulated/);
  });

  test("the choice binds: none, one by name, a name that is not there", async () => {
    const ask = (tool_choice: never) =>
      client.chat.completions.create({ model: "m", messages, tools, tool_choice });
    expect((await ask("none" as never)).choices[0].finish_reason).toBe("stop");
    const clock = { type: "function", function: { name: "clock" } };
    const named = await ask(clock as never);
    expect(named.choices[0].message.tool_calls).toMatchObject([
      { function: { name: "clock", arguments: "{}" } },
    ]);
    const nobody = { type: "function", function: { name: "nobody" } };
    await expect(ask(nobody as never)).rejects.toMatchObject({ status: 400 });
  });

  test("a call that finds no room ends by length", async () => {
    const cut = await client.chat.completions.create({
      model: "m",
      messages,
      tools,
      max_tokens: 3,
    });
    expect(cut.choices[0].finish_reason).toBe("length");
  });

  test("the other doors say it in their words", async () => {
    const schema = { name: "weather", input_schema: SCHEMA };
    const spoken = await post("/v1/messages", {
      ...{ model: "m", max_tokens: 100, messages, tools: [schema] },
    });
    expect(spoken).toMatchObject({
      stop_reason: "tool_use",
      content: [{ type: "tool_use", name: "weather", input: ARGS }],
    });
    const declared = [{ name: "weather", parametersJsonSchema: SCHEMA }];
    const gemini = await post("/v1beta/models/m:generateContent", {
      contents: [{ role: "user", parts: [{ text: "x" }] }],
      tools: [{ functionDeclarations: declared }],
    });
    expect(gemini.candidates?.[0]).toMatchObject({
      content: { parts: [{ functionCall: { name: "weather", args: ARGS } }] },
    });
    const response = await client.responses.create({
      ...{ model: "m", input: "x" },
      tools: [{ type: "function", name: "weather", parameters: SCHEMA, strict: false }],
    });
    expect(response.output).toMatchObject([{ type: "function_call", name: "weather" }]);
  });
});

describe("JSON", () => {
  test("of a strict schema fits it, streamed and plain", async () => {
    const format = { name: "trip", strict: true, schema: SCHEMA };
    const response_format = { type: "json_schema" as const, json_schema: format };
    const plain = await client.chat.completions.create({ model: "m", messages, response_format });
    expect(JSON.parse(plain.choices[0].message.content ?? "")).toEqual(ARGS);
    expect(plain.choices[0].finish_reason).toBe("stop");
    let text = "";
    const stream = await client.chat.completions.create({
      ...{ model: "m", messages, response_format, stream: true },
    });
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
    expect(JSON.parse(text)).toEqual(ARGS);
  });

  test("object mode is an object", async () => {
    const response_format = { type: "json_object" as const };
    const plain = await client.chat.completions.create({ model: "m", messages, response_format });
    expect(JSON.parse(plain.choices[0].message.content ?? "")).toEqual({ emulated: true });
  });

  test.each([
    { type: "array", items: { type: "number", exclusiveMinimum: 0 }, minItems: 2 },
    { anyOf: [{ type: "null" }, { type: "string" }] },
    { type: ["string", "null"], format: "date-time" },
    { allOf: [{ properties: { a: { const: 1 } } }, { properties: { b: { type: "boolean" } } }] },
    {
      $defs: {
        tree: {
          type: "object",
          properties: { kids: { type: "array", items: { $ref: "#/$defs/tree" } } },
        },
      },
      $ref: "#/$defs/tree",
    },
    { type: "integer", minimum: -5, multipleOf: 3 },
    { type: "string", maxLength: 3 },
  ])("an instance of %j is one", (schema) => {
    const value = instanceOf(schema);
    expect({
      value,
      valid: new Validator(schema as object, "2020-12").validate(value).valid,
    }).toEqual({
      ...{ value, valid: true },
    });
  });
});

describe("log probabilities", () => {
  test("one for every token, in the form of each route", async () => {
    const asked = { model: "m", messages, max_tokens: 6, logprobs: true, top_logprobs: 2 };
    const plain = await client.chat.completions.create(asked);
    const { logprobs, message } = plain.choices[0];
    const content = logprobs?.content ?? [];
    expect(content.map(({ token }) => token).join("")).toBe(message.content);
    for (const { token, logprob, bytes, top_logprobs } of content) {
      expect(logprob).toBeLessThan(0);
      expect(Buffer.from(bytes ?? []).toString()).toBe(token);
      expect(top_logprobs.map((one) => one.logprob)).toEqual([logprob, expect.any(Number)]);
    }
    const streamed: unknown[] = [];
    for await (const { choices } of await client.chat.completions.create({
      ...asked,
      stream: true,
    })) {
      streamed.push(...(choices[0]?.logprobs?.content ?? []));
    }
    expect(streamed).toEqual(content);
    const text = await client.completions.create({
      model: "m",
      prompt: "x",
      max_tokens: 4,
      logprobs: 1,
    });
    const told = text.choices[0].logprobs;
    expect(told?.tokens?.join("")).toBe(text.choices[0].text);
    expect(told?.text_offset).toEqual([0, 4, 8, 12]);
    expect(told?.token_logprobs).toHaveLength(4);
  });

  test("reach the door of Responses", async () => {
    const answer = await client.responses.create({
      ...{ model: "m", input: "x", include: ["message.output_text.logprobs"], top_logprobs: 1 },
    });
    const [item] = answer.output;
    if (item.type !== "message" || item.content[0].type !== "output_text") throw new Error("none");
    const { text, logprobs } = item.content[0];
    expect(logprobs?.map(({ token }) => token).join("")).toBe(text);
  });
});
