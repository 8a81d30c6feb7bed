/**
 * Two conformance suites of others: compatcanary as its users run it, as a process, and the Open
 * Responses cases. Each at our servers of the vendors' protocols and, where a PoP has the doors,
 * through a PoP.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServerProcess } from "../runtime/pop-process.ts";
import { startPop } from "../runtime/pop-process.ts";
import { obedient } from "../vendors/obedient.ts";
import { CASES, type Server } from "../vendors/open-responses.ts";
import { VendorServer } from "../vendors/server.ts";
import { VENDORS } from "../vendors/vendors.ts";
import { DOORS, ENGINES } from "./stage.ts";

const CANARY = fileURLToPath(new URL("node_modules/compatcanary/src/cli.js", import.meta.url));
const SCAN_MS = 30_000;

interface Report {
  compatible: boolean;
  score: number;
  results: { id: string; status: string; required: boolean; summary: string }[];
}

/** `compatcanary scan`; rejects with what it printed when it ends with an error. */
function scan({ baseUrl, key, model }: Server, profile: string): Promise<Report> {
  const wanted = ["--base-url", baseUrl, "--model", model, "--profile", profile];
  const args = [CANARY, "scan", ...wanted, "--format", "json", "--fail-on", "never"];
  const env = { ...process.env, OPENAI_API_KEY: key };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { env, timeout: SCAN_MS }, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(`${error.message}\n${stdout}${stderr}`));
      else resolve(JSON.parse(stdout) as Report);
    });
  });
}

const failed = ({ results }: Report): string[] =>
  results
    .filter(({ status }) => status !== "pass")
    .map(({ id, status, summary }) => `${id}: ${status}: ${summary}`);

let chat: VendorServer;
let responses: VendorServer;
let pop: ServerProcess;

beforeAll(async () => {
  chat = await VendorServer.start(VENDORS.chat, { models: ["m"], director: obedient });
  responses = await VendorServer.start(VENDORS.responses, { models: ["r"], director: obedient });
  const endpoint = { engine: "openai-compatible" };
  const other = { ...endpoint, id: "responses", url: responses.base, models: ["r"] };
  pop = await startPop({
    endpoints: [
      { ...endpoint, id: "chat", url: chat.base, models: ["m"], apiKey: chat.key },
      ...(ENGINES.includes("responses")
        ? [{ ...other, apiKey: responses.key, dialects: ["responses"] }]
        : []),
    ],
  });
});

afterAll(async () => {
  await pop?.stop();
  await chat?.stop();
  await responses?.stop();
});

/** Models of the PoP, one per engine dialect that the doors of OpenAI meet. */
const MODELS = ENGINES.includes("responses") ? ["m", "r"] : ["m"];
const through = (model: string): Server => ({ baseUrl: `${pop.base}/v1`, key: "any", model });

describe("compatcanary", () => {
  test("profile chat at the vendor", async () => {
    const server = { baseUrl: `${chat.base}/v1`, key: chat.key, model: "m" };
    expect(failed(await scan(server, "chat"))).toEqual([]);
  });

  const profiles = DOORS.includes("responses") ? ["chat", "modern"] : ["chat"];
  describe.each(MODELS)("model %s", (model) => {
    test.each(profiles)("profile %s through a PoP", async (profile) => {
      const report = await scan(through(model), profile);
      expect(failed(report)).toEqual([]);
      expect(report).toMatchObject({ compatible: true, score: 100 });
    });
  });
});

describe("Open Responses", () => {
  const vendor = (): Server => ({
    ...{ baseUrl: `${responses.base}/v1`, key: responses.key, model: "r" },
  });

  test.each(CASES)("$id at the vendor", async ({ run }) => {
    expect(await run(vendor())).toEqual([]);
  });

  const open = CASES.filter(({ overWebSocket }) =>
    DOORS.includes(overWebSocket ? "responses over WebSocket" : "responses"),
  );
  for (const { id, run } of open) {
    test.each(MODELS)(`${id} through a PoP, model %s`, async (model) => {
      expect(await run(through(model))).toEqual([]);
    });
  }

  const url = process.env.OPEN_RESPONSES_URL;
  if (url === undefined) return;
  const key = process.env.OPEN_RESPONSES_KEY ?? "none";
  const model = process.env.OPEN_RESPONSES_MODEL ?? "model";
  test.each(CASES)("$id at OPEN_RESPONSES_URL", async ({ run }) => {
    expect(await run({ baseUrl: url, key, model })).toEqual([]);
  });
});
