/**
 * The Gemini door as curl sees it: what Google's SDKs do not show. Streams that are JSON arrays,
 * keys in the query, verbs and versions in the path, its own form of every error, and a hand-over
 * to another PoP.
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MemoryGrid } from "../fleet.ts";
import { countOf } from "../vendors/messages.ts";
import { type Plot, Refusal, type Scene } from "../vendors/scene.ts";
import { VendorServer } from "../vendors/server.ts";
import { VENDORS } from "../vendors/vendors.ts";
import { clock, closeAll, closing, knows, ownReady, type Site, site } from "./sites.ts";

const KEY = "AIza-a-key-of-a-tenant";
const sha256 = createHash("sha256").update(KEY).digest("hex");
const SCENE: Scene = {
  say: [{ kind: "text", pieces: ["Grüezi", " [\n]", ' "x"'] }],
  stop: "end",
  usage: { input: 9, cached: 4, output: 3, reasoning: 0 },
};
const SAID = 'Grüezi [\n] "x"';
const BODY = { contents: [{ role: "user", parts: [{ text: "Hello there" }] }] };

let chat: VendorServer;
let gemini: VendorServer;
let near: Site;
let far: Site;
let plot: Plot = { kind: "answers", scene: SCENE };

async function vendor(dialect: "chat" | "gemini", model: string): Promise<VendorServer> {
  const options = { models: [model, `${model}/sub`], key: "vendor-key", director: () => plot };
  const server = await VendorServer.start(VENDORS[dialect], options);
  closing(() => server.stop());
  return server;
}

beforeAll(async () => {
  chat = await vendor("chat", "c");
  gemini = await vendor("gemini", "g");
  const endpoint = { engine: "openai-compatible", apiKey: "vendor-key" };
  const grid = new MemoryGrid(clock);
  const auth = { keys: [{ sha256, tenant: "tenant" }] };
  const limits = { retries: 0 };
  const peers = { key: "a-key-that-the-pops-share" };
  far = await site(grid, "far", [], {
    ...{ auth, limits, peers },
    endpoints: [
      { ...endpoint, id: "chat", url: chat.base, models: chat.models },
      {
        ...{ ...endpoint, id: "gemini", url: gemini.base, engine: "gemini" },
      },
    ],
  });
  near = await site(grid, "near", [], { auth, limits, peers });
  await ownReady(far);
  await knows(near, 2);
});

afterAll(closeAll);

interface Reply {
  status: number;
  type: string;
  text: string;
  body: { error: { code: number; message: string; status: string } } & Record<string, never>;
}

async function call(
  at: Site,
  path: string,
  { body = BODY as unknown, headers = { "x-goog-api-key": KEY }, method = "POST" } = {},
): Promise<Reply> {
  const response = await fetch(`${at.pop.url}${path}`, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(method === "GET" ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  return { status: response.status, type, text, body: type.includes("json") && JSON.parse(text) };
}

interface Chunk {
  candidates?: { content: { parts: { text?: string }[] }; finishReason?: string }[];
  usageMetadata?: { totalTokenCount: number };
  error?: object;
}
const textOf = (chunks: Chunk[]): string =>
  chunks
    .flatMap(({ candidates }) => candidates?.[0]?.content.parts ?? [])
    .map(({ text }) => text ?? "")
    .join("");

describe.each(["near", "far"])("at the PoP that is %s", (place) => {
  const here = (): Site => (place === "near" ? near : far);

  describe.each(["c", "g", "g/sub"])("with model %s", (model) => {
    test.each(["v1", "v1beta"])(
      "%s: a stream without alt=sse is one JSON array",
      async (version) => {
        const path = `/${version}/models/${model}:streamGenerateContent`;
        const { status, type, body } = await call(here(), path);
        expect({ status, type }).toEqual({ status: 200, type: "application/json; charset=utf-8" });
        const chunks = body as never as Chunk[];
        expect(textOf(chunks)).toBe(SAID);
        expect(chunks.at(-1)?.candidates?.[0]?.finishReason).toBe("STOP");
        expect(chunks.at(-1)?.usageMetadata?.totalTokenCount).toBe(12);
      },
    );

    test("with alt=sse it is an event stream", async () => {
      const path = `/v1beta/models/${model}:streamGenerateContent?alt=sse`;
      const { type, text } = await call(here(), path);
      expect(type).toContain("text/event-stream");
      const chunks = text
        .split("\r\n\r\n")
        .filter((event) => event !== "")
        .map((event) => JSON.parse(event.replace(/^data: /, "")) as Chunk);
      expect(textOf(chunks)).toBe(SAID);
    });

    test("the key may stand in the query, and goes no further", async () => {
      chat.forget();
      gemini.forget();
      const path = `/v1beta/models/${model}:generateContent?key=${KEY}`;
      const { status, body } = await call(here(), path, { headers: {} as never });
      expect(status).toBe(200);
      expect(textOf([body as never])).toBe(SAID);
      const seen = [...chat.requests, ...gemini.requests].filter(({ method }) => method === "POST");
      expect(seen).toHaveLength(1);
      expect(JSON.stringify({ ...seen[0], query: String(seen[0]?.query) })).not.toContain(KEY);
    });
  });

  test("a stream that breaks ends its array with the error", async () => {
    plot = { kind: "breaks", scene: SCENE, after: 3, how: "reset" };
    const { status, body } = await call(here(), "/v1beta/models/c:streamGenerateContent");
    plot = { kind: "answers", scene: SCENE };
    expect(status).toBe(200);
    const last = (body as never as Chunk[]).at(-1);
    expect(last?.error).toMatchObject({ code: 502, status: "UNAVAILABLE" });
    expect(textOf(body as never as Chunk[])).toBe("Grüezi [\n]");
  });

  test("a refusal of the model comes in Google's form, from whomever it is", async () => {
    plot = { kind: "refuses", refusal: new Refusal(400, "I do not like it.") };
    for (const verb of [
      "generateContent",
      "streamGenerateContent",
      "streamGenerateContent?alt=sse",
    ]) {
      const { status, body } = await call(here(), `/v1beta/models/c:${verb}`);
      expect(status).toBe(400);
      const error = { code: 400, status: "INVALID_ARGUMENT", message: "I do not like it." };
      expect(body.error).toMatchObject(error);
    }
    plot = { kind: "answers", scene: SCENE };
  });
});

describe("what is wrong is told in Google's form", () => {
  const MODEL = "/v1beta/models/c";
  const CASES: [string, string, Parameters<typeof call>[2], number, string, RegExp][] = [
    ["an unknown verb", `${MODEL}:dance`, {}, 404, "NOT_FOUND", /generateContent/],
    ["no verb", MODEL, {}, 404, "NOT_FOUND", /generateContent/],
    ["an unknown path", "/v1beta/tunedModels", {}, 404, "NOT_FOUND", /Nothing is at/],
    ["an unknown model", "/v1/models/x:generateContent", {}, 404, "NOT_FOUND", /'x'/],
    [
      "a wrong method",
      `${MODEL}:generateContent`,
      { method: "PUT" },
      405,
      "INVALID_ARGUMENT",
      /PUT/,
    ],
    ["no JSON", `${MODEL}:generateContent`, { body: "{" }, 400, "INVALID_ARGUMENT", /JSON/],
    ["no contents", `${MODEL}:generateContent`, { body: {} }, 400, "INVALID_ARGUMENT", /contents/],
    ["a wrong alt", `${MODEL}:generateContent?alt=xml`, {}, 400, "INVALID_ARGUMENT", /alt/],
    [
      ...(["a wrong key", `${MODEL}:generateContent`] as const),
      ...([{ headers: { "x-goog-api-key": "no" } }, 401, "UNAUTHENTICATED", /key/] as const),
    ],
    [
      ...(["a wrong key in the query", `${MODEL}:generateContent?key=no`] as const),
      ...([{ headers: {} as never }, 401, "UNAUTHENTICATED", /key/] as const),
    ],
    [
      ...(["another media type", `${MODEL}:generateContent`] as const),
      ...([
        { headers: { "x-goog-api-key": KEY, "content-type": "text/plain" } as never },
        ...([415, "INVALID_ARGUMENT", /application\/json/] as const),
      ] as const),
    ],
  ];

  test.each(CASES)("%s", async (_name, path, options, code, status, message) => {
    const reply = await call(far, path, options);
    expect(reply.status).toBe(code);
    expect(reply.body.error).toMatchObject({ code, status });
    expect(reply.body.error.message).toMatch(message);
    expect(reply.body.error.message).not.toContain(KEY);
  });
});

describe("models", () => {
  test("are listed in pages, for who shows a key as Google's clients do", async () => {
    const names: string[] = [];
    let token = "";
    for (let pages = 0; pages < 10; pages++) {
      const path = `/v1beta/models?pageSize=3&pageToken=${encodeURIComponent(token)}`;
      const { body } = await call(far, path, { method: "GET" });
      names.push(...(body.models as never as { name: string }[]).map(({ name }) => name));
      token = (body.nextPageToken as string | undefined) ?? "";
      if (token === "") break;
    }
    expect(names.sort()).toEqual(["models/c", "models/c/sub", "models/g", "models/g/sub"]);
    const first = await call(far, `/v1/models?key=${KEY}`, { method: "GET", headers: {} as never });
    expect(first.body.models).toHaveLength(4);
    const openAi = { authorization: `Bearer ${KEY}` } as never;
    const other = await call(far, "/v1/models", { method: "GET", headers: openAi });
    expect(other.body.object).toBe("list");
  });

  test("one, with a slash in its name", async () => {
    const { body } = await call(far, "/v1beta/models/g/sub", { method: "GET" });
    expect(body).toMatchObject({ name: "models/g/sub" });
    const none = await call(far, "/v1beta/models/none", { method: "GET" });
    expect(none.body.error).toMatchObject({ code: 404, status: "NOT_FOUND" });
  });
});

describe("countTokens", () => {
  test.each([BODY, { generateContentRequest: { model: "models/g", ...BODY } }])(
    "is asked of an engine that counts: %#",
    async (body) => {
      const { body: counted } = await call(near, "/v1beta/models/g:countTokens", { body });
      const part = { kind: "text" as const, text: "Hello there" };
      expect(counted.totalTokens).toBe(countOf([{ role: "user", parts: [part] }]));
    },
  );

  test("is estimated where none does", async () => {
    const { body } = await call(far, "/v1beta/models/c:countTokens");
    expect(body.totalTokens).toBeGreaterThan(0);
  });
});
