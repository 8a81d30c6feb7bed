import { describe, expect, test } from "vitest";
import { endsOpen, faultsOf, fitsSchema, isModel } from "../../../src/stream/result-check.ts";
import type { Answer } from "../../../src/stream/event.ts";
import type { Task } from "../../../src/task/task.ts";

const SCHEMA = {
  type: "object",
  properties: {
    city: { type: "string", enum: ["Oslo", "Rome"] },
    degrees: { type: "number" },
    pattern: { type: "string" },
  },
  required: ["city", "degrees"],
  additionalProperties: false,
};

describe("a strict schema", () => {
  test.each([
    ['{"city":"Oslo","degrees":3}', true],
    ['{"city":"Oslo"}', false],
    ['{"city":"Paris","degrees":3}', false],
    ['{"city":"Oslo","degrees":3,"more":1}', false],
    ['{"city":"Oslo","degrees":3,"pattern":7}', false],
    ['{"city":"Oslo","degr', false],
    ["no JSON at all", false],
    ["[]", false],
  ])("%s: %s", (text, fits) => {
    expect(fitsSchema(text, SCHEMA)).toBe(fits);
  });

  test("may refer to its own definitions, recursively", () => {
    const schema = {
      $ref: "#/$defs/node",
      $defs: {
        node: {
          type: "object",
          properties: { next: { anyOf: [{ $ref: "#/$defs/node" }, { type: "null" }] } },
          required: ["next"],
        },
      },
    };
    expect(fitsSchema('{"next":{"next":null}}', schema)).toBe(true);
    expect(fitsSchema('{"next":{"next":1}}', schema)).toBe(false);
  });

  test("costs what the answer costs: regular expressions of a caller are not run", () => {
    const evil = { type: "string", pattern: "^(a+)+$" };
    const started = performance.now();
    expect(fitsSchema(JSON.stringify(`${"a".repeat(40)}!`), evil)).toBe(true);
    expect(performance.now() - started).toBeLessThan(100);
  });

  test.each([
    ["that is none", { $ref: "#/nowhere" }],
    ["that is no object", "string"],
    ["beyond the bound", { enum: Array.from({ length: 6_000 }, (_, at) => at) }],
  ])("%s is the engine's to judge", (_name, schema) => {
    expect(fitsSchema("{}", schema)).toBe(true);
  });

  test("nested deeper than the stack is not checked", () => {
    let deep: object = {};
    for (let at = 0; at < 100_000; at++) deep = { not: deep };
    expect(fitsSchema("{}", deep)).toBe(true);
  });
});

const task = (more: object = {}): Task => ({ model: "m", ...more }) as Task;
const answer = (more: Partial<Answer["choices"][0]> = {}, rest: Partial<Answer> = {}): Answer => ({
  id: "a",
  model: "m",
  choices: [{ parts: [{ type: "text", text: "{}" }], reason: "stop", ...more }],
  usage: { promptTokens: 3, completionTokens: 2 },
  ...rest,
});

describe("a whole answer", () => {
  test.each([
    ["as it should be", answer(), {}, []],
    ["that waits for no tool", answer({ reason: "tools" }), {}, ["finish"]],
    ["without usage", answer({}, { usage: undefined }), {}, ["usage"]],
    [
      "with content of no tokens",
      answer({}, { usage: { promptTokens: 1, completionTokens: 0 } }),
      {},
      ["usage"],
    ],
    ["of another model", answer({}, { model: "other" }), {}, ["model"]],
    ["against the schema", answer(), { schema: SCHEMA }, ["schema"]],
    ["cut short", answer({ reason: "length" }), { schema: SCHEMA }, []],
    ["refused", answer({ parts: [{ type: "refusal", text: "No." }] }), { schema: SCHEMA }, []],
  ])("%s", (_name, given, more, faults) => {
    expect(faultsOf(given, task(more))).toEqual(faults);
  });

  test("may name the dated model, or none", () => {
    expect(isModel("gpt-x-2026-08-06", "gpt-x")).toBe(true);
    expect(isModel(undefined, "gpt-x")).toBe(true);
    expect(isModel("gpt-y", "gpt-x")).toBe(false);
  });

  test("without a reason to stop is seen unparsed, text that says so is not taken for it", () => {
    const bytes = (text: string) => new TextEncoder().encode(text);
    expect(endsOpen(bytes('{"choices":[{"finish_reason":null}],"usage":{}}'))).toBe(true);
    expect(endsOpen(bytes('{"type":"message","stop_reason":null}'))).toBe(true);
    expect(endsOpen(bytes('{"choices":[{"finish_reason":"stop"}]}'))).toBe(false);
    const text = JSON.stringify({ content: '"finish_reason":null', finish_reason: "stop" });
    expect(endsOpen(bytes(text))).toBe(false);
    expect(endsOpen(bytes(""))).toBe(false);
  });
});
