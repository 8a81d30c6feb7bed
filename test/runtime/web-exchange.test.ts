/** The Exchange of Bun, Deno and workerd, on the Request and Response that Node has, too. */
import { describe, expect, test } from "vitest";
import { answer, WebExchange, type WebPeer } from "../../edge/web.ts";
import { BoundedRoom } from "../../src/admission/body-room.ts";
import { GridError } from "../../src/grid/errors.ts";
import type { Pop } from "../../src/index.ts";
import { eventually } from "./pop-process.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const make = (init: RequestInit = {}, path = "/v1/x?a=1", peer: WebPeer = {}) =>
  new WebExchange(new Request(`http://pop${path}`, init), peer);
const code = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: GridError) => error.code,
  );

/** A body of unknown length: as many pieces as are pulled. */
function upload(pieces: number, size: number): RequestInit {
  let left = pieces;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (left-- > 0) controller.enqueue(new Uint8Array(size));
      else if (pieces < 100) controller.close();
    },
  });
  return { method: "POST", body, duplex: "half" } as RequestInit;
}

describe("the request", () => {
  test("method, path, query and headers", () => {
    const exchange = make({ method: "POST", headers: { "X-Grid": "1" } });
    expect([exchange.method, exchange.path, exchange.query]).toEqual(["POST", "/v1/x", "a=1"]);
    expect(exchange.headers["x-grid"]).toBe("1");
    expect(make({}, "").path).toBe("/");
    const routed = make({}, "/v1/x?a=1", { path: "/v1/x" });
    expect([routed.path, routed.query]).toEqual(["/v1/x", "a=1"]);
    expect(exchange.upgrade).toBeUndefined();
  });

  test("a body, whole or in pieces, and none", async () => {
    const whole = make({ method: "POST", body: "abc", headers: { "content-length": "3" } });
    expect(new TextDecoder().decode(await whole.body(10, 1_000))).toBe("abc");
    expect((await make(upload(3, 5)).body(15, 1_000)).length).toBe(15);
    expect((await make().body(1, 1_000)).length).toBe(0);
  });

  test("a body that is promised or becomes too long, or comes too slowly", async () => {
    const promised = make({ method: "POST", body: "abc", headers: { "content-length": "99" } });
    expect(await code(promised.body(10, 1_000))).toBe("payload_too_large");
    expect(await code(make(upload(1_000, 100)).body(1_000, 1_000))).toBe("payload_too_large");
    expect(await code(make(upload(100, 1)).body(1_000, 20))).toBe("request_timeout");
  });

  test("bodies take room together, and give it back however they end", async () => {
    const room = new BoundedRoom(() => 100_000);
    const promised = { "content-length": "70000" };
    const body = "x".repeat(70_000);
    const first = make({ method: "POST", body, headers: promised });
    expect((await first.body(100_000, 1_000, room)).length).toBe(70_000);
    const second = make({ method: "POST", body, headers: promised });
    expect(await code(second.body(100_000, 1_000, room))).toBe("saturated");
    const third = make(upload(50, 1_000));
    expect(await code(third.body(100_000, 1_000, room))).toBe("saturated");
    expect(room.bytes).toBe(100_000);
    first.end();
    expect(room.bytes).toBe(30_000);
    third.destroy(new Error("x"));
    const leaving = new AbortController();
    const fourth = make({ ...upload(100, 1_000), signal: leaving.signal });
    const read = code(fourth.body(100_000, 1_000, room));
    leaving.abort();
    await read;
    expect(room.bytes).toBe(0);
  });

  test("a client that leaves while it sends, and while it waits", async () => {
    const leaving = new AbortController();
    const exchange = make({ ...upload(100, 1), signal: leaving.signal });
    let told = 0;
    exchange.onGone(() => told++);
    const body = code(exchange.body(1_000, 5_000));
    leaving.abort();
    expect(await body).toBe("client_gone");
    expect([told, exchange.closed]).toEqual([1, true]);
    exchange.onGone(() => told++);
    expect(told).toBe(2);
  });
});

describe("the answer", () => {
  test("whole at once", async () => {
    const exchange = make();
    exchange.head(201, { "x-a": "1" });
    exchange.end(bytes("all"));
    const response = await exchange.response;
    expect([response.status, response.headers.get("x-a")]).toEqual([201, "1"]);
    expect(await response.text()).toBe("all");
  });

  test("a head alone is sent, and pieces follow", async () => {
    const exchange = make();
    exchange.head(200, {});
    const response = await exchange.response;
    exchange.write(bytes("a"));
    exchange.write(bytes("b"));
    exchange.end(bytes("c"));
    expect(await response.text()).toBe("abc");
    expect(exchange.closed).toBe(true);
  });

  test("no body for HEAD, and where the status allows none", async () => {
    for (const [method, status] of [
      ["HEAD", 200],
      ["GET", 204],
    ] as const) {
      const exchange = make({ method });
      exchange.head(status, {});
      exchange.end(bytes("x"));
      expect((await exchange.response).body).toBeNull();
    }
  });

  test("a reader that stands still is noticed, and so is its going on", async () => {
    const exchange = make();
    let drained = 0;
    exchange.onDrain(() => drained++);
    exchange.head(200, {});
    expect(exchange.write(new Uint8Array(1_000))).toBe(true);
    expect(exchange.write(new Uint8Array(70_000))).toBe(false);
    expect(drained).toBe(0);
    const reader = ((await exchange.response).body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await reader.read();
    await eventually("room again", () => drained === 1);
    expect(exchange.write(new Uint8Array(10))).toBe(true);
  });

  test("a reader that cancels has left", async () => {
    const exchange = make();
    let told = 0;
    exchange.onGone(() => told++);
    exchange.head(200, {});
    exchange.write(bytes("a"));
    await (await exchange.response).body?.cancel();
    expect([told, exchange.closed]).toEqual([1, true]);
    expect(exchange.write(bytes("b"))).toBe(true);
  });

  test("a break after the head fails the body; before it, the status tells", async () => {
    const late = make();
    late.head(200, {});
    late.write(bytes("a"));
    late.destroy(new Error("engine died"));
    await expect((await late.response).text()).rejects.toThrow("engine died");
    const early = make();
    early.destroy(new GridError("client_gone", "left"));
    expect((await early.response).status).toBe(499);
  });

  test("a silent event stream beats where only a failed write tells", async () => {
    const exchange = make({}, "/", { heartbeatMs: 5 });
    exchange.head(200, { "content-type": "text/event-stream" });
    const reader = ((await exchange.response).body as ReadableStream<Uint8Array>).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(":\n\n");
    exchange.end();
  });

  test("headers beyond the bound never reach the PoP", async () => {
    const pop = { fetch: () => expect.fail("asked") } as never as Pop;
    const headers = { "x-big": "x".repeat(100) };
    const response = await answer(pop, make({ headers }, "/", { headerBytesMax: 50 }));
    expect(response.status).toBe(431);
    expect(await response.json()).toMatchObject({ error: { code: "headers_too_large" } });
  });
});
