import { describe, expect, it } from "vitest";
import { CAPABILITY } from "../../../src/grid/endpoint.ts";
import { GridError } from "../../../src/grid/errors.ts";
import { BODY_LIMITS } from "../../../src/task/body-fields.ts";
import { parseOpenAiBody } from "../../../src/task/openai.ts";
import type { Route } from "../../../src/task/route.ts";

const encoder = new TextEncoder();
const fatal = new TextDecoder("utf-8", { fatal: true });
const decode = (bytes: Uint8Array): string => fatal.decode(bytes);
const USER = { role: "user", content: "hi" };

function parse(body: unknown, route: Route = "chat", limits = BODY_LIMITS) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return parseOpenAiBody(route, encoder.encode(text), decode, limits);
}

function chat(fields: object) {
  return parse({ model: "m", messages: [USER], ...fields });
}

function errorOf(run: () => unknown): GridError {
  try {
    run();
  } catch (error) {
    if (error instanceof GridError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("parseOpenAiBody: what it reads", () => {
  it("reads a plain chat and hands on the caller's own bytes", () => {
    const bytes = encoder.encode(
      ' {"model":"m","messages":[{"role":"user","content":"hi"}],"zz":1e2,"max_tokens":9}',
    );
    const body = parseOpenAiBody("chat", bytes, decode);
    expect(body.body).toBe(bytes);
    expect(body).toMatchObject({ route: "chat", model: "m", stream: false, maxTokens: 9 });
    expect(body).toMatchObject({ choices: 1, needs: CAPABILITY.chat, usageAdded: false });
    expect(body.prompt.join("")).toBe("\u001euser\u001fhi");
  });

  it("asks for usage by a splice, only in a stream and only when the caller said nothing", () => {
    const text = ' \n{ "stream":true,"model":"m", "messages":[{"role":"user","content":"{"}] }';
    const body = parse(text);
    const out = fatal.decode(body.body);
    expect(out).toBe(text.replace("{", '{"stream_options":{"include_usage":true},'));
    expect(JSON.parse(out).stream_options).toEqual({ include_usage: true });
    expect(body.usageAdded).toBe(true);
    for (const stream_options of [null, {}, { include_usage: false }, { include_usage: true }]) {
      expect(chat({ stream: true, stream_options }).usageAdded).toBe(false);
    }
    expect(chat({ stream: false }).usageAdded).toBe(false);
  });

  it("takes a byte order mark off", () => {
    const body = parse(`\ufeff${JSON.stringify({ model: "m", messages: [USER], stream: true })}`);
    expect(fatal.decode(body.body).startsWith('{"stream_options"')).toBe(true);
    expect(body.body[0]).toBe(0x7b);
  });

  it("knows what an endpoint must be able to do", () => {
    const image = { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } };
    expect(chat({ messages: [{ role: "user", content: [image] }] }).needs).toBe(
      CAPABILITY.chat | CAPABILITY.vision,
    );
    const tools = [{ type: "function", function: { name: "f" } }];
    expect(chat({ tools }).needs & CAPABILITY.tools).toBeTruthy();
    expect(chat({ tools: [] }).needs).toBe(CAPABILITY.chat);
    const format = { type: "json_schema", json_schema: {} };
    expect(chat({ response_format: format }).needs & CAPABILITY.jsonSchema).toBeTruthy();
    expect(chat({ response_format: { type: "json_object" } }).needs).toBe(CAPABILITY.chat);
    expect(chat({ logprobs: true }).needs & CAPABILITY.logprobs).toBeTruthy();
    expect(chat({ logprobs: false, top_logprobs: 0 }).needs).toBe(CAPABILITY.chat);
    const completion = parse({ model: "m", prompt: "x", logprobs: 0 }, "completions");
    expect(completion.needs).toBe(CAPABILITY.completions | CAPABILITY.logprobs);
  });

  it("reads the key of stickiness, tokens and choices", () => {
    const fields = { prompt_cache_key: "k", user: "u", service_tier: "flex", n: 3 };
    const body = chat({ ...fields, max_tokens: 5, max_completion_tokens: 7 });
    expect(body).toMatchObject({ cacheKey: "k", serviceTier: "flex", choices: 3, maxTokens: 7 });
    expect(chat({ user: "u" }).cacheKey).toBeUndefined();
    expect(chat({ max_tokens: -1 }).maxTokens).toBeUndefined();
    const many = parse({ model: "m", prompt: ["a", "b", "c"], n: 2 }, "completions");
    expect(many.choices).toBe(6);
  });

  it.each([
    ["a string", "abc", ["abc"]],
    ["strings", ["a", "b"], ["\u001e", "a", "\u001e", "b"]],
    ["token ids", [1, 2, 30], ["1,2,30,"]],
    ["arrays of token ids", [[1, 2], [3]], ["\u001e", "1,2,", "\u001e", "3,"]],
  ])("reads %s as input and as prompt", (_name, value, pieces) => {
    expect(parse({ model: "m", input: value }, "embeddings").prompt).toEqual(pieces);
    expect(parse({ model: "m", prompt: value }, "completions").prompt).toEqual(pieces);
  });
});

describe("parseOpenAiBody: the canonical prompt", () => {
  it("is the same for text and for text parts, and for any white space", () => {
    const parts = [
      { type: "text", text: "h" },
      { type: "text", text: "i" },
    ];
    const one = chat({}).prompt.join("");
    expect(chat({ messages: [{ role: "user", content: parts }] }).prompt.join("")).toBe(one);
    const spaced = JSON.stringify({ messages: [USER], model: "m" }, null, 3);
    expect(parse(spaced).prompt.join("")).toBe(one);
  });

  it("has tools first, then calls and their answers in order", () => {
    const call = { id: "c1", type: "function", function: { name: "f", arguments: '{"a":1}' } };
    const text = chat({
      tools: [{ type: "function", function: { name: "f" } }],
      messages: [
        USER,
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", tool_call_id: "c1", content: "42" },
      ],
    }).prompt.join("");
    const order = ['[{"type":"function"', "user", "hi", "assistant", "c1", '{"a":1}', "tool", "42"];
    let at = -1;
    for (const word of order) {
      expect(text.indexOf(word, at + 1)).toBeGreaterThan(at);
      at = text.indexOf(word, at + 1);
    }
  });

  it("tells images apart without their bytes", () => {
    const of = (data: string): string => {
      const url = `data:image/png;base64,${data}`;
      const content = [{ type: "image_url", image_url: { url } }];
      return chat({ messages: [{ role: "user", content }] }).prompt.join("");
    };
    const one = of("A".repeat(100_000));
    expect(one.length).toBeLessThan(100);
    expect(of("A".repeat(100_000))).toBe(one);
    expect(of(`${"A".repeat(99_999)}B`)).not.toBe(one);
  });
});

describe("parseOpenAiBody: what it refuses", () => {
  const messages = (list: unknown) => ({ model: "m", messages: list });
  const assistant = (fields: object) => messages([{ role: "assistant", ...fields }]);

  it.each<[unknown, string | undefined, RegExp]>([
    [{ messages: [USER] }, "model", /missing/],
    [{ model: 7, messages: [USER] }, "model", /a string, not the number 7/],
    [{ model: "", messages: [USER] }, "model", /1 to 256 characters/],
    [{ model: "m" }, "messages", /missing/],
    [messages("hi"), "messages", /an array of messages, not a string/],
    [messages([]), "messages", /at least one/],
    [messages(["hi"]), "messages[0]", /an object, not a string/],
    [messages([USER, { role: "robot", content: "" }]), "messages[1].role", /not 'robot'/],
    [messages([{ content: "x" }]), "messages[0].role", /one of system, .* not nothing/],
    [messages([{ role: "__proto__", content: "" }]), "messages[0].role", /one of/],
    [messages([{ role: "user" }]), "messages[0].content", /a string or an array/],
    [messages([{ role: "user", content: 5 }]), "messages[0].content", /not the number 5/],
    [messages([{ role: "user", content: [] }]), "messages[0].content", /1 to/],
    [messages([{ role: "user", content: ["x"] }]), "messages[0].content[0]", /an object/],
    [messages([{ role: "user", content: [{}] }]), "messages[0].content[0].type", /a string/],
    [
      messages([{ role: "user", content: [{ type: "text" }] }]),
      "messages[0].content[0].text",
      /a string, not nothing/,
    ],
    [
      messages([{ role: "user", content: [{ type: "image_url", image_url: {} }] }]),
      "messages[0].content[0].image_url.url",
      /URL/,
    ],
    [assistant({ content: null }), "messages[0].content", /null only beside tool_calls/],
    [assistant({ tool_calls: {} }), "messages[0].tool_calls", /an array/],
    [assistant({ tool_calls: [{}] }), "messages[0].tool_calls[0].id", /a string/],
    [assistant({ tool_calls: [{ id: "a" }] }), "messages[0].tool_calls[0].function", /object/],
    [messages([{ role: "tool", content: "x" }]), "messages[0].tool_call_id", /id of the tool/],
    [[], undefined, /a JSON object, not an array/],
    ["null", undefined, /a JSON object, not null/],
    ["7", undefined, /a JSON object, not the number 7/],
  ])("%j at %s", (body, param, message) => {
    const error = errorOf(() => parse(body));
    expect(error).toMatchObject({ code: "invalid_request", status: 400, param });
    expect(error.message).toMatch(message);
  });

  it.each<[string, RegExp]>([
    ['"stream":"yes"', /true or false, not a string/],
    ['"temperature":1e400', /too large to represent/],
    ['"temperature":"hot"', /a number, not a string/],
    ['"top_p":1.5', /from 0 to 1, not 1.5/],
    ['"max_tokens":1.5', /an integer/],
    ['"max_tokens":-2', /from -1/],
    ['"max_completion_tokens":1e99', /an integer from/],
    ['"n":0', /from 1 to 128/],
    ['"n":129', /from 1 to 128/],
    ['"seed":-1e999', /too large/],
    ['"stop":5', /a string or an array of strings/],
    ['"stop":["a",5]', /a string, not the number 5/],
    ['"stream_options":[]', /an object, not an array/],
    ['"response_format":"json"', /an object/],
    ['"response_format":{}', /a string, not nothing/],
    ['"logprobs":1', /true or false/],
    ['"tools":{}', /an array/],
    ['"tools":[{}]', /a string such as "function"/],
    ['"tools":[{"type":"function","function":{}}]', /a string, not nothing/],
    ['"prompt_cache_key":5', /a string/],
  ])("%s", (field, message) => {
    const text = `{"model":"m","messages":[{"role":"user","content":"hi"}],${field}}`;
    const error = errorOf(() => parse(text));
    expect(error.code).toBe("invalid_request");
    expect(error.message).toMatch(message);
    expect(field).toContain(error.param?.split(/[.[]/)[0]);
  });

  it.each([
    [undefined, /is missing/],
    [7, /the number 7/],
    [[], /empty array/],
    ["", /not be empty/],
    [["a", ""], /not be empty/],
    [["a", 5], /input\[1\]/],
    [[1, -2], /input\[1\]/],
    [[1, "a"], /input\[1\]/],
    [[[1], []], /input\[1\]/],
    [[[1], [1.5]], /input\[1\]\[0\]/],
  ])("embeddings input %j", (input, message) => {
    const error = errorOf(() => parse({ model: "m", input }, "embeddings"));
    expect(error.message).toMatch(message);
    expect(error.param).toMatch(/^input/);
  });

  it("counts what a body may have many of", () => {
    const small = { ...BODY_LIMITS, messages: 2, parts: 2, promptPieces: 5, inputs: 2, tools: 1 };
    const tool = { type: "function", function: { name: "f" } };
    const text = { type: "text", text: "x" };
    const two = { role: "user", content: [text, text] };
    const bodies = [
      messages([USER, USER, USER]),
      messages([{ role: "user", content: [text, text, text] }]),
      messages([two, two]),
      { ...messages([USER]), tools: [tool, tool] },
    ];
    for (const body of bodies) {
      expect(errorOf(() => parse(body, "chat", small)).message).toMatch(/at most|1 to 2|more than/);
    }
    const inputs = { model: "m", input: ["a", "b", "c"] };
    expect(errorOf(() => parse(inputs, "embeddings", small)).message).toMatch(/at most 2/);
  });
});

describe("parseOpenAiBody: broken bytes", () => {
  it("says where JSON breaks", () => {
    const error = errorOf(() => parse('{"model":"m",\n  "temperature": NaN}'));
    expect(error).toMatchObject({ code: "invalid_json", status: 400 });
    expect(error.message).toMatch(/found 'NaN', at line 2, column 18/);
  });

  it("says where UTF-8 breaks", () => {
    const bytes = encoder.encode('{"model":"m"}');
    bytes[10] = 0xff;
    const error = errorOf(() => parseOpenAiBody("chat", bytes, decode));
    expect(error.code).toBe("invalid_utf8");
    expect(error.message).toMatch(/offset 10/);
  });

  it("takes 100,000 nested arrays without a stack of its own", () => {
    const deep = "[".repeat(100_000) + "]".repeat(100_000);
    const body = parse(`{"model":"m","messages":[{"role":"user","content":"hi"}],"x":${deep}}`);
    expect(body.prompt).toHaveLength(2);
    const at = (text: string): string | undefined => errorOf(() => parse(text)).param;
    expect(at(`{"model":"m","messages":${deep}}`)).toBe("messages[0]");
    expect(at(`{"model":"m","messages":[{"role":"user","content":${deep}}]}`)).toMatch(/content/);
    expect(errorOf(() => parse(deep)).message).toMatch(/not an array/);
    expect(errorOf(() => parse(deep.slice(0, -1))).message).toMatch(/ends inside an array/);
  });
});
