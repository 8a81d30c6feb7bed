/**
 * Every pair of dialects: what an engine says in one, cut into chunks anywhere, reaches a reader
 * of the other with the same meaning; what is no stream of a dialect never breaks the tap.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DIALECTS, type Dialect } from "../../src/grid/dialect.ts";
import { GridError } from "../../src/grid/errors.ts";
import type { WriterOptions } from "../../src/stream/dialects/dialect.ts";
import { STREAM_DIALECTS } from "../../src/stream/dialects/table.ts";
import type { StopReason, StreamEvent } from "../../src/stream/event.ts";
import { SseParser } from "../../src/stream/sse.ts";
import { SseTap } from "../../src/stream/tap.ts";
import type { Usage } from "../../src/stream/usage.ts";
import { holds } from "./holds.ts";

const encoder = new TextEncoder();
const OPTIONS: WriterOptions = {
  ...{ model: "m", id: "r", createdS: 1, usage: true, promptTokens: 3, version: undefined },
  asked: {},
};

const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
type Piece = { kind: "text" | "reasoning"; texts: string[] } | { kind: "tool"; texts: string[] };
const piece: fc.Arbitrary<Piece> = fc.record({
  kind: fc.constantFrom("text", "reasoning", "tool"),
  texts: fc.array(text, { minLength: 1, maxLength: 4 }),
});
const reason = fc.constantFrom<StopReason>("stop", "length");
const answer = fc.tuple(fc.array(piece, { minLength: 1, maxLength: 6 }), reason);
/** Sizes of chunks; every byte alone is among them. */
const cuts = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.nat(40), { minLength: 1, maxLength: 20 }) },
  { weight: 1, arbitrary: fc.constant([1]) },
);
const pair = fc.tuple(fc.constantFrom(...DIALECTS), fc.constantFrom(...DIALECTS));

/** Arguments are the JSON of an object, cut anywhere. */
function inPieces(texts: readonly string[]): string[] {
  const json = JSON.stringify({ ...texts });
  const middle = Math.ceil(json.length / 2);
  return [json.slice(0, middle), json.slice(middle)];
}

/** The union events of a drawn answer, as a careful engine would say it. */
function eventsOf([pieces, why]: [Piece[], StopReason]): StreamEvent[] {
  const events: StreamEvent[] = [{ type: "start", id: "a", model: "m" }];
  let tool = 0;
  for (const { kind, texts } of pieces) {
    if (kind !== "tool") {
      for (const part of texts) events.push({ type: kind, choice: 0, text: part });
      continue;
    }
    events.push({ type: "tool", choice: 0, tool, id: `t${tool}`, name: texts[0] });
    for (const json of inPieces(texts)) events.push({ type: "arguments", choice: 0, tool, json });
    events.push({ type: "toolEnd", choice: 0, tool: tool++ });
  }
  const called = tool > 0 && why === "stop";
  const usage = { promptTokens: 7, completionTokens: 2, cachedTokens: 4 };
  events.push({ type: "stop", choice: 0, reason: called ? "tools" : why });
  events.push({ type: "usage", usage }, { type: "end" });
  return events;
}

function written(dialect: Dialect, events: readonly StreamEvent[]): Uint8Array {
  const writer = STREAM_DIALECTS[dialect].writer(OPTIONS);
  return encoder.encode(events.map((event) => writer.write(event)).join(""));
}

function* cut(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = Math.max(sizes[turn % sizes.length], 1);
    yield bytes.slice(at, at + size);
    at += size;
  }
}

function tapOf(engine: Dialect, caller: Dialect): SseTap {
  const writer = engine === caller ? undefined : STREAM_DIALECTS[caller].writer(OPTIONS);
  const dialect = STREAM_DIALECTS[engine];
  return new SseTap({ dialect, writer, dropUsage: false, choices: 1 });
}

interface Meaning {
  said: string[];
  end: unknown;
  usage: Partial<Usage>;
}

/** What a stream means: content joined, tool calls, reason, usage. */
function meaningOf(dialect: Dialect, bytes: readonly Uint8Array[]): Meaning {
  const said: string[] = [];
  let kind = "";
  let end: unknown;
  let usage: Meaning["usage"] = {};
  const add = (type: string, part: string): void => {
    if (type === kind) said[said.length - 1] += part;
    else said.push(`${type} ${part}`);
    kind = type;
  };
  const on = (event: StreamEvent): void => {
    if (event.type === "text" || event.type === "reasoning") add(event.type, event.text);
    else if (event.type === "tool") add(`tool ${event.tool} ${event.id}`, `${event.name} `);
    else if (event.type === "arguments") add(kind, event.json);
    else if (event.type === "stop") end = event.reason;
    else if (event.type === "usage") {
      // Responses must say every count: 0 means what others leave out.
      usage = Object.fromEntries(Object.entries(event.usage).filter(([, count]) => count > 0));
    }
  };
  const reader = STREAM_DIALECTS[dialect].reader();
  const parser = new SseParser(({ data = "", event }) => void reader.read(data, event, { on }));
  for (const chunk of bytes) parser.feed(chunk);
  expect(parser.finish()).toBeUndefined();
  return { said, end, usage };
}

describe("from any dialect to any", () => {
  it("a stream keeps its meaning, however it is cut", async () => {
    await holds(
      fc.property(pair, answer, cuts, ([engine, caller], drawn, sizes) => {
        const bytes = written(engine, eventsOf(drawn));
        const tap = tapOf(engine, caller);
        const out: Uint8Array[] = [];
        for (const chunk of cut(bytes, sizes)) {
          const part = tap.feed(chunk);
          if (part !== undefined) out.push(part);
        }
        const last = tap.terminal ? tap.complete() : undefined;
        if (last !== undefined) out.push(last);
        expect(tap).toMatchObject({ terminal: true, contentSeen: true, error: undefined });
        const meant = meaningOf(engine, [bytes]);
        // Gemini has no word for what was written to a cache.
        if (caller === "gemini") delete meant.usage.cacheWriteTokens;
        expect(meaningOf(caller, out)).toMatchObject(meant);
      }),
      4,
    );
  });

  it("a stream cut off before its end is never terminal, and what went out is whole", async () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    await holds(
      fc.property(pair, answer, share, cuts, ([engine, caller], drawn, part, sizes) => {
        const events = eventsOf(drawn).filter(({ type }) => type !== "stop" && type !== "end");
        const writer = STREAM_DIALECTS[engine].writer(OPTIONS);
        const whole = encoder.encode(events.map((event) => writer.write(event)).join(""));
        const tap = tapOf(engine, caller);
        const out: Uint8Array[] = [];
        for (const chunk of cut(whole.slice(0, Math.floor(part * whole.length)), sizes)) {
          const given = tap.feed(chunk);
          if (given !== undefined) out.push(given);
        }
        meaningOf(caller, out);
        tap.finish();
        expect(tap.terminal).toBe(false);
      }),
      4,
    );
  });
});

describe("what is no stream of the dialect", () => {
  const names = ["choices", "delta", "content", "index", "type", "message", "usage", "error"];
  const more = [
    ...["content_block", "tool_calls", "function", "finish_reason", "stop_reason", "id", "name"],
    ...["candidates", "parts", "text", "functionCall", "args", "finishReason", "usageMetadata"],
    ...["response", "output", "item", "item_id", "output_index", "content_index", "arguments"],
    ...["call_id", "status", "reasoning_content", "logprobs", "thinking", "partial_json"],
  ];
  const types = [
    ...["message_start", "content_block_start", "content_block_delta", "message_delta"],
    ...["content_block_stop", "message_stop", "text", "tool_use", "input_json_delta"],
    ...["response.created", "response.output_item.added", "response.output_text.delta"],
    ...["response.function_call_arguments.delta", "response.output_item.done", "function_call"],
    ...["response.completed", "response.failed", "message", "output_text", "reasoning"],
  ];
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom<unknown>(null, true, -1, 0, 1.5, "", "x", "stop", "STOP", ...types),
      fc.dictionary(fc.constantFrom(...names, ...more), tie("value"), { maxKeys: 5 }),
      fc.array(tie("value"), { maxLength: 3 }),
    ),
  }));
  const data = fc.oneof(
    value.map((one) => JSON.stringify(one)),
    fc.string({ maxLength: 20 }),
  );
  const name = fc.constantFrom("", "event: error\n", ...types.map((type) => `event: ${type}\n`));
  const frame = fc.tuple(name, data).map(([n, d]) => `${n}data: ${d.replace(/[\r\n]/g, " ")}\n\n`);

  it("passes or is refused with a typed error, never breaks", async () => {
    await holds(
      fc.property(
        pair,
        fc.array(frame, { maxLength: 8 }),
        cuts,
        ([engine, caller], frames, sizes) => {
          const tap = tapOf(engine, caller);
          try {
            for (const chunk of cut(encoder.encode(frames.join("")), sizes)) tap.feed(chunk);
            tap.finish();
          } catch (error) {
            expect(error).toBeInstanceOf(GridError);
            expect(error).toMatchObject({ code: "bad_response" });
          }
        },
      ),
      4,
    );
  });

  it("is no plain answer, or one that every dialect can write", async () => {
    await holds(
      fc.property(pair, value, ([engine, caller], body) => {
        if (typeof body !== "object" || body === null || Array.isArray(body)) return;
        const answer = STREAM_DIALECTS[engine].readAnswer(body as Record<string, unknown>);
        if (answer === undefined) return;
        try {
          JSON.stringify(STREAM_DIALECTS[caller].writeAnswer(answer, OPTIONS));
        } catch (error) {
          expect(error).toMatchObject({ code: "bad_response" });
        }
      }),
      4,
    );
  });
});
