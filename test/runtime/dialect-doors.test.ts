/**
 * The doors of Anthropic and Gemini on whatever runtime is under test, before an engine that
 * speaks neither: whole and streamed answers, a stream that breaks, bad input, a client that
 * leaves. What the SDKs say to each door is test/sdk's business.
 */
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, inFlight, type ServerProcess, startPop } from "./pop-process.ts";
import { RogueEngine, tokenText } from "./rogue-engine.ts";

const WHOLE = Array.from({ length: 5 }, (_, n) => tokenText(n)).join("");
const LEAVERS = 10;
const FREE_WITHIN_MS = 500;

let rogue: RogueEngine;
let pop: ServerProcess;

beforeAll(async () => {
  rogue = await RogueEngine.start(["good", "breaks", "long"], ({ body }) => {
    if (body.model === "breaks") return { kind: "dies", after: 3, how: "reset" };
    if (body.model === "long") return { kind: "good", tokens: 10_000, gapMs: 5 };
    return { kind: "good", usage: true };
  });
  pop = await startPop({
    endpoints: [{ id: "e", url: rogue.base, engine: "vllm", models: rogue.models }],
  });
});

afterAll(async () => {
  await pop?.stop();
  await rogue?.stop();
});

/** An event of a stream: its name, where the dialect has one, and its data. */
interface SseEvent {
  name: string | undefined;
  data: Record<string, never>;
}

function eventsOf(text: string): SseEvent[] {
  const frames = text.split(/\r?\n\r?\n/).filter((frame) => frame.includes("data: "));
  return frames.map((frame) => ({
    name: /^event: (.*)$/m.exec(frame)?.[1],
    data: JSON.parse(/^data: (.*)$/m.exec(frame)?.[1] ?? ""),
  }));
}

interface Door {
  path(model: string, stream: boolean): string;
  body(model: string, stream: boolean): object;
  headers: Record<string, string>;
  /** The text of a whole answer; of an event of a stream, "" where it has none. */
  textOf(answer: unknown): string;
  deltaOf(event: SseEvent): string;
  /** The stream came to its end, as the dialect says it. */
  ended(events: SseEvent[]): boolean;
  failed(event: SseEvent): boolean;
  /** What a request without messages is told. */
  refusal: object;
}

type Parts = { text?: string }[];
interface Generated {
  candidates?: { content?: { parts?: Parts }; finishReason?: string }[];
}
const partsText = (answer: unknown): string =>
  ((answer as Generated).candidates?.[0]?.content?.parts ?? []).map(({ text }) => text).join("");

const DOORS: Record<string, Door> = {
  Anthropic: {
    path: () => "/v1/messages",
    body: (model, stream) => ({
      ...{ model, stream, max_tokens: 64 },
      messages: [{ role: "user", content: "hello" }],
    }),
    headers: { "anthropic-version": "2023-06-01", "x-api-key": "none" },
    textOf: (answer) => (answer as { content: Parts }).content.map(({ text }) => text).join(""),
    deltaOf: ({ data }) => (data["delta"] as { text?: string } | undefined)?.text ?? "",
    ended: (events) => events.at(-1)?.name === "message_stop",
    failed: ({ name, data }) => name === "error" && data["type"] === "error",
    refusal: { type: "error", error: { type: "invalid_request_error" } },
  },
  Gemini: {
    path: (model, stream) =>
      `/v1beta/models/${model}:${stream ? "streamGenerateContent?alt=sse" : "generateContent"}`,
    body: () => ({ contents: [{ role: "user", parts: [{ text: "hello" }] }] }),
    headers: { "x-goog-api-key": "none" },
    textOf: partsText,
    deltaOf: ({ data }) => partsText(data),
    ended: (events) =>
      (events.at(-1)?.data as Generated | undefined)?.candidates?.[0]?.finishReason === "STOP",
    failed: ({ data }) => "error" in data,
    refusal: { error: { code: 400, status: "INVALID_ARGUMENT" } },
  },
};

describe.each(Object.entries(DOORS))("%s", (_, door) => {
  const ask = (model: string, stream: boolean, body = door.body(model, stream)) =>
    fetch(pop.base + door.path(model, stream), {
      method: "POST",
      headers: { "content-type": "application/json", ...door.headers },
      body: JSON.stringify(body),
    });

  test("a whole answer", async () => {
    const response = await ask("good", false);
    expect(response.status).toBe(200);
    expect(response.headers.get("x-grid-route")).toMatch(/^pop=test;/);
    expect(door.textOf(await response.json())).toBe("word ");
  });

  test("a streamed answer, to its end", async () => {
    const response = await ask("good", true);
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const events = eventsOf(await response.text());
    expect(events.map(door.deltaOf).join("")).toBe(WHOLE);
    expect(door.ended(events)).toBe(true);
  });

  test("a stream that breaks ends with the dialect's error, not as if it were whole", async () => {
    const events = eventsOf(await (await ask("breaks", true)).text());
    expect(events.map(door.deltaOf).join("")).toContain(tokenText(2));
    expect(events.filter(door.failed)).toHaveLength(1);
    expect(door.ended(events)).toBe(false);
  });

  test("bad input is refused in the dialect", async () => {
    const response = await ask("good", false, { max_tokens: 5, model: "good" });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject(door.refusal);
  });

  test(`${LEAVERS} clients leave in mid-stream: every engine slot is freed`, async () => {
    rogue.leftAtMs.length = 0;
    let receiving = 0;
    const callers = Array.from({ length: LEAVERS }, () => {
      const outgoing = request(pop.base + door.path("long", true), {
        method: "POST",
        agent: false,
        headers: { "content-type": "application/json", ...door.headers },
      });
      outgoing.on("error", () => {});
      outgoing.on("response", (response) => {
        response.on("error", () => {});
        response.once("data", () => receiving++);
        response.resume();
      });
      outgoing.end(JSON.stringify(door.body("long", true)));
      return outgoing;
    });
    await eventually("all receive", () => receiving === LEAVERS);
    const startMs = performance.now();
    for (const caller of callers) caller.destroy();
    await eventually("all slots free", () => rogue.leftAtMs.length === LEAVERS, 2_000);
    // The bound of 50 ms is cancel.test.ts's business.
    expect(Math.max(...rogue.leftAtMs) - startMs).toBeLessThan(FREE_WITHIN_MS);
    await eventually("nothing runs", async () => (await inFlight(pop)) === 0, 2_000);
  });
});
