import { describe, expect, test } from "vitest";
import type { WaitQueue } from "../../src/admission/queue.ts";
import { parseConfig, type PopConfig } from "../../src/config.ts";
import type { Flight } from "../../src/feedback/observe.ts";
import { PLACE, type EndpointSpec } from "../../src/grid/endpoint.ts";
import { createReferenceKernel } from "../../src/kernel/reference.ts";
import { Publisher } from "../../src/pop-publish.ts";
import { EndpointTable } from "../../src/state/endpoint-table.ts";
import { MemoryGrid } from "../fleet.ts";

const encoder = new TextEncoder();
const OPTIONS = {
  rows: 256,
  chunkBytes: 64,
  indexBytes: 1 << 20,
  promptBytesMax: 1 << 16,
} as const;

function setUp(endpoints: number, more: (n: number) => Record<string, unknown> = () => ({})) {
  const parsed = parseConfig({
    pop: { id: "here", region: "eu" },
    endpoints: Array.from({ length: endpoints }, (_, n) => {
      return { id: `e${n}`, url: "http://h", models: ["m"], ...more(n) };
    }),
  });
  const { config } = parsed as { config: PopConfig };
  const kernel = createReferenceKernel(OPTIONS, (text, target) => encoder.encodeInto(text, target));
  const table = new EndpointTable(kernel.columns);
  const { columns: c } = table;
  const add = (spec: EndpointSpec, pop?: string) => {
    const row = table.add(spec, 0, 0xffffffff, 0, pop)?.row as number;
    c.down[row] = 0;
    c.capabilities[row] = 7 | PLACE.own;
    return row;
  };
  for (const spec of config.endpoints) add(spec);
  const waiting: [number, number, number][] = [];
  const each = (visit: (row: number, tokens: number, passedBelow: number) => void): void => {
    for (const [row, tokens, passedBelow] of waiting) visit(row, tokens, passedBelow);
  };
  const queue = { each } as WaitQueue<Flight>;
  const fleet = new MemoryGrid(() => 0).fleet("here");
  const state = { draining: false };
  const draining = () => state.draining;
  const publisher = new Publisher({ config, fleet, kernel, table, queue, draining });
  return { config, kernel, table, c, add, waiting, fleet, state, publisher };
}

describe("the card", () => {
  test("is published once its address is known, and then with every change", () => {
    const { publisher, fleet, state, c } = setUp(1);
    publisher.tick(0);
    expect(fleet.cards).toEqual([]);
    publisher.announce("http://127.0.0.1:1");
    publisher.tick(0);
    publisher.tick(100);
    expect(fleet.cards).toHaveLength(1);
    expect(fleet.cards[0]).toMatchObject({
      ...{ id: "here", url: "http://127.0.0.1:1", region: "eu", chunkBytes: 64, revision: 1 },
      endpoints: [{ id: "e0", models: ["m"], capabilities: 7, replicas: 1 }],
    });
    expect(fleet.cards[0]?.endpoints[0]?.contextTokens).toBeUndefined();
    state.draining = true;
    publisher.tick(200);
    c.admission[0] = 2;
    publisher.tick(300);
    expect(fleet.cards.map(({ revision, draining }) => [revision, draining])).toEqual([
      [1, false],
      [2, true],
      [3, true],
    ]);
    expect(fleet.cards[2]?.endpoints[0]?.admission).toBe("none");
    expect(fleet.loads.at(-1)?.revision).toBe(3);
  });

  test("an endpoint that is another by its URL reads the same, and its load is its own", () => {
    const { publisher, fleet, config, table, c, add } = setUp(1);
    publisher.announce("http://127.0.0.1:1");
    publisher.tick(0);
    // The old one still runs a request, so the new one has another row.
    c.inFlight[0] = 1;
    table.remove("e0");
    const row = add({ ...config.endpoints[0], url: "http://127.0.0.1:2" } as EndpointSpec);
    c.inFlight[row] = 3;
    publisher.tick(100);
    expect(fleet.cards).toHaveLength(1);
    expect(fleet.loads.at(-1)?.endpoints).toMatchObject([{ inFlight: 3 }]);
  });

  test("names no endpoint of another PoP", () => {
    const { publisher, fleet, add, config } = setUp(1);
    add({ ...(config.endpoints[0] as EndpointSpec), id: "oregon/x" }, "oregon");
    publisher.announce("http://h");
    publisher.tick(0);
    expect(fleet.cards[0]?.endpoints.map(({ id }) => id)).toEqual(["e0"]);
    expect(fleet.loads[0]?.endpoints).toHaveLength(1);
  });

  test("above the bound those that are alike stand as one, others never", () => {
    const { publisher, fleet, c } = setUp(20, (n) => ({
      tenants: n < 3 ? ["default"] : [],
      maxInFlight: 10,
    }));
    publisher.announce("http://h");
    for (let row = 0; row < 20; row++) c.queuedTokens[row] = row < 3 ? 0 : 170;
    for (let row = 0; row < 20; row++) c.sampleAtMs[row] = 0;
    c.down[19] = 1;
    publisher.tick(0);
    const { endpoints } = fleet.cards[0] as (typeof fleet.cards)[number];
    expect(endpoints.map(({ replicas, maxInFlight }) => [replicas, maxInFlight])).toEqual([
      [3, 30],
      [17, 170],
    ]);
    expect(endpoints.map(({ tenants }) => tenants)).toEqual([["default"], []]);
    // Of the mean of those that are up, as a request finds it at one of them.
    expect(fleet.loads[0]?.endpoints[1]).toMatchObject({ up: true, queuedTokens: 170 });
  });
});

describe("the load", () => {
  test("is published when it changed, and else once a second", () => {
    const { publisher, fleet, c } = setUp(1);
    publisher.announce("http://h");
    const at: number[] = [];
    for (let nowMs = 0; nowMs <= 2_000; nowMs += 100) {
      if (nowMs === 500) c.inFlight[0] = 1;
      if (nowMs === 600) c.ownTokens[0] = 10; // no news yet
      if (nowMs === 700) c.ownTokens[0] = 1_000;
      const before = fleet.loads.length;
      publisher.tick(nowMs);
      if (fleet.loads.length > before) at.push(nowMs);
    }
    expect(at).toEqual([0, 500, 700, 1_700]);
  });

  test("counts what waits and what was sent, less what drained, and classes by who passes", () => {
    const { publisher, fleet, c, waiting, add, config } = setUp(1);
    const other = add({ ...(config.endpoints[0] as EndpointSpec), id: "o/x" }, "o");
    publisher.announce("http://h");
    c.sampleAtMs[0] = 0;
    c.queuedTokens[0] = 1_000;
    c.sentTokens[0] = 200;
    c.prefillRate[0] = 1;
    c.waitingTokens[0] = 70;
    waiting.push([0, 20, 20], [0, 50, 40], [other, 5_000, 1]);
    publisher.tick(300);
    expect(fleet.loads[0]?.endpoints[0]?.queuedTokens).toBe(1_000 + 200 - 300 + 70);
    const classes = fleet.loads[0]?.queueClasses ?? [];
    expect([classes[4], classes[5], classes.reduce((a, b) => a + b)]).toEqual([20, 50, 70]);
  });
});

describe("digests", () => {
  test("start as snapshots, go on as changes, and start again with another order", () => {
    const { publisher, fleet, kernel, config, add } = setUp(1);
    publisher.announce("http://h");
    const { chain } = kernel.hash(["x".repeat(640)], "m");
    kernel.learn(chain, 0, 0, 4);
    const said = () => fleet.digests.map((d) => [d.endpoint, d.snapshot, d.added.length]);
    publisher.tick(0);
    kernel.learn(chain, 0, 0);
    publisher.tick(100);
    publisher.tick(800);
    publisher.tick(1_600);
    expect(said()).toEqual([
      [0, true, 4],
      [0, false, 6],
    ]);
    kernel.forget(chain, 0, 8);
    publisher.tick(2_400);
    expect(fleet.digests.at(-1)?.removed).toHaveLength(2);
    add({ ...(config.endpoints[0] as EndpointSpec), id: "e1" });
    publisher.tick(3_200);
    expect(said().slice(3)).toEqual([
      [0, true, 8],
      [1, true, 0],
    ]);
  });
});
