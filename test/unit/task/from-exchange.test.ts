import { describe, expect, test } from "vitest";
import { requestIdOf, toTask } from "../../../src/task/from-exchange.ts";
import type { ParsedBody } from "../../../src/task/task.ts";

const body = (over: Partial<ParsedBody> = {}): ParsedBody => ({
  route: "chat",
  model: "m",
  stream: false,
  body: new Uint8Array(),
  fields: {},
  usageShown: false,
  prompt: [],
  needs: 0,
  maxTokens: undefined,
  choices: 1,
  usageAdded: false,
  cacheKey: undefined,
  serviceTier: undefined,
  ...over,
});
const context = { id: "r", tenant: "t", nowMs: 5, sloTtftMs: 2000, sloItlMs: 100, path: "/" };
const of = (headers: Record<string, string>, parsed = body()) => toTask(parsed, headers, context);

describe("the caller's wishes", () => {
  test("without any, the defaults of the PoP hold", () => {
    expect(of({})).toMatchObject({
      session: undefined,
      regions: [],
      priority: "default",
      sloTtftMs: 2000,
      maxCostUsd: Number.POSITIVE_INFINITY,
      arrivedMs: 5,
    });
  });

  test("headers say session, regions, SLO, cost and priority", () => {
    const task = of({
      "x-grid-session": "chat-7",
      "x-grid-region": "EU-de, us",
      "x-grid-slo-ttft-ms": "250",
      "x-grid-max-cost": "0.01",
      "x-grid-priority": "batch",
      "x-grid-slice": "urllc-1",
    });
    expect(task).toMatchObject({
      session: "chat-7",
      regions: ["eu-de", "us"],
      sloTtftMs: 250,
      maxCostUsd: 0.01,
      priority: "batch",
      slice: "urllc-1",
    });
  });

  test("prompt_cache_key is a session when no header names one", () => {
    expect(of({}, body({ cacheKey: "k" })).session).toBe("k");
    expect(of({ "x-grid-session": "h" }, body({ cacheKey: "k" })).session).toBe("h");
  });

  test.each([
    ["x-grid-slo-ttft-ms", "soon"],
    ["x-grid-slo-ttft-ms", "-1"],
    ["x-grid-slo-itl-ms", ""],
    ["x-grid-max-cost", "NaN"],
    ["x-grid-max-cost", "Infinity"],
    ["x-grid-region", "eu;drop"],
    ["x-grid-priority", "urgent"],
    ["x-grid-session", "x".repeat(513)],
    ["x-grid-slice", "a b"],
  ])("a malformed %s is refused by its name", (name, value) => {
    try {
      of({ [name]: value });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "invalid_request", param: name });
    }
  });

  test("a sane request id is kept, any other replaced", () => {
    expect(requestIdOf({ "x-request-id": "abc-1.2:3" })).toBe("abc-1.2:3");
    expect(requestIdOf({ "x-request-id": "a b" })).toBeUndefined();
    expect(requestIdOf({})).toBeUndefined();
  });
});
