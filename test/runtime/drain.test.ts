/** Sessions follow their user from PoP to PoP; what drains gets no new work. */
import { afterEach, describe, expect, test } from "vitest";
import { MemoryGrid } from "../fleet.ts";
import { eventually } from "./pop-process.ts";
import {
  ask,
  clock,
  closeAll,
  engine,
  knows,
  ownReady,
  site,
  stateOf,
  type Site,
  type State,
} from "./sites.ts";

afterEach(closeAll);

test("a session follows its user to another PoP: its prefix is found there", async () => {
  const grid = new MemoryGrid(clock, 500);
  const slow = { prefillTokensPerS: 1_000 };
  const a = await site(grid, "a", [await engine()], {}, slow);
  const b = await site(grid, "b", [await engine()], {}, slow);
  await Promise.all([ownReady(a), ownReady(b), knows(a, 1), knows(b, 1)]);
  const messages = [{ role: "user", content: "long ".repeat(4_000) }];
  const body = { messages, prompt_cache_key: "s" };
  // Not streamed: nothing is learned of a's speed, which would be a reason of its own to go there.
  expect((await ask(a, {}, { ...body, stream: false })).route).toContain("endpoint=a-0");
  await eventually("b knows what a holds", async () => {
    const response = await fetch(`${b.pop.url}/grid/explain`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "m", ...body }),
    });
    const { candidates } = (await response.json()) as {
      candidates: { endpoint: string; matchedTokens: number }[];
    };
    return candidates.some((one) => one.endpoint === "a/a-0" && one.matchedTokens > 1_000);
  });
  const moved = await ask(b, { "x-grid-slo-ttft-ms": "60000" }, body);
  expect(moved.route).toMatch(/^pop=b;tier=edge;endpoint=a\/a-0;reason=prefix;hit=[1-9]\d+;hops=1/);
  // A short question is not worth the way: it stays where its user is.
  expect((await ask(b)).route).toMatch(/^pop=b;.*endpoint=b-0;.*hops=0$/);
});

describe("drain", () => {
  const drain = async ({ pop }: Site, method: string, query = "") =>
    (await fetch(`${pop.url}/grid/drain${query}`, { method })).json() as Promise<State>;

  test("a PoP: peers stop sending, streams end, its clients are served elsewhere", async () => {
    const grid = new MemoryGrid(clock, 1_000);
    const near = await engine(() => ({ kind: "good", tokens: 20, gapMs: 10 }));
    const a = await site(grid, "a", [near]);
    const b = await site(grid, "b", [await engine()]);
    await Promise.all([ownReady(a), ownReady(b), knows(a, 1), knows(b, 1)]);
    const running = ask(a);
    await eventually("it runs", () => near.active === 1);
    expect(await drain(a, "POST")).toMatchObject({ draining: true, running: 1 });
    expect(a.fleet.cards.at(-1)?.draining).toBe(true);
    expect(stateOf(b.pop).pops[0]?.draining).toBe(true);
    const ready = await fetch(`${a.pop.url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: "not ready", reason: "draining" },
    ]);
    expect((await ask(a)).route).toContain("endpoint=b/b-0");
    expect((await ask(b)).route).toContain("endpoint=b-0");
    expect((await running).text).toContain("[DONE]");
    await drain(b, "POST");
    const nowhere = await ask(a);
    expect([nowhere.status, JSON.parse(nowhere.text).error.code]).toEqual([503, "draining"]);
    expect(await drain(a, "DELETE")).toMatchObject({ draining: false });
    expect((await ask(a)).route).toContain("endpoint=a-0");
    expect((await fetch(`${a.pop.url}/readyz`)).status).toBe(200);
  });

  test("an endpoint: its sessions are re-homed, and it comes back", async () => {
    const grid = new MemoryGrid(clock);
    const a = await site(grid, "a", [await engine(), await engine()]);
    await ownReady(a);
    const session = { "x-grid-session": "s" };
    const home = /endpoint=(a-\d)/.exec((await ask(a, session)).route)?.[1] as string;
    await drain(a, "POST", `?endpoint=${home}`);
    const other = home === "a-0" ? "a-1" : "a-0";
    for (let n = 0; n < 4; n++) expect((await ask(a, session)).route).toContain(other);
    await eventually("the card says so", () =>
      a.fleet.cards
        .at(-1)
        ?.endpoints.some(({ id, admission }) => id === home && admission === "none"),
    );
    await drain(a, "POST", `?endpoint=${home}&state=active`);
    expect((await ask(a, session)).route).toContain(`endpoint=${other};reason=session`);
  });

  test("what is asked wrongly is said", async () => {
    const grid = new MemoryGrid(clock);
    const a = await site(grid, "a");
    const wrong = async (query: string) =>
      (await fetch(`${a.pop.url}/grid/drain${query}`, { method: "POST" })).status;
    expect([
      await wrong("?endpoint=no"),
      await wrong("?state=x"),
      await wrong("?endpiont=a"),
    ]).toEqual([404, 400, 400]);
  });
});
