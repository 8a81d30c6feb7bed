import { describe, expect, test } from "vitest";
import { served, servedLine, servedTable } from "../../../edge/demo-view.ts";
import { drawGrid, gridView, readCounters } from "../../../edge/top-view.ts";

const engine = (id: string, requests: number, more: object = {}) => ({
  ...{ id, tier: "edge", phase: "ready", models: ["m"], inFlight: 1, queuedTokens: 800 },
  ...{ ownTokens: 0, waitingTokens: 0, kvUsage: 0.5, load: { ageMs: 40 }, requests },
  learned: { prefillTokensPerS: 8_000, itlMs: 20 },
  ...more,
});
const STATE = {
  pop: { id: "a", tier: "edge", region: "eu" },
  running: 2,
  queue: { length: 1 },
  endpoints: [engine("e", 30)],
  pops: [
    {
      ...{ id: "b", tier: "core", region: "us", state: "alive", reachable: true, rttMs: 130.4 },
      ...{ loadAgeMs: 300, draining: false, endpoints: [engine("b/e", 10, { running: 7 })] },
    },
    { id: "c", tier: "core", region: "us", state: "alive", reachable: false, endpoints: [] },
  ],
};
const page = (streams: number, seconds: number, cached: number) => `# HELP x
gridpoint_time_to_first_token_seconds_sum{tier="edge"} ${seconds}
gridpoint_time_to_first_token_seconds_count{tier="edge"} ${streams}
gridpoint_tokens_total{kind="prompt"} ${streams * 100}
gridpoint_tokens_total{kind="cached"} ${cached}
`;

describe("the view of a grid", () => {
  test("has own and other PoPs, shares, waits, ages and states", () => {
    const view = gridView(STATE, readCounters(page(4, 1, 200)));
    expect(view).toMatchObject({ pop: "a", running: 2, queued: 1, hitRatio: 0.5 });
    expect(view.ttftMs).toEqual({ edge: 250 });
    expect(view.pops.map(({ state }) => state)).toEqual(["here", "alive", "unreachable"]);
    expect(view.pops[0].endpoints[0]).toMatchObject({
      share: 0.75,
      waitMs: 100,
      running: 1,
      ageMs: 40,
    });
    expect(view.pops[1].endpoints[0]).toMatchObject({ share: 0.25, running: 7 });
  });

  test("means are of the time since the view before; without a stream the last mean stays", () => {
    const [first, second] = [readCounters(page(4, 1, 0)), readCounters(page(6, 2, 100))];
    expect(gridView(STATE, second, first)).toMatchObject({ ttftMs: { edge: 500 }, hitRatio: 0.5 });
    expect(gridView(STATE, first, first).ttftMs).toEqual({ edge: 250 });
    expect(gridView(STATE, first, second).ttftMs).toEqual({ edge: 250 });
  });

  test("is a grid of one for a PoP without gossip, and for anything else still lines", () => {
    const { pops: _, ...alone } = STATE;
    expect(gridView(alone, new Map()).pops).toHaveLength(1);
    for (const odd of [undefined, null, [], { endpoints: "x", pops: [null, 3] }]) {
      expect(drawGrid(gridView(odd, new Map()))).toHaveLength(4);
    }
  });

  test("is drawn in columns, without what could steer a terminal, and cut to the screen", () => {
    const evil = { ...STATE, endpoints: [engine("\u001b[2Je", 1)] };
    const lines = drawGrid(gridView(evil, new Map()));
    expect(lines.join("")).toMatch(/^[\x20-\x7e]*$/);
    expect(lines[0]).toContain("2 of 3 PoPs");
    expect(lines.slice(2).map((line) => line.slice(0, 3).trim())).toEqual(["POP", "a", "b", "c"]);
    expect(drawGrid(gridView(STATE, new Map()), 1).at(-1)).toBe("... and 2 more");
  });
});

test("the demo's table counts a request where it was asked, also when it was handed over", () => {
  const a = gridView(STATE, new Map());
  const b = gridView(
    {
      ...{ pop: { id: "b" }, endpoints: [engine("e", 15)] },
      pops: [{ id: "a", state: "alive", reachable: true, endpoints: [engine("a/e", 2)] }],
    },
    new Map(),
  );
  const lines = served(["a", "b"], [a, b]);
  expect(lines.map(({ from }) => from)).toEqual([
    [28, 2],
    [10, 5],
  ]);
  expect(servedLine(["a", "b"], lines)).toBe(
    "a/e served 28 of a, 2 of b; b/e served 10 of a, 5 of b",
  );
  expect(servedTable(["a", "b"], lines)[0]).toMatch(/ASKED AT A +ASKED AT B$/);
  const gone = served(["a", "b"], [a, undefined]);
  expect(gone[1]).toMatchObject({ endpoint: "e", state: "gone", from: [10, 0] });
});
