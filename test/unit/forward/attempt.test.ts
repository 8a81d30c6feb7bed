import { describe, expect, test } from "vitest";
import { Deadlines } from "../../../src/forward/deadlines.ts";
import { Attempt, type AttemptEnd } from "../../../src/forward/forward.ts";
import type { Worker } from "../../../src/forward/worker.ts";
import { GridError } from "../../../src/grid/errors.ts";
import type { Exchange, OutCall, OutHandler, Transport } from "../../../src/grid/exchange.ts";
import type { Task } from "../../../src/task/task.ts";

const SSE = { "content-type": "text/event-stream" };
const TOKEN = new TextEncoder().encode(
  'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n',
);
const TIMEOUTS = {
  connectMs: 100,
  firstTokenMs: 1_000,
  idleMs: 500,
  totalMs: 10_000,
  keepAliveCommentMs: 300,
};

/** A client that takes everything, an engine moved by hand, a clock moved by hand. */
function scene(over: Partial<Task> = {}) {
  const world = { nowMs: 0, aborts: [] as GridError[], text: "", room: true, state: "open" };
  const decoder = new TextDecoder();
  let handler!: OutHandler;
  let headSent = false;
  const call: OutCall = {
    abort(reason) {
      world.aborts.push(reason);
      handler.onError(reason);
    },
    resume() {},
  };
  const transport = {
    send(_request: unknown, given: OutHandler) {
      handler = given;
      return call;
    },
  } as unknown as Transport;
  const exchange = {
    head() {
      headSent = true;
    },
    write(chunk: Uint8Array) {
      world.text += decoder.decode(chunk);
      return world.room;
    },
    onDrain() {},
    end(chunk?: Uint8Array) {
      if (chunk !== undefined) world.text += decoder.decode(chunk);
      world.state = "ended";
    },
    destroy() {
      world.state = "destroyed";
    },
    get headSent() {
      return headSent;
    },
  } as unknown as Exchange;
  const worker = {
    outbound: () => ({ origin: "http://e", method: "POST", path: "/", headers: {} }),
    inboundHeaders: () => ({}),
    dialect: () => "chat",
  } as unknown as Worker;
  const deadlines = new Deadlines<Attempt>();
  const clock = () => world.nowMs;
  const limits = { heldBytes: 4096, eventBytes: 4096, responseBytes: 4096 };
  const context = { transport, deadlines, clock, timeouts: TIMEOUTS, limits };
  const task = { route: "chat", stream: true, choices: 1, arrivedMs: 0, ...over } as Task;
  const attempt = new Attempt(context, {
    task,
    row: 0,
    worker,
    handover: undefined,
    exchange,
    addGridHeaders: () => {},
    errorEvent: (error) => new TextEncoder().encode(`error ${error.code}`),
    errorBody: (error) => new TextEncoder().encode(`error ${error.code}`),
    firstContent() {},
    limited() {},
    retriable: false,
  });
  const at = (nowMs: number) => {
    world.nowMs = nowMs;
    deadlines.sweep(nowMs);
  };
  return { world, attempt, deadlines, at, engine: () => handler };
}

const code = (end: AttemptEnd) => ("error" in end ? end.error.code : end.kind);

describe("time-outs of one attempt", () => {
  test("no content in time: tried elsewhere, and the engine is told", async () => {
    const { attempt, at, engine, world, deadlines } = scene();
    const end = attempt.run();
    engine().onHead(200, SSE);
    at(999);
    at(1_000);
    expect(code(await end)).toBe("first_token_timeout");
    expect((await end).kind).toBe("failed");
    expect(world.aborts).toHaveLength(1);
    expect(deadlines.size).toBe(0);
  });

  test("silence between tokens: the typed error", async () => {
    const { attempt, at, engine, world } = scene();
    const end = attempt.run();
    engine().onHead(200, SSE);
    world.nowMs = 900;
    engine().onData(TOKEN.slice());
    at(1_399);
    at(1_400);
    expect((await end).kind).toBe("broken");
    expect(world.text).toMatch(/error idle_timeout$/);
  });

  test("tokens that keep coming end at the total", async () => {
    const { attempt, at, engine } = scene();
    const end = attempt.run();
    engine().onHead(200, SSE);
    for (let nowMs = 400; nowMs < 10_000; nowMs += 400) {
      at(nowMs);
      engine().onData(TOKEN.slice());
    }
    at(10_000);
    expect(code(await end)).toBe("total_timeout");
  });

  test("a plain answer is bounded by the total alone", async () => {
    const { attempt, at } = scene({ stream: false });
    const end = attempt.run();
    at(9_999);
    at(10_000);
    expect(code(await end)).toBe("total_timeout");
  });

  test("a client that reads nothing is let go, not the engine blamed", async () => {
    const { attempt, at, engine, world } = scene();
    const end = attempt.run();
    engine().onHead(200, SSE);
    world.room = false;
    engine().onData(TOKEN.slice());
    at(500);
    expect(code(await end)).toBe("client_gone");
  });

  test("a slow prefill shows life again and again, and may still fail unseen", async () => {
    const { attempt, at, engine, world } = scene();
    const end = attempt.run();
    at(299);
    expect(world.text).toBe("");
    at(300);
    at(600);
    expect(world.text).toBe(": keep-alive\n\n: keep-alive\n\n");
    engine().onError(new GridError("disconnected", "reset"));
    expect((await end).kind).toBe("failed");
  });
});

describe("leaving", () => {
  test("the engine is told at once when the client goes", async () => {
    const { attempt, engine, world } = scene();
    const end = attempt.run();
    engine().onHead(200, SSE);
    attempt.clientGone();
    attempt.clientGone();
    expect((await end).kind).toBe("gone");
    expect(world.aborts.map((reason) => reason.code)).toEqual(["client_gone"]);
  });

  test("a client that went before anything was sent costs nothing", async () => {
    const { attempt, world } = scene();
    attempt.clientGone();
    expect((await attempt.run()).kind).toBe("gone");
    expect(world.aborts).toEqual([]);
  });

  test("an endpoint found dead loses what it has not begun, and only that", async () => {
    const waiting = scene();
    const end = waiting.attempt.run();
    waiting.attempt.endpointDown("no answer");
    expect((await end).kind).toBe("failed");
    const begun = scene();
    void begun.attempt.run();
    begun.engine().onHead(200, SSE);
    begun.engine().onData(TOKEN.slice());
    begun.attempt.endpointDown("no answer");
    expect(begun.world.aborts).toEqual([]);
    expect(begun.world.state).toBe("open");
  });
});
