import { describe, expect, test } from "vitest";
import { parseConfig, type PopConfig } from "../../src/config.ts";
import { ADMISSION_STATES, PLACE } from "../../src/grid/endpoint.ts";
import {
  type EndpointCard,
  type EndpointLoad,
  type FleetPop,
  type PopCard,
  type PopLoad,
  QUEUE_CLASSES,
} from "../../src/grid/fleet.ts";
import type { Transport } from "../../src/grid/exchange.ts";
import type { Row } from "../../src/grid/units.ts";
import type { Ask } from "../../src/kernel/kernel.ts";
import { createReferenceKernel } from "../../src/kernel/reference.ts";
import { PeerRoster } from "../../src/pop-peers.ts";
import { Roster } from "../../src/pop-roster.ts";
import { EndpointTable } from "../../src/state/endpoint-table.ts";
import { loadText } from "../../src/state/pop-load.ts";
import { askFor } from "../suite/kernel.implementations.ts";

const encoder = new TextEncoder();
const parsed = parseConfig({ pop: { id: "here" } }) as { config: PopConfig };
const { config } = parsed;
const OPTIONS = {
  rows: 256,
  chunkBytes: 64,
  indexBytes: 1 << 20,
  promptBytesMax: 1 << 16,
} as const;

function setUp() {
  const kernel = createReferenceKernel(OPTIONS, (text, target) => encoder.encodeInto(text, target));
  const table = new EndpointTable(kernel.columns);
  const forgotten: string[] = [];
  const downs: string[] = [];
  const time = { nowMs: 10_000 };
  const transport = { forget: (origin: string) => forgotten.push(origin) } as unknown as Transport;
  const shared = {
    ...{ clock: () => time.nowMs, rng: () => 0, log: () => {}, transport, kernel, table },
    via: "run-a",
    onPhase: (row: number) => {
      table.columns.down[row] = table.records[row]?.phase === "ready" ? 0 : 1;
    },
    onNew: () => {},
    onDown: (row: number, detail: string) => downs.push(`${row} ${detail}`),
  };
  const roster = new Roster({ ...shared, poll: config.poll, connectMs: 100 });
  const peers = new PeerRoster({ ...shared, config, roster });
  return { kernel, table, roster, peers, time, forgotten, downs, c: table.columns };
}

const endpoint = (id: string, more: Partial<EndpointCard> = {}): EndpointCard => ({
  ...{ id, tier: "core", region: "us-or", models: ["m"], capabilities: 0xffffffff },
  ...{ contextTokens: 8_192, tenants: [], admission: "new-and-existing", replicas: 1 },
  ...{ priceIn: 1, priceCached: 0.1, priceOut: 2, maxInFlight: 8 },
  ...more,
});

function pop(endpoints: EndpointCard[], more: Partial<FleetPop> = {}, revision = 1): FleetPop {
  const card: PopCard = {
    id: "oregon",
    url: "http://127.0.0.1:8803",
    tier: "core",
    region: "us-or",
    zone: "us",
    ...{ chunkBytes: 64, draining: false, endpoints, revision },
  };
  const distance = { rttMs: 90, jitterMs: 2 };
  return { card, load: undefined, ...distance, state: "alive", reachable: true, ...more };
}

const one = (more: Partial<EndpointLoad> = {}): EndpointLoad => ({
  ...{ up: true, queuedTokens: 1_000, inFlight: 3, kvUsage: 0.25, prefillRate: 20, itlMs: 8 },
  ...more,
});
const none = (): number[] => new Array<number>(QUEUE_CLASSES).fill(0);
const load = (endpoints: EndpointLoad[], more: Partial<PopLoad> = {}): PopLoad => ({
  ...{ seq: 1, atMs: 9_950, revision: 1, endpoints, queueClasses: none() },
  ...more,
});

describe("rows of another PoP", () => {
  test("carry what card, load and round trip say", () => {
    const { peers, table, roster, c } = setUp();
    peers.onPop(pop([endpoint("g", { replicas: 4 })], { load: load([one()]) }));
    const row = table.row("oregon/g");
    expect(table.records[row]).toMatchObject({ pop: "oregon", replicas: 4, phase: "ready" });
    const seen = [c.down, c.tier, c.inFlightCap, c.contextTokens, c.queuedTokens].map(
      (x) => x[row],
    );
    expect(seen).toEqual([0, 2, 8, 8_192, 1_000]);
    expect([c.kvUsage[row], c.prefillRate[row], c.rttMs[row], c.jitterMs[row]]).toEqual([
      0.25, 20, 90, 2,
    ]);
    expect([c.sampleAtMs[row], c.freshUntilMs[row]]).toEqual([9_950, 12_950]);
    expect(c.capabilities[row]).toBe(0xffff | PLACE.other);
    expect([...roster.models.rowsOf("m")]).toEqual([row]);
    expect(roster.places.regionSet(["us"])).toEqual(new Uint32Array([1, 0, 0, 0, 0, 0, 0, 0]));
  });

  test("take no work before a load, nor after the last has aged", () => {
    const { peers, table, c } = setUp();
    peers.onPop(pop([endpoint("g")]));
    const row = table.row("oregon/g");
    expect(c.freshUntilMs[row]).toBe(Number.NEGATIVE_INFINITY);
    expect(c.down[row]).toBe(1);
    peers.onPop(pop([endpoint("g")], { load: load([one({ up: false })]) }));
    expect(c.down[row]).toBe(1);
  });

  test("own sends that the load cannot know yet are credited on top of it", () => {
    const { peers, table, c } = setUp();
    peers.onPop(pop([endpoint("g")], { load: load([one()]) }));
    const row = table.row("oregon/g");
    peers.sent(row, 500, 9_900); // arrived at 9,945, before the load of 9,960 was made
    peers.sent(row, 300, 9_920); // arrived at 9,965
    peers.onPop(pop([endpoint("g")], { load: load([one()], { seq: 2, atMs: 9_960 }) }));
    expect(c.sentTokens[row]).toBe(300);
  });

  test("an older load, or one in another order, changes nothing", () => {
    const { peers, table, c } = setUp();
    peers.onPop(pop([endpoint("g")], { load: load([one()]) }));
    const row = table.row("oregon/g");
    const worse = [one({ queuedTokens: 7 })];
    peers.onPop(pop([endpoint("g")], { load: load(worse, { atMs: 9_000 }) }));
    peers.onPop(pop([endpoint("g")], { load: load(worse, { atMs: 9_999, revision: 2 }) }));
    expect(c.queuedTokens[row]).toBe(1_000);
  });

  test("claims beyond all bounds are cut", () => {
    const { peers, table, c } = setUp();
    const wild = { queuedTokens: Number.NaN, kvUsage: 9, prefillRate: -1, itlMs: Infinity };
    const card = endpoint("g", { maxInFlight: -1, priceIn: Number.NaN, replicas: 0 });
    peers.onPop(pop([card], { load: load([one(wild)]), rttMs: Number.NaN }));
    const row = table.row("oregon/g");
    expect([c.queuedTokens[row], c.kvUsage[row], c.inFlightCap[row]]).toEqual([0, 1, 0]);
    expect(c.prefillRate[row]).toBeGreaterThan(0);
    expect([c.rttMs[row], c.priceIn[row]]).toEqual([60_000, 1]);
    const many = Array.from({ length: 100 }, (_, n) => endpoint(`e${n}`));
    peers.onPop(pop(many, {}, 2));
    expect(table.size).toBe(64);
  });

  test("follow the card, and go when the PoP leaves", () => {
    const { peers, table, roster, forgotten, downs } = setUp();
    peers.onPop(pop([endpoint("g"), endpoint("h")]));
    const kept = table.row("oregon/h");
    peers.onPop(pop([endpoint("h"), endpoint("i")], {}, 2));
    expect(table.row("oregon/g")).toBe(-1);
    expect(table.row("oregon/h")).toBe(kept);
    expect(table.size).toBe(2);
    peers.onPop(pop([], { state: "left" }));
    expect([table.size, peers.pops.size, roster.models.has("m")]).toEqual([0, 0, false]);
    expect(forgotten).toEqual(["http://127.0.0.1:8803"]);
    expect(downs).toHaveLength(3);
  });

  test("a PoP that starts again with the same revision is read anew", () => {
    const { peers, table } = setUp();
    peers.onPop(pop([endpoint("g")]));
    peers.onPop(pop([endpoint("h")]));
    expect([table.row("oregon/g"), table.size]).toEqual([-1, 1]);
  });

  test("a card of this PoP, or with a URL that is none, gives no rows", () => {
    const { peers, table } = setUp();
    const own = pop([endpoint("g")]);
    peers.onPop({ ...own, card: { ...own.card, id: "here" } });
    peers.onPop({ ...own, card: { ...own.card, url: "ftp://x" } });
    expect(table.size).toBe(0);
  });
});

describe("what a PoP's state does", () => {
  test.each<[Partial<FleetPop>, number, number]>([
    [{}, 0, 0],
    [{ state: "suspect" }, 1, 0],
    [{ state: "down" }, 1, 1],
    [{ reachable: false }, 1, 1],
  ])("%j", (state, down, givenBack) => {
    const { peers, table, c, downs } = setUp();
    peers.onPop(pop([endpoint("g")], { load: load([one()]) }));
    peers.onPop(pop([endpoint("g")], { load: load([one()]), ...state }));
    expect(c.down[table.row("oregon/g")]).toBe(down);
    expect(downs).toHaveLength(givenBack);
    peers.onPop(pop([endpoint("g")], { load: load([one()]) }));
    expect(c.down[table.row("oregon/g")]).toBe(0);
  });

  test("draining, as the card says or as it refuses, lasts until its next card", () => {
    const { peers, table, c, time } = setUp();
    peers.onPop(pop([endpoint("g")], { load: load([one()]) }));
    const row = table.row("oregon/g");
    const state = () => ADMISSION_STATES[c.admission[row] as number];
    time.nowMs = 10_100;
    const text = loadText(load([one({ queuedTokens: 5 })]));
    peers.worker(row).refusal(503, { "x-grid-refusal": "draining", "x-grid-load": text as string });
    expect([state(), c.queuedTokens[row], c.sampleAtMs[row]]).toEqual(["none", 5, 10_055]);
    peers.onPop(pop([endpoint("g")], {}, 2));
    expect(state()).toBe("new-and-existing");
    const drains = pop([endpoint("g")], {}, 3);
    peers.onPop({ ...drains, card: { ...drains.card, draining: true } });
    expect(state()).toBe("none");
  });
});

describe("decisions", () => {
  const queues = (index: number, tokens: number) =>
    none().map((_, i) => (i === index ? tokens : 0));

  test("of another PoP's queue the part counts that this request would wait behind", () => {
    const { peers, table, c } = setUp();
    const queueClasses = queues(12, 800);
    peers.onPop(pop([endpoint("g")], { load: load([one()], { queueClasses }) }));
    const row = table.row("oregon/g");
    const ask = { chain: new Uint32Array(0), tokensPerChunk: 16 } as Ask;
    peers.sizeQueues({ ...ask, promptTokens: 5_000 });
    expect(c.queuedTokens[row]).toBe(1_000);
    peers.sizeQueues({ ...ask, promptTokens: 64 });
    expect(c.queuedTokens[row]).toBe(200);
  });

  test("what was tried counts for all that stands behind the same door", () => {
    const { peers, table } = setUp();
    peers.onPop(pop([endpoint("g"), endpoint("h")]));
    const [g, h] = [table.row("oregon/g"), table.row("oregon/h")];
    expect(peers.withSiblings([g])).toEqual([g, h]);
    const local = [77];
    expect(peers.withSiblings(local)).toBe(local);
  });

  test("a PoP of twenty endpoints that refused is not asked again for the last of them", () => {
    const { peers, table, kernel, roster } = setUp();
    const cards = Array.from({ length: 20 }, (_, i) => endpoint(`g${i}`));
    const loads = cards.map(() => one());
    peers.onPop(pop(cards, { load: load(loads, { atMs: 10_000 }) }));
    const model = roster.models.idOf("m");
    const rowWithout = (tried: readonly Row[]) =>
      kernel.decide(askFor({ model, needs: 0, tried }), 10_000).row;
    const first = rowWithout([]);
    expect(table.records[first]?.pop).toBe("oregon");
    expect(rowWithout(peers.withSiblings([first]))).toBe(-1);
  });

  test("digests count for the row that the card's order names, of the same chunk size only", () => {
    const { peers, table, kernel, c } = setUp();
    const { chain } = kernel.hash(["x".repeat(640)], "m");
    const added = Uint32Array.from({ length: 10 }, (_, n) => (chain[n * 2] as number) & 0xffffff);
    const removed = new Uint32Array(0);
    const change = { pop: "oregon", endpoint: 1, snapshot: true, added, removed, discount: 0.25 };
    peers.onPop(pop([endpoint("g"), endpoint("h")]));
    peers.onDigest(change);
    peers.onDigest({ ...change, endpoint: 9 });
    peers.onDigest({ ...change, pop: "nobody" });
    const [g, h] = [table.row("oregon/g"), table.row("oregon/h")];
    expect([kernel.matchedChunks(chain, g), kernel.matchedChunks(chain, h)]).toEqual([0, 10]);
    expect(c.digestDiscount[h]).toBe(0.25);
    peers.onDigest({ ...change, snapshot: false, added: removed, removed: added.slice(4) });
    expect(kernel.matchedChunks(chain, h)).toBe(4);
    const other = pop([endpoint("g"), endpoint("h")], {}, 2);
    peers.onPop({ ...other, card: { ...other.card, chunkBytes: 128 } });
    peers.onDigest(change);
    expect(kernel.matchedChunks(chain, h)).toBe(4);
  });
});
