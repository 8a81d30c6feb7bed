import { describe, expect, it } from "vitest";
import { StreamMeter } from "../../../src/stream/meter.ts";

describe("StreamMeter", () => {
  it("says nothing before there is anything to say", () => {
    const meter = new StreamMeter(100);
    expect(meter).toMatchObject({ firstByteMs: undefined, ttftMs: undefined });
    meter.onBytes(10, 105);
    meter.onContent(0, 105);
    expect(meter).toMatchObject({ firstByteMs: 5, ttftMs: undefined, bytes: 10, chunks: 1 });
    meter.onContent(1, 120);
    expect(meter.ttftMs).toBe(20);
    expect(meter.itlMs).toBeUndefined();
    expect(meter.jitterMs).toBeUndefined();
  });

  it("finds no jitter in an even stream", () => {
    const meter = new StreamMeter(0);
    for (let i = 1; i <= 11; i++) meter.onContent(1, i * 20);
    expect(meter).toMatchObject({ ttftMs: 20, itlMs: 20, jitterMs: 0, contentEvents: 11 });
  });

  it("shares a gap among the events of one chunk", () => {
    const meter = new StreamMeter(0);
    meter.onContent(1, 10);
    meter.onContent(4, 50);
    expect(meter).toMatchObject({ itlMs: 10, jitterMs: 0, contentEvents: 5 });
  });

  it("measures uneven gaps", () => {
    const meter = new StreamMeter(0);
    for (const at of [0, 10, 40, 50, 80]) meter.onContent(1, at);
    // Gaps 10, 30, 10, 30; the means before each 10, 10, 20, 16.67.
    expect(meter.itlMs).toBe(20);
    expect(meter.jitterMs).toBeCloseTo((0 + 20 + 10 + 30 - 50 / 3) / 4, 9);
  });
});
