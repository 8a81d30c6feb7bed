/**
 * `node test/runtime/grid8.ts`: eight real PoPs with one engine each on loopback, as hard as a
 * laptop can be on them: one killed under load, one that hangs, one link cut, silent strangers.
 * Prints what was measured and exits with 1 when a bound does not hold. Takes most of a minute.
 */
import { readFileSync } from "node:fs";
import { WebSocket } from "ws";
import { startDistance } from "../../edge/distance.ts";
import { type GridProcess, gridState, makeGrid, seen, untilMet } from "./grid-process.ts";
import { eventually, type ServerProcess, startEngine } from "./pop-process.ts";

const POPS = 8;
const REQUESTS = 1_000;
const LOCAL_REQUESTS = 200;
/** Asked at once: enough that some are always before their first content. */
const AT_ONCE = 16;
let failed = false;

function report(what: string, value: number, unit: string, most: number): void {
  const fine = value <= most;
  failed ||= !fine;
  const shown = `${value.toFixed(value < 10 ? 2 : 0)} ${unit}`;
  process.stdout.write(`${fine ? "ok  " : "FAIL"} ${what}: ${shown} (at most ${most})\n`);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function took(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function startAll(grid: GridProcess): Promise<[ServerProcess[], ServerProcess[]]> {
  const engines: ServerProcess[] = [];
  const pops: ServerProcess[] = [];
  for (let i = 0; i < POPS; i++) {
    const engine = await startEngine("--profile", "l40s-8b", "--model", "m");
    engines.push(engine);
    const endpoints = [{ id: "e", url: engine.base, engine: "vllm", models: ["m"] }];
    pops.push(await grid.start(i, { endpoints } as never));
  }
  return [engines, pops];
}

/** User and system time of a process so far, ms. */
function cpuMs(pop: ServerProcess): number {
  const stat = readFileSync(`/proc/${pop.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function idleCost(pops: ServerProcess[]): Promise<void> {
  const before = await gridState(pops[0]);
  const beforeMs = cpuMs(pops[0]);
  await pause(10_000);
  const { gossip } = await gridState(pops[0]);
  const kilobytes = (name: string) => (gossip[name] - before.gossip[name]) / 10_000;
  report("gossip sent by an idle PoP of 8", kilobytes("bytesOut"), "KB/s", 6);
  report("gossip received", kilobytes("bytesIn"), "KB/s", 6);
  report("CPU of a whole idle PoP of 8", (cpuMs(pops[0]) - beforeMs) / 100, "% of a core", 8);
}

/** Failures that a client saw of `REQUESTS`, while the last PoP is killed in the middle. */
async function killUnderLoad(pops: ServerProcess[]): Promise<void> {
  const asked = pops.slice(0, -1);
  const victim = pops[POPS - 1];
  let sent = 0;
  const ends = { whole: 0, broken: 0, refused: 0 };
  const ask = async (): Promise<void> => {
    while (sent < REQUESTS) {
      const pop = asked[sent++ % asked.length];
      const body = { model: "m", stream: true, max_tokens: 4, messages: [message(sent)] };
      ends[await outcome(pop, body)]++;
    }
  };
  const all = Promise.all(Array.from({ length: AT_ONCE }, ask));
  await eventually("half of it", () => sent > REQUESTS / 2, 120_000);
  await victim.kill("SIGKILL");
  const unseenMs = await took(() =>
    Promise.all(asked.map((pop) => eventually("it is gone", async () => isLost(pop), 5_000))),
  );
  await all;
  report("killed PoP unreachable for all, under load", unseenMs, "ms", 500);
  report(`of ${REQUESTS} failed before content`, ends.refused, "requests", 0);
  // What ran there and had begun cannot be saved; it must be no more than ran there.
  report("broken after content", ends.broken, "requests", AT_ONCE);
}

/** How a stream ended for its client: broken after content is another thing than none at all. */
async function outcome(pop: ServerProcess, body: object): Promise<"whole" | "broken" | "refused"> {
  let text = "";
  try {
    const answer = await fetch(`${pop.base}/v1/chat/completions`, {
      ...{ method: "POST", body: JSON.stringify(body) },
      headers: { "content-type": "application/json" },
    });
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) text += decoder.decode(chunk, { stream: true });
  } catch {
    // What came before it is what counts.
  }
  if (text.includes("[DONE]")) return "whole";
  return text.includes('"content":"') ? "broken" : "refused";
}

const message = (index: number) => ({
  role: "user",
  content: `Question ${index % 50}. `.repeat(40),
});

const isLost = async (pop: ServerProcess, id = `p${POPS - 1}`): Promise<boolean> => {
  return (await seen(pop, id))?.reachable !== true;
};

/** No new work goes there: it does not answer, or two say so. */
const isUnused = async (pop: ServerProcess, id: string): Promise<boolean> => {
  return (await seen(pop, id))?.routable !== true;
};

async function hang(pops: ServerProcess[]): Promise<void> {
  const others = pops.filter((_, index) => index !== 3);
  const startedMs = performance.now();
  const allSee = (what: string, met: (pop: ServerProcess, id: string) => Promise<boolean>) =>
    took(() => Promise.all(others.map((pop) => eventually(what, () => met(pop, "p3"), 10_000))));
  pops[3].child.kill("SIGSTOP");
  const [unusedMs, lostMs] = await Promise.all([
    allSee("p3 gets no new work", isUnused),
    allSee("p3 does not answer", isLost),
  ]);
  report("hanging PoP unroutable for all", unusedMs, "ms", 2_000);
  report("and each has seen for itself that it does not answer", lostMs, "ms", 2_000);
  await pause(Math.max(0, 5_000 - (performance.now() - startedMs)));
  pops[3].child.kill("SIGCONT");
  report("back after it goes on", await took(() => untilMet(pops, 20_000)), "ms", 2_000);
}

/** A PoP that reaches one other over a line that is cut: nobody is declared down for it. */
async function cutLink(grid: GridProcess, pops: ServerProcess[]): Promise<void> {
  await pops[7].kill("SIGKILL");
  const door = `http://127.0.0.1:${grid.ports[1]}`;
  const line = await startDistance(door, 2);
  pops[7] = await grid.start(7, {
    gossip: { ...gossipOf(grid, 7), via: { [door]: line.url } },
  } as never);
  await untilMet(pops, 20_000);
  line.close();
  const states = new Set<string>();
  const untilMs = performance.now() + 8_000;
  while (performance.now() < untilMs) {
    for (const pop of pops)
      for (const other of (await gridState(pop)).pops) states.add(other.state);
    await pause(100);
  }
  report("PoPs called down after a cut link", states.has("down") ? 1 : 0, "", 0);
  await untilMet(pops, 20_000);
}

const gossipOf = ({ folder, ports }: GridProcess, index: number) => ({
  grid: "test",
  certificate: `${folder}/p${index}.cert`,
  key: `${folder}/p${index}.key`,
  roots: `${folder}/roots.pub`,
  seeds: ports.slice(0, 2).map((port) => `http://127.0.0.1:${port}`),
});

async function silentStrangers(pop: ServerProcess): Promise<void> {
  const sockets = Array.from({ length: 100 }, () => {
    return new WebSocket(`ws://127.0.0.1:${pop.port}/grid/link`);
  });
  const closed = sockets.map((one) => new Promise((resolve) => one.once("close", resolve)));
  for (const one of sockets) one.on("error", () => undefined);
  report("100 silent sockets let go", await took(() => Promise.all(closed)), "ms", 6_500);
}

/** Median time to the whole answer of one token at a PoP, one request after another, ms. */
async function localMs(pop: ServerProcess): Promise<number> {
  const tookMs: number[] = [];
  for (let i = 0; i < LOCAL_REQUESTS; i++) {
    const messages = [{ role: "user", content: `Say ${i}.` }];
    const startedMs = performance.now();
    const answer = await fetch(`${pop.base}/v1/chat/completions`, {
      ...{ method: "POST", body: JSON.stringify({ model: "m", max_tokens: 1, messages }) },
      headers: { "content-type": "application/json" },
    });
    await answer.arrayBuffer();
    const local = answer.ok && answer.headers.get("x-grid-route")?.includes("hops=0");
    if (local) tookMs.push(performance.now() - startedMs);
  }
  if (tookMs.length < LOCAL_REQUESTS) failed = true;
  return tookMs.sort((a, b) => a - b)[tookMs.length >> 1] ?? Number.NaN;
}

/** All peers gone at once: what is left serves its own engine as before. */
async function alone(pops: ServerProcess[]): Promise<void> {
  const amongPeersMs = await localMs(pops[0]);
  await Promise.all(pops.slice(1).map((pop) => pop.kill("SIGKILL")));
  const goneMs = await localMs(pops[0]);
  await pause(10_000);
  const aloneMs = await localMs(pops[0]);
  const shown = [amongPeersMs, goneMs, aloneMs].map((ms) => ms.toFixed(2)).join(", ");
  process.stdout.write(`     local request among peers, just after and 10 s after: ${shown} ms\n`);
  report("median just after all peers are gone, beyond before", goneMs - amongPeersMs, "ms", 2);
  report("median 10 s later, beyond before", aloneMs - amongPeersMs, "ms", 2);
}

const grid = await makeGrid(POPS);
let engines: ServerProcess[] = [];
try {
  const [started, pops] = await startAll(grid);
  engines = started;
  report("the last one is met by all", await took(() => untilMet(pops, 20_000)), "ms", 2_000);
  await idleCost(pops);
  await killUnderLoad(pops);
  const endpoints = [{ id: "e", url: engines[7].base, engine: "vllm", models: ["m"] }];
  pops[7] = await grid.start(7, { endpoints } as never);
  report("restarted PoP met by all", await took(() => untilMet(pops, 20_000)), "ms", 3_000);
  await hang(pops);
  await cutLink(grid, pops);
  await silentStrangers(pops[0]);
  await alone(pops);
} finally {
  await grid.close();
  await Promise.all(engines.map((engine) => engine.kill("SIGKILL")));
}
process.exitCode = failed ? 1 : 0;
