/** The Realtime API for text, with the official client over TLS, through a PoP to an engine. */
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, inFlight, type ServerProcess, startEngine, startPop } from "./pop-process.ts";
import { type Event, SocketClient } from "./socket-client.ts";
import { TlsFront } from "./tls-front.ts";

let engine: ServerProcess;
let pop: ServerProcess;
let front: TlsFront;

beforeAll(async () => {
  engine = await startEngine("--profile", "instant", "--model", "m", "--itl-ms", "10");
  pop = await startPop({ endpoints: [{ id: "engine", url: engine.base, engine: "vllm" }] });
  front = await TlsFront.start(pop.port);
});

afterAll(async () => {
  await front?.stop();
  await pop?.stop();
  await engine?.stop();
});

const user = (text: string) => ({
  type: "message" as const,
  role: "user" as const,
  content: [{ type: "input_text" as const, text }],
});

test("the official client: session, item, answer, usage", async () => {
  const client = new OpenAI({ apiKey: "any", baseURL: `${front.base}/v1` });
  const session = new OpenAIRealtimeWS({ model: "m", options: { ca: front.ca } }, client);
  const heard: string[] = [];
  let text = "";
  session.on("event", ({ type }) => {
    if (heard.at(-1) !== type) heard.push(type);
  });
  session.on("session.created", ({ session: made }) => {
    expect(made).toMatchObject({ type: "realtime", output_modalities: ["text"] });
    session.send({
      type: "session.update",
      session: { type: "realtime", output_modalities: ["text"], instructions: "Be brief." },
    });
    session.send({ type: "conversation.item.create", item: user("Hello.") });
    session.send({ type: "response.create", response: { max_output_tokens: 12 } });
  });
  session.on("response.output_text.delta", ({ delta }) => (text += delta));
  const done = await new Promise<OpenAI.Realtime.ResponseDoneEvent>((resolve, reject) => {
    session.on("error", reject);
    session.on("response.done", resolve);
  });
  session.close();
  expect(heard).toEqual([
    ...["session.created", "session.updated", "conversation.item.added", "conversation.item.done"],
    ...["response.created", "conversation.item.added", "response.output_item.added"].slice(0, 1),
    ...["response.output_item.added", "conversation.item.added", "response.content_part.added"],
    ...["response.output_text.delta", "response.output_text.done", "response.content_part.done"],
    ...["response.output_item.done", "conversation.item.done", "response.done"],
  ]);
  const { response } = done;
  expect(response).toMatchObject({ object: "realtime.response" });
  expect(response.output?.[0]).toMatchObject({ content: [{ type: "output_text", text }] });
  expect(response.usage?.output_tokens).toBeGreaterThan(0);
});

const open = (): Promise<SocketClient> => SocketClient.open(`${pop.base}/v1/realtime?model=m`);

test("a conversation: items are placed, found, deleted, and what was said joins them", async () => {
  const client = await open();
  await client.type("session.created");
  client.send({ type: "conversation.item.create", item: { ...user("second"), id: "two" } });
  const first = { ...user("first"), id: "one" };
  client.send({ type: "conversation.item.create", item: first, previous_item_id: "root" });
  await client.until((event) => (event.item as { id: string })?.id === "one");
  client.send({ type: "conversation.item.retrieve", item_id: "two" });
  expect((await client.type("conversation.item.retrieved")).item).toMatchObject({ id: "two" });
  client.send({ type: "conversation.item.delete", item_id: "two" });
  await client.type("conversation.item.deleted");
  const usages: number[] = [];
  for (let i = 0; i < 2; i++) {
    client.send({ type: "response.create", response: { max_output_tokens: 8 } });
    const { response } = await client.type("response.done");
    usages.push((response as { usage: { input_tokens: number } }).usage.input_tokens);
  }
  expect(usages[1]).toBeGreaterThan(usages[0]);
  client.socket.close();
});

test("a response is cancelled, and the engine is free", async () => {
  const client = await open();
  client.send({ type: "conversation.item.create", item: user("Tell me all.") });
  client.send({ type: "response.create", response: { max_output_tokens: 1_000 } });
  await client.type("response.output_text.delta");
  client.send({ type: "response.create" });
  const busy = await client.type("error");
  expect(busy.error).toMatchObject({ code: "conversation_already_has_active_response" });
  client.send({ type: "response.cancel" });
  const { response } = await client.type("response.done");
  expect(response).toMatchObject({ status: "cancelled" });
  await eventually("nothing runs", async () => (await inFlight(pop)) === 0, 1_000);
  client.send({ type: "response.cancel", event_id: "mine" });
  const late = await client.type("error");
  expect(late.error).toMatchObject({ code: "response_cancel_not_active", event_id: "mine" });
  client.socket.close();
});

test("what is wrong is an error event that names it", async () => {
  const client = await open();
  const wrong: [object, object][] = [
    [{ type: "input_audio_buffer.append", audio: "AAAA" }, { param: "type" }],
    [
      { type: "session.update", session: { output_modalities: ["audio"] } },
      { param: "session.output_modalities" },
    ],
    [{ type: "session.update", session: { voice: "x" } }, { param: "session.voice" }],
    [{ type: "conversation.item.create", item: { type: "dance" } }, { param: "item.type" }],
    [{ type: "conversation.item.delete", item_id: "none" }, { param: "item_id" }],
    [{ type: "response.create" }, { param: "input" }],
  ];
  for (const [event, told] of wrong) {
    client.send({ event_id: "e1", ...event });
    const { error } = await client.type("error");
    expect(error).toMatchObject({ type: "invalid_request_error", event_id: "e1", ...told });
  }
  client.socket.send(Buffer.from([1]));
  expect((await client.type("error")).error).toMatchObject({ code: "invalid_request" });
  client.socket.close();
});

test("a model that is not here, a door without a model, a plain GET", async () => {
  const client = await SocketClient.open(`${pop.base}/v1/realtime?model=none`);
  client.send({ type: "conversation.item.create", item: user("x") });
  client.send({ type: "response.create" });
  expect((await client.type("error")).error).toMatchObject({ code: "model_not_found" });
  client.socket.close();
  await expect(SocketClient.open(`${pop.base}/v1/realtime`)).rejects.toThrow("400");
  const plain = await fetch(`${pop.base}/v1/realtime?model=m`);
  const { error } = (await plain.json()) as { error: Event };
  expect([plain.status, error.code]).toEqual([405, "method_not_allowed"]);
});
