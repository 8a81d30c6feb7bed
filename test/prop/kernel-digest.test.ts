/**
 * Digests on random histories: kernel and twin do the same, both do what sets of hashes would do,
 * and whoever follows the feed always knows what the row holds.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { DigestDelta, Kernel, KernelOptions } from "../../src/kernel/kernel.ts";
import { referenceKernel, wasmKernel } from "../suite/kernel.implementations.ts";
import { same } from "./same.ts";

const ROWS = 256;
/** 1,280 slots, 160 masks and four segments: probes collide, and everything runs out. */
const TINY: KernelOptions = {
  rows: ROWS,
  chunkBytes: 64,
  indexBytes: ROWS * 32 + 40 * (384 + 512),
  digestBytes: ROWS * 32 + 16 * 1024,
  promptBytesMax: 64 * 1024,
};

const row = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 6 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: ROWS - 1 }) },
);

/** Runs of hashes: dense ones share slots, those at the end of the range wrap around. */
const hashes = fc
  .record({
    from: fc.constantFrom(0, 7, 0x400000, 0x400100, 0xfffff0, 0xff0000),
    stride: fc.constantFrom(1, 1, 3, 4099, 17389),
    count: fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: 0, max: 12 }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 300 }) },
    ),
  })
  .map(({ from, stride, count }) =>
    Uint32Array.from({ length: count }, (_, index) => (from + index * stride) & 0xffffff),
  );

type Change =
  | { do: "set" | "add" | "remove"; row: number; hashes: Uint32Array }
  | { do: "clear"; row: number };
const change = fc.oneof(
  fc.record({ do: fc.constantFrom("set", "add", "add", "add", "remove"), row, hashes }),
  fc.record({ do: fc.constant("clear"), row }),
) as fc.Arbitrary<Change>;

function apply(kernel: Kernel, at: Change): void {
  const none = new Uint32Array(0);
  if (at.do === "clear") kernel.clearRow(at.row);
  else if (at.do === "set") kernel.setDigest(at.row, at.hashes);
  else if (at.do === "add") kernel.changeDigest(at.row, at.hashes, none);
  else kernel.changeDigest(at.row, none, at.hashes);
}

function applyToSets(sets: Map<number, Set<number>>, at: Change): void {
  const held = sets.get(at.row) ?? new Set();
  sets.set(at.row, held);
  if (at.do === "clear" || at.do === "set") held.clear();
  if (at.do === "set" || at.do === "add") for (const hash of at.hashes) held.add(hash);
  if (at.do === "remove") for (const hash of at.hashes) held.delete(hash);
}

function holds(kernel: Kernel, at: number, hash: number): boolean {
  return kernel.matchedChunks(Uint32Array.of(hash, 1), at) === 1;
}

test("digests hold what they were told, less what was refused", () => {
  let refused = 0;
  let exact = 0;
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 60, size: "max" }), (changes) => {
      const [kernel, twin] = [wasmKernel(TINY), referenceKernel(TINY)];
      const sets = new Map<number, Set<number>>();
      for (const at of changes) {
        for (const one of [kernel, twin]) apply(one, at);
        applyToSets(sets, at);
        same(kernel.stats(), twin.stats());
      }
      const { digestRefused, digestHeld } = kernel.stats();
      let held = 0;
      for (const [at, told] of sets) {
        for (const hash of told) {
          const isHeld = holds(kernel, at, hash);
          same(holds(twin, at, hash), isHeld);
          if (isHeld) held++;
          else expect(digestRefused).toBeGreaterThan(0);
        }
      }
      // Nothing else is held: neither another row's nor what was taken back.
      expect(digestHeld).toBe(held);
      refused += digestRefused;
      if (digestRefused === 0) exact++;
    }),
    { numRuns: 120, seed: 20261122 },
  );
  expect(refused).toBeGreaterThan(1000);
  expect(exact).toBeGreaterThan(10);
});

/** Few different 24 bits, so that chunks of one row cannot be told apart and buckets overflow. */
const chain = fc.oneof(
  fc
    .array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 3 })), {
      maxLength: 8,
    })
    .map((chunks) => Uint32Array.from(chunks.flatMap(([low, high]) => [low | (high << 24), 1]))),
  fc
    .record({ root: fc.integer({ min: 0, max: 9 }), chunks: fc.integer({ min: 0, max: 90 }) })
    .map(({ root, chunks }) => {
      const hash = (_: unknown, word: number) => Math.imul(root * 97 + word, 0x9e3779b1);
      return Uint32Array.from({ length: chunks * 2 }, hash);
    }),
);
type Event =
  | { do: "learn" | "forget"; row: number; chain: Uint32Array }
  | { do: "bound"; row: number; chunks: number }
  | { do: "clear" | "drain"; row: number };
const ownRow = fc.integer({ min: 0, max: 3 });
const event = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("learn"), row: ownRow, chain }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("forget"), row: ownRow, chain }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("bound"),
      row: ownRow,
      chunks: fc.constantFrom(0, 5, 60, 100),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("drain"), row: ownRow }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clear"), row: ownRow }) },
) as fc.Arbitrary<Event>;

function happen(kernel: Kernel, at: Exclude<Event, { do: "drain" }>): void {
  if (at.do === "learn") kernel.learn(at.chain, at.row, 0);
  else if (at.do === "forget") kernel.forget(at.chain, at.row, 0);
  else if (at.do === "bound") kernel.setRowChunks(at.row, (at as { chunks: number }).chunks);
  else kernel.clearRow(at.row);
}

/** What a peer knows of the row after a delta; a change that changes nothing is a fault. */
function follow(known: Set<number>, { added, removed }: DigestDelta): void {
  for (const hash of removed) same(known.delete(hash), true);
  for (const hash of added) {
    same(known.has(hash), false);
    known.add(hash);
  }
}

test("who follows the feed always knows what the row holds", () => {
  const seen = { snapshots: 0, deltas: 0, removed: 0 };
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 120, size: "max" }), (events) => {
      const [kernel, twin] = [wasmKernel(TINY), referenceKernel(TINY)];
      const known = [0, 1, 2, 3].map(() => new Set<number>());
      const drain = (at: number) => {
        const told = kernel.drainDigestChanges(at);
        same(told, twin.drainDigestChanges(at));
        const digest = kernel.digestOf(at);
        same(digest, twin.digestOf(at));
        if (told === "snapshot") {
          known[at] = new Set(digest);
          seen.snapshots++;
        } else {
          follow(known[at], told);
          seen.deltas++;
          seen.removed += told.removed.length;
        }
        same(
          [...known[at]].toSorted((a, b) => a - b),
          [...digest],
        );
      };
      for (const at of events) {
        if (at.do === "drain") drain(at.row);
        else for (const one of [kernel, twin]) happen(one, at);
      }
      for (const at of known.keys()) drain(at);
      expect(kernel.stats()).toStrictEqual(twin.stats());
    }),
    { numRuns: 150, seed: 20261123 },
  );
  expect(seen.deltas).toBeGreaterThan(1000);
  expect(seen.removed).toBeGreaterThan(1000);
  expect(seen.snapshots).toBeGreaterThan(700);
});

test("a receiver that applies the feed matches whatever the sender would", () => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 10, maxLength: 60, size: "max" }), (events) => {
      const sender = wasmKernel(TINY);
      const receiver = wasmKernel({ ...TINY, digestBytes: 64 * 1024 });
      const pass = (at: number) => {
        const told = sender.drainDigestChanges(at);
        if (told === "snapshot") receiver.setDigest(100 + at, sender.digestOf(at));
        else receiver.changeDigest(100 + at, told.added, told.removed);
      };
      for (const at of events) {
        if (at.do === "drain") pass(at.row);
        else happen(sender, at);
        if (at.do !== "learn") continue;
        pass(at.row);
        const matched = sender.matchedChunks(at.chain, at.row);
        // More only where 24 bits cannot tell chunks apart.
        expect(receiver.matchedChunks(at.chain, 100 + at.row)).toBeGreaterThanOrEqual(matched);
      }
      for (const at of [0, 1, 2, 3]) pass(at);
      const all = [0, 1, 2, 3].reduce((sum, at) => sum + sender.digestOf(at).length, 0);
      expect(receiver.stats()).toMatchObject({ digestHeld: all, digestRefused: 0 });
    }),
    { numRuns: 60, seed: 20261124 },
  );
});
