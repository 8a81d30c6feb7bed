/**
 * Every pair of dialects: a conversation that one can say is taken at that dialect's door, and
 * reaches an engine of another as a body that the other's door would take, with the same words,
 * calls and results; or it is refused by name.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DIALECTS, type Dialect } from "../../src/grid/dialect.ts";
import { GridError } from "../../src/grid/errors.ts";
import { parseBody, REQUEST_DIALECTS, translateBody } from "../../src/task/dialects/table.ts";
import type { InferenceRequest, Message, Part, Tool } from "../../src/task/request.ts";
import { pathOf, type Route } from "../../src/task/route.ts";
import type { ParsedBody } from "../../src/task/task.ts";
import { holds } from "./holds.ts";

const encoder = new TextEncoder();
const fatal = new TextDecoder("utf-8", { fatal: true });
const ROUTE: Readonly<Record<Dialect, Route>> = {
  ...{ chat: "chat", messages: "messages", gemini: "gemini", responses: "responses" },
};

const words = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/);
const textPart = words.map<Part>((text) => ({ type: "text", text }));
const url = fc.constantFrom("https://a.example/b.png", "data:image/png;base64,iVBORw0KGgo=");
const image = url.map<Part>((at) => ({ type: "image", url: at }));
const asked = fc.array(fc.oneof({ weight: 4, arbitrary: textPart }, image), {
  minLength: 1,
  maxLength: 3,
});
const args = fc.dictionary(name, fc.oneof(words, fc.integer(), fc.constant(null)), { maxKeys: 3 });
const call = fc.record({ name, args, said: words, failed: fc.boolean() });
const turn = fc.record({
  asked,
  said: fc.option(words, { nil: undefined }),
  calls: fc.array(call, { maxLength: 2 }),
});
const thought = fc.record({ text: words, signature: fc.option(words, { nil: undefined }) });
const tool = fc.record({ name, description: fc.option(words, { nil: undefined }) });
const conversation = fc.record({
  system: fc.option(words, { nil: undefined }),
  turns: fc.array(turn, { minLength: 1, maxLength: 3 }),
  thought: fc.option(thought, { nil: undefined }),
  last: words,
  tools: fc.uniqueArray(tool, { maxLength: 2, selector: (one) => one.name }),
  settings: fc.record(
    {
      maxTokens: fc.integer({ min: 16, max: 4_096 }),
      temperature: fc.double({ min: 0, max: 1, noNaN: true }),
      topP: fc.double({ min: 0, max: 1, noNaN: true }),
      stop: fc.array(name, { maxLength: 3 }),
      reasoning: fc.constantFrom({ effort: "low" }, { effort: "high" }),
      user: name,
      stream: fc.boolean(),
    },
    { requiredKeys: [] },
  ),
});
type Drawn = typeof conversation extends fc.Arbitrary<infer T> ? T : never;

function requestOf({ system, turns, thought: mind, last, tools, settings }: Drawn) {
  const messages: Message[] = [];
  let calls = 0;
  if (system !== undefined) {
    messages.push({ role: "system", parts: [{ type: "text", text: system }] });
  }
  for (const one of turns) {
    messages.push({ role: "user", parts: one.asked });
    const parts: Part[] = [];
    if (mind !== undefined) {
      const { text, signature } = mind;
      parts.push({ type: "reasoning", text, ...(signature === undefined ? {} : { signature }) });
    }
    if (one.said !== undefined) parts.push({ type: "text", text: one.said });
    const made = one.calls.map((given) => ({ ...given, id: `call_${calls++}` }));
    for (const { id, name: called, args: given } of made) {
      parts.push({ type: "call", id, name: called, arguments: JSON.stringify(given) });
    }
    if (parts.length > 0) messages.push({ role: "assistant", parts });
    for (const { id, said, failed } of made) {
      const result: Part = { type: "result", id, parts: [{ type: "text", text: said }], failed };
      messages.push({ role: "tool", parts: [result] });
    }
  }
  messages.push({ role: "user", parts: [{ type: "text", text: last }] });
  const offered = tools.map<Tool>(({ name: named, description }) => ({
    ...{ name: named, parameters: { type: "object", properties: { city: { type: "string" } } } },
    ...(description === undefined ? {} : { description }),
  }));
  const request: InferenceRequest = {
    ...{ model: "m", stream: false, choices: 1, stop: [], ...settings },
    ...{ messages, tools: offered },
  };
  return request;
}

function taken(dialect: Dialect, body: string, stream: boolean): ParsedBody {
  const route = ROUTE[dialect];
  const path = `/v1${pathOf(route, "m", stream)}`;
  return parseBody(route, encoder.encode(body), (bytes) => fatal.decode(bytes), path);
}

/** Everything that was said, called and answered, in order; text that stands together is one. */
function meaningOf(dialect: Dialect, body: ParsedBody): unknown {
  const said: string[] = [];
  let last = "";
  const add = (kind: string, text: string): void => {
    if (kind === last) said[said.length - 1] += text;
    else said.push(`${kind}: ${text}`);
    last = kind;
  };
  const { messages, tools } = REQUEST_DIALECTS[dialect].toRequest(body.fields);
  for (const { role, parts } of messages) {
    for (const part of parts) {
      if (part.type === "text") add(role, part.text);
      else if (part.type === "image") add(`${role} image`, part.url);
      else if (part.type === "call") add(`call ${part.id}`, `${part.name} ${part.arguments}`);
      else if (part.type === "result") {
        const text = part.parts.map((one) => (one.type === "text" ? one.text : "?")).join("");
        add(`result ${part.id}`, text);
      }
    }
  }
  const { temperature, topP } = REQUEST_DIALECTS[dialect].toRequest(body.fields);
  return { said, tools: tools.map((one) => one.name), temperature, topP };
}

const pair = fc.tuple(fc.constantFrom(...DIALECTS), fc.constantFrom(...DIALECTS));

describe("from any door to an engine of any dialect", () => {
  it("a conversation keeps its meaning", async () => {
    await holds(
      fc.property(pair, conversation, fc.boolean(), ([caller, engine], drawn, strict) => {
        const request = requestOf(drawn);
        const written = REQUEST_DIALECTS[caller].fromRequest(request, false);
        const came = taken(caller, JSON.stringify(written), request.stream);
        const sent = taken(engine, translateBody(came, engine, strict), came.stream);
        expect(meaningOf(engine, sent)).toEqual(meaningOf(caller, came));
        expect(sent).toMatchObject({ model: "m", stream: came.stream });
      }),
      4,
    );
  });

  const loose = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom<unknown>(null, true, -1, 0, 1.5, "", "x", "user", "model", "assistant"),
      fc.constantFrom<unknown>("text", "image", "tool_use", "tool_result", "function", "message"),
      fc.constantFrom<unknown>("function_call", "function_call_output", "input_text", "thinking"),
      fc.dictionary(
        fc.constantFrom(
          ...["role", "content", "parts", "type", "text", "id", "name", "input", "source", "data"],
          ...["functionCall", "functionResponse", "inlineData", "mimeType", "arguments", "call_id"],
          ...["tool_calls", "tool_call_id", "output", "tool_use_id", "image_url", "url", "args"],
        ),
        tie("value"),
        { maxKeys: 4 },
      ),
      fc.array(tie("value"), { maxLength: 3 }),
    ),
  }));
  const LIST: Readonly<Record<Dialect, string>> = {
    ...{ chat: "messages", messages: "messages", gemini: "contents", responses: "input" },
  };
  const more = [
    ...["tools", "tool_choice", "system", "response_format", "text", "reasoning", "thinking"],
    ...["generationConfig", "toolConfig", "systemInstruction", "instructions", "output_config"],
  ];

  it("whatever a door takes is written for any engine, or refused with a typed error", async () => {
    const body = fc.tuple(
      fc.oneof(fc.array(loose.value, { maxLength: 3 }), loose.value),
      fc.dictionary(fc.constantFrom(...more), loose.value, { maxKeys: 3 }),
    );
    await holds(
      fc.property(pair, body, ([caller, engine], [list, others]) => {
        const given = { model: "m", max_tokens: 5, ...others, [LIST[caller]]: list };
        try {
          const came = taken(caller, JSON.stringify(given), false);
          JSON.parse(translateBody(came, engine));
        } catch (error) {
          expect(error).toBeInstanceOf(GridError);
          expect(error).toMatchObject({ code: "invalid_request", status: 400 });
        }
      }),
      4,
    );
  });
});
