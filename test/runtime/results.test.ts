/**
 * Results are looked at before they count as complete: a strict schema that is not met is tried
 * once elsewhere, unseen; what cannot be tried again is given out and counted.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Plot, Scene } from "../vendors/scene.ts";
import { VendorServer } from "../vendors/server.ts";
import { VENDORS } from "../vendors/vendors.ts";
import { metric, type ServerProcess, startPop } from "./pop-process.ts";

const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const FORMAT = {
  type: "json_schema",
  json_schema: { name: "place", strict: true, schema: SCHEMA },
};
const saying = (text: string): Plot => {
  const usage = { input: 9, cached: 0, output: 3, reasoning: 0 };
  const scene: Scene = { say: [{ kind: "text", pieces: [text] }], stop: "end", usage };
  return { kind: "answers", scene };
};
const GOOD = '{"city":"Oslo"}';
const BAD = '{"town":"Oslo"}';

describe("results", () => {
  let cheap: VendorServer;
  let dear: VendorServer;
  let pop: ServerProcess;

  beforeAll(async () => {
    const director = () => saying(GOOD);
    cheap = await VendorServer.start(VENDORS.chat, { models: ["m", "alone"], director });
    dear = await VendorServer.start(VENDORS.chat, { models: ["m"], director });
    pop = await startPop({
      endpoints: [
        { id: "cheap", url: cheap.base, apiKey: cheap.key, models: ["m", "alone"] },
        { id: "dear", url: dear.base, apiKey: dear.key, models: ["m"], priceIn: 50, priceOut: 90 },
      ],
    });
  });

  beforeEach(() => {
    cheap.forget();
    dear.forget();
  });

  afterAll(async () => {
    await pop?.stop();
    await Promise.all([cheap?.stop(), dear?.stop()]);
  });

  async function ask(more: object): Promise<{ status: number; text: string; route: string }> {
    const messages = [{ role: "user", content: "Where?" }];
    const response = await fetch(`${pop.base}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "m", messages, response_format: FORMAT, ...more }),
    });
    const route = response.headers.get("x-grid-route") ?? "";
    return { status: response.status, text: await response.text(), route };
  }

  const faults = () => metric(pop, "gridpoint_result_faults_total");

  test("that meet the schema come from the first choice", async () => {
    const { text, route } = await ask({});
    expect(text).toContain("Oslo");
    expect(route).toContain("endpoint=cheap");
    expect(dear.asked).toHaveLength(0);
  });

  test("that do not are tried once elsewhere, unseen", async () => {
    const before = await faults();
    cheap.director = () => saying(BAD);
    const { status, text, route } = await ask({});
    expect([status, cheap.asked.length, dear.asked.length]).toEqual([200, 1, 1]);
    expect(JSON.parse(text).choices[0].message.content).toBe(GOOD);
    expect(route).toContain("endpoint=dear");
    expect(await faults()).toBe(before + 1);
    // A model's slip says nothing against the endpoint.
    const { endpoints } = await pop.json<{ endpoints: { id: string; usable?: boolean }[] }>(
      "/grid/state",
    );
    expect(endpoints.find(({ id }) => id === "cheap")).toMatchObject({ phase: "ready" });
  });

  test("that fail everywhere are given out after the second try", async () => {
    cheap.director = () => saying(BAD);
    dear.director = () => saying(BAD);
    const { status, text } = await ask({});
    expect([status, cheap.asked.length, dear.asked.length]).toEqual([200, 1, 1]);
    expect(JSON.parse(text).choices[0].message.content).toBe(BAD);
  });

  test("are given out where nobody else serves the model, and streams as they came", async () => {
    cheap.director = () => saying(BAD);
    dear.director = () => saying(GOOD);
    const before = await faults();
    expect((await ask({ model: "alone" })).text).toContain("town");
    const { text } = await ask({ stream: true });
    expect(text).toContain("[DONE]");
    expect([cheap.asked.length, dear.asked.length]).toEqual([2, 0]);
    expect(await faults()).toBe(before + 2);
  });

  test("without the wish for a strict schema are nobody's business", async () => {
    cheap.director = () => saying(BAD);
    const loose = { ...FORMAT, json_schema: { ...FORMAT.json_schema, strict: false } };
    expect((await ask({ response_format: loose })).text).toContain("town");
    expect(dear.asked).toHaveLength(0);
  });
});
