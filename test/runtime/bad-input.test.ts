/**
 * Every bad input gets a precise error that names what to change, and none of them hurts the
 * process: after the whole table it serves, and counts nothing as running that is not. Raw
 * sockets, because no HTTP client would send most of this.
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  BODIES,
  type BadCase,
  CHAT,
  chat,
  FIELDS,
  FRAMING,
  HEADERS,
  HUGE_NUMBERS,
  head,
  line,
  METHODS,
  messages,
  nested,
  typed,
} from "./bad-input-cases.ts";
import { eventually, inFlight, type ServerProcess, startPop } from "./pop-process.ts";
import { post, type RawAnswer, rawRequest } from "./raw-http.ts";
import { RogueEngine } from "./rogue-engine.ts";
import { deviation } from "./runtimes.ts";

const BODY_BYTES = 300_000;
const HEADER_MS = 300;
const BODY_MS = 300;

let rogue: RogueEngine;
let pop: ServerProcess;
let locked: ServerProcess;

beforeAll(async () => {
  rogue = await RogueEngine.start(["m", "narrow"], ({ body }) =>
    body.model === "narrow" ? { kind: "falls-silent", tokens: 1 } : { kind: "good" },
  );
  const entry = { engine: "vllm", url: rogue.base };
  const limits = {
    bodyBytes: BODY_BYTES,
    bodyTimeoutMs: BODY_MS,
    headerTimeoutMs: HEADER_MS,
    queueLength: 0,
  };
  pop = await startPop(
    {
      limits,
      endpoints: [
        { ...entry, id: "one", models: ["m"], priceOut: 1, contextTokens: 60_000 },
        { ...entry, id: "narrow", models: ["narrow"], maxInFlight: 1 },
        { ...entry, id: "draining", models: ["old"], admission: "none" },
        { ...entry, id: "chat-only", models: ["chat-only"], capabilities: ["chat"] },
        { id: "dead", engine: "vllm", url: "http://127.0.0.1:9", models: ["dead"] },
      ],
    },
    { ready: false },
  );
  await eventually("the PoP serves", async () => (await good()).status === 200);
  const sha256 = createHash("sha256").update("right-key").digest("hex");
  locked = await startPop(
    {
      endpoints: [{ ...entry, id: "one", models: ["m"] }],
      auth: { keys: [{ sha256, tenant: "t", models: ["other"] }] },
    },
    { ready: false },
  );
});

afterAll(async () => {
  await pop?.stop();
  await locked?.stop();
  await rogue?.stop();
});

const good = (): Promise<RawAnswer> =>
  rawRequest(pop.port, post(CHAT, JSON.stringify({ model: "m", messages })));

function errorOf(answer: RawAnswer): Record<string, string> {
  try {
    const parsed = JSON.parse(answer.body) as { error: Record<string, string> };
    return parsed.error;
  } catch {
    throw new Error(`no JSON error: ${answer.status} ${answer.body.slice(0, 300)}`);
  }
}

/** Codes of what never becomes a request: elsewhere than on Node, its parser's own words. */
const PARSERS = ["malformed_http", "headers_too_large"];

async function check([, parts, status, code, says]: BadCase): Promise<RawAnswer> {
  const answer = await rawRequest(pop.port, parts);
  if (PARSERS.includes(code) && deviation("malformed HTTP") !== undefined) {
    // Refused all the same, or nothing on that connection can follow it (RFC 9112, 6.3).
    expect([0, 400, 431, 501, 505]).toContain(answer.status);
    // Its body is ours or the parser's own words; after the latter the connection is of no use.
    const ours = answer.body.startsWith("{") && errorOf(answer)["code"];
    const closes = answer.closed || answer.headers["connection"] === "close";
    if (answer.body !== "") expect(ours === code || closes).toBe(true);
    return answer;
  }
  const error = errorOf(answer);
  expect({ status: answer.status, code: error["code"] }).toEqual({ status, code });
  expect(error["message"]).toMatch(says);
  expect(error["type"]).toEqual(expect.any(String));
  return answer;
}

const named = (cases: BadCase[]): [string, BadCase][] => cases.map((one) => [one[0], one]);

describe("the body", () => {
  test.each(named([...BODIES, ...HUGE_NUMBERS]))("%s", async (_, one) => void (await check(one)));

  test.each(FIELDS)("%s", async (name, fields, param, says) => {
    const body = typeof fields === "string" ? fields : chat(fields);
    const answer = await check([name, post(CHAT, body), 400, "invalid_request", says]);
    expect(errorOf(answer)["param"]).toBe(param);
  });

  test("nesting in a field that is the engine's business passes", async () => {
    const body = chat({}).replace("{", `{"extra":${nested(100_000)},`);
    expect((await rawRequest(pop.port, post(CHAT, body))).status).toBe(200);
  });

  test("completions without prompt, embeddings without input", async () => {
    const body = JSON.stringify({ model: "m" });
    await check(["", post("/v1/completions", body), 400, "invalid_request", /'prompt'/]);
    await check(["", post("/v1/embeddings", body), 400, "invalid_request", /'input'/]);
  });

  test("413 by Content-Length, before a byte of the body is read", async () => {
    const answer = await rawRequest(pop.port, [head(`${typed}content-length: ${BODY_BYTES + 1}`)]);
    expect(answer.status).toBe(413);
    expect(errorOf(answer)["code"]).toBe("payload_too_large");
    expect(errorOf(answer)["message"]).toContain(String(BODY_BYTES));
  });

  test("413 in mid-upload of a chunked body that never ends", async () => {
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    const parts = [head(`${typed}transfer-encoding: chunked`), ...Array(200).fill(chunk)];
    const answer = await rawRequest(pop.port, parts as string[], { gapMs: 1 });
    expect(answer.status).toBe(413);
    expect(errorOf(answer)["code"]).toBe("payload_too_large");
    expect(answer.sent).toBeLessThan(20 * BODY_BYTES);
  });
});

describe("headers and framing", () => {
  test.each(named([...HEADERS, ...FRAMING]))("%s", async (_, one) => void (await check(one)));

  test("a refused framing closes the connection: nothing after it is a request", async () => {
    const smuggled = `GET /healthz HTTP/1.1\r\nhost: pop\r\n\r\n`;
    const lines = `${typed}content-length: 4\r\ntransfer-encoding: chunked`;
    const answer = await rawRequest(pop.port, [`${head(lines)}0\r\n\r\n${smuggled}`]);
    expect(answer.status).toBe(400);
    expect(answer.body).not.toContain(`"ok"`);
  });

  test("a request id that is no token is not echoed", async () => {
    const answer = await rawRequest(pop.port, line("x-request-id: <script>alert(1)</script>"));
    expect(answer.status).toBe(200);
    expect(answer.headers["x-request-id"]).toMatch(/^[\w.:-]{1,128}$/);
  });

  test.skipIf(deviation("slow headers"))(
    "slow headers: 408 or a closed connection, within the limit",
    async () => {
      const drip = [
        "POST ",
        CHAT,
        " HTTP/1.1\r\n",
        ...Array(100).fill("x-slow: 1\r\n"),
      ] as string[];
      const startMs = performance.now();
      const answer = await rawRequest(pop.port, drip, { gapMs: 50 });
      expect([0, 408]).toContain(answer.status);
      expect(performance.now() - startMs).toBeLessThan(HEADER_MS + 2_000);
    },
  );

  test("a slow body: 408, within the limit", async () => {
    const drip = [head(`${typed}content-length: 1000`), ...Array(100).fill("x")] as string[];
    const startMs = performance.now();
    const answer = await rawRequest(pop.port, drip, { gapMs: 50 });
    expect(answer.status).toBe(408);
    expect(errorOf(answer)).toMatchObject({ code: "request_timeout" });
    expect(performance.now() - startMs).toBeLessThan(BODY_MS + 1_000);
  });
});

describe("methods and paths", () => {
  test.each(METHODS)("%s %s: 405 and Allow: %s", async (method, path, allow) => {
    const text = `${method} ${path} HTTP/1.1\r\nhost: pop\r\ncontent-length: 0\r\n\r\n`;
    const answer = await rawRequest(pop.port, [text]);
    expect(answer.status).toBe(405);
    expect(answer.headers["allow"]).toBe(allow);
    expect(errorOf(answer)["code"]).toBe("method_not_allowed");
    expect(errorOf(answer)["message"]).toContain(allow.split(",")[0]);
  });

  test("an unknown path names those that exist", async () => {
    const answer = await rawRequest(pop.port, post("/v1/chat", chat({})));
    expect(answer.status).toBe(404);
    expect(errorOf(answer)).toMatchObject({ code: "not_found" });
    expect(errorOf(answer)["message"]).toContain(CHAT);
  });
});

describe("nobody can take it", () => {
  const fails = (
    name: string,
    body: string,
    headers: string[],
    status: number,
    code: string,
    says: RegExp,
  ): [string, BadCase] => [name, [name, post(CHAT, body, ...headers), status, code, says]];

  test.each([
    fails(
      "an unknown model",
      chat({ model: "gpt-0" }),
      [],
      404,
      "model_not_found",
      /'gpt-0'.*\bm\b/,
    ),
    fails("no region", chat({}), ["x-grid-region: mars"], 503, "no_endpoint", /x-grid-region/),
    fails("too dear", chat({}), ["x-grid-max-cost: 0.000000001"], 503, "no_endpoint", /max-cost/),
    fails("down", chat({ model: "dead" }), [], 503, "no_endpoint", /down/),
    fails("draining", chat({ model: "old" }), [], 503, "no_endpoint", /draining/),
  ])("%s", async (_, one) => {
    const answer = await check(one);
    if (answer.status === 503) expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
  });

  test("a capability that no endpoint of the model has", async () => {
    const body = JSON.stringify({ model: "chat-only", input: "x" });
    const answer = await rawRequest(pop.port, post("/v1/embeddings", body));
    expect(answer.status).toBe(503);
    expect(errorOf(answer)["message"]).toMatch(/capability|offers/);
  });

  test("a prompt that fits no context window", async () => {
    const long = [{ role: "user", content: "word ".repeat(50_000) }];
    const answer = await rawRequest(pop.port, post(CHAT, chat({ messages: long })));
    expect(answer.status).toBe(400);
    expect(errorOf(answer)).toMatchObject({ code: "context_length_exceeded", param: "messages" });
  });

  test("all saturated: 429 with Retry-After", async () => {
    const body = chat({ model: "narrow", stream: true });
    const holder = new AbortController();
    const held = await fetch(`${pop.base}${CHAT}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      signal: holder.signal,
    });
    const answer = await rawRequest(pop.port, post(CHAT, body));
    holder.abort();
    await held.body?.cancel().catch(() => {});
    expect(answer.status).toBe(429);
    expect(errorOf(answer)["code"]).toBe("saturated");
    expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
  });
});

describe("API keys", () => {
  const ask = (...headers: string[]): Promise<RawAnswer> =>
    rawRequest(locked.port, post(CHAT, chat({}), ...headers));

  test("none, and a wrong one: 401", async () => {
    for (const headers of [[], ["authorization: Bearer wrong"], ["authorization: Basic eA=="]]) {
      const answer = await ask(...headers);
      expect(answer.status).toBe(401);
      expect(errorOf(answer)["code"]).toBe("invalid_api_key");
      expect(answer.body).not.toContain("wrong");
    }
  });

  test("a key that may not use the model: 403, naming what it may use", async () => {
    const answer = await ask("authorization: Bearer right-key");
    expect(answer.status).toBe(403);
    expect(errorOf(answer)["code"]).toBe("model_not_allowed");
    expect(errorOf(answer)["message"]).toContain("other");
  });

  test.each(["GET /metrics", "GET /grid/state", "GET /grid/drain"])(
    "%s asks for one",
    async (at) => {
      const asked = (key: string) =>
        rawRequest(locked.port, [`${at} HTTP/1.1\r\nhost: pop\r\n${key}\r\n`]);
      expect((await asked("")).status).toBe(401);
      expect((await asked("authorization: Bearer right-key\r\n")).status).toBe(200);
    },
  );
});

test("after the whole table: alive, serving, and nothing left behind", async () => {
  expect(pop.alive).toBe(true);
  expect((await good()).status).toBe(200);
  await eventually("no request counts as running", async () => (await inFlight(pop)) === 0, 2_000);
  await eventually("the engine is idle", () => rogue.active === 0, 2_000);
  expect(pop.output).not.toMatch(/\n\s+at .*\.ts:\d+/);
});
