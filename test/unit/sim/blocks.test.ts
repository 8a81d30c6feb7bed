import { describe, expect, it } from "vitest";
import { BlockPool } from "../../../src/sim/blocks.ts";

describe("BlockPool", () => {
  it("hands out every block once and no more", () => {
    const pool = new BlockPool(3);
    const taken = [pool.take(), pool.take(), pool.take()];
    expect(new Set(taken).size).toBe(3);
    expect(pool.take()).toBe(-1);
    pool.release(taken);
    expect(pool.free).toBe(3);
    expect(taken).toEqual([]);
  });

  it("finds published content, also after its user left", () => {
    const pool = new BlockPool(4);
    const block = pool.take();
    pool.publish(block, 77);
    pool.release([block]);
    expect(pool.find(77)).toBe(block);
    pool.share(block);
    expect(pool.free).toBe(3);
    expect(pool.isIdle(block)).toBe(false);
  });

  it("counts users: a shared block is free when the last one leaves", () => {
    const pool = new BlockPool(2);
    const block = pool.take();
    pool.publish(block, 1);
    pool.share(block);
    pool.release([block]);
    expect(pool.free).toBe(1);
    pool.release([block]);
    expect(pool.free).toBe(2);
  });

  it("evicts the oldest content first and forgets its key", () => {
    const pool = new BlockPool(2);
    for (const key of [1, 2]) {
      const block = pool.take();
      pool.publish(block, key);
      pool.release([block]);
    }
    pool.take();
    expect(pool.find(1)).toBe(-1);
    expect(pool.find(2)).toBeGreaterThanOrEqual(0);
    expect(pool.evictions).toBe(1);
  });

  it("evicts the ancestors of a prompt last", () => {
    const pool = new BlockPool(3);
    const table = [10, 11, 12].map((key) => {
      const block = pool.take();
      pool.publish(block, key);
      return block;
    });
    pool.release(table);
    pool.take();
    expect([10, 11, 12].map((key) => pool.find(key) >= 0)).toEqual([true, true, false]);
    pool.take();
    expect([10, 11, 12].map((key) => pool.find(key) >= 0)).toEqual([true, false, false]);
  });

  it("keeps the first block of equal content and leaves the second private", () => {
    const pool = new BlockPool(2);
    const [first, second] = [pool.take(), pool.take()];
    pool.publish(first, 5);
    pool.publish(second, 5);
    expect(pool.find(5)).toBe(first);
    pool.release([second]);
    pool.take();
    expect(pool.find(5)).toBe(first);
  });

  it("loses all idle content on clear", () => {
    const pool = new BlockPool(2);
    const [used, idle] = [pool.take(), pool.take()];
    pool.publish(used, 1);
    pool.publish(idle, 2);
    pool.release([idle]);
    pool.clear();
    expect(pool.find(2)).toBe(-1);
    expect(pool.find(1)).toBe(used);
  });

  it("refuses a size that makes no sense", () => {
    expect(() => new BlockPool(0)).toThrow(RangeError);
    expect(() => new BlockPool(1.5)).toThrow(/whole number/);
  });
});
