import { describe, expect, it } from "vitest";
import { EngineModel, type Sequence, type SequenceSpec } from "../../../src/sim/engine.ts";
import type { EngineProfile } from "../../../src/sim/profiles.ts";

const PROFILE: EngineProfile = {
  id: "test",
  description: "",
  costs: {
    overheadMs: 1,
    weightsMs: 5,
    contextTokenMs: 0.001,
    tokenMs: 0.1,
    attentionMs: 0,
    jitter: 0,
  },
  kvBlocks: 64,
  blockTokens: 16,
  maxSeqs: 8,
  tokenBudget: 128,
  maxModelLen: 1024,
};

function engine(changes: Partial<EngineProfile> = {}, seed = 1): EngineModel<string> {
  return new EngineModel<string>({ ...PROFILE, ...changes }, seed);
}

/** Keys of a prompt: `start` apart makes two prompts differ from the first block. */
function spec(promptTokens: number, maxTokens: number, start = 0): SequenceSpec {
  const blocks = Math.floor(promptTokens / 16);
  return { promptTokens, maxTokens, keys: Array.from({ length: blocks }, (_, i) => start + i + 1) };
}

function step(model: EngineModel<string>): { ms: number; tokens: string[] } {
  const tokens: string[] = [];
  const ms = model.begin();
  if (ms >= 0) model.commit((sequence) => tokens.push(sequence.owner));
  return { ms, tokens };
}

function finish(model: EngineModel<string>, limit = 10_000): number {
  let ms = 0;
  for (let i = 0; i < limit && !model.isIdle; i++) ms += Math.max(0, step(model).ms);
  expect(model.isIdle).toBe(true);
  return ms;
}

describe("EngineModel", () => {
  it("prefills in chunks under the budget, then gives one token per step", () => {
    const model = engine();
    const sequence = model.submit(spec(300, 3), "a");
    expect(step(model).tokens).toEqual([]);
    expect(sequence.computed).toBe(128);
    expect(step(model).tokens).toEqual([]);
    expect(step(model).tokens).toEqual(["a"]);
    expect(sequence.computed).toBe(300);
    expect(step(model).tokens).toEqual(["a"]);
    expect(step(model).tokens).toEqual(["a"]);
    expect(sequence.state).toBe("done");
    expect(model.counters.prefillTokens).toBe(300);
  });

  it("never plans more tokens in a step than the budget, and shares it between prefills", () => {
    const model = engine();
    const all = [0, 100, 200].map((start) => model.submit(spec(80, 4, start), `s${start}`));
    model.begin();
    expect(all.map((sequence) => sequence.chunk)).toEqual([80, 48, 0]);
    model.commit(() => undefined);
    model.begin();
    expect(all.reduce((sum, sequence) => sum + sequence.chunk, 0)).toBe(1 + 32 + 80);
  });

  it("counts prefix hits exactly: whole leading blocks, never the last token", () => {
    const model = engine();
    model.submit(spec(64, 1), "first");
    finish(model);
    const same = model.submit(spec(64, 1), "same");
    const longer = model.submit(spec(100, 1), "longer");
    const other = model.submit({ ...spec(64, 1), keys: [1, 2, 99, 4] }, "other");
    finish(model);
    expect([same.cached, longer.cached, other.cached]).toEqual([48, 64, 32]);
    expect(model.counters.hitTokens).toBe(48 + 64 + 32);
    expect(model.counters.queriedTokens).toBe(64 + 64 + 100 + 64);
  });

  it("does not share blocks before they are computed", () => {
    const model = engine();
    const both = [model.submit(spec(64, 1), "a"), model.submit(spec(64, 1), "b")];
    finish(model);
    expect(both.map((sequence) => sequence.cached)).toEqual([0, 0]);
    expect(model.pool.free).toBe(64);
  });

  it("shares generated blocks when the caller knows their content", () => {
    const model = engine();
    model.submit({ ...spec(32, 33), keyOf: (block) => 1000 + block }, "turn 1");
    finish(model);
    const next = { promptTokens: 80, maxTokens: 1, keys: [1, 2, 1002, 1003, 7] };
    const sequence = model.submit(next, "turn 2");
    finish(model);
    expect(sequence.cached).toBe(64);
  });

  it("never leaks a block, whatever happens", () => {
    const model = engine({ kvBlocks: 24, maxSeqs: 6 });
    let state = 7;
    const draw = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    const open: Sequence<string>[] = [];
    for (let i = 0; i < 3000; i++) {
      const drawn = spec(1 + draw(150), 1 + draw(60), draw(4) * 50);
      if (draw(3) === 0) open.push(model.submit(drawn, ""));
      if (draw(7) === 0 && open.length > 0) model.abort(open.splice(draw(open.length), 1)[0]);
      step(model);
      const held = new Set(open.flatMap((sequence) => sequence.blocks));
      expect(model.load().usedBlocks).toBe(held.size);
      expect(model.pool.cached).toBeLessThanOrEqual(24);
      if (open.length > 40) model.restart();
    }
    expect(model.counters.preemptions).toBeGreaterThan(0);
    expect(model.pool.evictions).toBeGreaterThan(0);
    finish(model);
    expect(model.pool.free).toBe(24);
    expect(model.load().waitingUncachedTokens).toBe(0);
  });

  it("preempts the youngest when a decode finds no block, and recomputes it", () => {
    const model = engine({ kvBlocks: 4 });
    const old = model.submit(spec(30, 30, 0), "old");
    const young = model.submit(spec(30, 30, 100), "young");
    const tokens: string[] = [];
    while (!model.isIdle) {
      model.begin();
      model.commit((sequence) => tokens.push(sequence.owner));
    }
    expect(old.preemptions).toBe(0);
    expect(young.preemptions).toBe(1);
    expect(tokens.filter((owner) => owner === "old")).toHaveLength(30);
    expect(tokens.filter((owner) => owner === "young")).toHaveLength(30);
    expect(tokens.lastIndexOf("old")).toBeLessThan(tokens.lastIndexOf("young"));
  });

  it("admits by free blocks and by the sequence limit, oldest first", () => {
    const byBlocks = engine({ kvBlocks: 8 });
    for (const start of [0, 100, 200]) byBlocks.submit(spec(60, 1, start), "");
    byBlocks.begin();
    expect(byBlocks.load()).toMatchObject({ running: 2, waiting: 1, waitingUncachedTokens: 60 });
    const bySeqs = engine({ maxSeqs: 2 });
    for (const start of [0, 100, 200]) bySeqs.submit(spec(16, 1, start), "");
    bySeqs.begin();
    expect(bySeqs.load()).toMatchObject({ running: 2, waiting: 1 });
  });

  it("takes the longer of memory and compute time", () => {
    const model = engine({ tokenBudget: 512 });
    model.submit(spec(200, 2), "");
    expect(step(model).ms).toBeCloseTo(1 + 200 * 0.1);
    expect(step(model).ms).toBeCloseTo(1 + 5 + 201 * 0.001);
  });

  it("frees a slot at once when the client leaves, also in the middle of a step", () => {
    const model = engine();
    const gone = model.submit(spec(64, 9), "gone");
    model.submit(spec(64, 2, 100), "stays");
    model.begin();
    model.abort(gone);
    expect(model.load()).toMatchObject({ running: 1, usedBlocks: 4 });
    const tokens: string[] = [];
    model.commit((sequence) => tokens.push(sequence.owner));
    expect(tokens).toEqual(["stays"]);
    model.abort(gone);
    finish(model);
    expect(model.pool.free).toBe(64);
  });

  it("slows down and admits less with a smaller share, and stands still at 0", () => {
    const model = engine();
    for (let i = 0; i < 8; i++) model.submit(spec(8, 4, i * 10), "");
    model.setShare(0.25);
    const ms = model.begin();
    expect(model.load()).toMatchObject({ running: 2, maxRunning: 2 });
    model.commit(() => undefined);
    model.setShare(0);
    expect(model.begin()).toBe(-1);
    model.setShare(1);
    expect(model.begin()).toBeLessThan(ms);
    expect(() => model.setShare(1.5)).toThrow(RangeError);
  });

  it("loses its cache and its requests in a restart", () => {
    const model = engine();
    model.submit(spec(64, 1), "before");
    finish(model);
    const cut = model.submit(spec(64, 5, 100), "cut");
    step(model);
    expect(model.restart()).toEqual([cut]);
    expect(cut.state).toBe("aborted");
    const after = model.submit(spec(64, 1), "after");
    finish(model);
    expect(after.cached).toBe(0);
  });

  it("takes the same time for the same seed, and another for another", () => {
    const jittery = { ...PROFILE.costs, jitter: 0.1 };
    const run = (seed: number): number => {
      const model = engine({ costs: jittery }, seed);
      model.submit(spec(300, 50), "");
      return finish(model);
    };
    expect(run(3)).toBe(run(3));
    expect(run(3)).not.toBe(run(4));
  });

  it("refuses what can never fit", () => {
    expect(() => engine().submit(spec(1000, 100), "")).toThrow(/do not fit/);
    expect(() => engine().submit(spec(0, 1), "")).toThrow(RangeError);
  });
});
