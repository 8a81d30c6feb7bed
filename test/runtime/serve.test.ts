/** `gridpoint serve` as operators meet it: who may come in, how it stops, where its log goes. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { freePorts } from "./free-ports.ts";
import { eventually, type ServerProcess, startPop } from "./pop-process.ts";
import { program } from "./program.ts";
import { type RogueEngine, RogueEngine as Rogue } from "./rogue-engine.ts";

let engine: RogueEngine;
let pop: ServerProcess;

beforeAll(async () => {
  engine = await Rogue.start(["m"], () => ({ kind: "good" }));
  pop = await startPop({
    endpoints: [{ id: "e", url: engine.base }],
    timeouts: { drainNoticeMs: 600 },
  });
});

afterAll(async () => {
  await pop?.stop();
  await engine?.stop();
});

const BODY = JSON.stringify({ model: "m", messages: [{ role: "user", content: "x" }] });

describe("a web page of another site, at a PoP without keys", () => {
  const page = { origin: "https://page.example", "sec-fetch-site": "cross-site" };

  // What a page may send without asking first: no content type, or none at all to say.
  test.each([
    ["POST", "/v1/chat/completions", BODY],
    ["POST", "/v1/messages", BODY],
    ["POST", "/v1beta/models/m:generateContent", BODY],
    ["POST", "/v1/responses", BODY],
    ["POST", "/grid/drain", undefined],
    ["GET", "/grid/state", undefined],
    ["GET", "/metrics", undefined],
  ])("%s %s", async (method, path, text) => {
    const body = text === undefined ? null : new Blob([text]);
    const { status } = await fetch(`${pop.base}${path}`, { method, body, headers: page });
    expect(status).toBe(403);
    expect(engine.requests).toBe(0);
  });

  test.each(["/v1/responses", "/v1/realtime?model=m"])("WebSocket %s", async (path) => {
    const status = (origin?: string) =>
      new Promise<number | undefined>((resolve) => {
        const url = `${pop.base.replace("http", "ws")}${path}`;
        const socket = new WebSocket(url, { origin });
        socket.on("unexpected-response", (_, { statusCode }) => resolve(statusCode));
        socket.on("error", () => {});
        socket.on("open", () => {
          socket.terminate();
          resolve(101);
        });
      });
    expect(await status(page.origin)).toBe(403);
    expect(await status(pop.base)).toBe(101);
    expect(await status()).toBe(101);
  });
});

test("SIGTERM: serves on until balancers have seen it, and sends its clients away", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (path: string) =>
    new Promise<[number | undefined, string | undefined]>((resolve, reject) => {
      get(`${pop.base}${path}`, { agent }, (answer) => {
        answer.resume();
        answer.on("end", () => resolve([answer.statusCode, answer.headers.connection]));
      }).on("error", reject);
    });
  expect(await ask("/readyz")).toEqual([200, "keep-alive"]);
  const ended = pop.kill("SIGTERM");
  await eventually("it leaves", async () => (await fetch(`${pop.base}/readyz`)).status === 503);
  expect(await ask("/readyz")).toEqual([503, "close"]);
  const headers = { "content-type": "application/json" };
  const served = await fetch(`${pop.base}/v1/chat/completions`, {
    method: "POST",
    headers,
    body: BODY,
  });
  expect([served.status, served.headers.get("connection")]).toEqual([200, "close"]);
  await ended;
  expect(pop.child.exitCode).toBe(0);
  agent.destroy();
});

// Only Linux has a device that is always full.
test.skipIf(!existsSync("/dev/full"))("a disk full of logs does not end it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-test-"));
  const file = join(folder, "pop.json");
  const [port] = await freePorts(1);
  writeFileSync(file, JSON.stringify({ listen: { port }, endpoints: [] }));
  const full = openSync("/dev/full", "w");
  const child = spawn(process.execPath, [program, "serve", "--config", file], {
    stdio: ["ignore", full, full],
  });
  const gone = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  try {
    await eventually("it serves", () =>
      fetch(`http://127.0.0.1:${port}/healthz`).then(
        ({ ok }) => ok,
        () => child.exitCode !== null,
      ),
    );
    child.kill("SIGHUP");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    child.kill("SIGTERM");
    expect(await gone).toBe(0);
  } finally {
    child.kill("SIGKILL");
    closeSync(full);
    rmSync(folder, { recursive: true });
  }
});
