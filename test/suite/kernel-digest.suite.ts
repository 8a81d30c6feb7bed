/** What every kernel must do with digests: other PoPs' in decisions, its own for publishing. */
import { describe, expect, test } from "vitest";
import type { DigestDelta, Kernel, KernelOptions } from "../../src/kernel/kernel.ts";
import { addRow, askFor, chainOf, SMALL } from "./kernel.implementations.ts";

type Create = (options: KernelOptions) => Kernel;

const NONE = new Uint32Array(0);

function kernelWith(create: Create, rows: number): Kernel {
  const kernel = create(SMALL);
  for (let row = 0; row < rows; row++) addRow(kernel, row);
  return kernel;
}

/** The chain's first chunks as other PoPs tell them. */
function hashesOf(chain: Uint32Array, chunks = chain.length / 2): Uint32Array {
  return Uint32Array.from({ length: chunks }, (_, chunk) => chain[chunk * 2] & 0xffffff);
}

function ascending(hashes: Uint32Array): number[] {
  return [...new Set(hashes)].toSorted((a, b) => a - b);
}

export function digestSuite(name: string, create: Create): void {
  describe(`digests of kernel ${name}`, () => {
    deciding(create);
    changing(create);
    bounds(create);
    publishing(create);
  });
}

function deciding(create: Create): void {
  test("rows of other PoPs and our own are matched in one pass", () => {
    const kernel = kernelWith(create, 5);
    const chain = chainOf(1, 20);
    kernel.learn(chain, 0, 0, 12);
    kernel.setDigest(1, hashesOf(chain, 15));
    // What we sent there and what the PoP says add up, in any order.
    kernel.learn(chain, 2, 0, 6);
    kernel.setDigest(2, hashesOf(chain).subarray(6, 10));
    kernel.setDigest(3, hashesOf(chain).subarray(1));
    const asked = kernel.explain(askFor({ chain }), 0).map((row) => row.matchedTokens / 16);
    expect(asked).toStrictEqual([12, 15, 10, 0, 0]);
    expect([0, 1, 2, 3].map((row) => kernel.matchedChunks(chain, row))).toStrictEqual([
      12, 15, 10, 0,
    ]);
    expect(kernel.decide(askFor({ chain }), 0)).toMatchObject({ row: 1, choice: "prefix" });
  });

  test("only the bits that travel count", () => {
    const kernel = kernelWith(create, 1);
    const chain = chainOf(1, 3);
    kernel.setDigest(
      0,
      Uint32Array.from(hashesOf(chain), (hash) => hash | 0xab000000),
    );
    expect(kernel.matchedChunks(chain, 0)).toBe(3);
    chain[1] ^= 0xffffffff;
    chain[2] ^= 0xff000000;
    expect(kernel.matchedChunks(chain, 0)).toBe(3);
    chain[4] ^= 1;
    expect(kernel.matchedChunks(chain, 0)).toBe(2);
  });

  test("the discount of an old digest and the trust multiply", () => {
    const kernel = kernelWith(create, 1);
    const chain = chainOf(1, 10);
    kernel.setDigest(0, hashesOf(chain));
    kernel.columns.trust[0] = 0.5;
    kernel.columns.digestDiscount[0] = 0.25;
    const decision = kernel.decide(askFor({ chain }), 0);
    expect(decision).toMatchObject({ matchedTokens: 160, uncachedTokens: 1000 - 60 });
    kernel.columns.digestDiscount[0] = 1;
    expect(kernel.decide(askFor({ chain }), 0).uncachedTokens).toBe(1000);
  });

  test("a chunk that all rows of the table hold is found for each", () => {
    const kernel = kernelWith(create, 256);
    const chain = chainOf(1, 4);
    for (let row = 0; row < 256; row++) kernel.setDigest(row, hashesOf(chain, 1 + (row % 4)));
    const asked = kernel.explain(askFor({ chain }), 0).map((row) => row.matchedTokens / 16);
    expect(asked).toStrictEqual(Array.from({ length: 256 }, (_, row) => 1 + (row % 4)));
    expect(kernel.stats()).toMatchObject({ digestEntries: 4, digestHeld: 640 });
    for (let row = 0; row < 256; row += 2) kernel.clearRow(row);
    expect(kernel.matchedChunks(chain, 7)).toBe(4);
    expect(kernel.matchedChunks(chain, 6)).toBe(0);
  });
}

function changing(create: Create): void {
  test("a snapshot replaces, a change adds and removes, clearing forgets", () => {
    const kernel = kernelWith(create, 2);
    const [old, fresh] = [chainOf(1, 8), chainOf(2, 8)];
    kernel.setDigest(0, hashesOf(old));
    kernel.setDigest(1, hashesOf(old));
    kernel.setDigest(0, hashesOf(fresh));
    expect(kernel.matchedChunks(old, 0)).toBe(0);
    expect(kernel.matchedChunks(old, 1)).toBe(8);
    kernel.changeDigest(0, hashesOf(old), hashesOf(fresh).subarray(3));
    expect([kernel.matchedChunks(old, 0), kernel.matchedChunks(fresh, 0)]).toStrictEqual([8, 3]);
    // Told twice is told once; what is not there need not be removed; removals go first.
    kernel.changeDigest(0, hashesOf(old), hashesOf(old));
    kernel.changeDigest(0, NONE, hashesOf(chainOf(3, 5)));
    expect(kernel.stats()).toMatchObject({ digestEntries: 11, digestHeld: 19 });
    kernel.clearRow(0);
    kernel.setDigest(1, NONE);
    expect(kernel.stats()).toMatchObject({ digestEntries: 0, digestHeld: 0, digestRefused: 0 });
  });

  test("what we learn and forget about a row leaves its digest as told", () => {
    const kernel = kernelWith(create, 1);
    const chain = chainOf(1, 8);
    kernel.setDigest(0, hashesOf(chain, 4));
    kernel.learn(chain, 0, 0);
    kernel.forget(chain, 0, 0);
    expect(kernel.matchedChunks(chain, 0)).toBe(4);
  });

  test("rows out of bounds are refused", () => {
    const kernel = create(SMALL);
    expect(() => kernel.setDigest(256, NONE)).toThrow("row is 256");
    expect(() => kernel.changeDigest(-1, NONE, NONE)).toThrow("row is -1");
    expect(() => kernel.digestOf(0.5)).toThrow("row is 0.5");
    expect(() => kernel.drainDigestChanges(256)).toThrow("row is 256");
  });
}

function bounds(create: Create): void {
  test("a full table refuses and counts, and never believes more than it was told", () => {
    const kernel = create(SMALL);
    const { digestCapacity, digestBytes } = kernel.stats();
    expect(digestBytes).toBeLessThanOrEqual(SMALL.digestBytes ?? 0);
    for (let row = 0; row < 8; row++) {
      kernel.setDigest(row, hashesOf(chainOf(row, digestCapacity)));
      // No row takes more than its quarter.
      expect(kernel.stats().digestHeld).toBeLessThanOrEqual(((row + 1) * digestCapacity) / 4);
    }
    const full = kernel.stats();
    expect(full.digestEntries).toBe(digestCapacity);
    expect(full.digestRefused).toBeGreaterThan(3 * digestCapacity);
    expect(kernel.matchedChunks(chainOf(0, digestCapacity), 0)).toBeGreaterThan(0);
    expect(kernel.matchedChunks(chainOf(7, 5), 7)).toBe(0);
    for (let row = 0; row < 8; row++) kernel.setDigest(row, NONE);
    kernel.setDigest(7, hashesOf(chainOf(7, 5)));
    expect(kernel.matchedChunks(chainOf(7, 5), 7)).toBe(5);
    expect(kernel.stats().digestEntries).toBe(5);
  });

  test("without room digests are ignored and every drain asks for a snapshot", () => {
    const kernel = create({ ...SMALL, digestBytes: 0 });
    const chain = chainOf(1, 4);
    kernel.setDigest(0, hashesOf(chain));
    kernel.changeDigest(0, hashesOf(chain), NONE);
    kernel.clearRow(0);
    expect(kernel.matchedChunks(chain, 0)).toBe(0);
    expect(kernel.stats()).toMatchObject({ digestCapacity: 0, digestBytes: 0, digestRefused: 0 });
    kernel.learn(chain, 0, 0);
    for (let drain = 0; drain < 3; drain++) {
      expect(kernel.drainDigestChanges(0)).toBe("snapshot");
    }
    expect([...kernel.digestOf(0)]).toStrictEqual(ascending(hashesOf(chain)));
  });
}

function publishing(create: Create): void {
  test("a row is told whole first, then as changes", () => {
    const kernel = create(SMALL);
    const [first, second] = [chainOf(1, 10), chainOf(2, 10)];
    kernel.learn(first, 3, 0);
    expect(kernel.drainDigestChanges(3)).toBe("snapshot");
    expect([...kernel.digestOf(3)]).toStrictEqual(ascending(hashesOf(first)));
    expect(kernel.drainDigestChanges(3)).toStrictEqual({ added: NONE, removed: NONE });
    kernel.learn(second, 3, 0);
    kernel.learn(second, 4, 0);
    kernel.forget(first, 3, 7);
    kernel.forget(second, 3, 9);
    const { added, removed } = kernel.drainDigestChanges(3) as DigestDelta;
    // What came and went in between is no news.
    expect([...added]).toStrictEqual(ascending(hashesOf(second, 9)));
    expect([...removed]).toStrictEqual(ascending(hashesOf(first).subarray(7)));
    kernel.clearRow(3);
    expect(kernel.drainDigestChanges(3)).toBe("snapshot");
    expect([...kernel.digestOf(3)]).toStrictEqual([]);
  });

  test("chunks that a digest cannot tell apart are one until the last is gone", () => {
    const kernel = create(SMALL);
    kernel.drainDigestChanges(0);
    const one = Uint32Array.of(0x01abcdef, 1);
    const other = Uint32Array.of(0x02abcdef, 1);
    kernel.learn(one, 0, 0);
    kernel.learn(other, 0, 0);
    expect(kernel.stats().held).toBe(2);
    expect([...kernel.digestOf(0)]).toStrictEqual([0xabcdef]);
    expect([...(kernel.drainDigestChanges(0) as DigestDelta).added]).toStrictEqual([0xabcdef]);
    kernel.forget(one, 0, 0);
    expect(kernel.drainDigestChanges(0)).toStrictEqual({ added: NONE, removed: NONE });
    kernel.forget(other, 0, 0);
    expect([...(kernel.drainDigestChanges(0) as DigestDelta).removed]).toStrictEqual([0xabcdef]);
  });

  test("eviction and the mirror are told too", () => {
    const kernel = create({ ...SMALL, indexBytes: 32 * 1024 });
    kernel.setRowChunks(0, 30);
    for (const row of [0, 1]) kernel.drainDigestChanges(row);
    const known = [new Set<number>(), new Set<number>()];
    for (let root = 0; root < 60; root++) {
      for (const row of [0, 1]) {
        kernel.learn(chainOf(root + row, 20), row, 0);
        const { added, removed } = kernel.drainDigestChanges(row) as DigestDelta;
        for (const hash of added) known[row].add(hash);
        for (const hash of removed) known[row].delete(hash);
      }
    }
    expect(kernel.stats().evicted).toBeGreaterThan(0);
    for (const row of [0, 1]) {
      expect([...kernel.digestOf(row)]).toStrictEqual([...known[row]].toSorted((a, b) => a - b));
    }
    expect(known[0].size).toBe(30);
  });

  test("more changes than the log holds ask for a snapshot, others go on", () => {
    const kernel = create(SMALL);
    for (const row of [0, 1]) kernel.drainDigestChanges(row);
    kernel.learn(chainOf(1, 5), 1, 0);
    for (let turn = 0; turn < 40; turn++) {
      kernel.learn(chainOf(2, 100), 0, 0);
      kernel.forget(chainOf(2, 100), 0, 0);
    }
    expect(kernel.drainDigestChanges(0)).toBe("snapshot");
    expect((kernel.drainDigestChanges(1) as DigestDelta).added.length).toBe(5);
    kernel.learn(chainOf(2, 3), 0, 0);
    expect((kernel.drainDigestChanges(0) as DigestDelta).added.length).toBe(3);
  });
}
