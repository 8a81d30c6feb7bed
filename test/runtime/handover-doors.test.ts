/**
 * Every door hands over: the model stands at another PoP only, in the door's own dialect or in
 * another, and the caller sees what it would see of an engine here. A response that one PoP holds
 * is continued at any other.
 */
import { request } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { MemoryGrid } from "../fleet.ts";
import type { Dialect, Plot, Scene } from "../vendors/scene.ts";
import { VendorServer } from "../vendors/server.ts";
import { VENDORS } from "../vendors/vendors.ts";
import { eventually } from "./pop-process.ts";
import { clock, closeAll, closing, knows, type Site, site, stateOf } from "./sites.ts";
import { SocketClient } from "./socket-client.ts";

afterEach(closeAll);

const SCENE: Scene = {
  say: [{ kind: "text", pieces: ["From ", "far ", "away."] }],
  stop: "end",
  usage: { input: 20, cached: 0, output: 4, reasoning: 0 },
};
const FAMILY: Readonly<Record<Dialect, string>> = {
  ...{ chat: "openai", responses: "openai", messages: "anthropic", gemini: "gemini" },
};
const LONG: Plot = {
  kind: "answers",
  gapMs: 5,
  scene: { ...SCENE, say: [{ kind: "text", pieces: Array.from({ length: 4_000 }, () => "w ") }] },
};

interface DoorCase {
  door: Dialect;
  path(stream: boolean): string;
  body: Record<string, unknown>;
  /** Marks of a stream that ended well, and of its error. */
  ended: string;
  failed: RegExp;
}
const asked = [{ role: "user", content: "Hello" }];
const CASES: readonly DoorCase[] = [
  {
    door: "messages",
    path: () => "/v1/messages",
    body: { model: "m", max_tokens: 50, messages: asked },
    ended: "event: message_stop",
    failed: /event: error\ndata: \{"type":"error","error":\{"type":"api_error"/,
  },
  {
    door: "gemini",
    path: (stream) =>
      stream
        ? "/v1beta/models/m:streamGenerateContent?alt=sse"
        : "/v1beta/models/m:generateContent",
    body: { contents: [{ role: "user", parts: [{ text: "Hello" }] }] },
    ended: `"finishReason":"STOP"`,
    failed: /data: \{"error":\{"code":502,/,
  },
  {
    door: "responses",
    path: () => "/v1/responses",
    body: { model: "m", input: "Hello" },
    ended: "event: response.completed",
    failed: /event: error\ndata: \{"type":"error","code":"disconnected"/,
  },
];

async function vendorAt(dialect: Dialect, plot: Plot = { kind: "answers", scene: SCENE }) {
  const vendor = await VendorServer.start(VENDORS[dialect], {
    ...{ models: ["m"], director: () => plot },
  });
  closing(() => vendor.stop());
  return vendor;
}

/** PoP `a` without engines, and `b` with the vendor; `a` knows of it. */
async function twoSites(dialect: Dialect, vendor: VendorServer): Promise<{ a: Site; b: Site }> {
  const grid = new MemoryGrid(clock);
  const a = await site(grid, "a");
  const engine = { engine: FAMILY[dialect], dialects: [dialect], apiKey: vendor.key };
  const b = await site(grid, "b", [vendor], {}, engine);
  await knows(a, 1);
  // It came later than the other's card.
  b.fleet.heardCard(a.fleet.cards.at(-1) as never);
  return { a, b };
}

function post({ pop }: Site, path: string, body: object): Promise<Response> {
  return fetch(pop.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

const bodyOf = ({ door, body }: DoorCase, stream: boolean): object =>
  door === "gemini" ? body : { ...body, stream };

describe.each(CASES)("the door of $door", (one) => {
  test.each([one.door, "chat"] as const)("streamed and plain, %s behind", async (dialect) => {
    const vendor = await vendorAt(dialect);
    const { a } = await twoSites(dialect, vendor);
    const streamed = await post(a, one.path(true), bodyOf(one, true));
    const text = await streamed.text();
    expect([streamed.status, text]).toEqual([200, expect.stringContaining(one.ended)]);
    for (const piece of ["From ", "far ", "away."]) expect(text).toContain(piece);
    expect(streamed.headers.get("x-grid-route")).toMatch(/^pop=a;.*;hops=1, pop=b;.*;hops=0$/);
    const plain = await post(a, one.path(false), bodyOf(one, false));
    expect([plain.status, await plain.text()]).toEqual([
      200,
      expect.stringContaining("From far away."),
    ]);
    expect(vendor.asked.map(({ stream }) => stream)).toEqual([true, false]);
    expect(vendor.refused).toEqual([]);
  });

  test("a loss in mid-stream is the dialect's error, once, and no end", async () => {
    for (const dialect of [one.door, "chat"] as const) {
      const vendor = await vendorAt(dialect);
      const { a } = await twoSites(dialect, vendor);
      await (await post(a, one.path(true), bodyOf(one, true))).text();
      const after = vendor.eventsOf(SCENE) - 2;
      vendor.director = () => ({ kind: "breaks", scene: SCENE, after, how: "reset" });
      const broken = await post(a, one.path(true), bodyOf(one, true));
      const text = await broken.text();
      expect([dialect, broken.status, text.match(new RegExp(one.failed, "g"))]).toEqual([
        ...[dialect, 200, [expect.any(String)]],
      ]);
      expect(text).not.toContain(one.ended);
      await closeAll();
    }
  });

  test("a client that leaves frees the engine there", async () => {
    const vendor = await vendorAt(one.door, LONG);
    const { a } = await twoSites(one.door, vendor);
    const outgoing = request(a.pop.url + one.path(true), {
      ...{ method: "POST", agent: false, headers: { "content-type": "application/json" } },
    });
    outgoing.on("error", () => {});
    outgoing.on("response", (response) => response.on("error", () => {}).resume());
    outgoing.end(JSON.stringify(bodyOf(one, true)));
    await eventually("it streams", () => vendor.active === 1);
    outgoing.destroy();
    await eventually("the engine is told", () => vendor.leftAtMs.length === 1, 2_000);
    await eventually("nothing counts as running", () => stateOf(a.pop).running === 0, 2_000);
  });
});

describe("a response that another PoP holds", () => {
  const ask = async (at: Site, body: object): Promise<Record<string, string>> =>
    (await post(at, "/v1/responses", { model: "m", ...body })).json() as never;

  test("names its holder, and is continued, shown, listed and deleted anywhere", async () => {
    const vendor = await vendorAt("chat");
    const { a, b } = await twoSites("chat", vendor);
    const first = await ask(a, { input: "one" });
    expect(first.id).toMatch(/~a$/);
    const second = await ask(b, { input: "two", previous_response_id: first.id });
    expect(second).toMatchObject({ previous_response_id: first.id, status: "completed" });
    expect(second.id).toMatch(/~b$/);
    const third = await ask(a, { input: "three", previous_response_id: second.id, store: false });
    expect(third.id).not.toContain("~");
    const texts = vendor.asked.at(-1)?.turns.map(({ parts }) => parts[0]);
    expect(texts).toMatchObject([
      ...[{ text: "one" }, { text: "From far away." }, { text: "two" }, { text: "From far away." }],
      { text: "three" },
    ]);
    const at = (pop: Site, rest: string) => `${pop.pop.url}/v1/responses/${rest}`;
    expect(await (await fetch(at(b, first.id))).json()).toEqual(first);
    const { data } = (await (await fetch(at(a, `${second.id}/input_items?order=asc`))).json()) as {
      data: { content: string }[];
    };
    expect(data.map(({ content }) => content)[0]).toBe("one");
    expect(data).toHaveLength(3);
    expect((await fetch(at(b, first.id), { method: "DELETE" })).status).toBe(200);
    for (const pop of [a, b]) expect((await fetch(at(pop, first.id))).status).toBe(404);
    const gone = await ask(b, { input: "x", previous_response_id: first.id });
    expect(gone.error).toMatchObject({ code: "previous_response_not_found" });
  });

  test("is continued on a stream and on a WebSocket", async () => {
    const { a, b } = await twoSites("chat", await vendorAt("chat"));
    const { id } = await ask(a, { input: "one" });
    const body = { model: "m", input: "two", stream: true, previous_response_id: id };
    const text = await (await post(b, "/v1/responses", body)).text();
    const ids = [...text.matchAll(/"response":\{"id":"([^"]+)"/g)].map(([, found]) => found);
    expect(ids.length).toBeGreaterThan(2);
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/~b$/);
    const socket = await SocketClient.open(`${a.pop.url}/v1/responses`);
    closing(async () => socket.socket.terminate());
    const more = { model: "m", input: "three", previous_response_id: ids[0] };
    socket.send({ type: "response.create", ...more });
    const { response } = await socket.type("response.completed");
    expect(response).toMatchObject({ previous_response_id: ids[0] });
  });

  test("is refused with the way out when its PoP does not answer or is not known", async () => {
    const { a, b } = await twoSites("chat", await vendorAt("chat"));
    const { id } = await ask(a, { input: "one" });
    const refused = async (previous: string): Promise<string> => {
      const body = { model: "m", input: "x", previous_response_id: previous };
      const answer = await post(b, "/v1/responses", body);
      const { error } = (await answer.json()) as { error: Record<string, string> };
      expect([answer.status, error.code, error.param]).toEqual([
        ...[400, "previous_response_not_found", "previous_response_id"],
      ]);
      return error.message;
    };
    expect(await refused("resp_1~nowhere")).toContain("PoP nowhere, which is not in this grid");
    expect(await refused("resp_1")).toContain("send the whole conversation");
    expect(await refused("resp_1~b")).toContain("send the whole conversation");
    // Its process dies; gossip has not said so yet.
    b.fleet.connected = false;
    await a.pop.close();
    b.fleet.heardCard(a.fleet.cards.at(-1) as never);
    expect(await refused(id)).toMatch(/held by PoP a, which (does not answer|is not in this grid)/);
  });

  test("is given to PoPs alone, and to each tenant its own", async () => {
    const vendor = await vendorAt("chat");
    const grid = new MemoryGrid(clock);
    const engine = { engine: "openai", dialects: ["chat"], apiKey: vendor.key };
    const more = { peers: { key: "k".repeat(32) } };
    const a = await site(grid, "a", [vendor], more, engine);
    const b = await site(grid, "b", [], more);
    await knows(b, 1);
    const { id } = await ask(a, { input: "one" });
    const held = (headers: Record<string, string>): Promise<Response> =>
      fetch(`${a.pop.url}/grid/responses/${id}`, { headers });
    const peer = {
      ...{ "x-grid-hops": "1", "x-grid-forwarded-by": "b", "x-grid-deadline-ms": "1000" },
      ...{ "x-grid-tenant": "anonymous" },
    };
    expect((await held({})).status).toBe(404);
    expect((await held(peer)).status).toBe(403);
    const key = { "x-grid-peer-key": "k".repeat(32) };
    expect((await held({ ...peer, ...key, "x-grid-tenant": "another" })).status).toBe(404);
    expect((await ask(b, { input: "two", previous_response_id: id })).status).toBe("completed");
  });
});
