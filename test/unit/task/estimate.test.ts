import { describe, expect, it } from "vitest";
import { CAPABILITY } from "../../../src/grid/endpoint.ts";
import { TokenEstimator } from "../../../src/task/estimate.ts";
import type { Route } from "../../../src/task/route.ts";

function asked(promptBytes: number, fields: object = {}) {
  const route: Route = "chat";
  return { route, model: "m", promptBytes, needs: CAPABILITY.chat, choices: 1, ...fields };
}

describe("TokenEstimator", () => {
  it("starts with the defaults", () => {
    const estimator = new TokenEstimator();
    expect(estimator.promptTokens("m", 400)).toBe(100);
    expect(estimator.promptTokens("m", 0)).toBe(1);
    expect(estimator.outTokens("m", undefined)).toBe(256);
    expect(estimator.outTokens("m", 10, 3)).toBe(30);
  });

  it("learns bytes per token and lengths of one model, and of no other", () => {
    const estimator = new TokenEstimator();
    for (let i = 0; i < 50; i++) {
      estimator.observe(asked(3000), { promptTokens: 1000, completionTokens: 600 });
    }
    expect(estimator.bytesPerToken("m")).toBeCloseTo(3, 1);
    expect(estimator.promptTokens("m", 3000)).toBeGreaterThan(980);
    expect(estimator.outTokens("m", undefined)).toBeGreaterThan(550);
    expect(estimator.outTokens("m", 50)).toBe(50);
    expect(estimator.bytesPerToken("other")).toBe(4);
  });

  it("counts the tokens of every choice alone", () => {
    const estimator = new TokenEstimator();
    for (let i = 0; i < 50; i++) {
      const usage = { promptTokens: 1, completionTokens: 400 };
      estimator.observe(asked(10, { choices: 4 }), usage);
    }
    expect(estimator.outTokens("m", undefined)).toBeCloseTo(100, -1);
  });

  it("is moved little by an outlier, and not at all by nonsense", () => {
    const estimator = new TokenEstimator();
    for (let i = 0; i < 30; i++) {
      estimator.observe(asked(4000), { promptTokens: 1000, completionTokens: 100 });
    }
    estimator.observe(asked(15_000), { promptTokens: 1000, completionTokens: 100_000 });
    expect(estimator.bytesPerToken("m")).toBeLessThan(4.3);
    expect(estimator.outTokens("m", undefined)).toBeLessThan(130);
    const before = estimator.bytesPerToken("m");
    estimator.observe(asked(4000), { promptTokens: 0, completionTokens: Number.NaN });
    estimator.observe(asked(4000), { promptTokens: 100_000, completionTokens: 1 });
    estimator.observe(asked(100), { promptTokens: 50, completionTokens: 1 });
    const seen = asked(4000, { needs: CAPABILITY.chat | CAPABILITY.vision });
    estimator.observe(seen, { promptTokens: 2500, completionTokens: 1 });
    expect(estimator.bytesPerToken("m")).toBe(before);
  });

  it("does not learn answer lengths from embeddings", () => {
    const estimator = new TokenEstimator();
    const embedded = asked(4000, { route: "embeddings" });
    for (let i = 0; i < 20; i++) {
      estimator.observe(embedded, { promptTokens: 900, completionTokens: 0 });
    }
    expect(estimator.outTokens("m", undefined)).toBe(256);
  });

  it("remembers so many models, those seen last", () => {
    const estimator = new TokenEstimator({ models: 3 });
    const usage = { promptTokens: 1000, completionTokens: 1 };
    for (const model of ["a", "b", "c", "a", "d"]) {
      estimator.observe(asked(2000, { model }), usage);
    }
    expect(estimator.size).toBe(3);
    expect(estimator.bytesPerToken("b")).toBe(4);
    expect(estimator.bytesPerToken("a")).toBeLessThan(4);
  });
});
