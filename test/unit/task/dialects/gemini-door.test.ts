import { describe, expect, it } from "vitest";
import { CAPABILITY } from "../../../../src/grid/endpoint.ts";
import { REQUEST_DIALECTS, translateBody } from "../../../../src/task/dialects/table.ts";
import { translatedRoute } from "../../../../src/task/route.ts";
import { encoder, errorOf, fatal, GEMINI, parse } from "./gemini-bodies.ts";

describe("another model", () => {
  const { withModel } = REQUEST_DIALECTS.gemini;
  const put = (path: string, body: unknown, model: string) => {
    const bytes = encoder.encode(JSON.stringify(body));
    const changed = withModel({ path, body: bytes }, model);
    return { path: changed.path, body: JSON.parse(fatal.decode(changed.body)) };
  };

  it("stands in the path, and the body stays", () => {
    const path = "/v1beta/models/a/b:streamGenerateContent?alt=sse";
    expect(put(path, GEMINI, "c/d:e")).toEqual({
      path: "/v1beta/models/c/d%3Ae:streamGenerateContent?alt=sse",
      body: GEMINI,
    });
  });

  it("stands in the bodies that repeat it too", () => {
    const request = (model: string) => ({ model: `models/${model}`, content: {} });
    expect(
      put("/v1/models/a:batchEmbedContents", { requests: [request("a"), request("a")] }, "c"),
    ).toEqual({
      path: "/v1/models/c:batchEmbedContents",
      body: { requests: [request("c"), request("c")] },
    });
    const counted = { generateContentRequest: { model: "models/a", contents: [] } };
    expect(put("/v1/models/a:countTokens", counted, "c").body).toEqual({
      generateContentRequest: { model: "models/c", contents: [] },
    });
  });
});

describe("embeddings", () => {
  const content = (text: string) => ({ parts: [{ text }] });
  const batch = { requests: [{ content: content("a") }, { content: content("b") }] };

  it("go both ways, one or several", () => {
    const one = parse("gemini-embed", { content: content("a"), outputDimensionality: 8 });
    expect(JSON.parse(translateBody(one, "chat"))).toEqual({
      ...{ model: "m", input: ["a"], encoding_format: "float", dimensions: 8 },
    });
    const two = parse("gemini-embed-batch", batch);
    expect(two).toMatchObject({ prompt: ["a", "b"], needs: CAPABILITY.embeddings });
    expect(JSON.parse(translateBody(two, "chat")).input).toEqual(["a", "b"]);
    const chat = parse("embeddings", { model: "m", input: ["a", "b"] });
    expect(JSON.parse(translateBody(chat, "gemini")).requests).toEqual(
      batch.requests.map((request) => ({ model: "models/m", ...request })),
    );
    expect(translatedRoute("embeddings", "gemini")).toBe("gemini-embed-batch");
  });

  it("made of tokens, or for an engine without embeddings, are refused", () => {
    const tokens = parse("embeddings", { model: "m", input: [[1, 2]] });
    expect(errorOf(() => translateBody(tokens, "gemini")).param).toBe("input");
    const texts = parse("embeddings", { model: "m", input: "a" });
    expect(errorOf(() => translateBody(texts, "messages")).code).toBe("invalid_request");
  });
});

describe("what the door refuses", () => {
  const user = (...parts: unknown[]) => ({ contents: [{ role: "user", parts }] });
  const deep = (levels: number): unknown => (levels === 0 ? {} : { items: deep(levels - 1) });
  it.each([
    [{ contents: undefined }, "contents"],
    [{ contents: [] }, "contents"],
    [{ contents: [7] }, "contents[0]"],
    [{ contents: [{ role: "robot", parts: [{ text: "x" }] }] }, "contents[0].role"],
    [{ contents: [{ role: "user" }] }, "contents[0].parts"],
    [user(), "contents[0].parts"],
    [user({}), "contents[0].parts[0]"],
    [user({ text: 7 }), "contents[0].parts[0].text"],
    [user({ text: "x", inline_data: {} }), "contents[0].parts[0]"],
    [user({ file_data: { fileUri: "x" }, functionCall: true }), "contents[0].parts[0]"],
    [
      user({ inlineData: { mimeType: "image/png", data: "@@" } }),
      "contents[0].parts[0].inlineData.data",
    ],
    [
      user({ functionResponse: { name: "f", response: {} } }),
      "contents[0].parts[0].functionResponse.name",
    ],
    [{ systemInstruction: { parts: [{ inlineData: {} }] } }, "systemInstruction.parts[0].text"],
    [{ generationConfig: { maxOutputTokens: 0 } }, "generationConfig.maxOutputTokens"],
    [{ generationConfig: { temperature: "warm" } }, "generationConfig.temperature"],
    [{ generationConfig: { stopSequences: [1] } }, "generationConfig.stopSequences[0]"],
    [{ tools: [{ functionDeclarations: [{}] }] }, "tools[0].functionDeclarations[0].name"],
    [
      { tools: [{ functionDeclarations: [{ name: "f", parameters: deep(80) }] }] },
      "tools[0].functionDeclarations[0].parameters",
    ],
    [
      { toolConfig: { functionCallingConfig: { mode: "SOMETIMES" } } },
      "toolConfig.functionCallingConfig.mode",
    ],
  ])("%#", (more, param) => {
    const error = errorOf(() => parse("gemini", { ...GEMINI, ...more }));
    expect(error).toMatchObject({ code: "invalid_request", status: 400, param });
  });

  it.each([
    ["gemini-embed", {}, "content"],
    ["gemini-embed", { content: { parts: [] } }, "content.parts"],
    ["gemini-embed-batch", { requests: [] }, "requests"],
    ["gemini-embed-batch", { requests: [{}] }, "requests[0].content"],
  ] as const)("%s %o", (route, body, param) => {
    expect(errorOf(() => parse(route, body)).param).toBe(param);
  });
});
