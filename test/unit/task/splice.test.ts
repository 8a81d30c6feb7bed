import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { replaceModels, spliceModel } from "../../../src/task/splice.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const put = (json: string, model: string) =>
  decoder.decode(spliceModel(encoder.encode(json), model));

describe("another model in a request", () => {
  test("changes that value and not a byte beside it", () => {
    const json = ' {\n "big": 12345678901234567890, "model" : "small" ,"x":{"model":"inner"}}';
    expect(put(json, "gpt-x")).toBe(json.replace('"small"', '"gpt-x"'));
  });

  test("does not take texts or inner keys for it", () => {
    const json = '{"a":"\\"model\\":\\"no\\"","b":["model",{"model":"no"}],"model":"yes"}';
    expect(put(json, "m")).toBe(json.replace('"yes"', '"m"'));
  });

  test("changes every one of several, since parsers take different ones", () => {
    expect(put('{"model":"a","model":"b"}', "c")).toBe('{"model":"c","model":"c"}');
  });

  test("names what it cannot do", () => {
    expect(() => put('{"mod\\u0065l":"a"}', "c")).toThrow(/plain key/);
  });

  test("deeper ones are changed where the dialect repeats it, at those depths alone", () => {
    const batch =
      '{"requests":[{"model":"models/a","content":{"model":"x"}},{"model":"models/b"}]}';
    const changed = decoder.decode(replaceModels(encoder.encode(batch), "models/c", [3]));
    expect(changed).toBe(batch.replace(/models\/[ab]/g, "models/c"));
    expect(decoder.decode(replaceModels(encoder.encode("{}"), "c", [1]))).toBe("{}");
  });

  test("holds for any body and any name", () => {
    const body = fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue());
    fc.assert(
      fc.property(body, fc.string({ unit: "grapheme", minLength: 1 }), (rest, model) => {
        const given = { ...rest, model: "before" };
        expect(JSON.parse(put(JSON.stringify(given), model))).toEqual(
          JSON.parse(JSON.stringify({ ...given, model })),
        );
      }),
    );
  });
});
