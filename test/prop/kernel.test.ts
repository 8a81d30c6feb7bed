/** The kernel equals its twin, bit for bit, on random tables, tasks and histories. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { CHOICES, EXCLUSIONS, type Decision } from "../../src/grid/decision.ts";
import { NUMBER_COLUMNS, WEIGHTS, WORD_COLUMNS } from "../../src/kernel/abi.ts";
import type { Ask, Kernel, KernelOptions, Weights } from "../../src/kernel/kernel.ts";
import { referenceKernel, wasmKernel } from "../suite/kernel.implementations.ts";
import { same } from "./same.ts";

const ROWS = 256;
/** So small that buckets overflow, entries are evicted and segments are stolen. */
const TINY: KernelOptions = {
  rows: ROWS,
  chunkBytes: 64,
  indexBytes: ROWS * 32 + 20 * (384 + 512),
  digestBytes: ROWS * 32 + 16 * 1024,
  promptBytesMax: 4096,
};

const row = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 9 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: ROWS - 1 }) },
);
const anyNumber = fc.oneof(
  fc.constantFrom(0, 0.5, 1, 100, 1e300, Infinity, -Infinity, NaN),
  fc.double({ min: 0, max: 1e6, noNaN: true }),
);
const usualNumber = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 2000 }) },
  { weight: 2, arbitrary: fc.double({ min: 0, max: 2, noNaN: true }) },
  { weight: 1, arbitrary: anyNumber },
);
/** Mostly nought, so that what is cached weighs enough to decide. */
const rareNumber = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: usualNumber },
);

const endpoint = fc.record({
  row,
  models: fc.constantFrom<number[]>([0, 1, 2], [0, 1], [0], [2]),
  bytes: fc.tuple(
    fc.constantFrom(1, 1, 1, 1, 1, 0),
    fc.integer({ min: 0, max: 2 }),
    fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 2),
    fc.constantFrom(0, 0, 0, 0, 0, 1),
    fc.integer({ min: 0, max: 255 }),
  ),
  capabilities: fc.constantFrom(0xff, 0xff, 0xff, 1, 2),
  freshUntilMs: fc.constantFrom(Infinity, Infinity, Infinity, 1000),
  kvUsage: fc.constantFrom(0, 0.25, 0.5, 0.5, 0.9, 1, NaN),
  prefillRate: fc.constantFrom(0, 0.5, 1, 3, 10),
  trust: fc.constantFrom(1, 1, 1, 1, 0.7, 0),
  digestDiscount: fc.constantFrom(0, 0, 0, 0, 0.3, 1),
  priceIn: fc.constantFrom(0, 0, 0, 1, 1.1),
  priceCached: fc.constantFrom(0, 0, 0, 0.1),
  priceOut: fc.constantFrom(0, 0, 0, 2),
  jitterMs: fc.constantFrom(0, 0, 0, 5, 1e300),
  queuedTokens: fc.constantFrom(0, 0, 0, 50, 1000),
  sentTokens: rareNumber,
  ownTokens: rareNumber,
  busySinceMs: usualNumber,
  busyTokens: rareNumber,
  waitingTokens: rareNumber,
  rttMs: rareNumber,
  tenants: fc.constantFrom(0xffffffff, 0xffffffff, 1, 6),
  contextTokens: fc.constantFrom(...Array(8).fill(0xffffffff), 500, 4096),
  inFlight: fc.constantFrom(0, 0, 1, 2, 3),
  numbers: fc.array(usualNumber, {
    minLength: NUMBER_COLUMNS.length,
    maxLength: NUMBER_COLUMNS.length,
  }),
});
const USUAL = [
  "freshUntilMs",
  "kvUsage",
  "prefillRate",
  "trust",
  "digestDiscount",
  "priceIn",
  "priceCached",
  "priceOut",
  "jitterMs",
  "queuedTokens",
  "sentTokens",
  "ownTokens",
  "busySinceMs",
  "busyTokens",
  "waitingTokens",
  "rttMs",
] as const;
type EndpointCase = typeof endpoint extends fc.Arbitrary<infer T> ? T : never;

/** A conversation: the root says which prompt, so that chains share what they have in common. */
const conversation = fc.record({
  root: fc.integer({ min: 0, max: 2 }),
  branch: fc.integer({ min: 0, max: 3 }),
  branchAt: fc.integer({ min: 0, max: 8 }),
  chunks: fc.integer({ min: 0, max: 70 }),
});
type Conversation = typeof conversation extends fc.Arbitrary<infer T> ? T : never;

function promptOf({ root, branch, branchAt, chunks }: Conversation): string {
  const shared = Math.min(branchAt, chunks);
  return `${root}`.repeat(64 * shared) + `${branch}é`.repeat(22 * (chunks - shared));
}

const ask = fc.record({
  model: fc.constantFrom(...Array(16).fill(0), 1, 1, 2, 3, -1),
  needs: fc.constantFrom(0, 1, 1, 1, 3),
  regions: fc.oneof(
    { weight: 5, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.array(fc.nat(0xffffffff), { minLength: 8, maxLength: 8 }) },
  ),
  tenant: fc.constantFrom(1, 1, 2, 0x80000000),
  tierCeiling: fc.constantFrom(2, 2, 2, 1, 0),
  promptTokens: fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 0, max: 5000 }) },
    { weight: 1, arbitrary: anyNumber },
  ),
  tokensPerChunk: fc.double({ min: 0, max: 200, noNaN: true }),
  outTokens: fc.integer({ min: 0, max: 1000 }),
  contextNeed: fc.integer({ min: 0, max: 6000 }),
  sloTtftMs: fc.constantFrom(Infinity, Infinity, 3000, 500, 100),
  maxCostUsd: fc.oneof(
    fc.constant(Infinity),
    fc.constant(Infinity),
    fc.integer({ min: 0, max: 1e6 }),
  ),
  sessionRow: fc.oneof(fc.constant(-1), row),
  tried: fc.oneof(fc.constant([]), fc.constant([1]), fc.array(row, { maxLength: 70 })),
  mayWait: fc.constantFrom(true, true, false),
  random: fc.nat(0xffffffff),
});
type AskCase = typeof ask extends fc.Arbitrary<infer T> ? T : never;

const weight = fc.oneof(
  { weight: 3, arbitrary: fc.double({ min: 0, max: 0.5, noNaN: true }) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 300, noNaN: true }) },
);
const weights = fc.array(weight, { minLength: WEIGHTS.length, maxLength: WEIGHTS.length });

const now = fc.integer({ min: 0, max: 5000 });
/** Who served the conversation's last turn. */
const held = fc.option(row, { nil: undefined });
const does = <T extends string, R>(name: T, rest: { [K in keyof R]: fc.Arbitrary<R[K]> }) =>
  fc.record({ do: fc.constant(name), ...rest });

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: does("learn", {
      row,
      conversation,
      chunks: fc.option(fc.integer({ min: -1, max: 80 }), { nil: undefined }),
    }),
  },
  {
    weight: 2,
    arbitrary: does("forget", { row, conversation, from: fc.integer({ min: 0, max: 70 }) }),
  },
  { weight: 1, arbitrary: does("clearRow", { row }) },
  {
    weight: 3,
    arbitrary: does("tell", {
      row,
      conversation,
      from: fc.integer({ min: 0, max: 40 }),
      how: fc.constantFrom("set", "add", "remove"),
    }),
  },
  { weight: 1, arbitrary: does("drain", { row }) },
  {
    weight: 2,
    arbitrary: does("setRowChunks", { row, chunks: fc.integer({ min: 0, max: 90 }) }),
  },
  { weight: 4, arbitrary: does("decide", { conversation, ask, now, held }) },
  { weight: 1, arbitrary: does("explain", { conversation, ask, now, held }) },
  { weight: 1, arbitrary: does("weights", { weights }) },
  { weight: 2, arbitrary: does("endpoint", { endpoint }) },
) as unknown as fc.Arbitrary<Step>;
type Telling = "set" | "add" | "remove";
interface Deciding {
  do: "decide" | "explain";
  conversation: Conversation;
  ask: AskCase;
  now: number;
  held: number | undefined;
}
type Step =
  | { do: "learn"; row: number; conversation: Conversation; chunks: number | undefined }
  | { do: "forget"; row: number; conversation: Conversation; from: number }
  | { do: "clearRow" | "drain"; row: number }
  | { do: "tell"; row: number; conversation: Conversation; from: number; how: Telling }
  | { do: "setRowChunks"; row: number; chunks: number }
  | Deciding
  | { do: "weights"; weights: number[] }
  | { do: "endpoint"; endpoint: EndpointCase };

function setEndpoint(kernel: Kernel, at: EndpointCase): void {
  const { columns } = kernel;
  [columns.inUse[at.row], columns.tier[at.row], columns.admission[at.row]] = at.bytes;
  columns.down[at.row] = at.bytes[3];
  columns.region[at.row] = at.bytes[4];
  const inFlightCap = 3;
  const words = { ...at, inFlightCap };
  for (const name of WORD_COLUMNS) columns[name][at.row] = words[name];
  NUMBER_COLUMNS.forEach((name, index) => {
    columns[name][at.row] = at.numbers[index];
  });
  for (const name of USUAL) {
    columns[name][at.row] = at[name];
  }
  for (const model of [0, 1, 2]) kernel.setModelRow(model, at.row, at.models.includes(model));
}

function toAsk(at: AskCase, chain: Uint32Array): Ask {
  const regions = at.regions === undefined ? undefined : Uint32Array.from(at.regions);
  return { ...at, regions, chain };
}

function copyOf(decision: Decision): Decision {
  return { ...decision, excluded: decision.excluded.slice() };
}

function tell(kernel: Kernel, row: number, hashes: Uint32Array, how: Telling): void {
  const none = new Uint32Array(0);
  if (how === "set") kernel.setDigest(row, hashes);
  else if (how === "add") kernel.changeDigest(row, hashes, none);
  else kernel.changeDigest(row, none, hashes);
}

/** Runs one step; returns all that can be seen of it. */
function run(kernel: Kernel, at: Step): unknown {
  switch (at.do) {
    case "learn": {
      const { chain } = kernel.hash([promptOf(at.conversation)], "seed");
      kernel.learn(chain, at.row, 0, at.chunks);
      return kernel.matchedChunks(chain, at.row);
    }
    case "forget": {
      const { chain } = kernel.hash([promptOf(at.conversation)], "seed");
      kernel.forget(chain, at.row, at.from);
      return kernel.matchedChunks(chain, at.row);
    }
    case "tell": {
      const { chain } = kernel.hash([promptOf(at.conversation)], "seed");
      tell(kernel, at.row, chain.filter((_, word) => word % 2 === 0).subarray(at.from), at.how);
      return kernel.matchedChunks(chain, at.row);
    }
    case "drain":
      return { told: kernel.drainDigestChanges(at.row), digest: kernel.digestOf(at.row) };
    case "clearRow":
      return kernel.clearRow(at.row);
    case "setRowChunks":
      return kernel.setRowChunks(at.row, at.chunks);
    case "weights": {
      const named = Object.fromEntries(WEIGHTS.map((name, index) => [name, at.weights[index]]));
      return kernel.setWeights(named as unknown as Weights);
    }
    case "endpoint":
      return setEndpoint(kernel, at.endpoint);
    default: {
      const { chain } = kernel.hash([promptOf(at.conversation)], "seed");
      if (at.held !== undefined) kernel.learn(chain, at.held, 0);
      if (at.do === "explain") return kernel.explain(toAsk(at.ask, chain), at.now);
      return copyOf(kernel.decide(toAsk(at.ask, chain), at.now));
    }
  }
}

test("kernel and twin give the same bits on random histories", () => {
  const choices = new Set<string>();
  const codes = new Set<number>();
  let evicted = 0;
  fc.assert(
    fc.property(
      fc.array(endpoint, { minLength: 5, maxLength: 40, size: "max" }),
      fc.array(step, { minLength: 1, maxLength: 150, size: "max" }),
      (endpoints, steps) => {
        const [kernel, twin] = [wasmKernel(TINY), referenceKernel(TINY)];
        const all: Step[] = [
          ...endpoints.map((one) => ({ do: "endpoint" as const, endpoint: one })),
          ...steps,
        ];
        for (const at of all) {
          const seen = run(kernel, at);
          same(seen, run(twin, at));
          same(kernel.stats(), twin.stats());
          if (at.do !== "decide") continue;
          const { choice, excluded } = seen as Decision;
          choices.add(choice);
          for (const [code, count] of excluded.entries()) if (count > 0) codes.add(code);
        }
        evicted += kernel.stats().evicted;
      },
    ),
    { numRuns: 300, seed: 2 },
  );
  // The histories reach what they are there for.
  expect([...choices].toSorted()).toStrictEqual([...CHOICES].toSorted());
  expect(codes.size).toBe(EXCLUSIONS.length);
  expect(evicted).toBeGreaterThan(1000);
});

test("hashes of random texts and bytes are the same, however they are cut in pieces", () => {
  const options: KernelOptions = { ...TINY, chunkBytes: 128, promptBytesMax: 256 * 1024 };
  const [kernel, twin] = [wasmKernel(options), referenceKernel(options)];
  const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 400 }), fc.string());
  const piece = fc.tuple(text, fc.integer({ min: 1, max: 300 })).map(([one, n]) => one.repeat(n));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), fc.string({ maxLength: 50 }), (pieces, key) => {
      const hashed = kernel.hash(pieces, key);
      same(hashed, twin.hash(pieces, key));
      const bytes = new TextEncoder().encode(pieces.join(""));
      same(kernel.hashBytes(bytes, key), hashed);
      expect(hashed.bytes).toBe(bytes.length);
    }),
    { numRuns: 120, seed: 7 },
  );
});

test.each([1024, 4096] as const)("kernel and twin agree at %i rows", (rows) => {
  const digestBytes = 2 * 1024 * 1024;
  const options: KernelOptions = { ...TINY, rows, indexBytes: 2 * 1024 * 1024, digestBytes };
  const [kernel, twin] = [wasmKernel(options), referenceKernel(options)];
  const wide = endpoint.chain((one) =>
    fc.integer({ min: 0, max: rows - 1 }).map((at) => ({ ...one, row: at })),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(wide, conversation), { minLength: 20, maxLength: 60 }),
      conversation,
      ask,
      (endpoints, prompt, asked) => {
        for (const [at, told] of endpoints) {
          for (const one of [kernel, twin]) {
            run(one, { do: "endpoint", endpoint: at });
            run(one, { do: "learn", row: at.row, conversation: told, chunks: told.branchAt + 3 });
            run(one, { do: "tell", row: at.row, conversation: told, from: 2, how: "add" });
          }
        }
        const at: Step = { do: "decide", conversation: prompt, ask: asked, now: 100, held: 0 };
        expect(run(kernel, at)).toStrictEqual(run(twin, at));
        expect(kernel.stats()).toStrictEqual(twin.stats());
      },
    ),
    { numRuns: 25, seed: 3 },
  );
});
