import { describe, expect, it } from "vitest";
import { Breaker } from "../../../src/feedback/breaker.ts";

const OPTIONS = { consecutiveFailures: 3, openMs: 1_000, openMsMax: 3_000, probeMs: 500 };

function opened(): Breaker {
  const breaker = new Breaker(OPTIONS);
  for (let i = 0; i < 3; i++) breaker.failed(i);
  return breaker;
}

describe("Breaker", () => {
  it("opens after failures in a row, not after as many with a success between", () => {
    const breaker = new Breaker(OPTIONS);
    for (const result of ["failed", "failed", "succeeded", "failed", "failed"] as const) {
      breaker[result](10);
      expect(breaker.allows(10)).toBe(true);
    }
    breaker.failed(10);
    expect(breaker.state(10)).toBe("open");
    expect(breaker.allows(10)).toBe(false);
  });

  it("opens at a share of the window, and forgets what left the window", () => {
    const share = { samplesMin: 10, failureRatio: 0.5, windowMs: 1_000 };
    const options = { consecutiveFailures: 999, ...share };
    const mixed = new Breaker(options);
    for (let i = 0; i < 20 && mixed.state(i) === "closed"; i++) {
      if (i % 2 === 0) mixed.succeeded(i);
      else mixed.failed(i);
    }
    expect(mixed.state(9)).toBe("open");
    const slow = new Breaker(options);
    for (let i = 0; i < 100; i++) slow.failed(i * 150);
    expect(slow.state(15_000)).toBe("closed");
    const few = new Breaker(options);
    for (let i = 0; i < 9; i++) few.failed(i);
    expect(few.state(9)).toBe("closed");
  });

  it("lets one probe through when the mark expires, and closes when it succeeds", () => {
    const breaker = opened();
    expect(breaker.nextChangeMs(500)).toBe(1_002);
    expect(breaker.state(1_001)).toBe("open");
    expect(breaker.state(1_002)).toBe("half-open");
    expect(breaker.allows(1_002)).toBe(true);
    breaker.started(1_002);
    expect(breaker.allows(1_100)).toBe(false);
    breaker.succeeded(1_200);
    expect(breaker.state(1_200)).toBe("closed");
    breaker.failed(1_201);
    breaker.failed(1_202);
    expect(breaker.state(1_202)).toBe("closed");
  });

  it("opens for longer each time a probe fails, up to the bound", () => {
    const breaker = opened();
    let nowMs = 1_002;
    for (const forMs of [2_000, 3_000, 3_000]) {
      breaker.started(nowMs);
      breaker.failed(nowMs);
      expect(breaker.nextChangeMs(nowMs)).toBe(nowMs + forMs);
      nowMs += forMs;
      expect(breaker.state(nowMs)).toBe("half-open");
    }
    breaker.succeeded(nowMs);
    for (let i = 0; i < 3; i++) breaker.failed(nowMs);
    expect(breaker.nextChangeMs(nowMs)).toBe(nowMs + 1_000);
  });

  it("gives a probe up that has no end, or whose caller left", () => {
    const lost = opened();
    lost.started(1_100);
    expect(lost.nextChangeMs(1_200)).toBe(1_600);
    expect(lost.allows(1_599)).toBe(false);
    expect(lost.allows(1_600)).toBe(true);
    const left = opened();
    left.started(1_100);
    left.abandoned();
    expect(left.allows(1_101)).toBe(true);
  });

  it("does not take results of older requests for news while open", () => {
    const breaker = opened();
    breaker.failed(900);
    breaker.succeeded(901);
    expect(breaker.state(901)).toBe("open");
    expect(breaker.nextChangeMs(901)).toBe(1_002);
  });
});
