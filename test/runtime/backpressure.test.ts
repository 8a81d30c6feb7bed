/**
 * A client that reads slowly slows its own engine down and nothing else: the PoP holds a bounded
 * number of its bytes, the engine's writes are held back, other streams run on, and when the
 * client reads again every token is there.
 */
import { request, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, inFlight, type ServerProcess, startPop } from "./pop-process.ts";
import { RogueEngine, tokenText } from "./rogue-engine.ts";

const TOKEN_BYTES = 32 * 1024;
const TOKENS = 2_000;
const SLOW_READERS = 4;
/** Four answers are 256 MB; what may be held of them is a few buffers each. */
const MOST_GROWTH_MB = 60;

let rogue: RogueEngine;
let pop: ServerProcess;

beforeAll(async () => {
  rogue = await RogueEngine.start(["big", "small"], ({ body }) =>
    body.model === "big"
      ? { kind: "good", tokens: TOKENS, bytesPerToken: TOKEN_BYTES }
      : { kind: "good", tokens: 20, gapMs: 5 },
  );
  pop = await startPop({
    endpoints: [{ id: "rogue", url: rogue.base, engine: "vllm", models: ["big", "small"] }],
  });
});

afterAll(async () => {
  await pop?.stop();
  await rogue?.stop();
});

/** Resolves with an answer of which not one body byte has been read. */
function ask(model: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${pop.base}/v1/chat/completions`,
      { method: "POST", agent: false, headers: { "content-type": "application/json" } },
      (response) => {
        response.on("error", () => {});
        response.pause();
        resolve(response);
      },
    );
    outgoing.on("error", reject);
    const messages = [{ role: "user", content: "a very long answer, please" }];
    outgoing.end(JSON.stringify({ model, stream: true, messages }));
  });
}

async function readAll(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

test("slow readers: bounded memory, engine held back, others unhurt, all arrives", async () => {
  await readAll(await ask("small"));
  const before = pop.rssMb;
  const slow = await Promise.all(Array.from({ length: SLOW_READERS }, () => ask("big")));
  await eventually("every engine write held back", () => rogue.writesHeldBack >= SLOW_READERS);

  const startMs = performance.now();
  const fast = await Promise.all([1, 2, 3, 4, 5].map(async () => readAll(await ask("small"))));
  for (const text of fast) expect(text).toContain(tokenText(19));
  // 20 tokens 5 ms apart take 100 ms by themselves.
  expect(performance.now() - startMs).toBeLessThan(1_000);

  expect(rogue.active).toBe(SLOW_READERS);
  expect(pop.rssMb - before).toBeLessThan(MOST_GROWTH_MB);

  const [first, ...others] = slow as [IncomingMessage, ...IncomingMessage[]];
  for (const other of others) other.destroy();
  const text = await readAll(first);
  const numbers = [...text.matchAll(/"content":"w(\d+) x/g)].map((match) => Number(match[1]));
  expect(numbers).toEqual(Array.from({ length: TOKENS }, (_, n) => n));
  expect(text).toContain("data: [DONE]");
  expect(pop.rssMb - before).toBeLessThan(2 * MOST_GROWTH_MB);
  await eventually("all places free", async () => (await inFlight(pop)) === 0, 2_000);
});
