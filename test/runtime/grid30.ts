/**
 * `node test/runtime/grid30.ts`: what gossip costs, on sockets: thirty real PoPs without engines in
 * a full mesh, each reporting its load four times a second, against one PoP that is alone. Prints
 * CPU and bytes per PoP; exits with 1 when a bound does not hold.
 */
import { readFileSync } from "node:fs";
import { gridState, makeGrid, untilMet } from "./grid-process.ts";
import type { ServerProcess } from "./pop-process.ts";

const POPS = 30;
const HOT_MS = 250;
const MEASURE_MS = 20_000;
let failed = false;

function report(what: string, value: number, unit: string, most: number): void {
  failed ||= value > most;
  process.stdout.write(
    `${value <= most ? "ok  " : "FAIL"} ${what}: ${value.toFixed(2)} ${unit} (at most ${most})\n`,
  );
}

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

const grid = await makeGrid(POPS);
const gossipOf = (index: number) => ({
  grid: "test",
  certificate: `${grid.folder}/p${index}.cert`,
  key: `${grid.folder}/p${index}.key`,
  roots: `${grid.folder}/roots.pub`,
  seeds: grid.ports.slice(0, 2).map((port) => `http://127.0.0.1:${port}`),
  ...{ hotMinMs: HOT_MS, hotMaxMs: HOT_MS },
});
try {
  const pops = [await grid.start(0, { gossip: gossipOf(0) } as never)];
  await pause(2_000);
  const alone = await shareOf(pops);
  process.stdout.write(`     one PoP alone: ${alone.toFixed(2)} % of a core\n`);
  for (let i = 1; i < POPS; i++) pops.push(await grid.start(i, { gossip: gossipOf(i) } as never));
  await untilMet(pops, 60_000);
  await pause(5_000);
  const before = await gridState(pops[3]);
  const together = await shareOf(pops);
  const after = await gridState(pops[3]);
  const rate = (name: string) => (after.gossip[name] - before.gossip[name]) / MEASURE_MS;
  report(`CPU of gossip, each of ${POPS} PoPs at 4 Hz`, together - alone, "% of a core", 1);
  report("bytes sent by one", rate("bytesOut"), "KB/s", 25);
  report("bytes received by one", rate("bytesIn"), "KB/s", 25);
} finally {
  await grid.close();
}
process.exitCode = failed ? 1 : 0;
