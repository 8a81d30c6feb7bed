import { beforeEach, describe, expect, test } from "vitest";
import { GridError } from "../../../src/grid/errors.ts";
import { HealthMarks } from "../../../src/feedback/health.ts";
import { Feedback, type Flight } from "../../../src/feedback/observe.ts";
import type { Decision } from "../../../src/grid/decision.ts";
import type { EndpointSpec } from "../../../src/grid/endpoint.ts";
import { createReferenceKernel } from "../../../src/kernel/reference.ts";
import { EndpointTable } from "../../../src/state/endpoint-table.ts";
import { SessionTable } from "../../../src/state/session-table.ts";
import type { Task } from "../../../src/task/task.ts";

const OPTIONS = {
  rows: 256,
  chunkBytes: 64,
  indexBytes: 1 << 20,
  promptBytesMax: 1 << 16,
} as const;
const encoder = new TextEncoder();

const SPEC: EndpointSpec = {
  id: "gpu-1",
  url: "http://127.0.0.1:1",
  engine: "vllm",
  dialects: ["chat"],
  tier: "edge",
  region: "eu",
  models: ["m"],
  tenants: [],
  admission: "new-and-existing",
  priceIn: 1,
  priceCached: 0.1,
  priceOut: 2,
  maxInFlight: 8,
  prefillBudgetTokens: 2048,
  prefillTokensPerS: 8000,
  itlMs: 20,
  rttMs: 0,
  headers: {},
};

function setUp() {
  const kernel = createReferenceKernel(OPTIONS, (text, target) => encoder.encodeInto(text, target));
  const table = new EndpointTable(kernel.columns);
  const sessions = new SessionTable({ max: 10, ttlMs: 1e6, clock: () => 1 });
  table.add(SPEC, 0, 0xffffffff, 0);
  const feedback = new Feedback(table, kernel, sessions);
  const { chain } = kernel.hash(["x".repeat(64 * 8)], "m");
  const task = (over: Partial<Task> = {}): Task =>
    ({ tenant: "t", session: "s", stream: true, chain, promptTokens: 128, ...over }) as Task;
  const decision = (over: Partial<Decision> = {}): Decision =>
    ({
      row: 0,
      uncachedTokens: 1000,
      matchedTokens: 0,
      ttftMs: 125,
      choice: "only",
      ...over,
    }) as Decision;
  return { kernel, table, sessions, feedback, chain, task, decision };
}

describe("feedback", () => {
  let all: ReturnType<typeof setUp>;
  beforeEach(() => {
    all = setUp();
  });

  test("load, prefix and session are counted at choice time", () => {
    const { feedback, table, kernel, sessions, chain, task, decision } = all;
    feedback.started(task(), decision(), 0);
    expect(table.columns.inFlight[0]).toBe(1);
    expect(table.columns.ownTokens[0]).toBe(1000);
    expect(table.columns.sentTokens[0]).toBe(1000);
    expect(table.records[0]?.prefills).toBe(1);
    expect(kernel.matchedChunks(chain, 0)).toBe(8);
    expect(sessions.endpointOf("t", "s")).toBe("gpu-1");
  });

  test("the first token takes the prefill load away, the end the place", () => {
    const { feedback, table, task, decision } = all;
    const flight = feedback.started(task(), decision(), 0);
    feedback.firstContent(flight, 100);
    expect(table.columns.ownTokens[0]).toBe(0);
    expect(table.columns.inFlight[0]).toBe(1);
    expect(table.records[0]?.prefills).toBe(0);
    feedback.ended(flight, undefined, undefined);
    feedback.ended(flight, undefined, undefined); // twice is harmless
    expect(table.columns.inFlight[0]).toBe(0);
  });

  test("a failure takes back what was credited, but not what was known before", () => {
    const { feedback, kernel, chain, task, decision } = all;
    kernel.learn(chain, 0, 0, 4);
    const flight = feedback.started(task(), decision({ matchedTokens: 64 }), 0);
    expect(kernel.matchedChunks(chain, 0)).toBe(8);
    feedback.failed(flight);
    expect(kernel.matchedChunks(chain, 0)).toBe(4);
  });

  test("the prefill rate goes towards what is seen, alone and together", () => {
    const { feedback, table, task, decision } = all;
    let nowMs = 0;
    for (let i = 0; i < 60; i++) {
      const flight = feedback.started(task(), decision(), nowMs);
      nowMs += 250; // 1,000 tokens in 250 ms: 4 per ms, half of what was assumed
      feedback.firstContent(flight, nowMs);
      feedback.ended(flight, undefined, undefined);
    }
    expect(table.columns.prefillRate[0]).toBeCloseTo(4, 1);
    for (let i = 0; i < 60; i++) {
      const two = [0, 1].map(() => feedback.started(task(), decision(), nowMs));
      nowMs += 500; // both through after 500 ms: still 4 per ms
      for (const flight of two) feedback.firstContent(flight, nowMs);
      for (const flight of two) feedback.ended(flight, undefined, undefined);
    }
    expect(table.columns.prefillRate[0]).toBeCloseTo(4, 1);
  });

  test("young endpoints that are declared alike learn together, until each is known", () => {
    const { feedback, table, task, decision } = all;
    const alike = table.add({ ...SPEC, id: "alike" }, 0, 1, 0);
    const declared = table.add({ ...SPEC, id: "other", prefillTokensPerS: 9_000 }, 0, 1, 0);
    let nowMs = 0;
    const prefill = (row: number, tookMs: number) => {
      const flight = feedback.started(task(), decision({ row }), nowMs);
      nowMs += tookMs;
      feedback.firstContent(flight, nowMs);
      feedback.ended(flight, undefined, undefined);
    };
    const rate = (row = -1) => table.columns.prefillRate[row] as number;
    prefill(0, 250);
    expect(rate(0)).toBeLessThan(8);
    expect(rate(alike?.row)).toBe(rate(0));
    expect(rate(declared?.row)).toBe(9);
    for (let i = 0; i < 60; i++) prefill(0, 250);
    const learned = rate(alike?.row);
    expect(learned).toBeLessThan(5);
    // Known by itself, it teaches no more, and is not taught.
    for (let i = 0; i < 60; i++) prefill(0, 500);
    expect(rate(0)).toBeCloseTo(2, 1);
    expect(rate(alike?.row)).toBe(learned);
  });

  test("the busy period begins when the engine can, and counts what came through", () => {
    const { feedback, table, task, decision } = all;
    const { busySinceMs, busyTokens, rttMs, prefillRate } = table.columns;
    rttMs[0] = 40;
    const [first, second] = [0, 1].map(() => feedback.started(task(), decision(), 1_000));
    expect([busySinceMs[0], busyTokens[0]]).toEqual([1_040, 0]);
    feedback.firstContent(first, 1_165);
    expect([busySinceMs[0], busyTokens[0]]).toEqual([1_040, 1_000]);
    // Given up unseen: through for the drain, but no sample of the rate.
    feedback.failed(second);
    expect(busyTokens[0]).toBe(2_000);
    expect(prefillRate[0]).toBe(8);
  });

  test("one wild sample moves the rate only a little", () => {
    const { feedback, table, task, decision } = all;
    const flight = feedback.started(task(), decision(), 0);
    feedback.firstContent(flight, 0.0001);
    expect(table.columns.prefillRate[0]).toBeLessThan(8 * 1.31);
  });

  test("plain answers teach nothing about the rate", () => {
    const { feedback, table, task, decision } = all;
    const flight = feedback.started(task({ stream: false }), decision(), 0);
    feedback.firstContent(flight, 5000);
    expect(table.columns.ownTokens[0]).toBe(0);
    expect(table.columns.prefillRate[0]).toBe(8);
  });

  test("hits that do not come true lower the trust", () => {
    const { feedback, table, task, decision } = all;
    const fly = (cachedTokens: number | undefined) => {
      const flight = feedback.started(task(), decision({ matchedTokens: 100 }), 0);
      feedback.ended(flight, { promptTokens: 128, completionTokens: 1, cachedTokens }, 20);
    };
    fly(undefined); // an engine that does not say changes nothing
    expect(table.columns.trust[0]).toBe(1);
    for (let i = 0; i < 40; i++) fly(50);
    expect(table.columns.trust[0]).toBeCloseTo(0.5, 1);
    for (let i = 0; i < 80; i++) fly(100);
    expect(table.columns.trust[0]).toBeCloseTo(1, 1);
  });

  test("the row of a removed endpoint is free once nothing runs there", () => {
    const { feedback, table, task, decision } = all;
    const flight: Flight = feedback.started(task(), decision(), 0);
    table.remove("gpu-1");
    expect(table.records[0]).toBeDefined();
    feedback.ended(flight, undefined, undefined);
    expect(table.records[0]).toBeUndefined();
  });
});

describe("health marks", () => {
  const ready = () => {
    const { table } = setUp();
    const record = table.records[0] as NonNullable<(typeof table.records)[number]>;
    record.phase = "ready";
    const health = new HealthMarks(table);
    return { health, table, record };
  };

  test("the watcher's phase alone brings a row up", () => {
    const { health, table, record } = ready();
    expect(table.columns.down[0]).toBe(1);
    expect(health.refresh(0, 0)).toBe(true);
    expect(table.columns.down[0]).toBe(0);
    record.phase = "down";
    expect(health.refresh(0, 1)).toBe(false);
    expect(table.columns.down[0]).toBe(1);
  });

  test("failures in a row take it out, and the mark expires by itself", () => {
    const { health, table } = ready();
    health.refresh(0, 0);
    for (let i = 0; i < 3; i++) health.failed(0, new GridError("disconnected", ""), 10);
    expect(table.columns.down[0]).toBe(1);
    expect(health.sweep(500)).toEqual([]);
    expect(health.sweep(60_000)).toEqual([0]);
    expect(table.columns.down[0]).toBe(0);
  });

  test("a busy endpoint is left alone for as long as it asks, within bounds", () => {
    const { health, table } = ready();
    health.refresh(0, 0);
    const busy = (status: number) =>
      new GridError("endpoint_busy", "", { status, retryAfterS: 3600 });
    health.failed(0, busy(503), 0);
    expect(health.restOf([1, 0], 1_000)).toEqual({ limited: false, leftMs: 3_599_000 });
    health.failed(0, busy(429), 0);
    expect(health.restOf([0], 1_000)?.limited).toBe(true);
    expect(health.restOf([0], 5_000)).toBeUndefined();
    expect(table.columns.down[0]).toBe(1);
    expect(health.sweep(4_999)).toEqual([]);
    expect(health.sweep(5_000)).toEqual([0]);
  });

  test("what is not its fault is not held against it", () => {
    const { health, table } = ready();
    health.refresh(0, 0);
    for (let i = 0; i < 50; i++) health.failed(0, new GridError("client_gone", ""), i);
    expect(table.columns.down[0]).toBe(0);
  });
});
