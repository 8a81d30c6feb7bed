/**
 * KV events over real sockets: emulated engines as processes publish in both encodings, a real PoP
 * follows them, and each answer's `cached_tokens` judges what the PoP predicted.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, metric } from "./pop-process.ts";
import {
  ask,
  type EngineSetting,
  fault,
  kvStates,
  type Message,
  prose,
  type Scene,
  seeded,
  startScene,
} from "./kv-scene.ts";

const SMALL = ["--profile", "h100-8b", "--speed", "10", "--kv-blocks", "1200"];
const MORE = ["--max-model-len", "16384"];
const ARRAYS = ["--kv-events", "arrays", "--kv-hashes", "int"];
const random = seeded(5);
const document = (): Message => ({ role: "system", content: prose(random, 8_000) });
const question = (): Message => ({ role: "user", content: prose(random, 200) });
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Events have come, and what was credited without them is settled. */
async function settled(scene: Scene): Promise<void> {
  await sleep(400);
  await eventually("no replay runs", async () =>
    (await kvStates(scene.pop)).every((one) => one?.trust !== "syncing"),
  );
}

const chunks = async ({ pop }: Scene) =>
  (await pop.json<{ kvKnowledge: { chunks: number } }>("/grid/state")).kvKnowledge.chunks;

describe.each([
  ["maps, bytes", []],
  ["arrays, ints", ARRAYS],
])("%s", (_, encoding) => {
  let scene: Scene;
  beforeAll(async () => {
    const args = [...SMALL, ...MORE, ...encoding];
    const setting: EngineSetting = { args, follow: "events", replay: true };
    scene = await startScene([setting, setting]);
  });
  afterAll(() => scene?.close());

  test("what is predicted is what the engine finds, to the token", async () => {
    const shared = document();
    const first = await ask(scene.pop, [shared, question()]);
    expect([first.predicted, first.cached]).toEqual([0, 0]);
    await settled(scene);
    await ask(scene.pop, [shared, question()]);
    await settled(scene);
    // How far a match goes on past the last whole chunk is known from the second on.
    for (let round = 0; round < 3; round++) {
      const { predicted, cached } = await ask(scene.pop, [shared, question()]);
      expect(cached).toBeGreaterThan(1_900);
      expect(Math.abs(predicted - cached)).toBeLessThanOrEqual(1);
    }
  });

  test("what other routers sent to an engine is known here", async () => {
    const messages = [document(), question()];
    const { endpoint } = await ask(scene.pop, messages);
    const other = scene.engines[endpoint === "e0" ? 1 : 0] as Scene["engines"][number];
    const body = JSON.stringify({ model: "emulated", messages, max_tokens: 2 });
    const headers = { "content-type": "application/json" };
    await other.json("/v1/chat/completions", { method: "POST", headers, body });
    await settled(scene);
    const explained = await scene.pop.json<{
      candidates: { endpoint: string; matchedTokens: number }[];
    }>("/grid/explain", { method: "POST", body, headers });
    for (const { matchedTokens } of explained.candidates)
      expect(matchedTokens).toBeGreaterThan(1_900);
  });

  test("an eviction is heard of: nothing is predicted that is gone", async () => {
    const old = document();
    await ask(scene.pop, [old, question()]);
    await settled(scene);
    // Each engine holds 1,200 blocks: about nine such documents.
    for (let round = 0; round < 10; round++) {
      const four = Array.from({ length: 4 }, () => ask(scene.pop, [document(), question()]));
      await Promise.all(four);
    }
    await settled(scene);
    const { predicted, cached } = await ask(scene.pop, [old, question()]);
    expect([predicted, cached]).toEqual([0, 0]);
  });

  test("lost events are replayed; the metrics tell", async () => {
    const shared = document();
    for (const engine of scene.engines) await fault(engine, { kind: "lose-events", ms: 500 });
    await ask(scene.pop, [shared, question()]);
    await sleep(600);
    await ask(scene.pop, [document(), question()]);
    await ask(scene.pop, [document(), question()]);
    await settled(scene);
    await ask(scene.pop, [shared, question()]);
    await settled(scene);
    // To the token, within the five seconds that a recovery may take.
    await eventually(
      "right predictions",
      async () => {
        const { predicted, cached } = await ask(scene.pop, [shared, question()]);
        return Math.abs(predicted - cached) <= 1;
      },
      5_000,
    );
    // The loss shows by a gap, or by the audit of a stream that went quiet: both replay.
    expect(await metric(scene.pop, "gridpoint_kv_events_replayed_total")).toBeGreaterThan(0);
    expect(await metric(scene.pop, "gridpoint_kv_resets_total")).toBe(0);
    expect(await metric(scene.pop, "gridpoint_kv_trusted")).toBe(2);
    expect(await metric(scene.pop, "gridpoint_kv_bad_events_total")).toBe(0);
  });

  test("an engine's restart empties its row, and it is followed from the start again", async () => {
    const shared = document();
    await ask(scene.pop, [shared, question()]);
    await settled(scene);
    for (const engine of scene.engines) await fault(engine, { kind: "restart", ms: 50 });
    await eventually("both reset", async () =>
      (await kvStates(scene.pop)).every((one) => (one?.resets ?? 0) > 0 && one?.trust === "whole"),
    );
    await eventually("both serve", async () => (await fetch(`${scene.pop.base}/readyz`)).ok);
    const { predicted, cached } = await ask(scene.pop, [shared, question()]);
    expect([predicted, cached]).toEqual([0, 0]);
    await settled(scene);
    const again = await ask(scene.pop, [shared, question()]);
    expect(again.cached).toBeGreaterThan(1_900);
    expect(Math.abs(again.predicted - again.cached)).toBeLessThan(80);
  });
});

describe("an engine without a tokenizer", () => {
  let scene: Scene;
  beforeAll(async () => {
    const args = [...SMALL, ...MORE, "--no-tokenizer", "--model", "emulated", "--model", "sql"];
    scene = await startScene([{ args, follow: "events", replay: true }]);
    // The first request finds out that there is none.
    await ask(scene.pop, [document(), question()]);
  });
  afterAll(() => scene?.close());

  const events = async (body: Record<string, unknown>) => {
    const response = await fetch(`${scene.pop.base}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "emulated", max_tokens: 6, stream: true, ...body }),
    });
    return response.text();
  };

  test("the answers tell the ids, and their callers do not see it", async () => {
    const before = await chunks(scene);
    const plain = await fetch(`${scene.pop.base}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "emulated",
        max_tokens: 3,
        messages: [document(), question()],
      }),
    });
    expect(await plain.text()).not.toContain('token_ids":[');
    expect(await chunks(scene)).toBeGreaterThan(before + 10);
    const messages = [document(), question()];
    const streamed = await events({ messages });
    expect(streamed).not.toContain('token_ids":[');
    expect(streamed.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(streamed.match(/"content":"[^"]+"/g)?.length).toBe(6);
    expect(await chunks(scene)).toBeGreaterThan(before + 25);
    await settled(scene);
    const again = await ask(scene.pop, messages);
    expect(again.cached).toBeGreaterThan(1_900);
    expect(Math.abs(again.predicted - again.cached)).toBeLessThan(80);
  });

  test("a caller who asked for the ids gets them, and they are learned from", async () => {
    const before = await chunks(scene);
    const messages = [document(), question()];
    const text = await events({ messages, return_token_ids: true });
    expect(text).toContain('"prompt_token_ids":[');
    expect(text.match(/"token_ids":\[/g)?.length).toBe(6);
    expect(await chunks(scene)).toBeGreaterThan(before + 10);
    const kept = await chunks(scene);
    expect(await events({ messages: [document()], return_token_ids: false })).toContain("[DONE]");
    expect(await chunks(scene)).toBe(kept);
  });

  test("an adapter's cache is not the base model's", async () => {
    const messages = [document(), question()];
    await ask(scene.pop, messages);
    await settled(scene);
    const asAdapter = await ask(scene.pop, messages, { model: "sql" });
    expect([asAdapter.predicted, asAdapter.cached]).toEqual([0, 0]);
    await settled(scene);
    const again = await ask(scene.pop, messages, { model: "sql" });
    expect(again.cached).toBeGreaterThan(1_900);
    expect(Math.abs(again.predicted - again.cached)).toBeLessThan(80);
  });
});

test("an engine that never publishes: estimated as before, and the state says so", async () => {
  const args = [...SMALL, ...MORE];
  const scene = await startScene([{ args, follow: "nobody", replay: false }]);
  try {
    const shared = document();
    await ask(scene.pop, [shared, question()]);
    await ask(scene.pop, [shared, question()]);
    const { predicted, cached } = await ask(scene.pop, [shared, question()]);
    expect(cached).toBeGreaterThan(1_900);
    expect(Math.abs(predicted - cached)).toBeLessThan(100);
    expect((await kvStates(scene.pop))[0]).toMatchObject({ trust: "connecting", received: 0 });
    expect(await metric(scene.pop, "gridpoint_kv_trusted")).toBe(0);
  } finally {
    await scene.close();
  }
});
