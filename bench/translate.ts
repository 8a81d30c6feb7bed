/**
 * CPU of a whole PoP per streamed event: OpenAI's dialect passed through, and the same engine asked
 * through the Messages door, where every event is translated. Both in turn in one run, so the
 * ratio holds on a busy machine; other dialects cost what `bench/codec.ts` says they do.
 *
 *     node bench/translate.ts [--json] [--seconds S] [--streams N] [--rounds N]
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { announced, launch, type Running, until } from "./load/process.ts";
import { cpuUs } from "./load/process-stat.ts";
import { median } from "./load/quantile.ts";
import { startUpstream } from "./load/targets.ts";

const CLI = fileURLToPath(new URL("../edge/cli.ts", import.meta.url));
const TOKENS = 400;
const GAP_MS = 5;
const MESSAGES = [{ role: "user", content: "Hello" }];
const WISH = `id=1:chunks=${TOKENS}:gap=${GAP_MS}`;

const DOORS = {
  passed: { path: "/v1/chat/completions", body: { user: WISH } },
  translated: { path: "/v1/messages", body: { metadata: { user_id: WISH }, max_tokens: TOKENS } },
};
type Door = keyof typeof DOORS;

/** One stream after the other until `untilMs`; counts the events of content that came. */
async function stream(base: string, door: Door, agent: Agent, untilMs: number): Promise<number> {
  let events = 0;
  while (performance.now() < untilMs) events += await one(base, door, agent);
  return events;
}

function one(base: string, door: Door, agent: Agent): Promise<number> {
  const { path, body } = DOORS[door];
  const json = JSON.stringify({ model: "bench", stream: true, messages: MESSAGES, ...body });
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": json.length };
    const sent = request(base + path, { method: "POST", agent, headers }, (response) => {
      let text = "";
      response.setEncoding("latin1");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => {
        const events = text.split('"tok ').length - 1;
        if (events === TOKENS) resolve(events);
        else reject(new Error(`${door}: ${events} events, not ${TOKENS}: ${text.slice(0, 300)}`));
      });
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(json);
  });
}

async function startPop(folder: string, upstream: string): Promise<{ pop: Running; base: string }> {
  const config = join(folder, "pop.json");
  const endpoint = { id: "e", url: upstream, engine: "vllm", models: ["bench"] };
  const room = { maxInFlight: 4096, prefillBudgetTokens: 1_000_000 };
  const listen = { host: "127.0.0.1", port: 0 };
  writeFileSync(config, JSON.stringify({ listen, endpoints: [{ ...endpoint, ...room }] }));
  const pop = launch(process.execPath, [CLI, "serve", "--config", config]);
  const base = await until(pop, "gridpoint", () => announced(pop));
  await until(pop, "gridpoint", async () => {
    const ready = await fetch(`${base}/readyz`);
    await ready.arrayBuffer();
    return ready.ok ? true : undefined;
  });
  return { pop, base };
}

export interface TranslateOptions {
  seconds: number;
  streams: number;
  rounds: number;
}

/** Median CPU of the PoP per event, in microseconds. */
export async function measureTranslation(options: TranslateOptions): Promise<Record<Door, number>> {
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-translate-"));
  const upstream = await startUpstream();
  const agent = new Agent({ keepAlive: true });
  let pop: Running | undefined;
  try {
    const started = await startPop(folder, upstream.base);
    pop = started.pop;
    const costs: Record<Door, number[]> = { passed: [], translated: [] };
    // The first round warms up.
    for (let round = 0; round <= options.rounds; round++) {
      for (const door of Object.keys(DOORS) as Door[]) {
        const before = cpuUs(pop.pid);
        const untilMs = performance.now() + options.seconds * 1_000;
        const runs = Array.from({ length: options.streams }, () =>
          stream(started.base, door, agent, untilMs),
        );
        const events = (await Promise.all(runs)).reduce((sum, count) => sum + count, 0);
        if (round > 0) costs[door].push((cpuUs(pop.pid) - before) / events);
      }
    }
    return { passed: median(costs.passed), translated: median(costs.translated) };
  } finally {
    agent.destroy();
    await pop?.stop();
    await upstream.running.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const options = {
    json: { type: "boolean" },
    seconds: text,
    streams: text,
    rounds: text,
  } as const;
  const { values } = parseArgs({ options });
  const costs = await measureTranslation({
    seconds: Number(values.seconds ?? 4),
    streams: Number(values.streams ?? 32),
    rounds: Number(values.rounds ?? 3),
  });
  if (values.json) return console.log(JSON.stringify(costs));
  console.log(`chat, passed through      ${costs.passed.toFixed(1)} us of CPU per event`);
  console.log(`chat to messages          ${costs.translated.toFixed(1)} us of CPU per event`);
  console.log(`ratio                     ${(costs.translated / costs.passed).toFixed(2)}`);
}

if (import.meta.main) await main();
