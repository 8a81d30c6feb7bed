import { describe, expect, it } from "vitest";
import { CHAT } from "../../../../src/stream/dialects/chat.ts";
import { MESSAGES } from "../../../../src/stream/dialects/messages.ts";
import { RESPONSES } from "../../../../src/stream/dialects/responses.ts";
import type { StreamDialect } from "../../../../src/stream/dialects/dialect.ts";
import type { StreamEvent } from "../../../../src/stream/event.ts";
import { SseParser } from "../../../../src/stream/sse.ts";
import { SseTap } from "../../../../src/stream/tap.ts";
import { CHAT_USAGE, chat, choice, MESSAGE, OPTIONS } from "./streams.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

type Event = { type: string; sequence_number: number } & Record<string, unknown>;

function eventsOf(text: string): Event[] {
  const events: Event[] = [];
  const parser = new SseParser(({ event, data = "" }) => {
    const one = JSON.parse(data) as Event;
    expect(one.type).toBe(event);
    events.push(one);
  });
  parser.feed(encoder.encode(text));
  return events;
}

/** The response in the last event. */
function lastOf(text: string): { output: { content: unknown[] }[] } {
  const response = eventsOf(text).at(-1)?.response;
  expect(response).toBeDefined();
  return response as { output: { content: unknown[] }[] };
}

function translate(engine: StreamDialect, caller: StreamDialect, text: string, asked = {}) {
  const writer = caller.writer({ ...OPTIONS, asked });
  const tap = new SseTap({ dialect: engine, writer, dropUsage: false, choices: 1 });
  const parts = [tap.feed(encoder.encode(text)), tap.finish(), tap.complete()];
  return { out: parts.map((part) => decoder.decode(part)).join(""), tap };
}

function read(text: string): StreamEvent[] {
  const events: StreamEvent[] = [];
  const reader = RESPONSES.reader();
  const sink = { on: (event: StreamEvent) => void events.push(event) };
  new SseParser(({ event, data = "" }) => void reader.read(data, event, sink)).feed(
    encoder.encode(text),
  );
  return events;
}

const frames = (...events: ({ type: string } & Record<string, unknown>)[]): string =>
  events.map((one) => `event: ${one.type}\ndata: ${JSON.stringify(one)}\n\n`).join("");

const TOOLS = chat(
  choice({ role: "assistant", content: "" }),
  choice({ reasoning_content: "hm" }),
  choice({ content: "Look" }),
  choice({ tool_calls: [{ index: 0, id: "a", function: { name: "one", arguments: '{"x"' } }] }),
  choice({ tool_calls: [{ index: 0, function: { arguments: ":1}" } }] }),
  choice({ tool_calls: [{ index: 1, id: "b", function: { name: "two", arguments: "{}" } }] }),
  choice({}, "tool_calls"),
  CHAT_USAGE,
);

describe("chat to responses", () => {
  it("puts what is said into items of their own, and the whole into the last event", () => {
    const { out } = translate(CHAT, RESPONSES, TOOLS, { instructions: "Be brief.", store: false });
    const events = eventsOf(out);
    expect(events.map(({ sequence_number: number }) => number)).toEqual([...events.keys()]);
    expect(events.map(({ type }) => type.replace("response.", ""))).toEqual([
      ...["created", "in_progress", "output_item.added", "reasoning_summary_part.added"],
      ...["reasoning_summary_text.delta", "reasoning_summary_text.done"],
      ...["reasoning_summary_part.done", "output_item.done"],
      ...["output_item.added", "content_part.added", "output_text.delta", "output_text.done"],
      ...["content_part.done", "output_item.done", "output_item.added"],
      ...["function_call_arguments.delta", "function_call_arguments.delta"],
      ...["function_call_arguments.done", "output_item.done", "output_item.added"],
      ...["function_call_arguments.delta", "function_call_arguments.done", "output_item.done"],
      "completed",
    ]);
    expect(events.at(-1)?.response).toMatchObject({
      ...{
        id: "resp_1",
        status: "completed",
        model: "m1",
        instructions: "Be brief.",
        store: false,
      },
      output: [
        { type: "reasoning", summary: [{ type: "summary_text", text: "hm" }] },
        { type: "message", status: "completed", content: [{ type: "output_text", text: "Look" }] },
        { type: "function_call", call_id: "a", name: "one", arguments: '{"x":1}' },
        { type: "function_call", call_id: "b", name: "two", arguments: "{}" },
      ],
      usage: {
        ...{ input_tokens: 20, output_tokens: 5, total_tokens: 25 },
        ...{ input_tokens_details: { cached_tokens: 16 } },
        output_tokens_details: { reasoning_tokens: 2 },
      },
    });
  });

  it.each([
    ["length", { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } }],
    ["content_filter", { status: "incomplete", incomplete_details: { reason: "content_filter" } }],
    ["stop", { status: "completed", incomplete_details: null }],
  ])("says how it ended: %s", (finish, told) => {
    const { out } = translate(CHAT, RESPONSES, chat(choice({ content: "x" }), choice({}, finish)));
    expect(eventsOf(out).at(-1)?.response).toMatchObject(told);
  });

  it("carries log-probabilities and refusals", () => {
    const logprobs = { content: [{ token: "x", logprob: -0.5, top_logprobs: [] }] };
    const said = choice({ content: "x" }) as { choices: Record<string, unknown>[] };
    said.choices[0].logprobs = logprobs;
    const { out } = translate(
      ...([CHAT, RESPONSES, chat(said, choice({ refusal: "No." }), choice({}, "stop"))] as const),
    );
    const { output } = lastOf(out);
    expect(output[0].content).toMatchObject([
      { type: "output_text", text: "x", logprobs: logprobs.content },
      { type: "refusal", refusal: "No." },
    ]);
  });
});

describe("messages and responses", () => {
  it("the proof of a thought travels as its sealed content, and back", () => {
    const { out } = translate(MESSAGES, RESPONSES, MESSAGE);
    const { output } = lastOf(out);
    expect(output[0]).toMatchObject({ type: "reasoning", encrypted_content: "s1" });
    const back = translate(RESPONSES, MESSAGES, out).out;
    expect(back).toContain('"signature_delta","signature":"s1"');
    expect(back).toContain('"stop_reason":"tool_use"');
  });
});

describe("reading", () => {
  const created = { type: "response.created", response: { id: "resp_1", model: "m", error: null } };

  it("what is written is what was read", () => {
    const { out } = translate(CHAT, RESPONSES, TOOLS);
    const events = read(out);
    const writer = RESPONSES.writer(OPTIONS);
    expect(read(events.map((one) => writer.write(one)).join(""))).toEqual(events);
  });

  it("takes from a done event what no delta told", () => {
    const call = { type: "function_call", call_id: "c", name: "f", arguments: '{"a":1}' };
    const said = { type: "message", content: [{ type: "output_text", text: "all" }] };
    const whole = frames(
      created,
      { type: "response.output_item.done", output_index: 0, item: said },
      { type: "response.output_item.done", output_index: 1, item: call },
      { type: "response.completed", response: { status: "completed" } },
    );
    expect(read(whole).map((one) => ("text" in one ? one.text : one.type))).toEqual([
      ...["start", "all", "tool", "arguments", "toolEnd", "stop", "end"],
    ]);
  });

  it("knows a failed response, an error event and a cut stream for what they are", () => {
    const failed = { status: "failed", error: { code: "server_error", message: "boom" } };
    const tap = (text: string): SseTap => {
      const one = new SseTap({ dialect: RESPONSES, dropUsage: false, choices: 1 });
      one.feed(encoder.encode(text));
      return one;
    };
    const broken = tap(frames(created, { type: "response.failed", response: failed }));
    expect(broken).toMatchObject({ error: { message: "boom", code: "server_error" } });
    const error = { type: "error", code: "rate_limit_exceeded", message: "slow", param: null };
    expect(tap(frames(error)).error).toEqual({ message: "slow", code: "rate_limit_exceeded" });
    const delta = { type: "response.output_text.delta", output_index: 0, delta: "x" };
    expect(tap(frames(created, delta))).toMatchObject({ terminal: false, contentSeen: true });
  });

  it("passes deltas unparsed, and nothing else", () => {
    const plain = (text: string): boolean => {
      const bytes = encoder.encode(text);
      return RESPONSES.isPlainContent(bytes, 0, bytes.length);
    };
    expect(plain(frames({ type: "response.output_text.delta", delta: "event: x" }))).toBe(true);
    expect(plain(frames({ type: "response.completed", response: {} }))).toBe(false);
    expect(plain(frames({ type: "error", message: ".delta" }))).toBe(false);
    expect(plain('data: {"type":"response.output_text.delta"}\n\n')).toBe(false);
  });
});

describe("plain answers", () => {
  it("are read and written whole", () => {
    const usage = { promptTokens: 9, completionTokens: 3, cachedTokens: 4 };
    const parts = [
      { type: "reasoning" as const, text: "hm" },
      { type: "text" as const, text: "Hi" },
      { type: "call" as const, id: "a", name: "one", arguments: "{}" },
    ];
    const answer = { id: "x", model: "m", choices: [{ parts, reason: "tools" as const }], usage };
    const body = RESPONSES.writeAnswer(answer, OPTIONS) as Record<string, unknown>;
    expect(body).toMatchObject({ object: "response", status: "completed", model: "m" });
    const { choices, usage: again } = RESPONSES.readAnswer(body) ?? { choices: [] };
    expect(choices).toEqual(answer.choices);
    expect(again).toMatchObject(usage);
    expect(RESPONSES.readAnswer({ ...body, status: "failed" })).toBeUndefined();
    expect(RESPONSES.readAnswer({ object: "list" })).toBeUndefined();
  });
});
