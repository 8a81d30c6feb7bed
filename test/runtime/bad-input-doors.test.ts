/**
 * Bad input at every door: each cell of the table below is asked of a PoP in a process of its own,
 * and answered in the form of that door, with the place of what is wrong. Nothing of it reaches the
 * engine, and the PoP serves afterwards.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { eventually, popState, type ServerProcess, startPop } from "./pop-process.ts";
import { RogueEngine } from "./rogue-engine.ts";
import { type Event, SocketClient } from "./socket-client.ts";

const BODY_BYTES = 1_000_000;
const FRAME_BYTES = 1_000_000;
const NO_IMAGE = "data:image/png;base64,***";

let engine: RogueEngine;
let pop: ServerProcess;

beforeAll(async () => {
  engine = await RogueEngine.start(["m"], () => ({ kind: "good" }));
  pop = await startPop({
    endpoints: [{ id: "engine", url: engine.base, engine: "vllm" }],
    limits: { bodyBytes: BODY_BYTES },
    sockets: { frameBytes: FRAME_BYTES },
  });
});
afterAll(async () => {
  await pop?.stop();
  await engine?.stop();
});

type Json = Record<string, unknown>;
const said = (content: unknown) => [{ role: "user", content }];
const openAiError = (param: string | null) => ({
  error: { type: "invalid_request_error", param, code: expect.any(String) },
});

interface Door {
  path: string;
  good: Json;
  /** How the door words an error about that place. */
  form(status: number, param: string | null): Json;
  /** Bodies by what is wrong with them, and the place that is named. */
  wrong: Record<string, [Json, string]>;
}

const bad = (fields: Json, place: string): [Json, string] => [fields, place];
const DOORS: Readonly<Record<string, Door>> = {
  chat: {
    path: "/v1/chat/completions",
    good: { model: "m", messages: said("x") },
    form: (_status, param) => openAiError(param),
    wrong: {
      "wrong role": bad({ messages: [{ role: "robot", content: "x" }] }, "messages[0].role"),
      "result without a call": bad(
        { messages: [...said("x"), { role: "tool", tool_call_id: "c1", content: "3" }] },
        "messages[1].tool_call_id",
      ),
      "malformed base64": bad(
        { messages: said([{ type: "image_url", image_url: { url: NO_IMAGE } }]) },
        "messages[0].content[0].image_url",
      ),
      "no messages": bad({ messages: [] }, "messages"),
      "wrong setting": bad({ temperature: "warm" }, "temperature"),
    },
  },
  messages: {
    path: "/v1/messages",
    good: { model: "m", max_tokens: 5, messages: said("x") },
    form: () => ({
      type: "error",
      error: { type: "invalid_request_error" },
      request_id: expect.any(String),
    }),
    wrong: {
      "wrong role": bad({ messages: [{ role: "robot", content: "x" }] }, "messages[0].role"),
      "result without a call": bad(
        { messages: said([{ type: "tool_result", tool_use_id: "c1", content: "3" }]) },
        "messages[0].content[0].tool_use_id",
      ),
      "malformed base64": bad(
        {
          messages: said([
            { type: "image", source: { type: "base64", media_type: "image/png", data: "***" } },
          ]),
        },
        "messages[0].content[0].source.data",
      ),
      "no messages": bad({ messages: [] }, "messages"),
      "wrong setting": bad({ temperature: "warm" }, "temperature"),
      "no max_tokens": bad({ max_tokens: undefined }, "max_tokens"),
    },
  },
  gemini: {
    path: "/v1beta/models/m:generateContent",
    good: { contents: [{ role: "user", parts: [{ text: "x" }] }] },
    form: (status) => ({ error: { code: status, status: "INVALID_ARGUMENT" } }),
    wrong: {
      "wrong role": bad(
        { contents: [{ role: "robot", parts: [{ text: "x" }] }] },
        "contents[0].role",
      ),
      "result without a call": bad(
        { contents: [{ parts: [{ functionResponse: { name: "f", response: {} } }] }] },
        "contents[0].parts[0].functionResponse.name",
      ),
      "malformed base64": bad(
        { contents: [{ parts: [{ inlineData: { mimeType: "image/png", data: "***" } }] }] },
        "contents[0].parts[0].inlineData.data",
      ),
      "no messages": bad({ contents: [] }, "contents"),
      "wrong setting": bad(
        { generationConfig: { temperature: "warm" } },
        "generationConfig.temperature",
      ),
    },
  },
  responses: {
    path: "/v1/responses",
    good: { model: "m", input: "x" },
    form: (_status, param) => openAiError(param),
    wrong: {
      "wrong role": bad({ input: [{ role: "robot", content: "x" }] }, "input[0].role"),
      "result without a call": bad(
        { input: [{ type: "function_call_output", call_id: "c1", output: "3" }] },
        "input[0].call_id",
      ),
      "malformed base64": bad(
        { input: said([{ type: "input_image", image_url: NO_IMAGE }]) },
        "input[0].content[0].image_url",
      ),
      "no messages": bad({ input: [] }, "input"),
      "wrong setting": bad({ temperature: "warm" }, "temperature"),
      "in the background": bad({ background: true }, "background"),
    },
  },
};

async function post(path: string, body: string | Uint8Array, type = "application/json") {
  const response = await fetch(pop.base + path, {
    ...{ method: "POST", headers: { "content-type": type }, body: body as string },
  });
  return { status: response.status, told: (await response.json()) as Json };
}

const messageOf = (told: Json): string => (told.error as { message: string }).message;

describe.each(Object.entries(DOORS))("the door of %s", (_name, door) => {
  const { path, good, form, wrong } = door;

  test.each(Object.entries(wrong))("%s", async (_what, [fields, place]) => {
    const { status, told } = await post(path, JSON.stringify({ ...good, ...fields }));
    expect({ status, told }).toMatchObject({ status: 400, told: form(400, place) });
    expect(messageOf(told)).toContain(place);
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ["no JSON", '{"model":', /not valid JSON/],
    ["a list", "[]", /must be a JSON object/],
    ["no UTF-8", Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), /not valid UTF-8/],
    ["nesting", "[".repeat(200_000), /not valid JSON|nested too deeply/],
  ])("%s", async (_what, body, says) => {
    const { status, told } = await post(path, body);
    expect({ status, told }).toMatchObject({ status: 400, told: form(400, null) });
    expect(messageOf(told)).toMatch(says);
  });

  test("ten megabytes, another media type, an unknown model, another method", async () => {
    const large = await post(path, JSON.stringify({ ...good, filler: "x".repeat(10_000_000) }));
    expect(large.status).toBe(413);
    expect(messageOf(large.told)).toContain(String(BODY_BYTES));
    expect((await post(path, JSON.stringify(good), "text/plain")).status).toBe(415);
    const elsewhere = path.replace("/m:", "/none:");
    const missing = await post(elsewhere, JSON.stringify({ ...good, model: "none" }));
    expect(missing.status).toBe(404);
    expect(messageOf(missing.told)).toContain("none");
    const method = await fetch(pop.base + path, { method: "PUT" });
    expect([method.status, await method.text()]).toEqual([
      405,
      expect.stringContaining(`PUT is not supported`),
    ]);
  });
});

test.each(["dance", "GenerateContent", "generateContent:x", ""])(
  "the unknown verb of a model '%s' is told in Google's form",
  async (verb) => {
    const { status, told } = await post(`/v1beta/models/m:${verb}`, "{}");
    expect([404, 400, 405]).toContain(status);
    expect(told.error).toMatchObject({ code: status, status: expect.any(String) });
  },
);

interface SocketDoor {
  path: string;
  /** Events that make the session ask for an answer with that conversation. */
  ask(input: unknown): object[];
  wrong: Record<string, [object[], string]>;
}
const item = (one: object): object => ({ type: "conversation.item.create", item: one });
const create = (more: Json): object[] => [
  { type: "response.create", model: "m", store: false, ...more },
];
const inItem = (content: object): object[] => [
  item({ type: "message", role: "user", content: [content] }),
  { type: "response.create" },
];
const SOCKETS: Readonly<Record<string, SocketDoor>> = {
  responses: {
    path: "/v1/responses",
    ask: (input) => create({ input }),
    wrong: {
      "wrong role": [create({ input: [{ role: "robot", content: "x" }] }), "input[0].role"],
      "result without a call": [
        create({ input: [{ type: "function_call_output", call_id: "c", output: "3" }] }),
        "input[0].call_id",
      ],
      "malformed base64": [
        create({ input: said([{ type: "input_image", image_url: NO_IMAGE }]) }),
        "input[0].content[0].image_url",
      ],
      "unknown model": [create({ model: "none", input: "x" }), "model"],
      "unknown event": [[{ type: "response.dance" }], "type"],
      "no type": [[{ input: "x" }], "type"],
      "a stream asked for": [create({ input: "x", stream: true }), "stream"],
    },
  },
  realtime: {
    path: "/v1/realtime?model=m",
    ask: (text) => inItem({ type: "input_text", text }),
    wrong: {
      "wrong role": [
        [
          item({ type: "message", role: "robot", content: [{ type: "input_text", text: "x" }] }),
          { type: "response.create" },
        ],
        "input[0].role",
      ],
      "result without a call": [
        [
          item({ type: "function_call_output", call_id: "c", output: "3" }),
          { type: "response.create" },
        ],
        "input[0].call_id",
      ],
      "malformed base64": [
        inItem({ type: "input_image", image_url: NO_IMAGE }),
        "input[0].content[0].image_url",
      ],
      "unknown event": [[{ type: "response.dance" }], "type"],
      "no type": [[{ input: "x" }], "type"],
      "an item of no kind": [[item({ type: "dance" })], "item.type"],
      audio: [[{ type: "input_audio_buffer.append", audio: "AAAA" }], "type"],
    },
  },
};

describe.each(Object.entries(SOCKETS))("the socket of %s", (_name, { path, ask, wrong }) => {
  const open = (): Promise<SocketClient> => SocketClient.open(pop.base + path);
  const errorTo = async (client: SocketClient, frame: string | Buffer): Promise<Json> => {
    client.socket.send(frame);
    return (await client.type("error")).error as Json;
  };

  test.each(Object.entries(wrong))("%s", async (_what, [events, param]) => {
    const client = await open();
    for (const event of events) client.send(event);
    const { error } = await client.type("error");
    expect(error).toMatchObject({
      ...{ type: "invalid_request_error", code: expect.any(String), param },
    });
    client.socket.close();
  });

  test("no JSON, a list, bytes, a frame over the bound; then a good answer", async () => {
    const client = await open();
    expect(await errorTo(client, "{")).toMatchObject({ code: "invalid_json" });
    expect(await errorTo(client, "[]")).toMatchObject({ code: "invalid_json" });
    expect(await errorTo(client, Buffer.from([1, 2]))).toMatchObject({ code: "invalid_request" });
    const long = JSON.stringify({ type: "response.create", x: "y".repeat(FRAME_BYTES) });
    expect(await errorTo(client, long)).toMatchObject({ code: "payload_too_large" });
    for (const event of ask("x")) client.send(event);
    await client.until(({ type }: Event) => /^response\.(completed|done)$/.test(type));
    client.socket.close();
  });

  test("ten megabytes end the socket with 1009, and no other", async () => {
    const [client, other] = [await open(), await open()];
    client.socket.send("x".repeat(10_000_000));
    expect((await client.end()).code).toBe(1009);
    for (const event of ask("x")) other.send(event);
    await other.until(({ type }: Event) => /^response\.(completed|done)$/.test(type));
    other.socket.close();
  });

  test("a flood of pings holds nobody else up", async () => {
    const [flood, other] = [await open(), await open()];
    for (let i = 0; i < 20_000; i++) {
      if (flood.socket.readyState === WebSocket.OPEN) flood.socket.ping();
    }
    for (const event of ask("x")) other.send(event);
    await other.until(({ type }: Event) => /^response\.(completed|done)$/.test(type));
    flood.socket.terminate();
    other.socket.close();
  });
});

test("after all of it: nothing runs, no socket is open, and a request is served", async () => {
  await eventually("no socket is left", async () =>
    (await pop.text("/metrics")).includes('gridpoint_sockets{door="realtime"} 0'),
  );
  const asked = engine.requests;
  for (const { path, good } of Object.values(DOORS)) {
    expect((await post(path, JSON.stringify(good))).status).toBe(200);
  }
  expect(engine.requests).toBe(asked + Object.keys(DOORS).length);
  // Of all that was wrong nothing reached the engine: these are the good ones between.
  expect(asked).toBe(3 * Object.keys(SOCKETS).length);
  expect(await popState(pop)).toMatchObject({ running: 0 });
});
