/**
 * Sessions follow the user: a conversation that began at one PoP goes on at another, which learns
 * by gossip alone where its KV cache is. Whether it stays there, moves or is computed anew follows
 * from what each would cost. Real processes, emulated engines, real distance between the doors.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Distance, startDistance } from "../../edge/distance.ts";
import { type GridProcess, gridState, makeGrid, untilMet } from "./grid-process.ts";
import { eventually, type ServerProcess, startEngine } from "./pop-process.ts";

/** Round trip between the two PoPs. */
const RTT_MS = 80;
const LONG = 1_000;
const SHORT = 50;

let grid: GridProcess;
let pops: ServerProcess[];
let lines: Distance[];
const engines: ServerProcess[] = [];

beforeAll(async () => {
  grid = await makeGrid(2);
  const doors = grid.ports.map((port) => `http://127.0.0.1:${port}`);
  lines = await Promise.all(doors.map((door) => startDistance(door, RTT_MS)));
  pops = await Promise.all(
    doors.map(async (_, index) => {
      const engine = await startEngine("--profile", "l40s-8b", "--model", "m");
      engines.push(engine);
      const other = 1 - index;
      const gossip = {
        grid: "test",
        certificate: `${grid.folder}/p${index}.cert`,
        key: `${grid.folder}/p${index}.key`,
        roots: `${grid.folder}/roots.pub`,
        seeds: doors,
        via: { [doors[other]]: lines[other].url },
      };
      const endpoints = [{ id: "e", url: engine.base, engine: "vllm", models: ["m"] }];
      return grid.start(index, { endpoints, gossip } as never);
    }),
  );
  await untilMet(pops, 20_000);
  await eventually("engines are up, at home and abroad", async () => {
    const states = await Promise.all(pops.map(gridState));
    return states.every((state) => state.pops[0]?.endpoints[0]?.phase === "ready");
  });
}, 40_000);

afterAll(async () => {
  for (const line of lines ?? []) line.close();
  await grid?.close();
  await Promise.all(engines.map((engine) => engine.kill("SIGKILL")));
});

interface Turn {
  /** `p0/e`: the other PoP's engine; `e`: the own. */
  endpoint: string;
  hops: number;
  cached: number;
  prompt: number;
}

const opening = (name: string, sentences: number) => ({
  role: "user",
  content: Array.from({ length: sentences }, (_, i) => `${name} says sentence ${i}. `).join(""),
});
const FOLLOW_UP = [
  { role: "assistant", content: "I see." },
  { role: "user", content: "And then?" },
];

async function ask(pop: ServerProcess, session: string, messages: object[]): Promise<Turn> {
  const answer = await fetch(`${pop.base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-grid-session": session },
    body: JSON.stringify({ model: "m", max_tokens: 2, messages }),
  });
  const text = await answer.text();
  expect(answer.status, text).toBe(200);
  const { usage } = JSON.parse(text) as {
    usage: { prompt_tokens: number; prompt_tokens_details?: { cached_tokens?: number } };
  };
  const route = answer.headers.get("x-grid-route") ?? "";
  return {
    endpoint: /endpoint=([^;]+)/.exec(route)?.[1] ?? "",
    hops: Number(/hops=(\d)/.exec(route)?.[1]),
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
    prompt: usage.prompt_tokens,
  };
}

/** Share of the prompt that a PoP believes the other one's engine to hold already. */
async function believed(pop: ServerProcess, messages: object[]): Promise<number> {
  const { candidates } = await pop.json<{ candidates: Record<string, number | string>[] }>(
    "/grid/explain",
    {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "m", max_tokens: 2, messages }),
    },
  );
  const abroad = candidates.find(({ endpoint }) => String(endpoint).includes("/"));
  const [matched, uncached] = [abroad?.matchedTokens, abroad?.uncachedTokens].map(Number);
  return matched / (matched + uncached);
}

/** The session begins at the first PoP, and gossip brings to the second where it is. */
async function begun(session: string, sentences: number): Promise<object[]> {
  const messages = [opening(session, sentences)];
  const first = await ask(pops[0], session, messages);
  expect(first).toMatchObject({ endpoint: "e", hops: 0 });
  const whole = [...messages, ...FOLLOW_UP];
  await eventually("the digest", async () => (await believed(pops[1], whole)) > 0.5, 5_000);
  return whole;
}

describe("a session that began at one PoP and goes on at another", () => {
  test("stays where its long context is cached: the way there is shorter", async () => {
    const turn = await ask(pops[1], "stays", await begun("stays", LONG));
    expect(turn).toMatchObject({ endpoint: "p0/e", hops: 1 });
    expect(turn.cached / turn.prompt).toBeGreaterThan(0.9);
  });

  test("is computed anew where the user is, when its context is short", async () => {
    const turn = await ask(pops[1], "anew", await begun("anew", SHORT));
    expect(turn).toMatchObject({ endpoint: "e", hops: 0, cached: 0 });
  });

  test("moves when its old place drains, and stays at the new one", async () => {
    const messages = await begun("moves", LONG);
    const drained = await fetch(`${pops[0].base}/grid/drain`, { method: "POST" });
    expect(drained.status).toBe(200);
    await eventually("that p0 drains", async () => {
      return (await gridState(pops[1])).pops[0]?.draining === true;
    });
    const moved = await ask(pops[1], "moves", messages);
    expect(moved).toMatchObject({ endpoint: "e", hops: 0, cached: 0 });
    await fetch(`${pops[0].base}/grid/drain`, { method: "DELETE" });
    await eventually("that p0 drains no more", async () => {
      return (await gridState(pops[1])).pops[0]?.draining === false;
    });
    const again = await ask(pops[1], "moves", [...messages, ...FOLLOW_UP]);
    expect(again).toMatchObject({ endpoint: "e", hops: 0 });
    expect(again.cached / again.prompt).toBeGreaterThan(0.9);
  });
});
