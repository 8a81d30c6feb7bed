/**
 * `serve --processes`: several processes, one PoP. Each sees what all have in flight, a drain and
 * the metrics are of all, one identity is in the grid, and a process that dies takes nothing along
 * but its own requests.
 */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mergeMetrics } from "../../edge/merge-metrics.ts";
import { type GridProcess, gridState, makeGrid, seen } from "./grid-process.ts";
import { eventually, metric, type popState, type ServerProcess } from "./pop-process.ts";
import { RogueEngine } from "./rogue-engine.ts";

const REQUESTS = 16;

let rogue: RogueEngine;
let grid: GridProcess;
let pop: ServerProcess;
let other: ServerProcess;

beforeAll(async () => {
  rogue = await RogueEngine.start(["m", "slow"], ({ body }) =>
    body.model === "slow" ? { kind: "good", tokens: 40, gapMs: 20 } : { kind: "good" },
  );
  grid = await makeGrid(2);
  const endpoints = [{ id: "e", url: rogue.base, engine: "vllm", models: rogue.models }];
  pop = await grid.start(0, { endpoints }, { ready: true, args: ["--processes", "2"] });
  other = await grid.start(1);
}, 60_000);

afterAll(async () => {
  await grid?.close();
  await rogue?.stop();
});

/** A new connection each: the system spreads them over the processes. */
const once = { "content-type": "application/json", connection: "close" };

const ask = (base: string, model: string) =>
  fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: once,
    body: JSON.stringify({ model, stream: true, messages: [{ role: "user", content: "hi" }] }),
  });

const members = (): number[] => {
  const text = readdirSync(`/proc/${pop.pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pop.pid}/task/${task}/children`, "utf8").trim().split(" "),
  );
  return text.filter((one) => one !== "").map(Number);
};

const looks = async (count: number) => {
  const all: { running: number; inFlight: number }[] = [];
  for (let n = 0; n < count; n++) {
    const response = await fetch(`${pop.base}/grid/state`, { headers: once });
    const { running, endpoints } = (await response.json()) as Awaited<ReturnType<typeof popState>>;
    all.push({ running, inFlight: endpoints[0]?.inFlight ?? 0 });
  }
  return all;
};

test("each process sees what all of them have in flight", async () => {
  const answers = Array.from({ length: REQUESTS }, () => ask(pop.base, "slow"));
  await eventually("all at the engine", () => rogue.active === REQUESTS);
  await eventually("the books agree", async () =>
    (await looks(6)).every(({ inFlight }) => inFlight === REQUESTS),
  );
  const running = new Set((await looks(8)).map((one) => one.running));
  // Some here, some there: no process serves all of them.
  expect(Math.max(...running)).toBeLessThan(REQUESTS);
  for (const answer of answers) expect(await (await answer).text()).toContain("[DONE]");
  await eventually("nothing is left in any book", async () =>
    (await looks(6)).every(({ inFlight, running: here }) => inFlight + here === 0),
  );
});

test("metrics are those of all processes, whichever is asked", async () => {
  for (let n = 0; n < 4; n++) {
    expect(await metric(pop, "gridpoint_requests_total")).toBe(REQUESTS);
  }
});

test("one identity in the grid: another PoP links to it and hands over", async () => {
  await eventually("met", async () => (await seen(other, "p0"))?.reachable);
  expect((await gridState(other)).pops).toHaveLength(1);
  await eventually("handed over", async () => {
    const response = await ask(other.base, "m");
    const text = await response.text();
    return response.ok && text.includes("[DONE]");
  });
  // And every process of the PoP knows the other one.
  for (let n = 0; n < 6; n++) expect((await seen(pop, "p1"))?.state).toBe("alive");
});

test("a response that one process holds is everybody's, here and at the other PoP", async () => {
  const respond = async (base: string, more: object = {}): Promise<Record<string, unknown>> => {
    const body = JSON.stringify({ model: "m", input: "hi", ...more });
    const response = await fetch(`${base}/v1/responses`, { method: "POST", headers: once, body });
    return (await response.json()) as Record<string, unknown>;
  };
  const { id } = await respond(pop.base);
  const show = (base: string, method = "GET") =>
    fetch(`${base}/v1/responses/${id}`, { method, headers: once });
  for (let n = 0; n < 8; n++) {
    const base = n % 4 === 3 ? other.base : pop.base;
    expect((await show(base)).status).toBe(200);
    const next = await respond(base, { previous_response_id: id });
    expect(next).toMatchObject({ status: "completed", previous_response_id: id });
  }
  expect((await show(other.base, "DELETE")).status).toBe(200);
  for (let n = 0; n < 4; n++) expect((await show(pop.base)).status).toBe(404);
});

test("a drain is everybody's, and so is its end", async () => {
  const ready = async () =>
    Promise.all(
      [1, 2, 3, 4, 5, 6].map(async () => {
        return (await fetch(`${pop.base}/readyz`, { headers: once })).status;
      }),
    );
  await pop.json("/grid/drain", { method: "POST" });
  await eventually("all say 503", async () => (await ready()).every((code) => code === 503));
  await pop.json("/grid/drain", { method: "DELETE" });
  await eventually("all are ready", async () => (await ready()).every((code) => code === 200));
});

test("a process that is killed is replaced, and its share leaves the books", async () => {
  const answers = Array.from({ length: REQUESTS }, () =>
    ask(pop.base, "slow").then(
      (response) => response.text().catch(() => ""),
      () => "",
    ),
  );
  await eventually("all at the engine", () => rogue.active === REQUESTS);
  const [victim] = members() as [number];
  process.kill(victim, "SIGKILL");
  const texts = await Promise.all(answers);
  const whole = texts.filter((text) => text.includes("[DONE]")).length;
  expect(whole).toBeGreaterThan(0);
  expect(whole).toBeLessThan(REQUESTS);
  await eventually("another has come", () => members().length === 2 && !members().includes(victim));
  await eventually("nothing is left in any book", async () =>
    (await looks(4)).every(({ inFlight }) => inFlight === 0),
  );
});

test("SIGTERM: running streams end whole, then all processes are gone", async () => {
  const pids = members();
  const answers = Array.from({ length: 4 }, () => ask(pop.base, "slow"));
  const responses = await Promise.all(answers);
  const ended = pop.kill("SIGTERM");
  for (const response of responses) expect(await response.text()).toContain("[DONE]");
  await ended;
  const alive = pids.filter((pid) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  });
  expect(alive).toEqual([]);
});

test("pages are merged by what their families are", () => {
  const page = (count: number, gauge: number) =>
    [
      "# HELP g_total Things.",
      "# TYPE g_total counter",
      `g_total{a="x y"} ${count}`,
      "# TYPE g_s histogram",
      `g_s_bucket{le="+Inf"} ${count}`,
      `g_s_sum ${count / 2}`,
      `g_s_count ${count}`,
      "# TYPE g_now gauge",
      `g_now ${gauge}`,
    ].join("\n");
  expect(mergeMetrics([page(1, 5), page(2, 3), ""])).toBe(`${page(3, 5)}\n`);
});
