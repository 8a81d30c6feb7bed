/** What every kernel must do, told by examples; the property test says that all do the same. */
import { describe, expect, test } from "vitest";
import type { Kernel, KernelOptions } from "../../src/kernel/kernel.ts";
import { DEFAULT_WEIGHTS } from "../../src/kernel/weights.ts";
import { digestSuite } from "./kernel-digest.suite.ts";
import { addRow, askFor, chainOf, SMALL } from "./kernel.implementations.ts";

type Create = (options: KernelOptions) => Kernel;

function kernelWith(create: Create, rows: number): Kernel {
  const kernel = create(SMALL);
  for (let row = 0; row < rows; row++) addRow(kernel, row);
  return kernel;
}

export function kernelSuite(name: string, create: Create): void {
  describe(`kernel ${name}`, () => {
    hashing(create);
    options(create);
    filtering(create);
    cost(create);
    choosing(create);
    sessions(create);
    learning(create);
    mirroring(create);
  });
  digestSuite(name, create);
}

function hashing(create: Create): void {
  test("hashes whole chunks only, chained and seeded", () => {
    const kernel = create(SMALL);
    const text = "x".repeat(64 * 3 + 10);
    const { chain, bytes } = kernel.hash([text], "model");
    expect(bytes).toBe(202);
    expect(chain.length).toBe(6);
    expect(kernel.hash([text.slice(0, 128)], "model").chain).toStrictEqual(chain.slice(0, 4));
    expect(kernel.hash([text], "other").chain).not.toStrictEqual(chain);
    // The same chunk under another parent is another prefix.
    expect(chain.slice(0, 2)).not.toStrictEqual(chain.slice(2, 4));
    expect(kernel.hash(["y", text.slice(1)], "model").chain.slice(2, 4)).not.toStrictEqual(
      chain.slice(2, 4),
    );
    expect(kernel.hash([], "model")).toStrictEqual({ chain: new Uint32Array(0), bytes: 0 });
  });

  test("counts the bytes beyond its bound but does not hash them", () => {
    const kernel = create({ ...SMALL, promptBytesMax: 1024 });
    const text = "é".repeat(100_000);
    expect(kernel.hash([text], "k").bytes).toBe(200_000);
    expect(kernel.hash([text], "k").chain.length).toBe(32);
    expect(kernel.hashBytes(new Uint8Array(5000), "k").bytes).toBe(5000);
  });

  test("gives out a copy of the chain", () => {
    const kernel = create(SMALL);
    const { chain } = kernel.hash(["a".repeat(64)], "k");
    const kept = chain.slice();
    kernel.hash(["b".repeat(640)], "k");
    expect(chain).toStrictEqual(kept);
  });
}

function options(create: Create): void {
  test.each([
    [{ rows: 300 as 256 }, "rows is 300"],
    [{ chunkBytes: 100 }, "chunkBytes is 100"],
    [{ chunkBytes: 8192 }, "chunkBytes is 8192"],
    [{ promptBytesMax: 10 }, "promptBytesMax is 10"],
    [{ indexBytes: 1000 }, "indexBytes is 1000"],
    [{ indexBytes: Number.NaN }, "indexBytes is NaN"],
    [{ digestBytes: -1 }, "digestBytes is -1"],
    [{ digestBytes: 9000 }, "digestBytes is 9000"],
  ])("refuses %o", (change, message) => {
    expect(() => create({ ...SMALL, ...change })).toThrow(message);
  });

  test("refuses rows, models and keys out of bounds", () => {
    const kernel = create(SMALL);
    expect(() => kernel.learn(chainOf(1, 1), 256, 0)).toThrow("row is 256");
    expect(() => kernel.clearRow(-1)).toThrow("row is -1");
    expect(() => kernel.setModelRow(256, 0, true)).toThrow("model is 256");
    expect(() => kernel.hash([], "k".repeat(5000))).toThrow("4096 bytes");
  });
}

function filtering(create: Create): void {
  test("says why each row is excluded, in the order of the questions", () => {
    const kernel = kernelWith(create, 12);
    const { columns } = kernel;
    kernel.setModelRow(0, 0, false);
    columns.capabilities[1] = 2;
    columns.region[2] = 40;
    columns.tenants[3] = 2;
    columns.tier[4] = 2;
    columns.down[5] = 1;
    columns.admission[6] = 2;
    columns.freshUntilMs[7] = 99;
    columns.contextTokens[8] = 1099;
    columns.inFlight[10] = 64;
    columns.priceOut[11] = 1;
    const regions = new Uint32Array(8);
    regions[0] = 1;
    const ask = askFor({ regions, tierCeiling: 1, tried: [9], mayWait: false, maxCostUsd: 5 });
    const seen = kernel.explain(ask, 100).map(({ exclusion }) => exclusion);
    const reasons = ["model", "capability", "region", "tenant", "tier", "down", "admission"];
    const rest = ["stale", "context", "tried", "saturated", "cost"];
    expect(seen).toStrictEqual([...reasons, ...rest]);
    const { row, choice, candidates, excluded } = kernel.decide(ask, 100);
    expect({ row, choice, candidates }).toStrictEqual({ row: -1, choice: "none", candidates: 0 });
    expect([...excluded]).toStrictEqual([0, ...Array(12).fill(1)]);
  });

  test("a row for existing sessions takes only its own", () => {
    const kernel = kernelWith(create, 1);
    kernel.columns.admission[0] = 1;
    expect(kernel.decide(askFor(), 0).row).toBe(-1);
    expect(kernel.decide(askFor({ sessionRow: 0 }), 0).row).toBe(0);
  });

  test("a full row is a candidate when the task may wait", () => {
    const kernel = kernelWith(create, 1);
    kernel.columns.inFlight[0] = 64;
    expect(kernel.decide(askFor({ mayWait: true }), 0).row).toBe(0);
    expect(kernel.decide(askFor({ mayWait: false }), 0).row).toBe(-1);
  });

  test("an unknown model has no candidates", () => {
    const kernel = kernelWith(create, 3);
    expect(kernel.decide(askFor({ model: -1 }), 0).excluded[1]).toBe(3);
  });
}

function cost(create: Create): void {
  test("adds up distance, queue, cache pressure and uncached prefill", () => {
    const kernel = kernelWith(create, 1);
    const { columns } = kernel;
    kernel.setWeights({ ...DEFAULT_WEIGHTS, lambda: 2 });
    columns.rttMs[0] = 7;
    columns.jitterMs[0] = 3;
    columns.queuedTokens[0] = 400;
    columns.sentTokens[0] = 200;
    columns.waitingTokens[0] = 50;
    columns.kvUsage[0] = 0.5;
    columns.priceIn[0] = 3;
    columns.priceCached[0] = 1;
    columns.priceOut[0] = 5;
    columns.trust[0] = 0.5;
    const chain = chainOf(1, 10);
    kernel.learn(chain, 0, 0);
    const decision = kernel.decide(askFor({ chain }), 20);
    // Of 600 tokens, 200 have drained in 20 ms; 160 matched tokens count half.
    const waitMs = (400 + 50) / 10 + 150;
    const prefillMs = 920 / 10;
    const ttftMs = 7 + 3 + waitMs + prefillMs;
    expect(decision).toMatchObject({ waitMs, prefillMs, ttftMs, socialMs: ttftMs + 2 * prefillMs });
    expect(decision).toMatchObject({ matchedTokens: 160, uncachedTokens: 920 });
    expect(decision.priceUsd).toBe(920 * 3 + 80 * 1 + 100 * 5);
  });

  test("never drains below what we ourselves have there", () => {
    const kernel = kernelWith(create, 1);
    kernel.columns.queuedTokens[0] = 1000;
    kernel.columns.ownTokens[0] = 300;
    kernel.columns.busySinceMs[0] = 500;
    expect(kernel.decide(askFor(), 500).waitMs).toBe(30);
  });

  test.each([1, 2])("our own load drains while its engine works (%i rows)", (rows) => {
    const kernel = kernelWith(create, rows);
    const { columns } = kernel;
    columns.rttMs[1] = 1e6;
    columns.ownTokens[0] = 300;
    columns.busySinceMs[0] = 100;
    columns.busyTokens[0] = 200;
    const waitAt = (nowMs: number) => kernel.decide(askFor(), nowMs).waitMs;
    // Ten tokens a millisecond: the 200 that came through took 20 ms, then 300 take 30 more.
    expect([90, 120, 130, 149].map(waitAt)).toStrictEqual([30, 30, 20, 1]);
    // Overdue: it is slower than we know, so it counts more and more again, in full in the end.
    expect([150, 160, 180, 500].map(waitAt)).toStrictEqual([0, 10, 30, 30]);
  });

  test("an old sample costs a penalty, no load source does not", () => {
    const kernel = kernelWith(create, 1);
    expect(kernel.decide(askFor(), 2000).waitMs).toBe(0);
    expect(kernel.decide(askFor(), 2001).waitMs).toBe(DEFAULT_WEIGHTS.stalePenaltyMs);
    kernel.columns.sampleAtMs[0] = Number.NEGATIVE_INFINITY;
    kernel.columns.sentTokens[0] = 1e9;
    kernel.columns.ownTokens[0] = 20;
    expect(kernel.decide(askFor(), 2001).waitMs).toBe(2);
  });

  test("a full KV cache and a rate of nought stay finite", () => {
    const kernel = kernelWith(create, 2);
    kernel.columns.kvUsage[0] = 1;
    kernel.columns.prefillRate[1] = 0;
    const [full, slow] = kernel.explain(askFor(), 0);
    expect(full.waitMs).toBeCloseTo(150 * 999, 5);
    expect(Number.isFinite(slow.ttftMs)).toBe(true);
  });
}

function choosing(create: Create): void {
  test("near-equals are drawn at random, each as often", () => {
    const kernel = kernelWith(create, 4);
    const rows = [0, 0.3, 0.6, 0.9].map((share) => {
      return kernel.decide(askFor({ random: Math.floor(share * 2 ** 32) }), 0).row;
    });
    expect(rows).toStrictEqual([0, 1, 2, 3]);
    expect(kernel.decide(askFor({ random: 0xffffffff }), 0).row).toBe(3);
  });

  test("one candidate, the least loaded, the one with the prefix", () => {
    const kernel = kernelWith(create, 3);
    kernel.columns.queuedTokens[0] = 500;
    kernel.columns.queuedTokens[1] = 900;
    kernel.columns.queuedTokens[2] = 800;
    expect(kernel.decide(askFor({ tried: [0, 1] }), 0)).toMatchObject({ row: 2, choice: "only" });
    expect(kernel.decide(askFor(), 0)).toMatchObject({ row: 0, choice: "load" });
    const chain = chainOf(5, 60);
    kernel.learn(chain, 1, 0);
    expect(kernel.decide(askFor({ chain }), 0)).toMatchObject({ row: 1, choice: "prefix" });
  });

  test("the cheapest that meets the SLO; nobody meets it: the least social cost", () => {
    const kernel = kernelWith(create, 3);
    kernel.columns.priceIn.set([3, 2, 1]);
    kernel.columns.queuedTokens.set([0, 1000, 9000]);
    const ask = askFor({ sloTtftMs: 300 });
    expect(kernel.decide(ask, 0)).toMatchObject({ row: 1, choice: "price" });
    expect(kernel.decide({ ...ask, sloTtftMs: 50 }, 0)).toMatchObject({
      row: 0,
      choice: "slo-missed",
    });
  });

  test("columns that are not numbers do not break the choice", () => {
    const kernel = kernelWith(create, 2);
    kernel.columns.rttMs.fill(Number.NaN);
    expect(kernel.decide(askFor(), 0)).toMatchObject({ row: 0, choice: "slo-missed" });
  });
}

function sessions(create: Create): void {
  test("a session stays unless another row is better by both margins", () => {
    const kernel = kernelWith(create, 2);
    const ask = askFor({ sessionRow: 0, promptTokens: 4000 });
    // Both cost 800 ms of social prefill; the margin of 1,024 tokens is 102.4 ms.
    kernel.columns.queuedTokens[0] = 1000;
    expect(kernel.decide(ask, 0)).toMatchObject({ row: 0, choice: "session" });
    // More than the absolute margin, less than 1.5 times.
    kernel.columns.queuedTokens[0] = 3900;
    expect(kernel.decide(ask, 0)).toMatchObject({ row: 0, choice: "session" });
    kernel.columns.queuedTokens[0] = 4100;
    expect(kernel.decide(ask, 0)).toMatchObject({ row: 1, choice: "load" });
    // More than 1.5 times, less than the absolute margin.
    kernel.columns.queuedTokens[0] = 900;
    expect(kernel.decide({ ...ask, promptTokens: 100 }, 0).row).toBe(0);
  });

  test("a session leaves a row that is out of the SLO, or much dearer", () => {
    const kernel = kernelWith(create, 2);
    kernel.columns.queuedTokens[0] = 1000;
    expect(kernel.decide(askFor({ sessionRow: 0, sloTtftMs: 150 }), 0).row).toBe(1);
    kernel.columns.queuedTokens[0] = 0;
    kernel.columns.priceOut[0] = 1;
    kernel.columns.priceIn.fill(0.01);
    expect(kernel.decide(askFor({ sessionRow: 0 }), 0).row).toBe(1);
    kernel.columns.priceOut[0] = 0.1;
    expect(kernel.decide(askFor({ sessionRow: 0 }), 0).row).toBe(0);
  });
}

function learning(create: Create): void {
  test("matches each row's longest run from the root", () => {
    const kernel = kernelWith(create, 3);
    const chain = chainOf(9, 20);
    kernel.learn(chain, 0, 0);
    kernel.learn(chain, 1, 0, 7);
    const asked = kernel.explain(askFor({ chain }), 0).map((row) => row.matchedTokens / 16);
    expect(asked).toStrictEqual([20, 7, 0]);
    expect(kernel.stats()).toMatchObject({ entries: 20, held: 27 });
    kernel.forget(chain, 0, 5);
    expect(kernel.matchedChunks(chain, 0)).toBe(5);
    expect(kernel.matchedChunks(chain, 1)).toBe(7);
    expect(kernel.stats()).toMatchObject({ entries: 7, held: 12 });
    kernel.clearRow(0);
    kernel.clearRow(1);
    expect(kernel.stats()).toMatchObject({ entries: 0, held: 0 });
  });

  test("stays under its byte cap and keeps roots longer than tails", () => {
    const kernel = create({ ...SMALL, indexBytes: 64 * 1024 });
    const { capacity, bytes } = kernel.stats();
    expect(bytes).toBeLessThanOrEqual(64 * 1024);
    for (let root = 0; root < 400; root++) kernel.learn(chainOf(root, 30), root % 8, 0);
    const { entries, evicted, held, bytes: after } = kernel.stats();
    expect(after).toBe(bytes);
    expect(entries).toBeLessThanOrEqual(capacity);
    expect(entries + evicted).toBe(400 * 30);
    expect(held).toBe(entries);
    // Of the newest chain nothing is gone; older ones lose their tails.
    expect(kernel.matchedChunks(chainOf(399, 30), 399 % 8)).toBe(30);
    expect(kernel.matchedChunks(chainOf(1, 30), 1)).toBe(0);
  });
}

function mirroring(create: Create): void {
  test("a row never holds more than its KV cache, and loses tails first", () => {
    const kernel = create(SMALL);
    kernel.setRowChunks(3, 50);
    const [first, second] = [chainOf(1, 30), chainOf(2, 30)];
    kernel.learn(first, 3, 0);
    kernel.learn(second, 3, 0);
    expect(kernel.stats().held).toBe(50);
    expect(kernel.matchedChunks(second, 3)).toBe(30);
    expect(kernel.matchedChunks(first, 3)).toBe(20);
    kernel.learn(chainOf(3, 80), 3, 0);
    expect(kernel.matchedChunks(chainOf(3, 80), 3)).toBe(50);
  });

  test("what is used again outlives what is not", () => {
    const kernel = create(SMALL);
    kernel.setRowChunks(0, 40);
    const shared = chainOf(1, 10);
    for (let root = 2; root < 60; root++) {
      kernel.learn(shared, 0, 0);
      kernel.learn(chainOf(root, 10), 0, 0);
      expect(kernel.stats().held).toBeLessThanOrEqual(40);
    }
    expect(kernel.matchedChunks(shared, 0)).toBe(10);
    expect(kernel.matchedChunks(chainOf(2, 10), 0)).toBe(0);
  });

  test("the least recently used goes first, however often it was used before", () => {
    const kernel = create(SMALL);
    kernel.setRowChunks(0, 40);
    const [often, once] = [chainOf(1, 20), chainOf(2, 20)];
    for (let time = 0; time < 9; time++) kernel.learn(often, 0, 0);
    kernel.learn(once, 0, 0);
    // A second chance would spare what was used nine times.
    kernel.learn(chainOf(3, 20), 0, 0);
    expect(kernel.matchedChunks(often, 0)).toBe(0);
    expect(kernel.matchedChunks(once, 0)).toBe(20);
  });

  test("a row's order is its own: use by another row renews nothing", () => {
    const kernel = create(SMALL);
    for (const row of [0, 1]) kernel.setRowChunks(row, 40);
    const [first, second] = [chainOf(1, 20), chainOf(2, 20)];
    kernel.learn(first, 0, 0);
    kernel.learn(second, 0, 0);
    kernel.learn(first, 1, 0);
    kernel.learn(chainOf(3, 20), 0, 0);
    expect(kernel.matchedChunks(first, 0)).toBe(0);
    expect(kernel.matchedChunks(second, 0)).toBe(20);
    expect(kernel.matchedChunks(first, 1)).toBe(20);
  });

  test("a bound that comes late applies to what is held already", () => {
    const kernel = create(SMALL);
    kernel.learn(chainOf(1, 60), 0, 0);
    kernel.learn(chainOf(1, 60), 1, 0);
    kernel.setRowChunks(0, 25);
    expect(kernel.stats().held).toBe(85);
    kernel.setRowChunks(0, 10);
    expect(kernel.stats().held).toBe(70);
    kernel.setRowChunks(0, 0);
    kernel.learn(chainOf(2, 60), 0, 0);
    expect(kernel.stats().held).toBe(130);
  });

  test("many full mirrors share the pool without starving anybody", () => {
    const kernel = create({ ...SMALL, indexBytes: 32 * 1024 });
    for (let row = 0; row < 64; row++) {
      kernel.setRowChunks(row, 1000);
      kernel.learn(chainOf(row % 5, 40), row, 0);
      expect(kernel.matchedChunks(chainOf(row % 5, 40), row)).toBeGreaterThan(0);
    }
  });
}
