import { describe, expect, it } from "vitest";
import { usageOf, usageOfBody } from "../../../src/stream/usage.ts";

const encoder = new TextEncoder();
const usage = {
  prompt_tokens: 12,
  completion_tokens: 7,
  prompt_tokens_details: { cached_tokens: 8 },
  note: 'a } in "text" \\',
};
const found = { promptTokens: 12, completionTokens: 7, cachedTokens: 8 };
const message = { role: "assistant", content: 'say ,"usage":{"prompt_tokens":99}' };

function inBody(body: unknown, space?: number) {
  return usageOfBody(encoder.encode(JSON.stringify(body, null, space)));
}

describe("usageOfBody", () => {
  it("finds it at the end, with fields behind it, and pretty-printed", () => {
    expect(inBody({ choices: [{ message }], usage })).toEqual(found);
    expect(inBody({ choices: [{ message }], usage, service_tier: "default" }, 2)).toEqual(found);
  });

  it("finds it before a long array", () => {
    const data = [{ embedding: Array.from({ length: 8000 }, (_, i) => i / 7) }];
    expect(inBody({ model: "m", usage: { prompt_tokens: 5, total_tokens: 5 }, data })).toEqual({
      promptTokens: 5,
      completionTokens: 0,
    });
  });

  it("finds it by a parse in the middle, up to the bound only", () => {
    const pad = "x".repeat(6000);
    const bytes = encoder.encode(JSON.stringify({ pad, usage, more: pad }));
    expect(usageOfBody(bytes)).toEqual(found);
    expect(usageOfBody(bytes, usageOf, "usage", 10_000)).toBeUndefined();
  });

  it("is not deceived by text, and takes broken JSON for none", () => {
    expect(inBody({ choices: [{ message }] })).toBeUndefined();
    expect(inBody({ usage: null })).toBeUndefined();
    expect(inBody(["usage", { x: "usage" }])).toBeUndefined();
    expect(usageOfBody(encoder.encode('{"usage":{"prompt_tokens":1'))).toBeUndefined();
    expect(usageOfBody(new Uint8Array(0))).toBeUndefined();
  });
});

describe("usageOf", () => {
  it("refuses what no engine can mean", () => {
    for (const wrong of [null, 7, "x", {}, { prompt_tokens: -1 }, { prompt_tokens: "3" }]) {
      expect(usageOf(wrong)).toBeUndefined();
    }
  });

  it("leaves cached tokens unknown when unsaid, and never above the prompt", () => {
    const silent = { prompt_tokens: 3, completion_tokens: 1, prompt_tokens_details: null };
    expect(usageOf(silent)).toEqual({ promptTokens: 3, completionTokens: 1 });
    const much = { prompt_tokens: 3, prompt_tokens_details: { cached_tokens: 9 } };
    expect(usageOf(much)?.cachedTokens).toBe(3);
  });
});
