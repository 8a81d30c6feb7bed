/** The Responses API over HTTP, with the official client, through a PoP to emulated engines. */
import OpenAI, { BadRequestError, NotFoundError } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ServerProcess, startEngine, startPop } from "./pop-process.ts";

const LONG = "The harbour closes at nine. ".repeat(60);

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

describe("one response", () => {
  test("a plain one is held, shown, listed and deleted", async () => {
    const input = [{ role: "user" as const, content: "Say hello." }];
    const made = await client.responses.create({ model: "m", input, metadata: { who: "me" } });
    expect(made).toMatchObject({ status: "completed", metadata: { who: "me" }, store: true });
    expect(made.output_text.length).toBeGreaterThan(0);
    expect(made.usage?.total_tokens).toBeGreaterThan(0);
    const { output_text, _request_id, ...plain } = made;
    expect(await client.responses.retrieve(made.id)).toMatchObject(plain);
    const items = await client.responses.inputItems.list(made.id);
    expect(items.data).toMatchObject([{ role: "user", content: "Say hello." }]);
    await client.responses.delete(made.id);
    await expect(client.responses.retrieve(made.id)).rejects.toThrow(NotFoundError);
  });

  test("a stream has its events in order, numbered, and is held as it ended", async () => {
    const stream = client.responses.stream({ model: "m", input: "Count." });
    const events: string[] = [];
    let number = 0;
    for await (const event of stream) {
      expect(event.sequence_number).toBe(number++);
      if (events.at(-1) !== event.type) events.push(event.type);
    }
    expect(events).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
    const { id, output } = await stream.finalResponse();
    expect((await client.responses.retrieve(id)).output).toMatchObject(
      output.map(({ id: item, type }) => ({ id: item, type })),
    );
  });

  test("store: false leaves nothing behind", async () => {
    const { id } = await client.responses.create({ model: "m", input: "Hush.", store: false });
    await expect(client.responses.retrieve(id)).rejects.toThrow(NotFoundError);
  });

  test("too long an answer is incomplete, and says why", async () => {
    const input = "Tell me everything.";
    const made = await client.responses.create({ model: "m", input, max_output_tokens: 3 });
    expect(made).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
    });
  });
});

describe("a conversation", () => {
  test("goes on from the response before, over stream and plain, and hits the cache", async () => {
    const first = await client.responses.create({ model: "m", input: LONG });
    const asked = { model: "m", input: "When?", previous_response_id: first.id };
    const second = await client.responses.create(asked);
    expect(second.previous_response_id).toBe(first.id);
    expect(second.usage?.input_tokens).toBeGreaterThan(first.usage?.input_tokens ?? 0);
    expect(second.usage?.input_tokens_details.cached_tokens).toBeGreaterThan(200);
    const stream = client.responses.stream({ ...asked, previous_response_id: second.id });
    const third = await stream.finalResponse();
    expect(third.previous_response_id).toBe(second.id);
    const roles = (await client.responses.inputItems.list(third.id, { order: "asc" })).data;
    expect(roles.map((item) => ("role" in item ? item.role : item.type))).toEqual([
      ...["user", "assistant", "user", "assistant", "user"],
    ]);
  });

  test("an item may be referred to by its id", async () => {
    const first = await client.responses.create({ model: "m", input: "Name a port." });
    const second = await client.responses.create({
      model: "m",
      input: [
        { type: "item_reference", id: first.output[0].id ?? "" },
        { role: "user", content: "Another?" },
      ],
    });
    expect(second.status).toBe("completed");
    const items = await client.responses.inputItems.list(second.id, { order: "asc" });
    expect(items.data[0]).toMatchObject({ type: "message", role: "assistant" });
  });

  test("what is not held here is told in the API's own words", async () => {
    const wanted = { model: "m", input: "Go on.", previous_response_id: "resp_nobody_has" };
    const refused = client.responses.create(wanted);
    await expect(refused).rejects.toThrow(BadRequestError);
    await expect(refused).rejects.toMatchObject({
      code: "previous_response_not_found",
      param: "previous_response_id",
    });
  });

  test("is compacted to an item that stands for it", async () => {
    const made = await client.responses.compact({ model: "m", input: LONG });
    const last = made.output.at(-1);
    expect(last).toMatchObject({ type: "compaction" });
    const next = await client.responses.create({
      model: "m",
      input: [last as never, { role: "user", content: "And now?" }],
    });
    expect(next.status).toBe("completed");
  });
});

describe("bad input", () => {
  const post = async (path: string, body: object): Promise<[number, Record<string, unknown>]> => {
    const response = await fetch(`${pop.base}/v1/responses${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    return [response.status, error];
  };
  const orphan = { type: "function_call_output", call_id: "c", output: "x" };
  const image = { type: "input_image", image_url: "data:image/png;base64,***" };

  test.each([
    ["", { input: [{ role: "robot", content: "x" }] }, "input[0].role"],
    ["", { input: [orphan] }, "input[0].call_id"],
    ["", { input: [{ role: "user", content: [image] }] }, "input[0].content[0].image_url"],
    ["", { input: [] }, "input"],
    ["", { input: "x", background: true }, "background"],
    ["", { input: "x", tools: [{ type: "function" }] }, "tools[0].name"],
    ["", { input: "x", tools: [{ type: "web_search" }] }, "tools[0]"],
    ["", { input: "x", text: { format: { type: "xml" } } }, "text.format.type"],
    ["", { input: "x", conversation: "conv_1" }, "conversation"],
    ["/compact", { model: undefined, input: "x" }, "model"],
  ])("POST %s %j names %s", async (path, body, param) => {
    const [status, error] = await post(path, { model: "m", ...body });
    expect(status).toBe(400);
    expect(error).toMatchObject({ param, type: "invalid_request_error" });
  });

  test("input tokens are counted, cancelling what has ended is refused", async () => {
    const { input_tokens, object } = await client.responses.inputTokens.count({
      model: "m",
      input: LONG,
    });
    expect(object).toBe("response.input_tokens");
    expect(input_tokens).toBeGreaterThan(100);
    const { id } = await client.responses.create({ model: "m", input: "x" });
    await expect(client.responses.cancel(id)).rejects.toThrow(BadRequestError);
    await expect(client.responses.cancel("resp_none")).rejects.toThrow(NotFoundError);
  });
});
