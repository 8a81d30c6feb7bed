/**
 * `node test/runtime/grid30.ts`: what gossip costs, on sockets: thirty real PoPs in a full mesh,
 * each serving four requests a second of its own, so that its load changes between any two reports,
 * against one PoP alone under the same load. Prints CPU and bytes per PoP; exits with 1 when a
 * bound does not hold. Takes two minutes.
 */
import { readFileSync } from "node:fs";
import { fewAtOnce, type GridState, gridState, makeGrid, untilMet } from "./grid-process.ts";
import { type ServerProcess, startEngine } from "./pop-process.ts";

const POPS = 30;
const HOT_MS = 250;
const MEASURE_MS = 20_000;
const SETTLE_MS = 5_000;
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
function cpuMs(pop: ServerProcess): number {
  const stat = readFileSync(`/proc/${pop.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Share of a core that each uses over the time, in per cent. */
async function shareOf(pops: readonly ServerProcess[]): Promise<number> {
  const before = pops.map(cpuMs);
  await pause(MEASURE_MS);
  const used = pops.reduce((sum, pop, i) => sum + cpuMs(pop) - before[i], 0);
  return (used / pops.length / MEASURE_MS) * 100;
}

/** A request at each PoP every 250 ms, whose answer takes about that long. */
function drive(pops: readonly ServerProcess[]) {
  const ends = { whole: 0, failed: 0, away: 0 };
  let asked = 0;
  const ask = async (pop: ServerProcess): Promise<void> => {
    const messages = [{ role: "user", content: `Question ${asked++}. `.repeat(8) }];
    try {
      const answer = await fetch(`${pop.base}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
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
    const begin = () => timers.push(setInterval(() => void ask(pop), HOT_MS));
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

const grid = await makeGrid(POPS);
const engine = await startEngine("--profile", "l40s-8b", "--model", "m");
const change = (index: number) => ({
  gossip: {
    grid: "test",
    certificate: `${grid.folder}/p${index}.cert`,
    key: `${grid.folder}/p${index}.key`,
    roots: `${grid.folder}/roots.pub`,
    seeds: grid.ports.slice(0, 2).map((port) => `http://127.0.0.1:${port}`),
    ...{ hotMinMs: HOT_MS, hotMaxMs: HOT_MS },
  },
  // One engine process stands behind all of them: thirty would be measured, too.
  endpoints: [{ id: "e", url: engine.base, engine: "vllm", models: ["m"] }],
  poll: { intervalMs: 250 },
});
const start = (index: number) => grid.start(index, change(index) as never);
try {
  const pops = [await start(0)];
  const single = drive(pops);
  await pause(SETTLE_MS);
  const alone = await shareOf(pops);
  single.stop();
  note("one PoP alone under its load", alone, "% of a core");
  pops.push(...(await fewAtOnce(POPS - 1, (i) => start(i + 1))));
  await untilMet(pops, 60_000);
  const work = drive(pops);
  await pause(SETTLE_MS);
  const before = await gridState(pops[3]);
  const together = await shareOf(pops);
  const after = await gridState(pops[3]);
  work.stop();
  note("requests whole", work.ends.whole, "");
  note("of them served at another PoP", work.ends.away, "");
  note("each of them together", together, "% of a core");
  const perS = (name: string) => (after.gossip[name] - before.gossip[name]) / (MEASURE_MS / 1_000);
  const kilobytes = (way: "Out" | "In") =>
    (perS(`bytes${way}`) + FRAME_BYTES * perS(`frames${way}`)) / 1_000;
  const rates = reportRates(before, after);
  report("requests failed", work.ends.failed, "", 0, 0);
  report("load reports of each other PoP, mean", rates.mean, "per s", 3.5, 10);
  report("load reports of the slowest", rates.least, "per s", 3, 10);
  report(`CPU of gossip, each of ${POPS} PoPs at 4 Hz`, together - alone, "% of a core", 0, 1);
  report("frames sent by one", perS("bytesOut") / 1_000, "KB/s", 0, 25);
  report("frames received by one", perS("bytesIn") / 1_000, "KB/s", 0, 25);
  report("sent on the sockets, headers included", kilobytes("Out"), "KB/s", 0, 25);
  report("received on the sockets, headers included", kilobytes("In"), "KB/s", 0, 25);
} finally {
  await grid.close();
  await engine.kill("SIGKILL");
}
process.exitCode = failed ? 1 : 0;
