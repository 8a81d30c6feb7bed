import { describe, expect, it } from "vitest";
import { GridError } from "../../../../src/grid/errors.ts";
import { parseBody, translateBody } from "../../../../src/task/dialects/table.ts";
import type { Route } from "../../../../src/task/route.ts";

const encoder = new TextEncoder();
const fatal = new TextDecoder("utf-8", { fatal: true });

function parse(route: Route, body: unknown) {
  const bytes = encoder.encode(JSON.stringify(body));
  return parseBody(route, bytes, (given) => fatal.decode(given), "/");
}

const IMAGE = "data:image/png;base64,iVBORw0KGgo=";
const SCHEMA = { type: "object", properties: { city: { type: "string" } } };
const FUNCTION = { name: "weather", description: "Weather of a city", parameters: SCHEMA };
const CALL = { name: "weather", arguments: '{"city":"Oslo"}' };

/** One conversation with everything that both dialects can say. */
const CHAT = {
  model: "m",
  messages: [
    { role: "system", content: "Be brief." },
    {
      role: "user",
      content: [
        { type: "text", text: "What is this?" },
        { type: "image_url", image_url: { url: IMAGE, detail: "low" } },
      ],
    },
    {
      role: "assistant",
      content: "Wait.",
      tool_calls: [{ id: "c1", type: "function", function: CALL }],
    },
    { role: "tool", tool_call_id: "c1", content: "3 degrees" },
    { role: "user", content: "Thanks" },
  ],
  tools: [{ type: "function", function: { ...FUNCTION, strict: false } }],
  tool_choice: "required",
  parallel_tool_calls: false,
  response_format: {
    type: "json_schema",
    json_schema: { name: "answer", schema: SCHEMA, strict: true },
  },
  max_tokens: 64,
  temperature: 0.5,
  top_p: 0.9,
  reasoning_effort: "low",
  user: "u1",
  stream: true,
};

const RESPONSES = {
  model: "m",
  instructions: "Be brief.",
  input: [
    {
      role: "user",
      content: [
        { type: "input_text", text: "What is this?" },
        { type: "input_image", image_url: IMAGE, detail: "low" },
      ],
    },
    { type: "message", role: "assistant", content: [{ type: "output_text", text: "Wait." }] },
    { type: "function_call", call_id: "c1", ...CALL },
    { type: "function_call_output", call_id: "c1", output: "3 degrees" },
    { role: "user", content: "Thanks" },
  ],
  tools: [{ type: "function", ...FUNCTION, strict: false }],
  tool_choice: "required",
  parallel_tool_calls: false,
  text: { format: { type: "json_schema", name: "answer", schema: SCHEMA, strict: true } },
  max_output_tokens: 64,
  temperature: 0.5,
  top_p: 0.9,
  reasoning: { effort: "low" },
  safety_identifier: "u1",
  stream: true,
};

describe("one conversation", () => {
  it("has one prompt, so one prefix, at the doors of Chat and Responses", () => {
    const [chat, responses] = [parse("chat", CHAT), parse("responses", RESPONSES)];
    expect(responses.prompt).toEqual(chat.prompt);
    expect(responses).toMatchObject({ model: "m", stream: true, maxTokens: 64, needs: chat.needs });
  });

  it("reaches a chat engine as chat would have said it", () => {
    const body = JSON.parse(translateBody(parse("responses", RESPONSES), "chat"));
    expect(body).toEqual({ ...CHAT, stream_options: { include_usage: true } });
  });

  it("reaches an engine of Responses from chat, stored nowhere", () => {
    const body = JSON.parse(translateBody(parse("chat", CHAT), "responses"));
    const { instructions, input, ...rest } = RESPONSES;
    const system = { type: "message", role: "system", content: instructions };
    expect(body).toMatchObject({ ...rest, store: false });
    expect(body.input).toMatchObject([system, ...input]);
  });

  it("passes as it came where both speak Responses", () => {
    const bytes = encoder.encode(JSON.stringify(RESPONSES));
    const { body } = parseBody("responses", bytes, (given) => fatal.decode(given), "/");
    expect(body).toEqual(bytes);
  });
});

describe("items", () => {
  const messagesOf = (input: unknown): { role: string }[] =>
    JSON.parse(translateBody(parse("responses", { model: "m", input }), "chat")).messages;

  it("of the model in a row become one message", () => {
    const items = [
      { role: "user", content: "x" },
      { type: "reasoning", summary: [{ type: "summary_text", text: "hm" }] },
      { type: "function_call", call_id: "a", name: "f", arguments: "{}" },
      { type: "function_call", call_id: "b", name: "g", arguments: "{}" },
      { type: "function_call_output", call_id: "b", output: [{ type: "input_text", text: "2" }] },
      { type: "function_call_output", call_id: "a", output: "1" },
    ];
    expect(messagesOf(items)).toMatchObject([
      { role: "user" },
      { role: "assistant", reasoning_content: "hm", tool_calls: [{ id: "a" }, { id: "b" }] },
      { role: "tool", tool_call_id: "b", content: "2" },
      { role: "tool", tool_call_id: "a", content: "1" },
    ]);
  });

  it("a text is one message of the user, and developers are the system", () => {
    expect(messagesOf("Hello")).toEqual([{ role: "user", content: "Hello" }]);
    const developer = [{ role: "developer", content: "Be kind." }];
    expect(messagesOf(developer)).toEqual([{ role: "system", content: "Be kind." }]);
  });

  it("allowed tools leave the others out", () => {
    const tools = ["f", "g"].map((name) => ({ type: "function", name, parameters: SCHEMA }));
    const only = [{ type: "function", name: "g" }];
    const choice = { type: "allowed_tools", mode: "required", tools: only };
    const body = { model: "m", input: "x", tools, tool_choice: choice };
    const asked = JSON.parse(translateBody(parse("responses", body), "chat"));
    expect(asked).toMatchObject({ tool_choice: "required", tools: [{ function: { name: "g" } }] });
  });
});

describe("what cannot be", () => {
  it.each([
    [{ input: undefined }, "input"],
    [{ input: [3] }, "input[0]"],
    [{ input: [{ role: "robot", content: "x" }] }, "input[0].role"],
    [{ input: [{ role: "user", content: 3 }] }, "input[0].content"],
    [{ input: [{ type: "function_call_output", call_id: "c" }] }, "input[0].call_id"],
    [{ input: [{ type: "function_call", call_id: "c", name: "f" }] }, "input[0].arguments"],
    [{ background: true }, "background"],
    [{ tools: [{}] }, "tools[0].type"],
    [{ tool_choice: "maybe" }, "tool_choice"],
    [{ text: { format: { type: "json_schema", name: "x" } } }, "text.format.schema"],
    [{ max_output_tokens: 0 }, "max_output_tokens"],
    [{ previous_response_id: "resp_1" }, "previous_response_id"],
  ])("%j is refused by its place", (change, param) => {
    const wrong = (): unknown => parse("responses", { model: "m", input: "x", ...change });
    expect(wrong).toThrow(GridError);
    expect(wrong).toThrow(expect.objectContaining({ param, status: 400 }));
  });

  it.each([
    [{ tools: [{ type: "web_search" }] }, "tools[0]"],
    [{ conversation: "conv_1" }, "conversation"],
    [{ input: [{ type: "item_reference", id: "msg_1" }] }, "input[0]"],
    [{ input: [{ role: "user", content: [{ type: "input_image", file_id: "f" }] }] }, "input[0]."],
  ])("%j goes to an engine of Responses alone", (change, param) => {
    const body = parse("responses", { model: "m", input: "x", ...change });
    for (const dialect of ["chat", "messages"] as const) {
      const place = expect.objectContaining({ param: expect.stringContaining(param) });
      expect(() => translateBody(body, dialect)).toThrow(place);
    }
  });
});
