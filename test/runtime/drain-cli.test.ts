/** `gridpoint drain` against a real process: what it says, what it does, how it ends. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { start } from "./command.ts";
import { type ServerProcess, startPop } from "./pop-process.ts";
import { RogueEngine } from "./rogue-engine.ts";

let rogue: RogueEngine;
let pop: ServerProcess;

async function run(...args: string[]): Promise<{ code: number | string; text: string }> {
  const command = start(["drain", ...args]);
  return { code: await command.exited, text: command.output() };
}

beforeAll(async () => {
  rogue = await RogueEngine.start(["m"], () => ({ kind: "good", tokens: 20, gapMs: 10 }));
  const one = { url: rogue.base, engine: "vllm", models: ["m"] };
  pop = await startPop({
    endpoints: [
      { id: "e-0", ...one },
      { id: "e-1", ...one },
    ],
  });
});

afterAll(async () => {
  await pop?.stop();
  await rogue?.stop();
});

test("drains a PoP, waits for what runs, and takes it back", async () => {
  const running = fetch(`${pop.base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "x" }] }),
  }).then((response) => response.text());
  while (rogue.active === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const drained = await run("--url", pop.base, "--wait", "10");
  expect(drained).toMatchObject({ code: 0 });
  expect(drained.text).toContain("test: draining, 0 running, 0 queued\n  e-0: ");
  expect(await running).toContain("[DONE]");
  expect((await fetch(`${pop.base}/readyz`)).status).toBe(503);
  const back = await run("--url", pop.base, "--undo");
  expect(back.text).toContain("test: active");
  expect((await fetch(`${pop.base}/readyz`)).status).toBe(200);
});

test("drains one endpoint; what it cannot do it says", async () => {
  const one = await run("--url", pop.base, "--endpoint", "e-1");
  expect(one.text).toContain("e-1: none");
  const wrong = await run("--url", pop.base, "--endpoint", "e-9");
  expect([wrong.code, wrong.text]).toEqual([1, expect.stringContaining("no endpoint 'e-9'")]);
  const nobody = await run("--url", "http://127.0.0.1:1");
  expect([nobody.code, nobody.text]).toEqual([1, expect.stringContaining("no PoP answers")]);
  expect((await run("--url", "x")).code).toBe(2);
});
