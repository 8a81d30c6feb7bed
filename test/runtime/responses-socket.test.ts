/** Responses over WebSocket between real processes: lanes, warming, steering, limits, drain. */
import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  eventually,
  inFlight,
  metric,
  popState,
  type ServerProcess,
  startEngine,
  startPop,
} from "./pop-process.ts";
import { deviation } from "./runtimes.ts";
import { type Event, SocketClient } from "./socket-client.ts";

const LONG = "The harbour closes at nine. ".repeat(120);
const ENDED = /^(response\.(completed|incomplete|failed)|error)$/;
const ended = (event: Event): boolean => ENDED.test(event.type);

let engines: ServerProcess[];
let pop: ServerProcess;

beforeAll(async () => {
  const args = ["--profile", "instant", "--model", "m", "--output-tokens", "12"];
  engines = await Promise.all([startEngine(...args), startEngine(...args, "--itl-ms", "5")]);
  const slow = await startEngine(...args.slice(0, 2), "--model", "slow", "--itl-ms", "20");
  engines.push(slow);
  const endpoints = engines.map(({ base }, n) => ({ id: `e${n}`, url: base, engine: "vllm" }));
  pop = await startPop({ endpoints, sockets: { frameBytes: 4_000_000, lanes: 3, laneQueue: 2 } });
});

afterAll(async () => {
  await pop?.stop();
  for (const engine of engines ?? []) await engine.stop();
});

const open = (): Promise<SocketClient> => SocketClient.open(`${pop.base}/v1/responses`);
const create = (more: object = {}): object => ({
  ...{ type: "response.create", model: "m", store: false, input: "Hello" },
  ...more,
});
const idOf = (event: Event): string => (event.response as { id: string }).id;

describe("answers", () => {
  test("the official client gets one after another", async () => {
    const session = new ResponsesWS(new OpenAI({ apiKey: "any", baseURL: `${pop.base}/v1` }));
    const heard: string[] = [];
    session.send(create() as never);
    for await (const part of session) {
      if (part.type === "error") throw part.error;
      if (part.type !== "message") continue;
      heard.push(part.message.type);
      if (part.message.type === "response.completed") break;
    }
    session.close();
    expect(heard[0]).toBe("response.created");
    expect(heard).toContain("response.output_text.delta");
  });

  test("generate: false warms the cache of the endpoint that then serves", async () => {
    const client = await open();
    client.send(create({ input: LONG, generate: false }));
    const warm = await client.type("response.completed");
    expect(warm.response).toMatchObject({ output: [], status: "completed" });
    client.send(create({ previous_response_id: idOf(warm), input: "When?" }));
    const { response } = await client.type("response.completed");
    const { input_tokens, input_tokens_details: details } = (
      response as { usage: Record<string, never> }
    ).usage;
    const { cached_tokens } = details as { cached_tokens: number };
    expect(cached_tokens / input_tokens).toBeGreaterThan(0.9);
    client.socket.close();
  });

  test("lanes: in order within, side by side between, bounded in both", async () => {
    const client = await open();
    const slow = { model: "slow", max_output_tokens: 12 };
    for (const stream_id of ["a", "b", "c", "a", "a"]) client.send(create({ ...slow, stream_id }));
    client.send(create({ stream_id: "d" }));
    client.send(create({ stream_id: "a" }));
    const refusals = await client.until(
      (event) => event.type === "error" && event.stream_id === ("a" as never),
    );
    const wrong = refusals.filter(({ type }) => type === "error");
    expect(wrong.map(({ stream_id }) => stream_id)).toEqual(["d", "a"]);
    expect(wrong[0]).toMatchObject({ status: 429, error: { param: "stream_id" } });
    const done: Event[] = [];
    while (done.length < 5) {
      const events = await client.until(
        (event) => event.type === "response.completed" || ended(event),
      );
      done.push(events.at(-1) as Event);
    }
    expect(done.map(({ stream_id }) => stream_id).sort()).toEqual(["a", "a", "a", "b", "c"]);
    // The first three ran side by side: nobody waited for a's second.
    expect(
      done
        .slice(0, 3)
        .map(({ stream_id }) => stream_id)
        .sort(),
    ).toEqual(["a", "b", "c"]);
    client.socket.close();
  });

  test("a client that leaves frees the engine", async () => {
    const client = await open();
    client.send(create({ model: "slow", max_output_tokens: 500 }));
    await client.type("response.output_text.delta");
    client.socket.terminate();
    await eventually("nothing runs", async () => (await inFlight(pop)) === 0, 1_000);
  });
});

describe("response.steer", () => {
  const steer = (previous_response_id: string, input: unknown = "Shorter!"): object => ({
    type: "response.steer",
    previous_response_id,
    input,
  });

  test("is accepted while the response runs, and a successor begins with it", async () => {
    const client = await open();
    client.send(create({ model: "slow", max_output_tokens: 20, stream_id: "s" }));
    const first = idOf(await client.type("response.created"));
    client.send(steer(first));
    const accepted = await client.type("response.steer.accepted");
    expect(accepted).toMatchObject({ steer: { previous_response_id: first }, stream_id: "s" });
    await client.until((event) => ended(event));
    const next = await client.type("response.created");
    expect(next.response).toMatchObject({ previous_response_id: first });
    const [last] = (await client.until(ended)).slice(-1);
    expect(last).toMatchObject({ stream_id: "s" });
    client.socket.close();
  });

  test("fails with its input for what is unknown, ended or no message of the user", async () => {
    const client = await open();
    client.send(steer("resp_none"));
    expect(await client.type("response.steer.failed")).toMatchObject({
      error: { code: "response_not_found" },
      steer: { input: "Shorter!" },
    });
    client.send(create());
    const done = idOf(await client.type("response.completed"));
    client.send(steer(done));
    const code = (event: Event) => (event.error as { code: string }).code;
    expect(code(await client.type("response.steer.failed"))).toBe("response_already_completed");
    client.send(steer(done, [{ role: "system", content: "x" }]));
    expect(code(await client.type("response.steer.failed"))).toBe("invalid_input");
    client.socket.close();
  });
});

describe("what is wrong", () => {
  test("is told in the API's own form, and the socket goes on", async () => {
    const client = await open();
    const wrong: [string | Buffer, object][] = [
      ["no json", { status: 400, error: { code: "invalid_json" } }],
      [Buffer.from([1, 2, 3]), { status: 400, error: { code: "invalid_request" } }],
      ['{"type":"response.dance"}', { status: 400, error: { param: "type" } }],
      [`"${"x".repeat(5_000_000)}"`, { status: 413, error: { code: "payload_too_large" } }],
      [JSON.stringify(create({ model: "none" })), { status: 404 }],
      [JSON.stringify(create({ stream: true })), { error: { param: "stream" } }],
      [
        JSON.stringify(create({ input: [{ role: "robot" }] })),
        { error: { param: "input[0].role" } },
      ],
    ];
    for (const [frame, told] of wrong) {
      client.socket.send(frame);
      expect(await client.type("error")).toMatchObject(told);
    }
    for (let i = 0; i < 20; i++) client.socket.ping();
    client.send(create());
    expect(await client.type("response.completed")).toBeDefined();
    client.socket.close();
  });

  test("a frame twice over the bound ends the socket with 1009", async () => {
    const client = await open();
    client.socket.send("x".repeat(10_000_000));
    expect((await client.end()).code).toBe(1009);
  });

  test("a flood of pings ends its own socket at most", async () => {
    const [flood, other] = [await open(), await open()];
    for (let i = 0; i < 50_000; i++) flood.socket.ping();
    other.send(create());
    expect(await other.type("response.completed")).toBeDefined();
    flood.socket.terminate();
    other.socket.close();
  });

  test("a client that does not read holds its own engine back, nobody else's", async () => {
    const lazy = await open();
    lazy.send(create({ max_output_tokens: 20 }));
    await lazy.type("response.completed");
    lazy.socket.pause();
    for (let i = 0; i < 9; i++) {
      const lane = { stream_id: "abc"[i % 3], instructions: LONG.repeat(60) };
      lazy.send(create({ ...lane, max_output_tokens: 12 }));
    }
    const other = await open();
    const startMs = performance.now();
    for (let i = 0; i < 5; i++) {
      other.send(create());
      await other.type("response.completed");
    }
    expect(performance.now() - startMs).toBeLessThan(5_000);
    // More than the system's buffers hold: what is left waits at the engine.
    if (deviation("slow reader on a socket") === undefined) {
      expect((await popState(pop)).running).toBeGreaterThan(0);
    }
    lazy.socket.resume();
    const done: Event[] = [];
    while (done.length < 9) done.push((await lazy.until(ended)).at(-1) as Event);
    expect(done.filter(({ type }) => type === "error")).toEqual([]);
    lazy.socket.close();
    other.socket.close();
  });
});

test("/metrics tells of sockets by door and of what is held", async () => {
  const endpoints = [{ id: "e0", url: engines[0].base, engine: "vllm" }];
  const own = await startPop({ endpoints });
  try {
    const value = async (name: string): Promise<number> => {
      const line = (await own.text("/metrics")).split("\n").find((one) => one.startsWith(name));
      return Number(line?.slice(name.length));
    };
    const url = own.base;
    const sockets = await Promise.all([
      SocketClient.open(`${url}/v1/responses`),
      SocketClient.open(`${url}/v1/responses`),
      SocketClient.open(`${url}/v1/realtime?model=m`),
    ]);
    expect(await value('gridpoint_sockets{door="responses"} ')).toBe(2);
    expect(await value('gridpoint_sockets{door="realtime"} ')).toBe(1);
    expect(await value("gridpoint_held_responses ")).toBe(0);
    sockets[0].send(create({ store: true }));
    await sockets[0].type("response.completed");
    expect(await value("gridpoint_held_responses ")).toBe(1);
    expect(await value("gridpoint_held_responses_bytes ")).toBeGreaterThan(1_000);
    for (const { socket } of sockets) socket.close();
    await eventually("all are closed", async () => (await metric(own, "gridpoint_sockets")) === 0);
    expect(await value('gridpoint_sockets_opened_total{door="responses"} ')).toBe(2);
    expect(await value('gridpoint_sockets_opened_total{door="realtime"} ')).toBe(1);
    // Stored ones outlive their socket.
    expect(await value("gridpoint_held_responses ")).toBe(1);
  } finally {
    await own.stop();
  }
});

describe("an end", () => {
  const short = (sockets: object): Promise<ServerProcess> => {
    const endpoints = [{ id: "e2", url: engines[2].base, engine: "vllm" }];
    return startPop({ endpoints, sockets });
  };

  test("comes by age or idleness, after the answer; there are only so many sockets", async () => {
    const own = await short({ max: 2, lifeMs: 1_500, idleMs: 400 });
    try {
      const url = `${own.base}/v1/responses`;
      const [busy, idle] = [await SocketClient.open(url), await SocketClient.open(url)];
      await expect(SocketClient.open(url)).rejects.toThrow("503");
      busy.send(create({ model: "slow", max_output_tokens: 110 }));
      expect((await idle.end()).code).toBe(1000);
      const limit = await busy.type("error");
      expect(limit).toMatchObject({ error: { code: "websocket_connection_limit_reached" } });
      await busy.until(ended);
      expect((await busy.end()).code).toBe(1001);
    } finally {
      await own.stop();
    }
  });

  test("comes by a drain, with the word to connect again", async () => {
    const own = await short({});
    const url = `${own.base}/v1/responses`;
    const [busy, idle] = [await SocketClient.open(url), await SocketClient.open(url)];
    busy.send(create({ model: "slow", max_output_tokens: 30 }));
    await busy.type("response.output_text.delta");
    const stopped =
      deviation("SIGTERM drains") === undefined
        ? own.kill("SIGTERM")
        : own.json("/grid/drain", { method: "POST" });
    expect((await idle.end()).code).toBe(1012);
    busy.send(create());
    const [refused, done] = [await busy.type("error"), await busy.until(ended)];
    expect(refused).toMatchObject({ status: 503, error: { code: "draining" } });
    expect(done.at(-1)?.type).toMatch(/completed|incomplete/);
    expect((await busy.end()).code).toBe(1012);
    await stopped;
    await own.stop();
    expect(await popState(pop)).toMatchObject({ running: 0 });
  });
});
