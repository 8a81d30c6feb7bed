/**
 * Several real PoPs in this process, one in-memory fleet between them, engines behind some of
 * them: a request at any PoP runs where it runs best, and nobody sees it when a PoP refuses, dies
 * before content, or is taken out.
 */
import { request, type ClientRequest } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { serveNode, type ServedPop } from "../../edge/node.ts";
import { parseConfig } from "../../src/config.ts";
import { MemoryGrid, type MemoryFleet } from "../fleet.ts";
import { eventually, startPop } from "./pop-process.ts";
import { type Behaviour, RogueEngine, type Script, tokenText } from "./rogue-engine.ts";

const WHOLE = Array.from({ length: 5 }, (_, n) => tokenText(n)).join("");
const POLL = { intervalMs: 50, failuresToDown: 2, successesToUp: 1, reprobeMs: 500 };
const clock = (): number => performance.now();

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function engine(script: Script = () => ({ kind: "good" }), models = ["m"]) {
  const rogue = await RogueEngine.start(models, script);
  closers.push(() => rogue.stop());
  return rogue;
}

interface Site {
  pop: ServedPop;
  fleet: MemoryFleet;
}

async function site(
  grid: MemoryGrid,
  id: string,
  engines: RogueEngine[] = [],
  more: Record<string, unknown> = {},
  endpoint: Record<string, unknown> = {},
): Promise<Site> {
  const parsed = parseConfig({
    pop: { id, tier: "edge", region: "here" },
    listen: { port: 0 },
    poll: POLL,
    endpoints: engines.map(({ base, models }, n) => {
      return { id: `${id}-${n}`, url: base, engine: "vllm", models, ...endpoint };
    }),
    ...more,
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const fleet = grid.fleet(id);
  const pop = await serveNode(parsed.config, { log: () => {}, fleet });
  closers.push(() => pop.close());
  return { pop, fleet };
}

interface Peer {
  id: string;
  routable: boolean;
  refusals: number;
  draining: boolean;
  inFlight: number;
  endpoints: { id: string; phase: string; load: { ageMs: number | null } }[];
}
interface State {
  draining: boolean;
  running: number;
  endpoints: { phase: string; inFlight: number; admission: string }[];
  pops: Peer[];
}
const stateOf = (pop: ServedPop): State => pop.pop.state() as State;

/** Waits until the PoP knows so many usable endpoints elsewhere. */
async function knows({ pop }: Site, endpoints: number): Promise<void> {
  await eventually(`${endpoints} endpoints of others`, () => {
    const all = stateOf(pop).pops.flatMap((peer) => peer.endpoints);
    return all.filter((one) => one.phase === "ready").length === endpoints;
  });
}

async function ownReady({ pop }: Site): Promise<void> {
  await eventually("own endpoints ready", () =>
    stateOf(pop).endpoints.every(({ phase }) => phase === "ready"),
  );
}

interface Answer {
  status: number;
  route: string;
  text: string;
  headers: Headers;
}

async function ask(
  { pop }: Site,
  headers: Record<string, string> = {},
  body: Record<string, unknown> = {},
): Promise<Answer> {
  const response = await fetch(`${pop.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({
      model: "m",
      stream: true,
      messages: [{ role: "user", content: "hello" }],
      ...body,
    }),
  });
  const text = await response.text();
  const route = response.headers.get("x-grid-route") ?? "";
  return { status: response.status, route, text, headers: response.headers };
}

/** The text of a whole stream, else the answer as it came. */
function said({ status, text }: Answer): string {
  if (status !== 200 || !text.includes("data: [DONE]") || text.includes(`"error"`)) {
    return `${status} ${text}`;
  }
  return [...text.matchAll(/"content":"([^"]*)"/g)].map((match) => match[1]).join("");
}

const forged = { "x-grid-forwarded-by": "x", "x-grid-tenant": "t", "x-grid-deadline-ms": "9000" };

describe("hand-over", () => {
  test("a PoP without engines streams what another PoP's engine says", async () => {
    const grid = new MemoryGrid(clock);
    const a = await site(grid, "a");
    const b = await site(grid, "b", [await engine()]);
    await knows(a, 1);
    const answer = await ask(a, { "x-request-id": "r-1", "x-grid-session": "s" });
    expect(said(answer)).toBe(WHOLE);
    expect(answer.route).toMatch(/^pop=a;tier=edge;endpoint=b\/b-0;reason=\w+;hit=0;hops=1, /);
    expect(answer.route).toMatch(/, pop=b;tier=edge;endpoint=b-0;reason=\w+;hit=0;hops=0$/);
    expect(answer.headers.get("x-request-id")).toBe("r-1");
    expect(answer.headers.get("x-grid-load")).toBeNull();
    const plain = await ask(a, {}, { stream: false });
    expect(JSON.parse(plain.text).choices[0].message.content).toBe("word ");
    expect((await fetch(`${a.pop.url}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${a.pop.url}/v1/models`)).text()).toContain(`"m"`);
    expect(await (await fetch(`${b.pop.url}/metrics`)).text()).toContain(
      `gridpoint_handovers_received_total{ending="done"} 2`,
    );
  });

  test("a busy PoP hands over, an idle one does not", async () => {
    // Farther than near-equals may be apart: 2 % of the ten seconds that the long prompt takes.
    const grid = new MemoryGrid(clock, 1_000);
    const near = await engine();
    const far = await engine();
    const slow = { prefillTokensPerS: 100 };
    const a = await site(grid, "a", [near], {}, slow);
    const b = await site(grid, "b", [far], {}, slow);
    await Promise.all([ownReady(a), ownReady(b), knows(a, 1)]);
    expect((await ask(a)).route).toMatch(/endpoint=a-0;.*hops=0$/);
    near.script = () => ({ kind: "silent" });
    const holder = leaver(a, "x".repeat(4_000));
    await eventually("the near engine is in prefill", () => near.active === 1);
    const answer = await ask(a);
    expect(said(answer)).toBe(WHOLE);
    expect(answer.route).toMatch(/endpoint=b\/b-0;.*hops=1, pop=b/);
    holder.destroy();
  });

  test("mid-stream death at the second hop is the typed error, once", async () => {
    const grid = new MemoryGrid(clock);
    const a = await site(grid, "a");
    await site(grid, "b", [await engine(() => ({ kind: "dies", after: 2, how: "reset" }))]);
    await knows(a, 1);
    const { status, text } = await ask(a);
    expect(status).toBe(200);
    expect(text).toContain(tokenText(1));
    expect(text.match(/"error":\{/g)).toHaveLength(1);
    expect(text).toContain(`"code":"disconnected"`);
    expect(text).not.toContain("[DONE]");
  });

  test("an engine that dies at the second hop is replaced there, or elsewhere, unseen", async () => {
    const grid = new MemoryGrid(clock);
    const dies: Behaviour = { kind: "dies", after: "role", how: "reset" };
    const a = await site(grid, "a");
    const bad = await engine(() => dies);
    await site(grid, "b", [bad]);
    await site(grid, "c", [await engine()], {}, { priceIn: 10 });
    await knows(a, 2);
    const answer = await ask(a);
    expect(said(answer)).toBe(WHOLE);
    expect(answer.route).toMatch(/^pop=a;tier=edge;endpoint=c\/c-0;/);
    expect(bad.requests).toBe(1);
  });

  test("kill -9 of the second PoP before content is not seen", async () => {
    const grid = new MemoryGrid(clock);
    const silent = await engine(() => ({ kind: "silent" }));
    const b = await startPop({
      endpoints: [{ id: "b-0", url: silent.base, engine: "vllm", models: ["m"] }],
    });
    closers.push(() => b.stop());
    const a = await site(grid, "a");
    speakFor(a.fleet, "b", b.base);
    await knows(a, 1);
    const answers = Array.from({ length: 20 }, () => ask(a));
    await eventually("all are in prefill at b", () => silent.active === 20);
    await site(grid, "c", [await engine()]);
    await knows(a, 2);
    await b.kill("SIGKILL");
    expect(new Set((await Promise.all(answers)).map(said))).toEqual(new Set([WHOLE]));
  });

  test("a PoP that fell silent gives back what it has not begun", async () => {
    const grid = new MemoryGrid(clock);
    const silent = await engine(() => ({ kind: "silent" }));
    const a = await site(grid, "a");
    await site(grid, "b", [silent]);
    await knows(a, 1);
    const answer = ask(a);
    await eventually("in prefill at b", () => silent.active === 1);
    await site(grid, "c", [await engine()]);
    await knows(a, 2);
    a.fleet.heard("b", { reachable: false });
    expect(said(await answer)).toBe(WHOLE);
    await eventually("b is told", () => silent.active === 0);
  });
});

describe("refusals", () => {
  test("a draining PoP refuses with its fresh load, and the client does not see it", async () => {
    const grid = new MemoryGrid(clock);
    const a = await site(grid, "a");
    const b = await site(grid, "b", [await engine()]);
    await site(grid, "c", [await engine()], {}, { priceIn: 10 });
    await knows(a, 2);
    b.fleet.connected = false;
    await fetch(`${b.pop.url}/grid/drain`, { method: "POST" });
    const answer = await ask(a);
    expect(said(answer)).toBe(WHOLE);
    expect(answer.route).toContain("endpoint=c/c-0");
    expect(stateOf(a.pop).pops.find(({ id }) => id === "b")?.refusals).toBe(1);
  });

  test("a PoP that is busier than gossip says refuses, and its true load is applied", async () => {
    const grid = new MemoryGrid(clock);
    const slow = { prefillTokensPerS: 100 };
    const held = await engine(() => ({ kind: "silent" }));
    const a = await site(grid, "a");
    const b = await site(grid, "b", [held], {}, { ...slow, prefillBudgetTokens: 1 });
    await knows(a, 1);
    b.fleet.connected = false;
    const holder = leaver(b, "x".repeat(4_000));
    await eventually("b is busy", () => held.active === 1);
    await site(grid, "c", [await engine()], {}, { ...slow, priceIn: 10 });
    await knows(a, 2);
    const answer = await ask(a);
    expect(said(answer)).toBe(WHOLE);
    expect(answer.route).toContain("endpoint=c/c-0");
    const known = stateOf(a.pop).pops.find(({ id }) => id === "b") as never as {
      refusals: number;
      endpoints: { queuedTokens: number }[];
    };
    expect(known.refusals).toBe(1);
    expect(known.endpoints[0]?.queuedTokens).toBeGreaterThan(900);
    // With the truth known the next one goes there at once.
    expect((await ask(a)).route).toContain("endpoint=c/c-0");
    expect(stateOf(a.pop).pops.find(({ id }) => id === "b")?.refusals).toBe(1);
    holder.destroy();
  });

  test("when everybody refuses the client gets the error, typed", async () => {
    const grid = new MemoryGrid(clock);
    const a = await site(grid, "a");
    const b = await site(grid, "b", [await engine()]);
    await knows(a, 1);
    b.fleet.connected = false;
    await fetch(`${b.pop.url}/grid/drain`, { method: "POST" });
    const { status, text } = await ask(a);
    expect(status).toBe(503);
    expect(JSON.parse(text).error.code).toBe("no_endpoint");
  });

  test("what the engine there refuses is the caller's answer", async () => {
    const grid = new MemoryGrid(clock);
    const a = await site(grid, "a");
    const body = `{"error":{"message":"bad stop","type":"BadRequestError"}}`;
    const picky = await engine(() => ({ kind: "status", status: 400, body }));
    await site(grid, "b", [picky]);
    await knows(a, 1);
    const { status, text } = await ask(a);
    expect([status, text]).toEqual([400, body]);
    expect(picky.requests).toBe(1);
  });

  test("a wrong key is an error between PoPs, not the client's while another can serve", async () => {
    const grid = new MemoryGrid(clock);
    const key = (text: string) => ({ peers: { key: text.repeat(16) } });
    const a = await site(grid, "a", [], key("k"));
    await site(grid, "b", [await engine()], key("x"));
    await site(grid, "c", [await engine()], key("k"), { priceIn: 10 });
    await knows(a, 2);
    const answer = await ask(a);
    expect(said(answer)).toBe(WHOLE);
    expect(answer.route).toContain("endpoint=c/c-0");
  });
});

describe("loops", () => {
  test("two PoPs that each think the other is better: one hop, then an error", async () => {
    const grid = new MemoryGrid(clock);
    const a = await site(grid, "a");
    const b = await site(grid, "b");
    a.fleet.connected = b.fleet.connected = false;
    speakFor(a.fleet, "b", b.pop.url);
    speakFor(b.fleet, "a", a.pop.url);
    await Promise.all([knows(a, 1), knows(b, 1)]);
    expect((await ask(a)).status).toBe(503);
    expect(stateOf(a.pop).pops[0]?.refusals).toBe(1);
    expect(stateOf(b.pop).pops[0]?.refusals).toBe(0);
  });

  test("a card that points to the PoP's own door", async () => {
    const grid = new MemoryGrid(clock);
    const a = await site(grid, "a");
    speakFor(a.fleet, "b", a.pop.url);
    await knows(a, 1);
    expect((await ask(a)).status).toBe(503);
  });

  test("forged headers: refused or bounded, never forwarded", async () => {
    const grid = new MemoryGrid(clock);
    const far = await engine();
    const a = await site(grid, "a");
    await site(grid, "b", [far]);
    await knows(a, 1);
    const codes: unknown[] = [];
    for (const headers of [
      { ...forged, "x-grid-hops": "1" },
      { ...forged, "x-grid-hops": "2" },
      { ...forged, "x-grid-hops": "1", "x-grid-forwarded-by": "b, a" },
      { ...forged, "x-grid-hops": "-1" },
      { ...forged, "x-grid-hops": "" },
      { ...forged, "x-grid-hops": "1", "x-forwarded-for": "10.0.0.1" },
    ]) {
      const { status, text } = await ask(a, headers);
      codes.push(`${status} ${JSON.parse(text).error.code}`);
    }
    expect(codes).toEqual([
      "503 no_endpoint",
      "508 hop_limit",
      "508 hop_limit",
      "400 invalid_request",
      "400 invalid_request",
      "403 peer_not_trusted",
    ]);
    expect(far.requests).toBe(0);
    // The other names alone make nobody a peer.
    expect(said(await ask(a, forged))).toBe(WHOLE);
  });
});

function leaver({ pop }: Site, content: string): ClientRequest {
  const outgoing = request(`${pop.url}/v1/chat/completions`, {
    method: "POST",
    agent: false,
    headers: { "content-type": "application/json" },
  });
  outgoing.on("error", () => {});
  outgoing.on("response", (response) => response.on("error", () => {}).resume());
  const messages = [{ role: "user", content }];
  outgoing.end(JSON.stringify({ model: "m", stream: true, messages }));
  return outgoing;
}

/** A card and a load for a PoP that has no fleet of its own. */
function speakFor(fleet: MemoryFleet, id: string, url: string): void {
  fleet.heardCard({
    ...{ id, url, tier: "edge", region: "here", zone: "here", chunkBytes: 512 },
    ...{ draining: false, revision: 7 },
    endpoints: [
      {
        ...{ id: `${id}-0`, tier: "edge", region: "here", models: ["m"], capabilities: 0x7f },
        ...{ contextTokens: undefined, tenants: [], admission: "new-and-existing" },
        ...{ priceIn: 0, priceCached: 0, priceOut: 0, maxInFlight: 64, replicas: 1 },
      },
    ],
  });
  const one = { up: true, queuedTokens: 0, inFlight: 0, kvUsage: 0, prefillRate: 8, itlMs: 20 };
  const queueClasses = new Array<number>(20).fill(0);
  fleet.heard(id, { load: { seq: 1, atMs: clock(), revision: 7, endpoints: [one], queueClasses } });
}

test("a client that leaves frees the engine behind the second PoP within 50 ms", async () => {
  const grid = new MemoryGrid(clock);
  const far = await engine(() => ({ kind: "silent" }));
  const a = await site(grid, "a");
  await site(grid, "b", [far], {}, { prefillBudgetTokens: 1_000_000 });
  await knows(a, 1);
  const slowest: number[] = [];
  for (const kind of [{ kind: "silent" }, { kind: "good", tokens: 10_000, gapMs: 5 }] as const) {
    far.script = () => kind;
    for (let round = 0; round < 5; round++) {
      const callers = Array.from({ length: 10 }, () => leaver(a, "leave"));
      await eventually("all run at b", () => far.active === 10);
      far.leftAtMs.length = 0;
      const startMs = clock();
      for (const caller of callers) caller.destroy();
      await eventually("all are free", () => far.leftAtMs.length === 10, 2_000);
      slowest.push(Math.max(...far.leftAtMs) - startMs);
    }
  }
  expect(Math.max(...slowest)).toBeLessThan(50);
  await eventually("nothing counts as running", () => stateOf(a.pop).running === 0, 2_000);
  expect(stateOf(a.pop).pops[0]?.inFlight).toBe(0);
});

test("the cap of requests at one PoP holds, and who waits goes on", async () => {
  const grid = new MemoryGrid(clock);
  const far = await engine(() => ({ kind: "good", tokens: 3, gapMs: 10 }));
  const a = await site(grid, "a", [], { peers: { inFlight: 2 } });
  await site(grid, "b", [far]);
  await knows(a, 1);
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, stateOf(a.pop).pops[0]?.inFlight ?? 0);
  }, 2);
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(a)));
  clearInterval(watch);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(most).toBe(2);
});

test("a session follows its user to another PoP: its prefix is found there", async () => {
  const grid = new MemoryGrid(clock, 500);
  const slow = { prefillTokensPerS: 1_000 };
  const a = await site(grid, "a", [await engine()], {}, slow);
  const b = await site(grid, "b", [await engine()], {}, slow);
  await Promise.all([ownReady(a), ownReady(b), knows(a, 1), knows(b, 1)]);
  const messages = [{ role: "user", content: "long ".repeat(4_000) }];
  const body = { messages, prompt_cache_key: "s" };
  expect((await ask(a, {}, body)).route).toContain("endpoint=a-0");
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

  test("a PoP: peers stop sending, running streams end, its clients are served elsewhere", async () => {
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
      a.fleet.cards.at(-1)?.endpoints.some(({ id, admission }) => id === home && admission === "none"),
    );
    await drain(a, "POST", `?endpoint=${home}&state=active`);
    expect((await ask(a, session)).route).toContain(`endpoint=${other};reason=session`);
  });

  test("what is asked wrongly is said", async () => {
    const grid = new MemoryGrid(clock);
    const a = await site(grid, "a");
    const wrong = async (query: string) =>
      (await fetch(`${a.pop.url}/grid/drain${query}`, { method: "POST" })).status;
    expect([await wrong("?endpoint=no"), await wrong("?state=x"), await wrong("?endpiont=a")]).toEqual(
      [404, 400, 400],
    );
  });
});

test("a PoP that leaves is gone from the tables, and comes back", async () => {
  const grid = new MemoryGrid(clock);
  const a = await site(grid, "a");
  const b = await site(grid, "b", [await engine()]);
  await knows(a, 1);
  await b.pop.close();
  expect(stateOf(a.pop).pops).toEqual([]);
  expect((await ask(a)).status).toBe(404);
  await site(grid, "b", [await engine()]);
  await knows(a, 1);
  expect(said(await ask(a))).toBe(WHOLE);
});
