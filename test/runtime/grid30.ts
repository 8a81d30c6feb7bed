/**
 * `node test/runtime/grid30.ts`: what gossip costs, on sockets: thirty real PoPs, each serving four
 * requests a second, so that its load changes between any two reports. Three times, as CPU depends
 * on how many processes share the cores: without gossip; in a full mesh where every request may run
 * in its PoP's region only; in the mesh with requests free to go. The second less the first is what
 * gossip costs, and is held to the bound; the third has the cost of handing requests over on top
 * and is told beside it, as is the floor: thirty processes of bare `ws` that send as much. Prints
 * CPU and bytes per PoP; exits with 1 when a bound does not hold. Takes four minutes.
 * `--only bare,gossip` measures some of them; without `bare` no bound on CPU is held. `--settle 60`
 * waits that many seconds instead of 8 before it measures: what V8 compiles in the first minute of
 * a process is not what a PoP costs that runs for weeks.
 */
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { startBareMesh } from "./bare-mesh.ts";
import { fewAtOnce, type GridState, gridState, makeGrid, untilMet } from "./grid-process.ts";
import { everyEndpoint, type ServerProcess, startEngine } from "./pop-process.ts";

const POPS = 30;
const HOT_MS = 250;
const MEASURE_MS = 20_000;
const { values } = parseArgs({
  options: {
    only: { type: "string", default: "floor,bare,gossip,free" },
    settle: { type: "string", default: "8" },
  },
});
const SETTLE_MS = Number(values.settle) * 1_000;
/** Bytes of TCP, IP and WebSocket per frame without TLS: 40, 20 and at least 6. */
const FRAME_BYTES = 66;
let failed = false;

function report(what: string, value: number, unit: string, least: number, most: number): void {
  const fine = value >= least && value <= most;
  failed ||= !fine;
  const bound = least > 0 ? `at least ${least}` : `at most ${most}`;
  process.stdout.write(
    `${fine ? "ok  " : "FAIL"} ${what}: ${value.toFixed(2)} ${unit} (${bound})\n`,
  );
}

const note = (what: string, value: number, unit: string): void => {
  process.stdout.write(`     ${what}: ${value.toFixed(2)} ${unit}\n`);
};

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** User and system time of a process so far, ms. */
function cpuMs({ pid }: { pid: number }): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Times that a process so far went to sleep: its main thread, and all its others. */
function sleeps({ pid }: { pid: number }): { main: number; others: number } {
  const counts = { main: 0, others: 0 };
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
    const count = Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1]);
    counts[Number(thread) === pid ? "main" : "others"] += count;
  }
  return counts;
}

/** What each uses: per cent of a core, and wakes of its threads per second. */
async function usedBy(pops: readonly { pid: number }[]) {
  const look = () => pops.map((pop) => ({ cpu: cpuMs(pop), ...sleeps(pop) }));
  const before = look();
  await pause(MEASURE_MS);
  const after = look();
  const mean = (name: "cpu" | "main" | "others") =>
    after.reduce((sum, one, i) => sum + one[name] - before[i][name], 0) / pops.length / MEASURE_MS;
  return { cpu: mean("cpu") * 100, main: mean("main") * 1_000, others: mean("others") * 1_000 };
}

const regionOf = (index: number) => `region-${index}`;

/** A request at each PoP every 250 ms, whose answer takes about that long. */
function drive(pops: readonly ServerProcess[], free: boolean) {
  const ends = { whole: 0, failed: 0, away: 0 };
  let asked = 0;
  const ask = async (pop: ServerProcess, index: number): Promise<void> => {
    const messages = [{ role: "user", content: `Question ${asked++}. `.repeat(8) }];
    const region: Record<string, string> = free ? {} : { "x-grid-region": regionOf(index) };
    try {
      const answer = await fetch(`${pop.base}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", ...region },
        body: JSON.stringify({ model: "m", max_tokens: 8 + (asked % 5), messages }),
      });
      await answer.arrayBuffer();
      if (answer.headers.get("x-grid-route")?.includes("hops=1")) ends.away++;
      ends[answer.ok ? "whole" : "failed"]++;
    } catch {
      ends.failed++;
    }
  };
  const timers: NodeJS.Timeout[] = [];
  pops.forEach((pop, i) => {
    const begin = () => timers.push(setInterval(() => void ask(pop, i), HOT_MS));
    timers.push(setTimeout(begin, (HOT_MS * i) / pops.length));
  });
  return {
    ends,
    stop: () => {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

/** Load reports that one PoP took from each other per second, least and mean. */
function reportRates(before: GridState, after: GridState): { least: number; mean: number } {
  const rates = after.pops.map(({ id, loadSeq }) => {
    const earlier = before.pops.find((pop) => pop.id === id)?.loadSeq ?? 0;
    return ((loadSeq ?? 0) - earlier) / (MEASURE_MS / 1_000);
  });
  return { least: Math.min(...rates), mean: rates.reduce((a, b) => a + b, 0) / rates.length };
}

/** CPU of each under load, per cent of a core. `what` names it in the notes. */
async function underLoad(pops: readonly ServerProcess[], what: string, free: boolean) {
  const work = drive(pops, free);
  await pause(SETTLE_MS);
  const before = await gridState(pops[3]);
  const { cpu, main, others } = await usedBy(pops);
  const after = await gridState(pops[3]);
  work.stop();
  note(`each of ${POPS} ${what}`, cpu, "% of a core");
  note("  its main thread woke", main, "times per s");
  note("  its other threads", others, "times per s");
  note("  requests whole", work.ends.whole, "");
  note("  of them served at another PoP", work.ends.away, "");
  report("requests failed", work.ends.failed, "", 0, 0);
  return { cpu, before, after };
}

/** Of the frames of gossip on one PoP's sockets. */
function reportBytes({ before, after }: { before: GridState; after: GridState }): void {
  const perS = (name: string) => (after.gossip[name] - before.gossip[name]) / (MEASURE_MS / 1_000);
  const kilobytes = (way: "Out" | "In") =>
    (perS(`bytes${way}`) + FRAME_BYTES * perS(`frames${way}`)) / 1_000;
  const rates = reportRates(before, after);
  report("load reports of each other PoP, mean", rates.mean, "per s", 3.5, 10);
  report("load reports of the slowest", rates.least, "per s", 3, 10);
  note("frames sent by one", perS("framesOut"), "per s");
  note("frames received by one", perS("framesIn"), "per s");
  report("frames sent by one", perS("bytesOut") / 1_000, "KB/s", 0, 25);
  report("frames received by one", perS("bytesIn") / 1_000, "KB/s", 0, 25);
  report("sent on the sockets, headers included", kilobytes("Out"), "KB/s", 0, 25);
  report("received on the sockets, headers included", kilobytes("In"), "KB/s", 0, 25);
}

/** What the frames cost by themselves here. */
async function noteFloor(): Promise<void> {
  const mesh = await startBareMesh(POPS, HOT_MS);
  try {
    await pause(SETTLE_MS);
    const { cpu, main } = await usedBy(mesh.pids.map((pid) => ({ pid })));
    note(`floor: each of ${POPS} bare WebSocket processes at 4 Hz`, cpu, "% of a core");
    note("  its main thread woke", main, "times per s");
  } finally {
    await mesh.stop();
  }
}

const grid = await makeGrid(POPS);
const engine = await startEngine("--profile", "l40s-8b", "--model", "m");
const settings = (index: number) => ({
  pop: { id: `p${index}`, region: regionOf(index) },
  // One engine process stands behind all of them: thirty would be measured, too.
  endpoints: [{ id: "e", url: engine.base, engine: "vllm", models: ["m"] }],
  poll: { intervalMs: 250 },
});
const gossip = (index: number) => ({
  grid: "test",
  certificate: `${grid.folder}/p${index}.cert`,
  key: `${grid.folder}/p${index}.key`,
  roots: `${grid.folder}/roots.pub`,
  seeds: grid.ports.slice(0, 2).map((port) => `http://127.0.0.1:${port}`),
  ...{ hotMinMs: HOT_MS, hotMaxMs: HOT_MS },
});
const start = (member: boolean) => (index: number) =>
  grid.start(index, { ...settings(index), gossip: member ? gossip(index) : undefined });
const which = values.only.split(",");
try {
  if (which.includes("floor")) await noteFloor();
  let bare: number | undefined;
  if (which.includes("bare")) {
    const pops = await fewAtOnce(POPS, start(false));
    await Promise.all(pops.map((pop) => everyEndpoint(pop, "ready")));
    bare = (await underLoad(pops, "without gossip", false)).cpu;
    await Promise.all(pops.map((pop) => pop.stop()));
  }
  if (which.includes("gossip") || which.includes("free")) {
    const pops = [await start(true)(0), ...(await fewAtOnce(POPS - 1, (i) => start(true)(i + 1)))];
    await untilMet(pops, 60_000);
    const local = await underLoad(pops, "in a mesh, requests local", false);
    reportBytes(local);
    const what = `CPU of gossip, each of ${POPS} PoPs at 4 Hz`;
    if (bare !== undefined) report(what, local.cpu - bare, "% of a core", 0, 1);
    if (which.includes("free")) {
      const free = await underLoad(pops, "in a mesh, requests free to go", true);
      const over = "  gossip and handing requests over";
      if (bare !== undefined) note(over, free.cpu - bare, "% of a core");
    }
  }
} finally {
  await grid.close();
  await engine.kill("SIGKILL");
}
process.exitCode = failed ? 1 : 0;
