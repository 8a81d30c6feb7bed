/**
 * `node test/runtime/grid8-partition.ts`: eight real PoPs on loopback, cut into two halves of four
 * under load and joined again. Each half must go on serving, nobody may be lost or seen twice
 * after it, and the views must be equal soon. Prints what was measured, exits with 1 on a breach.
 */
import { type Distance, startDistance } from "../../edge/distance.ts";
import { gridState, makeGrid, untilMet } from "./grid-process.ts";
import { type ServerProcess, startEngine } from "./pop-process.ts";

const POPS = 8;
const HALF = POPS / 2;
const CUT_MS = 8_000;
const RTT_MS = 2;
let failed = false;

function report(what: string, value: number, unit: string, most: number): void {
  const fine = value <= most;
  failed ||= !fine;
  process.stdout.write(
    `${fine ? "ok  " : "FAIL"} ${what}: ${Math.round(value)} ${unit} (<= ${most})\n`,
  );
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** One small stream; true when it came whole. */
async function ask(pop: ServerProcess, index: number): Promise<boolean> {
  try {
    const answer = await fetch(`${pop.base}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        ...{ model: "m", stream: true, max_tokens: 2 },
        messages: [{ role: "user", content: `Question ${index % 50}. `.repeat(20) }],
      }),
    });
    return (await answer.text()).includes("[DONE]");
  } catch {
    return false;
  }
}

/** Asks all PoPs in turn until told to stop. */
function load(pops: readonly ServerProcess[]) {
  const seen = { asked: 0, lost: 0, running: true };
  const worker = async (): Promise<void> => {
    while (seen.running) {
      const index = seen.asked++;
      if (!(await ask(pops[index % pops.length], index))) seen.lost++;
    }
  };
  const done = Promise.all(Array.from({ length: 8 }, worker));
  const stop = async (): Promise<void> => {
    seen.running = false;
    await done;
  };
  return { seen, stop };
}

const grid = await makeGrid(POPS);
const engines: ServerProcess[] = [];
const pops: ServerProcess[] = [];
const doors = grid.ports.map((port) => `http://127.0.0.1:${port}`);
/** One line per PoP, used by the other half to reach it. */
const lines: Distance[] = await Promise.all(doors.map((door) => startDistance(door, RTT_MS)));
const ports = lines.map((line) => Number(new URL(line.url).port));
try {
  for (let i = 0; i < POPS; i++) {
    const engine = await startEngine("--profile", "l40s-8b", "--model", "m");
    engines.push(engine);
    const across = doors.flatMap((door, j) =>
      Math.floor(j / HALF) === Math.floor(i / HALF) ? [] : [[door, lines[j].url]],
    );
    const gossip = {
      grid: "test",
      certificate: `${grid.folder}/p${i}.cert`,
      key: `${grid.folder}/p${i}.key`,
      roots: `${grid.folder}/roots.pub`,
      seeds: [doors[0], doors[HALF]],
      via: Object.fromEntries(across),
    };
    const endpoints = [{ id: "e", url: engine.base, engine: "vllm", models: ["m"] }];
    pops.push(await grid.start(i, { endpoints, gossip } as never));
  }
  await untilMet(pops, 20_000);
  const work = load(pops);
  await pause(2_000);
  const before = work.seen.asked;
  for (const line of lines) line.close();
  await pause(CUT_MS);
  const states = await Promise.all(pops.map(gridState));
  const reachable = states.map(({ pops: others }) => others.filter((pop) => pop.reachable).length);
  report("most PoPs reachable while cut", Math.max(...reachable), "PoPs", HALF - 1);
  process.stdout.write(`     asked while cut: ${work.seen.asked - before}\n`);
  const startedMs = performance.now();
  lines.splice(
    0,
    POPS,
    ...(await Promise.all(doors.map((d, i) => startDistance(d, RTT_MS, ports[i])))),
  );
  await untilMet(pops, 30_000);
  report("views equal after healing", performance.now() - startedMs, "ms", 3_000);
  // A flap or a ghost would show in the seconds after it.
  let strange = 0;
  for (let round = 0; round < 30; round++) {
    await pause(100);
    for (const { pops: others } of await Promise.all(pops.map(gridState))) {
      const fine = others.filter((pop) => pop.state === "alive" && pop.reachable).length;
      if (others.length !== POPS - 1 || fine !== POPS - 1) strange++;
    }
  }
  report("views that changed in the 3 s after it", strange, "", 0);
  await work.stop();
  // A stream that had begun in the other half when the line was cut cannot be saved.
  report(`of ${work.seen.asked} requests not whole`, work.seen.lost, "requests", 16);
} finally {
  await grid.close();
  for (const line of lines) line.close();
  await Promise.all(engines.map((engine) => engine.kill("SIGKILL")));
}
process.exitCode = failed ? 1 : 0;
