import { describe, expect, it } from "vitest";
import { CHAT } from "../../../../src/stream/dialects/chat.ts";
import type { StreamDialect } from "../../../../src/stream/dialects/dialect.ts";
import { GEMINI } from "../../../../src/stream/dialects/gemini.ts";
import { MESSAGES } from "../../../../src/stream/dialects/messages.ts";
import type { StreamEvent } from "../../../../src/stream/event.ts";
import { SseParser } from "../../../../src/stream/sse.ts";
import { SseTap } from "../../../../src/stream/tap.ts";
import { usageOfBody } from "../../../../src/stream/usage.ts";
import { CHAT_USAGE, chat, choice, MESSAGE, OPTIONS } from "./streams.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

type Json = Record<string, never>;

const chunk = (parts: unknown[], more: object = {}, top: object = {}): string => {
  const candidate = { content: { parts, role: "model" }, index: 0, ...more };
  const body = { candidates: [candidate], modelVersion: "gemini-x", responseId: "r7", ...top };
  return `data: ${JSON.stringify(body)}\r\n\r\n`;
};
const usageMetadata = {
  ...{ promptTokenCount: 20, candidatesTokenCount: 5, thoughtsTokenCount: 2 },
  ...{ totalTokenCount: 27, cachedContentTokenCount: 16 },
};
const functionCall = { id: "c1", name: "weather", args: { city: "Oslo" } };
const STREAM =
  chunk([{ text: "hm", thought: true }], {}, { usageMetadata: { promptTokenCount: 20 } }) +
  chunk([{ text: "Hé" }]) +
  chunk([{ text: "llo" }]) +
  chunk([{ functionCall, thoughtSignature: "s" }]) +
  chunk([{ text: "" }], { finishReason: "STOP" }, { usageMetadata });

function tapOf(engine: StreamDialect, caller: StreamDialect | undefined): SseTap {
  const writer = caller?.writer(OPTIONS);
  return new SseTap({ dialect: engine, writer, dropUsage: false, choices: 1 });
}

function translate(engine: StreamDialect, caller: StreamDialect, text: string) {
  const tap = tapOf(engine, caller);
  const parts = [tap.feed(encoder.encode(text)), tap.finish(), tap.complete()];
  const out = parts.map((part) => decoder.decode(part)).join("");
  return { out, tap, events: framesOf(out) };
}

function framesOf(text: string): Json[] {
  const frames: Json[] = [];
  const parser = new SseParser(({ data = "" }) => {
    if (data !== "[DONE]") frames.push(JSON.parse(data) as Json);
  });
  parser.feed(encoder.encode(text));
  return frames;
}

function read(dialect: StreamDialect, text: string): StreamEvent[] {
  const events: StreamEvent[] = [];
  const reader = dialect.reader();
  const sink = { on: (event: StreamEvent) => void events.push(event) };
  new SseParser((event) => reader.read(event.data ?? "", event.event, sink)).feed(
    encoder.encode(text),
  );
  return events;
}

describe("what Gemini says", () => {
  it("in the union: a call is whole, the reason is tools where there was one", () => {
    expect(read(GEMINI, STREAM)).toEqual([
      { type: "start", id: "r7", model: "gemini-x" },
      { type: "usage", usage: { promptTokens: 20, completionTokens: 0 } },
      { type: "reasoning", choice: 0, text: "hm" },
      { type: "text", choice: 0, text: "Hé" },
      { type: "text", choice: 0, text: "llo" },
      { type: "tool", choice: 0, tool: 0, id: "c1", name: "weather" },
      { type: "arguments", choice: 0, tool: 0, json: '{"city":"Oslo"}' },
      { type: "toolEnd", choice: 0, tool: 0 },
      {
        type: "usage",
        usage: {
          ...{ promptTokens: 20, completionTokens: 7, cachedTokens: 16, reasoningTokens: 2 },
        },
      },
      { type: "stop", choice: 0, reason: "tools" },
    ]);
  });

  it("to a chat caller", () => {
    const { events, tap, out } = translate(GEMINI, CHAT, STREAM);
    expect(tap).toMatchObject({ terminal: true, model: "gemini-x", error: undefined });
    expect(out.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(events.at(-2)).toMatchObject({ choices: [{ finish_reason: "tool_calls" }] });
    expect(events.at(-1)).toMatchObject({
      usage: { prompt_tokens: 20, completion_tokens: 7, total_tokens: 27 },
    });
  });

  it.each([
    ["MAX_TOKENS", "length"],
    ["SAFETY", "filter"],
    ["PROHIBITED_CONTENT", "filter"],
    ["A_NEW_ONE", "stop"],
  ])("the end %s is %s", (finishReason, reason) => {
    const events = read(GEMINI, chunk([{ text: "x" }], { finishReason }));
    expect(events.at(-1)).toEqual({ type: "stop", choice: 0, reason });
  });

  it("an answer that broke off in the model is an error, never an end", () => {
    const broken = { finishReason: "MALFORMED_FUNCTION_CALL", finishMessage: "bad call" };
    expect(read(GEMINI, chunk([], broken)).at(-1)).toEqual({
      ...{ type: "error", error: { message: "bad call", code: "MALFORMED_FUNCTION_CALL" } },
    });
    const tap = tapOf(GEMINI, CHAT);
    tap.feed(encoder.encode(chunk([], broken)));
    expect(tap).toMatchObject({ terminal: false, error: { message: "bad call" } });
  });

  it("a prompt that was blocked ends in the filter", () => {
    const blocked = `data: {"promptFeedback":{"blockReason":"SAFETY"}}\n\n`;
    expect(read(GEMINI, blocked)).toContainEqual({ type: "stop", choice: 0, reason: "filter" });
    const answer = GEMINI.readAnswer({ promptFeedback: { blockReason: "SAFETY" } });
    expect(answer?.choices).toEqual([{ parts: [], reason: "filter" }]);
  });

  it("the error in the stream, and the one that is no event", () => {
    const error = '{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}';
    const wanted = { message: "Overloaded", type: "UNAVAILABLE", code: "503" };
    expect(read(GEMINI, `data: ${error}\r\n\r\n`)).toEqual([{ type: "error", error: wanted }]);
    const tap = tapOf(GEMINI, undefined);
    tap.feed(encoder.encode(chunk([{ text: "x" }]) + error));
    tap.finish();
    expect(tap).toMatchObject({ error: wanted, errorForwarded: false, terminal: false });
  });
});

describe("what is said to Gemini's callers", () => {
  const TOOLS = chat(
    choice({ role: "assistant", content: "" }),
    choice({ reasoning_content: "hm" }),
    choice({ content: "Hé" }),
    choice({ tool_calls: [{ index: 0, id: "a", function: { name: "one", arguments: "" } }] }),
    choice({ tool_calls: [{ index: 0, function: { arguments: '{"x":' } }] }),
    choice({ tool_calls: [{ index: 0, function: { arguments: "1}" } }] }),
    choice({ tool_calls: [{ index: 1, id: "b", function: { name: "two", arguments: "" } }] }),
    choice({}, "tool_calls"),
    CHAT_USAGE,
  );

  it("calls go out whole, the end tells the usage", () => {
    const { events } = translate(CHAT, GEMINI, TOOLS);
    const parts = events.flatMap(
      ({ candidates }) =>
        (candidates as never as { content: { parts: unknown[] } }[])[0].content.parts,
    );
    expect(parts).toEqual([
      { text: "hm", thought: true },
      { text: "Hé" },
      { functionCall: { id: "a", name: "one", args: { x: 1 } } },
      { functionCall: { id: "b", name: "two", args: {} } },
      { text: "" },
    ]);
    expect(events.at(-1)).toMatchObject({
      candidates: [{ finishReason: "STOP", index: 0 }],
      usageMetadata: {
        ...{ promptTokenCount: 20, candidatesTokenCount: 3, thoughtsTokenCount: 2 },
        ...{ totalTokenCount: 25, cachedContentTokenCount: 16 },
      },
      ...{ modelVersion: "m1", responseId: "chatcmpl-7" },
    });
  });

  it("a proof comes with the thought that it proves", () => {
    const { out } = translate(MESSAGES, GEMINI, MESSAGE);
    expect(out).toContain('{"text":"","thought":true,"thoughtSignature":"s1"}');
  });

  it("every choice ends for itself", () => {
    const text = chat(
      choice({ content: "a" }, null, 0),
      choice({ content: "b" }, null, 1),
      choice({}, "stop", 0),
      choice({}, "length", 1),
    );
    expect(translate(CHAT, GEMINI, text).events.at(-1)?.candidates).toMatchObject([
      { index: 0, finishReason: "STOP" },
      { index: 1, finishReason: "MAX_TOKENS" },
    ]);
  });

  it("arguments that are no JSON, or without an end, are no answer", () => {
    const call = (json: string) =>
      choice({ tool_calls: [{ index: 0, id: "a", function: { name: "f", arguments: json } }] });
    const broken = chat(call('{"x":'), choice({}, "tool_calls"));
    expect(() => translate(CHAT, GEMINI, broken)).toThrow(/no JSON/);
    const writer = GEMINI.writer(OPTIONS);
    writer.write({ type: "tool", choice: 0, tool: 0, id: "a", name: "f" });
    const json = "x".repeat(600_000);
    writer.write({ type: "arguments", choice: 0, tool: 0, json });
    expect(() => writer.write({ type: "arguments", choice: 0, tool: 0, json })).toThrow(
      /bytes of arguments/,
    );
  });

  it("is what was read", () => {
    const events = read(GEMINI, STREAM);
    const writer = GEMINI.writer(OPTIONS);
    const frames = [...events, { type: "end" } as const].map((event) => writer.write(event));
    const told = (list: StreamEvent[]) => list.filter(({ type }) => type !== "usage");
    const again = read(GEMINI, frames.join(""));
    expect(told(again)).toEqual(told(events));
    expect(again.findLast(({ type }) => type === "usage")).toEqual(events.at(-2));
  });
});

describe("passed through", () => {
  it("goes on byte for byte, parsed only where it matters", () => {
    const bytes = encoder.encode(STREAM);
    const tap = tapOf(GEMINI, undefined);
    expect(tap.feed(bytes)).toBe(bytes);
    expect(tap).toMatchObject({ terminal: true, contentSeen: true, contentEvents: 4 });
    expect(tap.usage).toMatchObject({ promptTokens: 20, completionTokens: 7 });
    expect(tap.complete()).toBeUndefined();
  });

  it.each([
    [chunk([{ text: "finishReason error" }]), true],
    [chunk([{ text: 'a "finishReason": "STOP"' }]), true],
    [chunk([{ text: "x" }], { finishReason: "STOP" }), false],
    ['data: {"error":{"code":1}}\n\n', false],
    ['data: {"promptFeedback":{}}\n\n', false],
    ['data: {"candidates":[{"\\u0066inishReason":"STOP"}]}\n\n', false],
    ["data: [1]\n\n", false],
    [": ping\n\n", false],
  ])("%#: plain content is %s", (text, plain) => {
    const bytes = encoder.encode(text);
    expect(GEMINI.isPlainContent(bytes, 0, bytes.length)).toBe(plain);
  });
});

describe("plain answers", () => {
  const body = {
    candidates: [
      {
        content: { role: "model", parts: [{ text: "hm", thought: true }, { text: "Hi" }] },
        ...{ finishReason: "STOP", index: 0 },
      },
      { content: { role: "model", parts: [{ functionCall }] }, finishReason: "STOP", index: 1 },
    ],
    ...{ usageMetadata, modelVersion: "gemini-x", responseId: "r7" },
  };

  it("go to chat and back", () => {
    const answer = GEMINI.readAnswer(body as never);
    const completion = CHAT.writeAnswer(answer as never, OPTIONS) as Json;
    expect(completion.choices).toMatchObject([
      { message: { content: "Hi", reasoning_content: "hm" }, finish_reason: "stop" },
      { message: { content: null }, finish_reason: "tool_calls" },
    ]);
    const back = GEMINI.writeAnswer(CHAT.readAnswer(completion) as never, OPTIONS);
    expect(back).toMatchObject({
      candidates: body.candidates,
      usageMetadata: { ...usageMetadata },
    });
  });

  it("tell their usage under a key of their own", () => {
    const bytes = encoder.encode(JSON.stringify(body));
    const usage = usageOfBody(bytes, GEMINI.usageOf, GEMINI.usageKey);
    expect(usage).toMatchObject({ promptTokens: 20, completionTokens: 7, cachedTokens: 16 });
  });

  it.each([{}, { candidates: [] }, { candidates: [null] }, { candidates: "x" }])(
    "are not %o",
    (none) => expect(GEMINI.readAnswer(none as never)).toBeUndefined(),
  );

  it("that broke off in the model are tried elsewhere", () => {
    const broken = { candidates: [{ finishReason: "MALFORMED_RESPONSE" }] };
    expect(GEMINI.readAnswer(broken as never)).toBeUndefined();
  });
});

describe("embeddings", () => {
  const task = (more: object) =>
    ({ model: "m", route: "embeddings", fields: {}, ...more }) as never;
  const vectors = [
    [0.5, -1],
    [2, 0.25],
  ];

  it("of OpenAI, plain and packed, in the order of their index", () => {
    const data = vectors.map((embedding, index) => ({ embedding, index })).reverse();
    expect(CHAT.vectors?.read({ data })).toEqual(vectors);
    const body = CHAT.vectors?.write(vectors, task({ fields: { encoding_format: "base64" } }), 3);
    const [first] = (body as { data: { embedding: string }[] }).data;
    const bytes = Uint8Array.from(atob(first.embedding), (letter) => letter.charCodeAt(0));
    expect([...new Float32Array(bytes.buffer)]).toEqual(vectors[0]);
    expect(CHAT.vectors?.write(vectors, task({}), 3)).toMatchObject({
      ...{ object: "list", model: "m", usage: { prompt_tokens: 3, total_tokens: 3 } },
      data: [{ object: "embedding", index: 0, embedding: vectors[0] }, { index: 1 }],
    });
  });

  it("of Gemini, one and several", () => {
    const embeddings = vectors.map((values) => ({ values }));
    expect(GEMINI.vectors?.read({ embeddings })).toEqual(vectors);
    expect(GEMINI.vectors?.read({ embedding: { values: [1] } })).toEqual([[1]]);
    expect(GEMINI.vectors?.write(vectors, task({}), 3)).toMatchObject({ embeddings });
    const one = GEMINI.vectors?.write([[1]], task({ route: "gemini-embed" }), 3);
    expect(one).toMatchObject({ embedding: { values: [1] } });
  });

  it.each([
    {},
    { data: [] },
    { data: [{ embedding: "AAAA" }] },
    { embeddings: [{ values: ["x"] }] },
  ])("are not %o", (body) => {
    expect(CHAT.vectors?.read(body)).toBeUndefined();
    expect(GEMINI.vectors?.read(body)).toBeUndefined();
  });
});
