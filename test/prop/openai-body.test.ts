import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GridError } from "../../src/grid/errors.ts";
import { findJsonFault, findUtf8Fault } from "../../src/task/json-scan.ts";
import { parseBody } from "../../src/task/dialects/table.ts";
import { parseOpenAiBody } from "../../src/task/openai.ts";
import { ROUTES } from "../../src/task/route.ts";
import { holds } from "./holds.ts";

const encoder = new TextEncoder();
const fatal = new TextDecoder("utf-8", { fatal: true });
const decode = (bytes: Uint8Array): string => fatal.decode(bytes);

const text = fc.string({ unit: "grapheme", maxLength: 40 });
/** `fc.webUrl` takes two seconds to be made. */
const url = fc
  .tuple(fc.constantFrom("http", "https"), fc.domain(), text)
  .map(([scheme, host, rest]) => new URL(`${scheme}://${host}/${rest}`).href);
const part = fc.oneof(
  text.map((value) => ({ type: "text", text: value })),
  url.map((one) => ({ type: "image_url", image_url: { url: one } })),
);
const call = fc.record({
  id: text,
  type: fc.constant("function"),
  function: fc.record({ name: text, arguments: text }),
});
const said = fc.record({
  role: fc.constantFrom("system", "developer", "user"),
  content: fc.oneof(text, fc.array(part, { minLength: 1, maxLength: 4 })),
});
/** The model calls tools, and each call may be answered. */
const called = fc
  .tuple(fc.constantFrom(null, "", "ok"), fc.array(call, { minLength: 1, maxLength: 3 }), text)
  .map(([content, calls, answer]) => [
    { role: "assistant", content, tool_calls: calls },
    ...calls.flatMap(({ id }) =>
      id === "" ? [] : [{ role: "tool", tool_call_id: id, content: answer }],
    ),
  ]);
const turn = fc.oneof(
  said.map((one) => [one]),
  called,
);
const conversation = fc.array(turn, { minLength: 1, maxLength: 6 }).map((turns) => turns.flat());
const tools = fc.constantFrom(undefined, [{ type: "function", function: { name: "f" } }]);

function read(body: object, space?: number) {
  return parseOpenAiBody("chat", encoder.encode(JSON.stringify(body, null, space)), decode);
}

describe("the canonical prompt", () => {
  it("of a longer conversation starts with that of the shorter one", async () => {
    await holds(
      fc.property(conversation, conversation, tools, (first, more, offered) => {
        const fields = { model: "m", tools: offered };
        const short = read({ ...fields, messages: first });
        const long = read({ ...fields, messages: [...first, ...more] });
        expect(long.prompt.slice(0, short.prompt.length)).toEqual(short.prompt);
        expect(long.prompt.length).toBeGreaterThan(short.prompt.length);
      }),
    );
  });

  it("does not depend on white space, field order or how text is written", async () => {
    await holds(
      fc.property(conversation, fc.integer({ min: 0, max: 4 }), (messages, space) => {
        const spelled = messages.map((one) =>
          typeof one.content === "string" && one.content !== ""
            ? { ...one, content: [{ text: one.content, type: "text" }] }
            : one,
        );
        const body = read({ temperature: 1, messages: spelled, model: "m" }, space);
        expect(body.prompt).toEqual(read({ model: "m", messages }).prompt);
      }),
    );
  });
});

describe("the body for the engine", () => {
  const unknown = fc.dictionary(
    text.map((name) => `x-${name}`),
    fc.jsonValue(),
  );
  const before = fc.constantFrom("", " \n", "\ufeff", "\ufeff\t ");

  it("is the caller's, or it says the same and asks for usage", async () => {
    await holds(
      fc.property(conversation, fc.boolean(), unknown, before, (messages, stream, x, start) => {
        const json = JSON.stringify({ ...x, model: "m", messages, stream }, null, 1);
        const parsed = parseOpenAiBody("chat", encoder.encode(start + json), decode);
        const sent = fatal.decode(parsed.body);
        const added = stream ? '{"stream_options":{"include_usage":true},' : "{";
        expect(parsed.usageAdded).toBe(stream);
        expect(sent.trimStart()).toBe(added + json.slice(1));
        expect(JSON.parse(sent)).toMatchObject({ model: "m", stream });
      }),
    );
  });

  it("of any shape is read or refused by a typed error with a reason", async () => {
    const value = fc.oneof(fc.jsonValue(), conversation, fc.constantFrom(1e308, -1, 0.5, "", null));
    const names = [
      "model",
      "messages",
      "prompt",
      "input",
      "stream",
      "n",
      "stop",
      "tools",
      "system",
      "contents",
      "content",
      "requests",
      "generationConfig",
      "systemInstruction",
    ];
    const field = fc.constantFrom(...names, "max_tokens", "temperature", "logprobs", "seed");
    const body = fc.oneof(fc.jsonValue(), fc.dictionary(field, value));
    await holds(
      fc.property(fc.constantFrom(...ROUTES), body, (route, given) => {
        try {
          const bytes = encoder.encode(JSON.stringify(given));
          const parsed = parseBody(route, bytes, decode, "/v1/models/m:generateContent");
          expect(parsed.model.length).toBeGreaterThan(0);
          expect(parsed.prompt.every((piece) => typeof piece === "string")).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(GridError);
          expect(error).toMatchObject({ code: "invalid_request", status: 400 });
        }
      }),
      2,
    );
  });
});

describe("the scans agree with the runtime", () => {
  it("on what is JSON", async () => {
    const broken = fc
      .tuple(fc.json(), fc.nat(200), fc.constantFrom("", ",", "]", "}", '"', "\\", "x", "\n", "0"))
      .map(([json, at, put]) => json.slice(0, at) + put + json.slice(at + 1));
    await holds(
      fc.property(fc.oneof(broken, fc.json(), fc.string()), (given) => {
        let valid = true;
        try {
          JSON.parse(given);
        } catch {
          valid = false;
        }
        expect(findJsonFault(given) === undefined).toBe(valid);
      }),
      3,
    );
  });

  it("on what is UTF-8", async () => {
    const near = fc.array(fc.constantFrom(0x41, 0x80, 0xbf, 0xc3, 0xe0, 0xed, 0xf0, 0xf4, 0x9f));
    const nearly = near.map((list) => Uint8Array.from(list));
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 40 }), nearly);
    await holds(
      fc.property(bytes, (given) => {
        let valid = true;
        try {
          decode(given);
        } catch {
          valid = false;
        }
        expect(findUtf8Fault(given) < 0).toBe(valid);
      }),
      3,
    );
  });
});
