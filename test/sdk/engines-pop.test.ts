/**
 * Every client at every door with our own engines behind: the emulated one, and a real llama.cpp
 * on a tiny model. What they say is their affair; that each SDK gets it whole is asserted.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeTinyGguf } from "../../edge/engine/gguf.ts";
import {
  eventually,
  metric,
  type ServerProcess,
  startEngine,
  startPop,
} from "../runtime/pop-process.ts";
import { TlsFront } from "../runtime/tls-front.ts";
import { CLIENTS } from "./clients/clients.ts";
import { type Client, type Heard, nothing, type Wish } from "./clients/client.ts";
import { DOORS } from "./stage.ts";

const OPEN: readonly Client[] = CLIENTS.filter(({ door, dialect }) =>
  DOORS.includes(door ?? dialect),
);
const MODEL = "stage";
const wish = (maxTokens: number): Wish => ({
  ...{ model: MODEL, maxTokens, system: "You are brief." },
  turns: [{ role: "user", text: "Say something." }],
});

interface Engine {
  name: string;
  family: string;
  start(folder: string): Promise<ServerProcess>;
  /** Its gauge of requests that run. */
  running: string;
}

const ENGINES: readonly Engine[] = [
  {
    ...{ name: "the emulated engine", family: "vllm", running: "vllm:num_requests_running" },
    start: () => startEngine("--profile", "h100-8b", "--model", MODEL),
  },
  {
    ...{ name: "llama.cpp", family: "llama.cpp", running: "llamacpp:requests_processing" },
    start: (folder) => {
      const file = join(folder, "tiny.gguf");
      writeTinyGguf(file);
      return startEngine("--gguf", file, "--model", MODEL);
    },
  },
];

describe.each(ENGINES)("$name", ({ family, start, running }) => {
  let folder: string;
  let engine: ServerProcess;
  let pop: ServerProcess;
  let front: TlsFront;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "gridpoint-sdk-"));
    engine = await start(folder);
    pop = await startPop({ endpoints: [{ id: "engine", url: engine.base, engine: family }] });
    front = await TlsFront.start(pop.port);
  });
  afterAll(async () => {
    await front?.stop();
    await pop?.stop();
    await engine?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const target = () => ({ base: pop.base, key: "any", secure: front });

  function expectWhole(heard: Heard): void {
    expect(heard.text.length).toBeGreaterThan(0);
    expect(["end", "length"]).toContain(heard.stop);
    expect(heard.usage?.input).toBeGreaterThan(0);
    expect(heard.usage?.output).toBeGreaterThan(0);
    expect(heard.returned).toBe(true);
  }

  test.each(OPEN)("$name: plain", async (client) => {
    expectWhole(await client.plain(target(), wish(8)));
  });

  test.each(OPEN)("$name: streamed", async (client) => {
    const heard = nothing();
    await client.stream(target(), wish(8), heard);
    expectWhole(heard);
  });

  test.each(OPEN)("$name: who leaves frees the engine", async (client) => {
    const leaving = new AbortController();
    const heard = nothing();
    const left = client.stream(target(), wish(4_000), heard, leaving.signal).then(
      () => "returned",
      () => "threw",
    );
    await eventually("content", () => heard.text !== "");
    leaving.abort(new Error("enough"));
    expect(await left).toBe("threw");
    await eventually("a free engine", async () => (await metric(engine, running)) === 0, 2_000);
  });
});
