/**
 * What a PoP owes its callers, on every runtime that is installed: `npm run test:runtimes` installs
 * them and runs the long suites of this folder on each, too. Client and engines live here.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { MESSAGE_BYTES } from "./echo-door.ts";
import { besideNode } from "./beside-node.ts";
import { eventually, inFlight, metric, popState, startCli, startPop } from "./pop-process.ts";
import type { ServerProcess } from "./pop-process.ts";
import { RogueEngine, tokenText } from "./rogue-engine.ts";
import { commandLine, missing, RUNTIMES, type RuntimeName } from "./runtimes.ts";

const CANCELS = 20;
const SLOWEST_MS = 500;

for (const runtime of RUNTIMES) {
  const reason = missing(runtime);
  describe.skipIf(reason)(reason ?? runtime, () => {
    serving(runtime);
    const host = sockets(runtime);
    deciding(runtime, host);
    if (runtime === "workerd") restarting();
    // On Node: grid.test.ts and handover.test.ts.
    if (runtime !== "node") besideNode(runtime);
  });
}

type Body = Record<string, unknown>;

const post = (pop: ServerProcess, body: Body, path = "/v1/chat/completions") =>
  fetch(`${pop.base}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: "hello" }], ...body }),
  });

function serving(runtime: RuntimeName): void {
  let rogue: RogueEngine;
  let pop: ServerProcess;

  beforeAll(async () => {
    rogue = await RogueEngine.start(["good", "breaks", "long", "slow"], ({ body }) => {
      if (body.model === "breaks") return { kind: "dies", after: 3, how: "reset" };
      if (body.model === "long") return { kind: "good", tokens: 10_000, gapMs: 5 };
      if (body.model === "slow") return { kind: "good", tokens: 30, gapMs: 20 };
      return { kind: "good", usage: true };
    });
    pop = await startPop(
      { endpoints: [{ id: "e", url: rogue.base, engine: "vllm", models: rogue.models }] },
      { runtime },
    );
  });

  afterAll(async () => {
    await pop?.stop();
    await rogue?.stop();
  });

  test("a plain answer, with what every answer carries", async () => {
    const response = await post(pop, { model: "good" });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(response.headers.get("x-grid-route")).toMatch(/^pop=test;tier=.*endpoint=e;reason=only/);
    expect(response.headers.get("x-request-id")).not.toBeNull();
    expect(await response.text()).toContain("word");
  });

  test("a streamed answer: every token as it comes, and the end", async () => {
    const startMs = performance.now();
    const response = await post(pop, { model: "slow", stream: true });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    let firstMs = 0;
    let text = "";
    for await (const bytes of response.body as ReadableStream<Uint8Array>) {
      text += new TextDecoder().decode(bytes);
      if (firstMs === 0 && text.includes(tokenText(0))) firstMs = performance.now() - startMs;
    }
    expect(firstMs).toBeLessThan((performance.now() - startMs) / 2);
    for (let n = 0; n < 30; n++) expect(text).toContain(tokenText(n));
    expect(text).toContain("data: [DONE]");
  });

  test("HEAD and GET of the plain routes", async () => {
    expect(await pop.json("/healthz")).toEqual({ status: "ok" });
    const head = await fetch(`${pop.base}/healthz`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const models = await pop.json<{ data: { id: string }[] }>("/v1/models");
    expect(models.data.map(({ id }) => id).sort()).toEqual([...rogue.models].sort());
  });

  test("a stream that breaks ends with an error event, not as if it were whole", async () => {
    const text = await (await post(pop, { model: "breaks", stream: true })).text();
    expect(text).toContain(tokenText(2));
    expect(text).toMatch(/"code":"disconnected"/);
    expect(text).not.toContain("[DONE]");
  });

  test(`${CANCELS} clients leave in mid-stream: every engine slot is freed`, async () => {
    rogue.leftAtMs.length = 0;
    let receiving = 0;
    const callers = Array.from({ length: CANCELS }, () => {
      const options = { method: "POST", headers: { "content-type": "application/json" } };
      const outgoing = request(`${pop.base}/v1/chat/completions`, { ...options, agent: false });
      outgoing.on("error", () => {});
      outgoing.on("response", (response) => {
        response.on("error", () => {});
        response.once("data", () => receiving++);
        response.resume();
      });
      const messages = [{ role: "user", content: "leave" }];
      outgoing.end(JSON.stringify({ model: "long", stream: true, messages }));
      return outgoing;
    });
    await eventually("all receive", () => receiving === CANCELS);
    const startMs = performance.now();
    for (const caller of callers) caller.destroy();
    await eventually("all slots free", () => rogue.leftAtMs.length === CANCELS, 2_000);
    const slowest = Math.max(...rogue.leftAtMs) - startMs;
    // The bound of 50 ms is cancel.test.ts's business, on quiet cores.
    expect(slowest).toBeLessThan(SLOWEST_MS);
    await eventually("nothing runs", async () => (await inFlight(pop)) === 0, 2_000);
  });

  test("bad input is answered in the caller's dialect", async () => {
    const response = await fetch(`${pop.base}/v1/chat/completions`, { method: "POST", body: "{" });
    expect(response.status).toBe(415);
    const broken = await post(pop, { model: 7 });
    expect(broken.status).toBe(400);
    const { error } = (await broken.json()) as { error: Record<string, string> };
    expect(error).toMatchObject({ type: "invalid_request_error", param: "model" });
    expect((await fetch(`${pop.base}/nothing`)).status).toBe(404);
    expect((await fetch(`${pop.base}/v1/models`, { method: "POST" })).status).toBe(405);
  });

  test("an upgrade that no door takes is answered, not dropped", async () => {
    const socket = new WebSocket(`${pop.base.replace("http", "ws")}/v1/chat/completions`);
    const status = await new Promise((resolve) => {
      socket.on("unexpected-response", (_, response) => resolve(response.statusCode));
      socket.on("error", (error) => resolve(error.message));
    });
    expect(status).toBe(405);
  });

  test("metrics count what was served", async () => {
    expect(await metric(pop, "gridpoint_requests_total")).toBeGreaterThan(3);
    expect(await pop.text("/metrics")).toContain("# TYPE gridpoint_time_to_first_token_seconds");
  });

  test("drain: not ready, running streams end whole, nothing new, and back", async () => {
    const running = post(pop, { model: "slow", stream: true });
    await eventually("it runs", async () => (await popState(pop)).running > 0);
    await pop.json("/grid/drain", { method: "POST" });
    expect((await fetch(`${pop.base}/readyz`)).status).toBe(503);
    expect((await post(pop, { model: "good" })).status).toBe(503);
    expect(await (await running).text()).toContain("[DONE]");
    await pop.json("/grid/drain", { method: "DELETE" });
    expect((await post(pop, { model: "good" })).status).toBe(200);
  });
}

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const TEST_WORKER = "test/runtime/test-worker.ts";

/** A door's WebSocket through the runtime's adapter; on workerd, a PoP with more than that. */
function sockets(runtime: RuntimeName): () => ServerProcess {
  let host: ServerProcess;

  beforeAll(async () => {
    host = await (runtime === "workerd"
      ? startPop({ endpoints: [] }, { runtime, worker: TEST_WORKER, ready: false })
      : startCli([], runtime, script("socket-host.ts")));
  });

  afterAll(() => host?.stop());

  const dial = (options: ClientOptions = { headers: { authorization: "Bearer key" } }) =>
    new WebSocket(`${host.base.replace("http", "ws")}/socket`, ["other", "grid"], options);

  const opened = async (): Promise<WebSocket> => {
    const socket = dial();
    await once(socket, "open");
    return socket;
  };

  test("a socket: text, bytes, sub-protocol, and who ends it", async () => {
    const socket = await opened();
    expect(socket.protocol).toBe("grid");
    socket.send("hällo");
    expect(String((await once(socket, "message"))[0])).toBe("echo hällo");
    socket.send(new Uint8Array([1, 2, 3]));
    expect([...((await once(socket, "message"))[0] as Buffer)]).toEqual([3, 2, 1]);
    socket.send("close");
    const [code, reason] = await once(socket, "close");
    expect([code, String(reason)]).toEqual([1012, "again later"]);
  });

  test("a socket that is refused gets an ordinary answer", async () => {
    const [, response] = await once(dial({}), "unexpected-response");
    expect(response.statusCode).toBe(401);
    let body = "";
    for await (const chunk of response) body += String(chunk);
    expect(body).toBe('{"error":"no key"}');
  });

  test("a message over the bound ends its socket and nothing else", async () => {
    const [socket, other] = await Promise.all([opened(), opened()]);
    socket.send("x".repeat(MESSAGE_BYTES + 1));
    expect((await once(socket, "close"))[0]).toBe(1009);
    other.send("still here");
    expect(String((await once(other, "message"))[0])).toBe("echo still here");
    other.terminate();
  });

  test.skipIf(runtime === "workerd")("a client that reads slowly makes the door wait", async () => {
    const socket = await opened();
    const said: string[] = [];
    socket.on("message", (data) => said.push(String(data)));
    socket.send("flood");
    await eventually("drained", () => said.some((text) => text.startsWith("drained after")));
    const pieces = said.filter((text) => text.length === 20_000).length;
    expect(said.at(-1)).toBe(`drained after ${pieces}`);
    socket.terminate();
  });
  return () => host;
}

const decisionsOf = (name: RuntimeName): string => {
  const [file, args] = commandLine(name, [], script("decisions.ts"));
  return execFileSync(file, args, { encoding: "utf8" }).trim();
};
/** Node's, which all others are held to: asked once. */
let onNode: string | undefined;

function deciding(runtime: RuntimeName, host: () => ServerProcess): void {
  test("the kernel decides as everywhere, bit for bit, and as its twin", async () => {
    onNode ??= decisionsOf("node");
    const here = onNode;
    const [, wasm, , twin] = here.split(" ");
    expect(wasm).toBe(twin);
    const there =
      runtime === "workerd" ? await host().text("/test/decisions") : decisionsOf(runtime);
    expect(there).toBe(here);
  });
}

/** The object is the PoP: another one in its place takes what had not begun. */
function restarting(): void {
  test("a new object: what ran breaks visibly, what waited is served by it", async () => {
    const rogue = await RogueEngine.start(["m", "narrow"], ({ body }) => {
      if (body.user === "holder") return { kind: "falls-silent", tokens: 1 };
      return body.model === "m" ? { kind: "good", tokens: 1_000, gapMs: 10 } : { kind: "good" };
    });
    const entry = { url: rogue.base, engine: "vllm" };
    const endpoints = [
      { ...entry, id: "m", models: ["m"] },
      { ...entry, id: "narrow", models: ["narrow"], maxInFlight: 1 },
    ];
    const pop = await startPop({ endpoints }, { runtime: "workerd", worker: TEST_WORKER });
    const heard = (answer: Response): Promise<string> => answer.text().catch(() => "broke");
    try {
      const running = [
        await post(pop, { model: "m", stream: true }),
        await post(pop, { model: "narrow", stream: true, user: "holder" }),
      ].map(heard);
      const waiting = Array.from({ length: 10 }, () => post(pop, { model: "narrow" }));
      await eventually("they wait", async () => (await popState(pop)).queue.length === 10);
      // Of unknown length, so that this one is not tried again.
      const body = new Blob(["now"]).stream();
      const restart = { method: "POST", body, duplex: "half" } as RequestInit;
      await fetch(`${pop.base}/test/restart`, restart).catch(() => {});

      for (const text of await Promise.all(running)) expect(text).not.toContain("[DONE]");
      for (const response of await Promise.all(waiting)) {
        expect([response.status, await heard(response)]).toEqual([
          200,
          expect.stringContaining("word"),
        ]);
      }
      await eventually("the old one's engine slots are free", () => rogue.active === 0, 2_000);
    } finally {
      await pop.stop();
      await rogue.stop();
    }
  });
}
