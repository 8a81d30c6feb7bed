import { describe, expect, it } from "vitest";
import { translateBody } from "../../../../src/task/dialects/table.ts";
import { pathOf, verbOf } from "../../../../src/task/route.ts";
import { errorOf, fatal, GEMINI, PATH, parse, PNG, SCHEMA } from "./gemini-bodies.ts";

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
  response_format: {
    type: "json_schema",
    json_schema: { name: "answer", schema: SCHEMA, strict: false },
  },
  ...{ max_tokens: 64, temperature: 0.5, top_p: 0.9, stop: ["END"] },
};

describe("a conversation", () => {
  it("goes from chat to Gemini", () => {
    expect(JSON.parse(translateBody(parse("chat", CHAT), "gemini"))).toEqual(GEMINI);
  });

  it("goes from Gemini to chat", () => {
    expect(JSON.parse(translateBody(parse("gemini", GEMINI), "chat"))).toEqual(CHAT);
  });

  it("hashes to the same prompt, and needs the same, whichever door it comes by", () => {
    const [one, other] = [parse("gemini", GEMINI), parse("chat", CHAT)];
    expect(one.prompt.join("")).toBe(other.prompt.join(""));
    expect(one.needs).toBe(other.needs);
  });

  it("may be written in snake_case", () => {
    const camel = JSON.stringify(GEMINI).match(/"[a-z]+[A-Z][A-Za-z]+":/g) ?? [];
    const text = camel.reduce(
      (json, key) =>
        json.replace(
          key,
          key.replace(/[A-Z]/g, (x) => `_${x.toLowerCase()}`),
        ),
      JSON.stringify(GEMINI),
    );
    const snake = parse("gemini", JSON.parse(text));
    expect(JSON.parse(translateBody(snake, "chat"))).toEqual(CHAT);
  });
});

describe("the path", () => {
  it("names the model, the verb, and so whether it streams", () => {
    const parsed = (path: string) => parse("gemini", GEMINI, path);
    expect(parsed(PATH)).toMatchObject({ model: "m", stream: false });
    expect(parsed("/v1/models/a/b:c:streamGenerateContent?alt=sse")).toMatchObject({
      ...{ model: "a/b:c", stream: true },
    });
    expect(parsed("/v1/models/caf%C3%A9%3F:generateContent").model).toBe("café?");
    expect(errorOf(() => parsed(`/v1/models/${"x".repeat(257)}:generateContent`)).param).toBe(
      "model",
    );
  });

  it.each(["m", "a/b", "org/x:free", "käse?#%"])("holds the model %s both ways", (model) => {
    const path = pathOf("gemini", model, true);
    expect(path).toMatch(/^\/models\/[^?#]+:streamGenerateContent\?alt=sse$/);
    expect(verbOf(`/v1beta${path}`)).toEqual({ model, verb: "streamGenerateContent" });
  });

  it.each(["/v1/models", "/v1/models/m", "/v2/models/m:x", "/v1/models/%zz:x"])(
    "%s has no verb",
    (path) => expect(verbOf(path)).toBeUndefined(),
  );
});

describe("from Gemini", () => {
  const to = (more: object) =>
    JSON.parse(translateBody(parse("gemini", { ...GEMINI, ...more }), "chat"));

  it("calls without ids get one from their place, and results find them by name", () => {
    const call = (name: string) => ({ functionCall: { name, args: {} } });
    const response = (name: string, output: string) => ({
      functionResponse: { name, response: { output } },
    });
    const contents = [
      { parts: [{ text: "go" }] },
      { role: "model", parts: [call("f"), call("g"), call("f")] },
      { role: "user", parts: [response("g", "2"), response("f", "1"), response("f", "3")] },
    ];
    const { messages } = to({ contents, systemInstruction: undefined });
    expect(messages.slice(2)).toEqual([
      { role: "tool", tool_call_id: "call_1", content: "2" },
      { role: "tool", tool_call_id: "call_0", content: "1" },
      { role: "tool", tool_call_id: "call_2", content: "3" },
    ]);
  });

  it("a thought in pieces is one, with the proof of the last piece", () => {
    const contents = [
      { role: "user", parts: [{ text: "go" }] },
      {
        role: "model",
        parts: [
          { text: "Let me ", thought: true },
          { text: "think.", thought: true },
          { text: "", thought: true, thoughtSignature: "proof" },
          { text: "Done." },
        ],
      },
    ];
    const parsed = parse("gemini", { contents });
    const [, { content }] = JSON.parse(translateBody(parsed, "messages")).messages;
    expect(content).toEqual([
      { type: "thinking", thinking: "Let me think.", signature: "proof" },
      { type: "text", text: "Done." },
    ]);
  });

  it("results that are objects are JSON, and errors are failures", () => {
    const contents = (response: object) => [
      { role: "model", parts: [{ functionCall: { name: "f", args: {} } }] },
      { role: "user", parts: [{ functionResponse: { name: "f", response } }] },
    ];
    const result = (response: object) => {
      const parsed = parse("gemini", { contents: contents(response) });
      return JSON.parse(translateBody(parsed, "messages")).messages[1].content[0];
    };
    expect(result({ a: 1, b: [2] })).toMatchObject({ content: '{"a":1,"b":[2]}' });
    expect(result({ name: "f", content: "text" })).toMatchObject({ content: "text" });
    expect(result({ error: "boom" })).toMatchObject({ content: "boom", is_error: true });
  });

  it("its own Schema becomes JSON Schema", () => {
    const parameters = {
      type: "OBJECT",
      properties: {
        type: { type: "STRING", nullable: true, enum: ["a"] },
        list: { type: "ARRAY", items: { type: "INTEGER" } },
      },
      propertyOrdering: ["list", "type"],
    };
    const tools = [{ functionDeclarations: [{ name: "f", parameters }] }];
    expect(to({ tools }).tools[0].function.parameters).toEqual({
      type: "object",
      properties: {
        type: { type: ["string", "null"], enum: ["a"] },
        list: { type: "array", items: { type: "integer" } },
      },
    });
  });

  it("the choice of several functions leaves the others out", () => {
    const functionDeclarations = ["a", "b", "c"].map((name) => ({ name }));
    const functionCallingConfig = { mode: "ANY", allowedFunctionNames: ["a", "c"] };
    const body = to({
      tools: [{ functionDeclarations }],
      toolConfig: { functionCallingConfig },
    });
    expect(body.tool_choice).toBe("required");
    expect(body.tools.map((tool: { function: { name: string } }) => tool.function.name)).toEqual([
      ...["a", "c"],
    ]);
  });

  it.each([
    [{ thinkingBudget: 0 }, "none"],
    [{ thinkingBudget: 1_024 }, "low"],
    [{ thinkingLevel: "HIGH" }, "high"],
    [{ thinkingBudget: -1 }, undefined],
  ])("thinking %o is effort %s", (thinkingConfig, effort) => {
    expect(to({ generationConfig: { thinkingConfig } }).reasoning_effort).toBe(effort);
  });

  it.each([
    [{ tools: [{ googleSearch: {} }] }, "googleSearch"],
    [{ cachedContent: "cachedContents/1" }, "cachedContent"],
    [{ generationConfig: { responseModalities: ["IMAGE"] } }, "responseModalities"],
    [{ contents: [{ parts: [{ fileData: { fileUri: "gs://b/x.png" } }] }] }, "fileData"],
    [{ contents: [{ parts: [{ executableCode: { code: "1" } }] }] }, "executableCode"],
  ])("what only the vendor can do passes to it and to nobody else: %#", (more, word) => {
    const parsed = parse("gemini", { ...GEMINI, ...more });
    expect(fatal.decode(parsed.body)).toContain(word);
    expect(errorOf(() => translateBody(parsed, "chat")).message).toContain(word);
  });
});

describe("to Gemini", () => {
  const to = (more: object) =>
    JSON.parse(translateBody(parse("chat", { ...CHAT, ...more }), "gemini"));

  it("Gemini 3 gets the word that stands for the proof of another model's call", () => {
    const model = "gemini-3-pro";
    const parts = to({ model }).contents[1].parts;
    expect(parts[1].thoughtSignature).toBe("skip_thought_signature_validator");
    expect(to({ model: "gemini-2.5-pro" }).contents[1].parts[1]).not.toHaveProperty(
      "thoughtSignature",
    );
  });

  it("an effort is a budget, and thoughts are shown", () => {
    const { generationConfig } = to({ reasoning_effort: "medium" });
    expect(generationConfig.thinkingConfig).toEqual({
      ...{ thinkingBudget: 8_192, includeThoughts: true },
    });
    expect(to({ reasoning_effort: "none" }).generationConfig.thinkingConfig).toEqual({
      thinkingBudget: 0,
    });
  });

  it("results of one turn stand together, apart from what the user says", () => {
    const call = (id: string) => ({ id, type: "function", function: { name: id, arguments: "" } });
    const messages = [
      { role: "user", content: "go" },
      { role: "assistant", content: null, tool_calls: [call("a"), call("b")] },
      { role: "tool", tool_call_id: "a", content: "1" },
      { role: "tool", tool_call_id: "b", content: "2" },
      { role: "user", content: "and?" },
    ];
    const { contents } = to({ messages });
    expect(contents.map(({ parts }: { parts: unknown[] }) => parts.length)).toEqual([1, 2, 2, 1]);
    expect(contents[1].parts[0]).toEqual({ functionCall: { id: "a", name: "a", args: {} } });
  });

  it("several choices are asked for", () => {
    expect(to({ n: 3 }).generationConfig.candidateCount).toBe(3);
  });
});
