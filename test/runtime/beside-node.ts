/**
 * A grid of two runtimes, as tests: a PoP on Node and one on another runtime, each with a model
 * that the other has not. They find each other, hand over through every dialect's door, cancel
 * across both hops, and the one's death before content is not seen at the other's door.
 */
import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GridProcess, makeGrid, seen } from "./grid-process.ts";
import { eventually, inFlight, type ServerProcess } from "./pop-process.ts";
import { RogueEngine, tokenText } from "./rogue-engine.ts";
import type { RuntimeName } from "./runtimes.ts";

const WHOLE = Array.from({ length: 5 }, (_, n) => tokenText(n)).join("");
const LEAVERS = 10;
/** The bound of 50 ms is cancel.test.ts's business, on quiet cores. */
const SLOWEST_MS = 500;
const IN_PREFILL = 20;

const JSON_TYPE = { "content-type": "application/json" };
const turn = { role: "user", content: "hello" };

/** A streamed request at each door. */
const DOORS: Record<string, (model: string) => [path: string, body: object]> = {
  chat: (model) => ["/v1/chat/completions", { model, stream: true, messages: [turn] }],
  responses: (model) => ["/v1/responses", { model, stream: true, input: "hello" }],
  messages: (model) => {
    const body = { model, stream: true, max_tokens: 64, messages: [turn] };
    return ["/v1/messages", body];
  },
  gemini: (model) => {
    const contents = [{ role: "user", parts: [{ text: "hello" }] }];
    return [`/v1beta/models/${model}:streamGenerateContent?alt=sse`, { contents }];
  },
};

const post = (pop: ServerProcess, path: string, body: object) =>
  fetch(pop.base + path, { method: "POST", headers: JSON_TYPE, body: JSON.stringify(body) });

/** What a stream says, in whichever dialect: each token's text comes once, as a string. */
const said = (stream: string): string =>
  Array.from({ length: 5 }, (_, n) => tokenText(n))
    .filter((text) => stream.includes(JSON.stringify(text)))
    .join("");

interface Sides {
  node: ServerProcess;
  other: ServerProcess;
}

export function besideNode(runtime: RuntimeName): void {
  const engines: RogueEngine[] = [];
  let grid: GridProcess;
  let sides: Sides;

  beforeAll(async () => {
    const script: Parameters<typeof RogueEngine.start>[1] = ({ body }) => {
      if (body.user === "leaver") return { kind: "good", tokens: 10_000, gapMs: 5 };
      return body.user === "holder" ? { kind: "silent" } : { kind: "good" };
    };
    for (const models of [["here"], ["there", "shared"]]) {
      engines.push(await RogueEngine.start(models, script));
    }
    // The same model at Node's, but dearer: it serves only what the other cannot.
    engines.push(await RogueEngine.start(["shared"], () => ({ kind: "good" })));
    const entry = (n: number) => {
      const { base, models } = engines[n] as RogueEngine;
      return { id: `e${n}`, url: base, engine: "vllm", models, prefillBudgetTokens: 1_000_000 };
    };
    grid = await makeGrid(2);
    const own = { endpoints: [entry(0), { ...entry(2), priceIn: 10 }] };
    const node = await grid.start(0, own, { runtime: "node" });
    const other = await grid.start(1, { endpoints: [entry(1)] }, { runtime });
    sides = { node, other };
  });

  afterAll(async () => {
    await grid?.close();
    await Promise.all(engines.map((engine) => engine.stop()));
  });

  const wayOf = (way: "to" | "from") => ({
    asked: way === "to" ? sides.node : sides.other,
    model: way === "to" ? "there" : "here",
    owner: way === "to" ? "p1" : "p0",
    engine: engines[way === "to" ? 1 : 0] as RogueEngine,
  });

  test("they meet", async () => {
    const meet = async (by: ServerProcess, id: string) => (await seen(by, id))?.reachable;
    await eventually("they meet", async () => {
      return (await meet(sides.node, "p1")) && (await meet(sides.other, "p0"));
    });
  });

  test.each(["to", "from"] as const)("a hand-over %s it, at every door", async (way) => {
    const { asked, model, owner } = wayOf(way);
    for (const [door, requestOf] of Object.entries(DOORS)) {
      const answer = await eventually(`${model} is known at ${door}`, async () => {
        const response = await post(asked, ...requestOf(model));
        return response.ok ? response : void (await response.text());
      });
      expect(answer.headers.get("x-grid-route")).toContain(`endpoint=${owner}/`);
      expect(`${door}: ${said(await answer.text())}`).toBe(`${door}: ${WHOLE}`);
    }
  });

  test.each(["to", "from"] as const)("a client leaves a hand-over %s it", async (way) => {
    const { asked, model, engine } = wayOf(way);
    engine.leftAtMs.length = 0;
    let receiving = 0;
    const callers = Array.from({ length: LEAVERS }, () => {
      const [path, body] = (DOORS["chat"] as (model: string) => [string, object])(model);
      const options = { method: "POST", headers: JSON_TYPE, agent: false };
      const outgoing = request(asked.base + path, options);
      outgoing.on("error", () => {});
      outgoing.on("response", (response) => {
        response.on("error", () => {});
        response.once("data", () => receiving++);
        response.resume();
      });
      outgoing.end(JSON.stringify({ ...body, user: "leaver" }));
      return outgoing;
    });
    await eventually("all receive", () => receiving === LEAVERS);
    const startMs = performance.now();
    for (const caller of callers) caller.destroy();
    await eventually("all slots free", () => engine.leftAtMs.length === LEAVERS, 2_000);
    expect(Math.max(...engine.leftAtMs) - startMs).toBeLessThan(SLOWEST_MS);
    for (const pop of [sides.node, sides.other]) {
      await eventually("nothing runs", async () => (await inFlight(pop)) === 0, 2_000);
    }
  });

  test("kill -9 of it with hand-overs in prefill: the caller sees nothing", async () => {
    const body = { model: "shared", stream: true, user: "holder", messages: [turn] };
    const ask = async (): Promise<string> => {
      const response = await post(sides.node, "/v1/chat/completions", body);
      return said(await response.text());
    };
    const answers = Array.from({ length: IN_PREFILL }, ask);
    await eventually("all in prefill there", () => engines[1]?.active === IN_PREFILL);
    await sides.other.kill("SIGKILL");
    expect(new Set(await Promise.all(answers))).toEqual(new Set([WHOLE]));
  });
}
