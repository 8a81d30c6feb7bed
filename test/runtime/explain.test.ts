/** `POST /grid/explain` over real PoPs: every endpoint, with its terms or with what excludes it. */
import { afterEach, expect, test } from "vitest";
import { MemoryGrid } from "../fleet.ts";
import { eventually } from "./pop-process.ts";
import { ask, clock, closeAll, engine, knows, ownReady, site, stateOf } from "./sites.ts";

afterEach(closeAll);

interface Explained {
  decision: { endpoint: string; reason: string; ttftMs: number };
  session: { key: string | null; endpoint: string | null };
  weights: { lambda: number };
  startsNow: boolean;
  candidates: {
    endpoint: string;
    pop?: string;
    exclusion: string;
    why: string;
    chosen: boolean;
    ttftMs: number;
    waitMs: number;
    prefillMs: number;
    socialMs: number;
    rttMs: number;
    jitterMs: number;
    othersMs: number;
    wait: Record<string, number>;
    load: Record<string, number | null>;
  }[];
}

test("here and elsewhere, what can take it first, and why the others cannot", async () => {
  const grid = new MemoryGrid(clock, 500);
  const other = await engine(undefined, ["another"]);
  const a = await site(grid, "a", [await engine(), other]);
  const b = await site(grid, "b", [await engine()]);
  await Promise.all([ownReady(a), ownReady(b), knows(a, 1), knows(b, 2)]);
  const messages = [{ role: "user", content: "long ".repeat(2_000) }];
  await ask(a, { "x-grid-session": "s" }, { messages });
  await eventually("it is over", () => stateOf(a.pop).running === 0);
  const response = await fetch(`${a.pop.url}/grid/explain`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-grid-session": "s" },
    body: JSON.stringify({ model: "m", messages }),
  });
  expect(response.status).toBe(200);
  const table = (await response.json()) as Explained;
  expect(table.candidates.map(({ endpoint, exclusion }) => [endpoint, exclusion])).toEqual([
    ["a-0", "eligible"],
    ["b/b-0", "eligible"],
    ["a-1", "model"],
  ]);
  expect(table.candidates[2]?.why).toBe("does not serve the model");
  expect(table.session).toEqual({ key: "s", endpoint: "a-0" });
  expect(table.decision).toMatchObject({ endpoint: "a-0", reason: "session" });
  expect(table.startsNow).toBe(true);
  for (const one of table.candidates) {
    const parts = Object.values(one.wait).reduce((sum, part) => sum + part, 0);
    expect(parts).toBeCloseTo(one.waitMs, 6);
    expect(one.rttMs + one.jitterMs + one.waitMs + one.prefillMs).toBeCloseTo(one.ttftMs, 6);
    expect(one.ttftMs + one.othersMs).toBeCloseTo(one.socialMs, 6);
    expect(one.chosen).toBe(one.endpoint === "a-0");
  }
  expect(table.candidates[1]).toMatchObject({ pop: "b", rttMs: expect.any(Number) });
});
