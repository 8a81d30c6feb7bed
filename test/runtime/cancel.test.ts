/**
 * A client that leaves frees the engine within 50 ms, wherever its request is at that moment: in
 * the PoP's queue, in prefill, in mid-stream, or in a plain answer; whether its system closes the
 * connection or resets it. Client and engine live in this process and read one clock; the engine's
 * freed slot is what counts, not our bookkeeping, and waiting for a core that another process has
 * does not. GRIDPOINT_CANCELS=1000 runs the long form and prints what it measured, waits included.
 */
import { request, type ClientRequest } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, inFlight, popState, type ServerProcess, startPop } from "./pop-process.ts";
import { RogueEngine } from "./rogue-engine.ts";
import { runDelay } from "./run-delay.ts";
import { deviation, runtimeUnderTest } from "./runtimes.ts";

const LONG = process.env["GRIDPOINT_CANCELS"];
const CANCELS = Math.max(40, Number(LONG ?? 200));
const PER_STATE = Math.ceil(CANCELS / 4);
const AT_ONCE = 10;
const WITHIN_MS = 50;

/** A FIN, as from a client that ends its socket, or a RST. */
type Leaving = "closes" | "resets";
const unheard = deviation("a client that closes without a reset") !== undefined;
const BOTH: Leaving[] = ["closes", "resets"];
const HEARD: Leaving[] = unheard ? ["resets"] : BOTH;

let rogue: RogueEngine;
let pop: ServerProcess;
/** Where streams begin before their first token. */
let early: ServerProcess;
const took: number[] = [];

beforeAll(async () => {
  rogue = await RogueEngine.start(["prefill", "stream", "plain", "narrow"], ({ body }) => {
    if (body.user === "good") return { kind: "good" };
    if (body.model === "stream") return { kind: "good", tokens: 10_000, gapMs: 5 };
    return body.user === "holder" ? { kind: "falls-silent", tokens: 1 } : { kind: "silent" };
  });
  const wide = { engine: "vllm", url: rogue.base, prefillBudgetTokens: 1_000_000 };
  const endpoints = [
    { ...wide, id: "wide", models: ["prefill", "stream", "plain"] },
    { ...wide, id: "narrow", models: ["narrow"], maxInFlight: 1 },
  ];
  pop = await startPop({ endpoints });
  early = await startPop({ endpoints, timeouts: { keepAliveCommentMs: 1 } });
});

afterAll(async () => {
  const sorted = took.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1]?.toFixed(1);
  if (LONG !== undefined) {
    const line = `${sorted.length} slots freed, ms: p50 ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)}`;
    console.log(`${runtimeUnderTest}: ${line}`);
  }
  await pop?.stop();
  await early?.stop();
  await rogue?.stop();
});

interface Caller {
  request: ClientRequest;
  /** Bytes of the answer's body so far. */
  received: number;
}

function ask(model: string, stream: boolean, user = "", by = pop): Caller {
  const outgoing = request(`${by.base}/v1/chat/completions`, {
    method: "POST",
    agent: false,
    headers: { "content-type": "application/json" },
  });
  const caller: Caller = { request: outgoing, received: 0 };
  outgoing.on("error", () => {});
  outgoing.on("response", (response) => {
    response.on("error", () => {});
    response.on("data", (bytes: Buffer) => {
      caller.received += bytes.length;
    });
  });
  const messages = [{ role: "user", content: `Leave while this is answered. ${model}` }];
  outgoing.end(JSON.stringify({ model, stream, user, messages }));
  return caller;
}

function depart({ request }: Caller, how: Leaving): void {
  if (how === "closes") request.destroy();
  else request.socket?.resetAndDestroy();
}

/** Lets all leave in one turn; the slowest freed slot, in milliseconds after that. */
async function leave(callers: Caller[], how: Leaving, by = pop): Promise<number> {
  rogue.leftAtMs.length = 0;
  const waited = runDelay([process.pid, by.pid]);
  const startMs = performance.now();
  for (const caller of callers) depart(caller, how);
  await eventually(
    `${callers.length} engine slots free`,
    () => rogue.leftAtMs.length >= callers.length,
    2_000,
  );
  const times = rogue.leftAtMs.map((atMs) => atMs - startMs);
  took.push(...times);
  return Math.max(...times) - waited();
}

async function inBatches(run: (count: number) => Promise<number>): Promise<number[]> {
  const slowest: number[] = [];
  for (let left = PER_STATE; left > 0; left -= AT_ONCE) {
    slowest.push(await run(Math.min(left, AT_ONCE)));
  }
  return slowest;
}

const many = (count: number, one: () => Caller): Caller[] => Array.from({ length: count }, one);

test.each(HEARD)("in prefill, it %s: the engine is told before it has sent a head", async (how) => {
  const slowest = await inBatches(async (count) => {
    const callers = many(count, () => ask("prefill", true));
    await eventually("all in prefill", () => rogue.active === count);
    return leave(callers, how);
  });
  expect(Math.max(...slowest)).toBeLessThan(WITHIN_MS);
});

test.each(BOTH)("in prefill, where the stream has begun, it %s", async (how) => {
  const slowest = await inBatches(async (count) => {
    const callers = many(count, () => ask("prefill", true, "", early));
    await eventually("all have a comment", () => callers.every(({ received }) => received > 0));
    return leave(callers, how, early);
  });
  expect(Math.max(...slowest)).toBeLessThan(WITHIN_MS);
});

test.each(BOTH)("in mid-stream, it %s", async (how) => {
  const slowest = await inBatches(async (count) => {
    const callers = many(count, () => ask("stream", true));
    await eventually("all receive", () => callers.every((caller) => caller.received > 0));
    return leave(callers, how);
  });
  expect(Math.max(...slowest)).toBeLessThan(WITHIN_MS);
});

test.each(HEARD)("in a plain answer, it %s", async (how) => {
  const slowest = await inBatches(async (count) => {
    const callers = many(count, () => ask("plain", false));
    await eventually("all at the engine", () => rogue.active === count);
    return leave(callers, how);
  });
  expect(Math.max(...slowest)).toBeLessThan(WITHIN_MS);
});

test.each(HEARD)("in the queue, it %s: the engine never hears of it", async (how) => {
  const holder = ask("narrow", true, "holder");
  await eventually("the place is taken", () => holder.received > 0);
  const before = rogue.requests;
  await inBatches(async (count) => {
    const callers = many(count, () => ask("narrow", true));
    await eventually("all in the queue", async () => (await queued()) === count);
    const startMs = performance.now();
    for (const caller of callers) depart(caller, how);
    await eventually("the queue is empty", async () => (await queued()) === 0, 2_000);
    return performance.now() - startMs;
  });
  expect(await leave([holder], how)).toBeLessThan(WITHIN_MS);
  expect(rogue.requests).toBe(before);
});

test("nothing stays behind, and the PoP serves", async () => {
  expect(rogue.active).toBe(0);
  for (const one of [pop, early]) {
    await eventually("nothing counts as running", async () => (await inFlight(one)) === 0, 2_000);
  }
  const body = JSON.stringify({
    model: "narrow",
    user: "good",
    messages: [{ role: "user", content: "hello" }],
  });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${pop.base}/v1/chat/completions`, { method: "POST", headers, body });
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain("word");
});

const queued = async (): Promise<number> => (await popState(pop)).queue.length;
