import { describe, expect, it } from "vitest";
import { CHAT } from "../../../../src/stream/dialects/chat.ts";
import type { StreamDialect } from "../../../../src/stream/dialects/dialect.ts";
import { MESSAGES } from "../../../../src/stream/dialects/messages.ts";
import type { StreamEvent } from "../../../../src/stream/event.ts";
import { type SseEvent, SseParser } from "../../../../src/stream/sse.ts";
import { SseTap } from "../../../../src/stream/tap.ts";
import { CHAT_USAGE, chat, choice, MESSAGE, MESSAGE_START, messages, OPTIONS } from "./streams.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function tapOf(engine: StreamDialect, caller: StreamDialect, options = OPTIONS): SseTap {
  const writer = caller.writer(options);
  return new SseTap({ dialect: engine, writer, dropUsage: false, choices: 1 });
}

function translate(engine: StreamDialect, caller: StreamDialect, text: string, options = OPTIONS) {
  const tap = tapOf(engine, caller, options);
  const parts = [tap.feed(encoder.encode(text)), tap.finish(), tap.complete()];
  const out = parts.map((part) => decoder.decode(part)).join("");
  return { out, tap, events: framesOf(out) };
}

function framesOf(text: string): { name: string | undefined; data: Record<string, never> }[] {
  const frames: SseEvent[] = [];
  new SseParser((event) => frames.push(event)).feed(encoder.encode(text));
  return frames.map(({ event, data = "" }) => ({
    name: event,
    data: data === "[DONE]" ? data : JSON.parse(data),
  }));
}

/** What a reader of the dialect makes of a stream. */
function read(dialect: StreamDialect, text: string): StreamEvent[] {
  const events: StreamEvent[] = [];
  const reader = dialect.reader();
  const sink = { on: (event: StreamEvent) => void events.push(event) };
  const parser = new SseParser((event) => reader.read(event.data ?? "", event.event, sink));
  parser.feed(encoder.encode(text));
  return events;
}

const TOOL_STREAM = chat(
  choice({ role: "assistant", content: "" }),
  choice({ reasoning_content: "let me see" }),
  choice({ content: "Look" }),
  choice({ content: "ing" }),
  choice({ tool_calls: [{ index: 0, id: "a", function: { name: "one", arguments: "" } }] }),
  choice({ tool_calls: [{ index: 0, function: { arguments: '{"x":1}' } }] }),
  choice({ tool_calls: [{ index: 1, id: "b", function: { name: "two", arguments: "{}" } }] }),
  choice({}, "tool_calls"),
  CHAT_USAGE,
);

describe("chat to messages", () => {
  it("puts every kind of content in a block of its own, in order", () => {
    const { events, tap } = translate(CHAT, MESSAGES, TOOL_STREAM);
    expect(events.every(({ name, data }) => name === data.type)).toBe(true);
    const shape = events.map(({ data }) => {
      const { type, index, content_block: block, delta } = data as Record<string, { type: string }>;
      return [type, index, block?.type ?? delta?.type].filter((x) => x !== undefined).join(" ");
    });
    expect(shape).toEqual([
      "message_start",
      "content_block_start 0 thinking",
      "content_block_delta 0 thinking_delta",
      "content_block_stop 0",
      "content_block_start 1 text",
      "content_block_delta 1 text_delta",
      "content_block_delta 1 text_delta",
      "content_block_stop 1",
      "content_block_start 2 tool_use",
      "content_block_delta 2 input_json_delta",
      "content_block_stop 2",
      "content_block_start 3 tool_use",
      "content_block_delta 3 input_json_delta",
      "content_block_stop 3",
      "message_delta",
      "message_stop",
    ]);
    expect(events.at(-2)?.data).toMatchObject({
      delta: { stop_reason: "tool_use", stop_sequence: null },
      usage: { input_tokens: 4, cache_read_input_tokens: 16, output_tokens: 5 },
    });
    expect(tap).toMatchObject({ terminal: true, contentEvents: 6, model: "m1" });
  });

  it("tells the estimate of the input first, and writes the fields of the newer version", () => {
    const text = chat(choice({ content: "x" }), choice({}, "stop"));
    const start = translate(CHAT, MESSAGES, text).events[0].data as never as typeof MESSAGE_START;
    expect(start.message.usage).toEqual({
      ...{ input_tokens: 12, output_tokens: 0 },
      ...{ cache_creation_input_tokens: 0, cache_read_input_tokens: 0 },
    });
    expect(start.message).not.toHaveProperty("container");
    const newer = { ...OPTIONS, version: "2026-10-21" };
    const { message } = translate(CHAT, MESSAGES, text, newer).events[0].data as never as {
      message: object;
    };
    expect(message).toMatchObject({ container: null, diagnostics: null, stop_details: null });
  });

  it.each([
    [choice({}, "stop"), "end_turn", null],
    [choice({}, "length"), "max_tokens", null],
    [choice({}, "content_filter"), "refusal", null],
    [choice({}, "an engine's own word"), "end_turn", null],
  ])("maps the end %#", (last, reason, sequence) => {
    const { events } = translate(CHAT, MESSAGES, chat(choice({ content: "x" }), last));
    const delta = { stop_reason: reason, stop_sequence: sequence };
    expect(events.at(-2)?.data).toMatchObject({ delta });
  });

  it("knows a stop sequence where the engine names it, and a refusal by its text", () => {
    const stopped = choice({}, "stop") as { choices: Record<string, unknown>[] };
    stopped.choices[0].stop_reason = "END";
    const told = translate(CHAT, MESSAGES, chat(choice({ content: "x" }), stopped));
    const delta = { stop_reason: "stop_sequence", stop_sequence: "END" };
    expect(told.events.at(-2)?.data).toMatchObject({ delta });
    const refused = chat(choice({ refusal: "No." }), choice({}, "stop"));
    const { events } = translate(CHAT, MESSAGES, refused);
    expect(events.at(-2)?.data).toMatchObject({ delta: { stop_reason: "refusal" } });
  });

  it("ends the message of an engine that forgets [DONE]", () => {
    const text = chat(choice({ content: "x" }), choice({}, "stop")).replace(
      /data: \[DONE\].*$/s,
      "",
    );
    const { events, tap } = translate(CHAT, MESSAGES, text);
    expect(events.at(-1)?.name).toBe("message_stop");
    expect(tap.terminal).toBe(true);
  });

  it("leaves an error to whoever writes errors, and writes nothing of it", () => {
    const begun = chat(choice({ content: "x" })).replace(/data: \[DONE\].*$/s, "");
    const text = `${begun}data: {"error":{"message":"boom"}}\n\n`;
    const tap = tapOf(CHAT, MESSAGES);
    const out = decoder.decode(tap.feed(encoder.encode(text)));
    expect(out).not.toContain("boom");
    expect(tap).toMatchObject({ error: { message: "boom" }, errorForwarded: false });
  });

  it("refuses tool calls whose arguments come mixed: blocks are one after the other", () => {
    const call = (index: number, json: string) =>
      choice({
        tool_calls: [{ index, id: `c${index}`, function: { name: "f", arguments: json } }],
      });
    const mixed = chat(call(0, "{"), call(1, "{"), call(0, "}"));
    expect(() => translate(CHAT, MESSAGES, mixed)).toThrow(
      expect.objectContaining({ code: "bad_response" }),
    );
  });
});

describe("messages to chat", () => {
  it("tells content, tool calls, the end and the usage", () => {
    const { events, tap } = translate(MESSAGES, CHAT, MESSAGE);
    const deltas = events
      .slice(0, -2)
      .flatMap(({ data }) => (data as never as { choices: { delta: object }[] }).choices)
      .map(({ delta }) => delta);
    expect(deltas).toEqual([
      { role: "assistant", content: "" },
      { reasoning_content: "hm" },
      { content: "Hé" },
      { content: "llo" },
      {
        tool_calls: [
          {
            index: 0,
            id: "toolu_1",
            type: "function",
            function: { name: "weather", arguments: "" },
          },
        ],
      },
      { tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '"Oslo"}' } }] },
      {},
    ]);
    expect(events.at(-3)?.data).toMatchObject({
      ...{ id: "chatcmpl-7", model: "claude", created: 1_700_000_000 },
      choices: [{ index: 0, finish_reason: "tool_calls" }],
      usage: null,
    });
    expect(events.at(-2)?.data).toMatchObject({
      choices: [],
      usage: {
        ...{ prompt_tokens: 20, completion_tokens: 30, total_tokens: 50 },
        prompt_tokens_details: { cached_tokens: 16 },
      },
    });
    expect(events.at(-1)?.data).toBe("[DONE]");
    expect(tap.usage).toMatchObject({ promptTokens: 20, completionTokens: 30, cachedTokens: 16 });
  });

  it("shows no usage to a caller who did not ask for it", () => {
    const { out } = translate(MESSAGES, CHAT, MESSAGE, { ...OPTIONS, usage: false });
    expect(out).not.toContain("usage");
  });

  it("is not terminal before the message has a reason to stop", () => {
    const cut = MESSAGE.slice(0, MESSAGE.indexOf("event: message_delta"));
    const tap = tapOf(MESSAGES, CHAT);
    tap.feed(encoder.encode(cut));
    expect(tap.terminal).toBe(false);
  });
});

describe("messages, passed through", () => {
  const tap = () => new SseTap({ dialect: MESSAGES, dropUsage: false, choices: 1 });

  it("goes on byte for byte and is read on the way", () => {
    const reader = tap();
    const bytes = encoder.encode(MESSAGE);
    expect(reader.feed(bytes)).toBe(bytes);
    expect(reader).toMatchObject({ terminal: true, doneSeen: true, contentSeen: true });
    expect(reader.usage).toMatchObject({ promptTokens: 20, completionTokens: 30 });
  });

  it("takes neither the start, nor a ping, nor an empty block for content", () => {
    const reader = tap();
    const block = { type: "text", text: "" };
    const start = { type: "content_block_start", index: 0, content_block: block };
    reader.feed(encoder.encode(messages(MESSAGE_START, { type: "ping" }, start)));
    expect(reader).toMatchObject({ contentSeen: false, contentEvents: 0 });
  });

  it("sees the error event", () => {
    const reader = tap();
    const error = { type: "overloaded_error", message: "Overloaded" };
    reader.feed(encoder.encode(messages(MESSAGE_START, { type: "error", error })));
    expect(reader).toMatchObject({ error, errorForwarded: true, terminal: false });
  });
});

describe("what is written is what was read", () => {
  it.each([
    ["chat", CHAT, TOOL_STREAM],
    ["messages", MESSAGES, MESSAGE],
  ])("%s", (_name, dialect, text) => {
    const events = read(dialect, text);
    const writer = dialect.writer(OPTIONS);
    const again = read(dialect, events.map((event) => writer.write(event)).join(""));
    const plain = (list: StreamEvent[]) => list.filter(({ type }) => type !== "usage");
    expect(plain(again)).toEqual(plain(events));
    const usage = (list: StreamEvent[]) => list.findLast(({ type }) => type === "usage");
    expect(usage(again)).toMatchObject(usage(events) as object);
  });
});

describe("plain answers", () => {
  const COMPLETION = {
    ...{ id: "chatcmpl-7", object: "chat.completion", created: 1, model: "m1" },
    choices: [
      {
        index: 0,
        message: {
          ...{ role: "assistant", content: "Hi", reasoning_content: "hm" },
          tool_calls: [
            { id: "a", type: "function", function: { name: "one", arguments: '{"x":1}' } },
          ],
        },
        finish_reason: "tool_calls",
      },
    ],
    usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
  };

  it("go from chat to messages and back", () => {
    const answer = CHAT.readAnswer(COMPLETION);
    const message = MESSAGES.writeAnswer(answer as never, OPTIONS) as Record<string, unknown>;
    expect(message).toMatchObject({
      ...{ id: "msg_7", type: "message", role: "assistant", model: "m1" },
      content: [
        { type: "thinking", thinking: "hm", signature: "" },
        { type: "text", text: "Hi" },
        { type: "tool_use", id: "a", name: "one", input: { x: 1 } },
      ],
      ...{ stop_reason: "tool_use", stop_sequence: null },
      usage: { input_tokens: 9, output_tokens: 3 },
    });
    const back = CHAT.writeAnswer(MESSAGES.readAnswer(message) as never, OPTIONS);
    expect(back).toMatchObject({ ...COMPLETION, created: OPTIONS.createdS });
  });

  it("with arguments that are no JSON are no answer of messages", () => {
    const broken = structuredClone(COMPLETION);
    broken.choices[0].message.tool_calls[0].function.arguments = '{"x":';
    const answer = CHAT.readAnswer(broken);
    expect(() => MESSAGES.writeAnswer(answer as never, OPTIONS)).toThrow(/no JSON/);
  });

  it.each([{}, { choices: [] }, { type: "message" }, { choices: [null] }])("are not %o", (body) => {
    expect(CHAT.readAnswer(body)).toBeUndefined();
    expect(MESSAGES.readAnswer(body)).toBeUndefined();
  });
});
