import { describe, expect, it } from "vitest";
import { CAPABILITY } from "../../../../src/grid/endpoint.ts";
import { GridError } from "../../../../src/grid/errors.ts";
import { parseBody, translateBody } from "../../../../src/task/dialects/table.ts";
import type { Route } from "../../../../src/task/route.ts";

const encoder = new TextEncoder();
const fatal = new TextDecoder("utf-8", { fatal: true });

function parse(route: Route, body: unknown) {
  const bytes = encoder.encode(JSON.stringify(body));
  return parseBody(route, bytes, (given) => fatal.decode(given), "/");
}

function errorOf(work: () => unknown): GridError {
  try {
    work();
  } catch (error) {
    if (error instanceof GridError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const PNG = "iVBORw0KGgo=";
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

/** One conversation with everything that both dialects can say. */
const CHAT = {
  model: "m",
  messages: [
    { role: "system", content: "Be brief." },
    {
      role: "user",
      content: [
        { type: "text", text: "What is this?" },
        { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } },
        { type: "image_url", image_url: { url: "https://example.net/cat.png" } },
      ],
    },
    {
      role: "assistant",
      content: "Wait.",
      tool_calls: [
        { id: "c1", type: "function", function: { name: "weather", arguments: '{"city":"Oslo"}' } },
      ],
    },
    { role: "tool", tool_call_id: "c1", content: "3 degrees" },
    { role: "user", content: "Thanks" },
  ],
  tools: [
    {
      type: "function",
      function: { name: "weather", description: "Weather of a city", parameters: SCHEMA },
    },
  ],
  tool_choice: "required",
  parallel_tool_calls: false,
  response_format: {
    type: "json_schema",
    json_schema: { name: "answer", schema: SCHEMA, strict: true },
  },
  max_tokens: 64,
  temperature: 0.5,
  top_p: 0.9,
  stop: ["END"],
  user: "u1",
  stream: true,
};

const MESSAGES = {
  model: "m",
  max_tokens: 64,
  system: "Be brief.",
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "What is this?" },
        { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } },
        { type: "image", source: { type: "url", url: "https://example.net/cat.png" } },
      ],
    },
    {
      role: "assistant",
      content: [
        { type: "text", text: "Wait." },
        { type: "tool_use", id: "c1", name: "weather", input: { city: "Oslo" } },
      ],
    },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "c1", content: "3 degrees" },
        { type: "text", text: "Thanks" },
      ],
    },
  ],
  tools: [{ name: "weather", description: "Weather of a city", input_schema: SCHEMA }],
  tool_choice: { type: "any", disable_parallel_tool_use: true },
  output_config: { format: { type: "json_schema", schema: SCHEMA } },
  temperature: 0.5,
  top_p: 0.9,
  stop_sequences: ["END"],
  metadata: { user_id: "u1" },
  stream: true,
};

describe("a conversation", () => {
  it("goes from chat to messages", () => {
    expect(JSON.parse(translateBody(parse("chat", CHAT), "messages"))).toEqual(MESSAGES);
  });

  it("goes from messages to chat", () => {
    const options = { stream_options: { include_usage: true } };
    const body = JSON.parse(translateBody(parse("messages", MESSAGES), "chat"));
    expect(body).toEqual({ ...CHAT, ...options });
  });

  it("hashes to the same prompt whichever door it comes by", () => {
    const text = (route: Route, body: unknown) => parse(route, body).prompt.join("");
    expect(text("messages", MESSAGES)).toBe(text("chat", CHAT));
  });

  it("needs the same of an endpoint whichever door it comes by", () => {
    const { chat, tools, vision, jsonSchema } = CAPABILITY;
    expect(parse("messages", MESSAGES).needs).toBe(chat | tools | vision | jsonSchema);
    expect(parse("chat", CHAT).needs).toBe(chat | tools | vision | jsonSchema);
  });
});

describe("from chat to messages", () => {
  const to = (more: object) =>
    JSON.parse(translateBody(parse("chat", { ...CHAT, ...more }), "messages"));

  it("has a bound on the answer where the caller named none", () => {
    expect(to({ max_tokens: undefined }).max_tokens).toBe(4096);
    expect(to({ max_completion_tokens: 7 }).max_tokens).toBe(7);
  });

  it("joins what one role says in a row, and all system texts", () => {
    const messages = [
      { role: "system", content: "a" },
      { role: "user", content: "1" },
      { role: "user", content: "2" },
      { role: "developer", content: "b" },
      { role: "assistant", content: "" },
    ];
    const body = to({ messages });
    expect(body.system).toBe("a\n\nb");
    expect(body.messages).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "1" },
          { type: "text", text: "2" },
        ],
      },
    ]);
  });

  it.each([
    ["auto", { type: "auto" }],
    ["none", { type: "none" }],
    [
      { type: "function", function: { name: "weather" } },
      { type: "tool", name: "weather" },
    ],
  ])("says the tool choice %o", (choice, said) => {
    expect(to({ tool_choice: choice, parallel_tool_calls: undefined }).tool_choice).toEqual(said);
  });

  it("says effort, and keeps the temperature on the scale", () => {
    const body = to({ reasoning_effort: "high", temperature: 1.8, response_format: undefined });
    expect(body).toMatchObject({ output_config: { effort: "high" }, temperature: 1 });
  });

  it.each([
    [
      { messages: [{ role: "user", content: [{ type: "video_url", video_url: {} }] }] },
      "video_url",
    ],
    [{ tools: [{ type: "web_search" }] }, "web_search"],
    [
      {
        messages: [
          {
            role: "assistant",
            tool_calls: [{ id: "x", type: "function", function: { name: "f", arguments: "{" } }],
          },
        ],
      },
      "no JSON",
    ],
  ])("names what cannot be said: %#", (more, word) => {
    const error = errorOf(() => to(more));
    expect(error).toMatchObject({ code: "invalid_request", retry: "never", source: "client" });
    expect(error.message).toContain(word);
  });
});

describe("from messages to chat", () => {
  const to = (more: object) =>
    JSON.parse(translateBody(parse("messages", { ...MESSAGES, ...more }), "chat"));

  it("keeps failed results, thoughts, and images of tools", () => {
    const messages = [
      { role: "user", content: "go" },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "s" },
          { type: "tool_use", id: "c1", name: "f", input: {} },
        ],
      },
      {
        role: "user",
        content: [
          {
            type: "tool_result",
            tool_use_id: "c1",
            is_error: true,
            content: [
              { type: "text", text: "see" },
              { type: "image", source: { type: "url", url: "https://example.net/x.png" } },
            ],
          },
        ],
      },
    ];
    expect(to({ messages, system: undefined }).messages).toEqual([
      { role: "user", content: "go" },
      {
        role: "assistant",
        content: null,
        reasoning_content: "hm",
        tool_calls: [{ id: "c1", type: "function", function: { name: "f", arguments: "{}" } }],
      },
      {
        role: "tool",
        tool_call_id: "c1",
        content: [
          { type: "text", text: "see" },
          { type: "image_url", image_url: { url: "https://example.net/x.png" } },
        ],
      },
    ]);
  });

  it.each([
    [1_024, "low"],
    [8_192, "medium"],
    [32_000, "high"],
  ])("a thinking budget of %i is effort %s", (budget_tokens, effort) => {
    const body = to({ thinking: { type: "enabled", budget_tokens } });
    expect(body.reasoning_effort).toBe(effort);
  });
});

describe("what the messages door refuses", () => {
  const user = (content: unknown) => ({ messages: [{ role: "user", content }] });
  it.each([
    [{ max_tokens: undefined }, "max_tokens"],
    [{ max_tokens: 0 }, "max_tokens"],
    [{ messages: undefined }, "messages"],
    [{ messages: [] }, "messages"],
    [{ messages: [{ role: "robot", content: "x" }] }, "messages[0].role"],
    [user(7), "messages[0].content"],
    [user([{ text: "x" }]), "messages[0].content[0].type"],
    [user([{ type: "text" }]), "messages[0].content[0].text"],
    [
      user([{ type: "tool_result", tool_use_id: "none", content: "x" }]),
      "messages[0].content[0].tool_use_id",
    ],
    [
      user([{ type: "image", source: { type: "base64", media_type: "image/png", data: "@@" } }]),
      "messages[0].content[0].source.data",
    ],
    [{ tools: [{ name: "x" }] }, "tools[0].input_schema"],
    [{ tool_choice: { type: "sometimes" } }, "tool_choice.type"],
    [{ stop_sequences: [1] }, "stop_sequences[0]"],
    [{ system: [{ type: "image" }] }, "system[0].source"],
    [{ stream: "yes" }, "stream"],
    [{ model: 1 }, "model"],
  ])("%o", (more, param) => {
    const error = errorOf(() => parse("messages", { ...MESSAGES, ...more }));
    expect(error).toMatchObject({ code: "invalid_request", status: 400 });
    expect(error.param?.startsWith(param.split(".source")[0])).toBe(true);
  });

  it("takes what only the vendor knows, for an endpoint of the vendor", () => {
    const tools = [{ type: "web_search_20260318", name: "web_search" }];
    const content = [{ type: "search_result", source: "x", title: "t", content: [] }];
    const parsed = parse("messages", { ...MESSAGES, tools, ...user(content) });
    expect(errorOf(() => translateBody(parsed, "chat")).message).toContain("search_result");
    const tool = parse("messages", { ...MESSAGES, tools });
    expect(errorOf(() => translateBody(tool, "chat")).message).toContain("web_search_20260318");
  });

  it("reads where the data may go and which session it is", () => {
    const id = "0b3e1c52-0000-4000-8000-000000000000";
    const metadata = { user_id: `user_1_account__session_${id}` };
    const parsed = parse("messages", { ...MESSAGES, inference_geo: "us", metadata });
    expect(parsed).toMatchObject({ region: "us", cacheKey: id });
    expect(parse("messages", { ...MESSAGES, inference_geo: "global" }).region).toBeUndefined();
  });
});
