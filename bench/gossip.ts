/**
 * The goals of gossip, measured in the simulated grid: how soon a load report is everywhere, how
 * soon a death is known, what it costs, how a partition heals. `node bench/gossip.ts --pops 3,30`
 * prints a table, with `--json` one line per size; `--hours 24` adds that many simulated hours of
 * loss and stalls, in which no healthy PoP may be declared down (`--only hours`: nothing else). The
 * simulator is seeded: the same numbers come out each time. `test/sim/goals.ts` has the bounds.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { unit, seededRng } from "../src/sim/clock.ts";
import type { Carrier } from "../src/sim/carrier.ts";
import { SimGrid } from "../src/sim/grid.ts";

const FIXTURE = new URL("../test/fixtures/network/rtt-ms.csv", import.meta.url);
/** Three of the far corners would make the light itself miss the goals; the rest is the sample. */
const TOO_FAR = ["Sydney", "Sao Paulo", "Johannesburg"];
const THREE = ["Tokyo", "London", "Portland"];

/** Round trips between the cities of the goals: three sites, or the sample's near 25. */
export function goalRoundTrips(pops: number): number[][] {
  const rows = readFileSync(FIXTURE, "utf8").trim().split("\n");
  const cells = rows.map((row) => row.split(","));
  const keep = cells[0].flatMap((city, index) => {
    const wanted = pops === 3 ? THREE.includes(city) : index > 0 && !TOO_FAR.includes(city);
    return wanted ? [index] : [];
  });
  return keep.map((from) => keep.map((to) => Number(cells[from][to])));
}

/** A grid that formed, publishes at `hertz` and has come to rest. */
export function formed(pops: number, seed: number, loss: number, hertz: number): SimGrid {
  const rttMs = goalRoundTrips(pops);
  const cityOf = (index: number) => (index * 7) % rttMs.length;
  const grid = new SimGrid({ seed, pops, rttMs, loss, cityOf });
  grid.startAll(1000);
  grid.run(pops > 64 ? 9000 : 5000);
  if (hertz > 0) grid.drive(hertz);
  grid.run(pops > 64 ? 5000 : 3000);
  return grid;
}

/** Time of one load report to 99 % and to all of the other PoPs, means over `reports`, ms. */
export function spreadOfLoad(grid: SimGrid, reports: number): { p99Ms: number; allMs: number } {
  let p99 = 0;
  let all = 0;
  for (let i = 0; i < reports; i++) {
    const author = grid.carriers[(i * 7) % grid.carriers.length];
    const before = author.core.members.self.hot?.seq ?? 0;
    grid.until(() => (author.core.members.self.hot?.seq ?? 0) > before, 2000, 5);
    const seq = author.core.members.self.hot?.seq as number;
    const startMs = author.core.members.self.hot?.receivedMs as number;
    const others = grid.carriers.filter((carrier) => carrier !== author);
    const needed = Math.ceil(0.99 * others.length);
    let holders = 0;
    const have = (count: number) => () => {
      holders = others.filter((one) => (grid.member(one, author)?.hot?.seq ?? 0) >= seq).length;
      return holders >= count;
    };
    grid.until(have(needed), 5000, 5);
    p99 += grid.clock.nowMs - startMs;
    grid.until(have(others.length), 5000, 5);
    all += grid.clock.nowMs - startMs;
  }
  return { p99Ms: p99 / reports, allMs: all / reports };
}

/** Time until no running PoP would send new work to one that ended, or died silently, ms. */
export function knownGone(grid: SimGrid, victim: Carrier, how: "ended" | "dead"): number {
  victim.end(how);
  const all = () => grid.running.every((one) => grid.member(one, victim)?.routable === false);
  return grid.until(all, 20_000) ?? Number.POSITIVE_INFINITY;
}

export function knownDown(grid: SimGrid, victim: Carrier): number {
  const all = () => grid.running.every((one) => grid.member(one, victim)?.state === "down");
  return grid.until(all, 20_000) ?? Number.POSITIVE_INFINITY;
}

/** Bytes per second that the busiest PoP sends, frame overhead of 138 B included, over 5 s. */
export function bytesPerS(grid: SimGrid): number {
  const before = grid.carriers.map(({ bytesOut }) => bytesOut);
  grid.run(5000);
  return Math.max(...grid.carriers.map(({ bytesOut }, i) => (bytesOut - before[i]) / 5));
}

/** Half cut from half for `cutMs`, then healed: time from the first new link to equal state, ms. */
export function healing(grid: SimGrid, cutMs: number): number {
  const all = grid.carriers.map(({ index }) => index);
  const half = all.length >> 1;
  grid.cut(all.slice(0, half), all.slice(half));
  grid.run(cutMs);
  grid.network.heal();
  const nids = new Set(grid.carriers.slice(half).map(({ nid }) => nid));
  const crossed = () =>
    grid.carriers
      .slice(0, half)
      .some(({ core }) =>
        [...core.links.values()].some((link) => link.open && nids.has(link.peer as string)),
      );
  const first = grid.until(crossed, 30_000);
  if (first === undefined) return Number.POSITIVE_INFINITY;
  return grid.until(() => agreed(grid), 60_000) ?? Number.POSITIVE_INFINITY;
}

function agreed({ carriers }: SimGrid): boolean {
  return carriers.every(({ core }) =>
    carriers.every(({ core: other }) => {
      const held = core.members.byNid.get(other.nid);
      const { claim, cold } = other.members.self;
      const same = held?.claim.epoch === claim.epoch && held.claim.inc === claim.inc;
      return same && held.routable && held.cold.digest === cold.digest;
    }),
  );
}

/**
 * Healthy PoPs declared down in `hours` of 2 % loss and stalls of up to 3 s (one a minute).
 * @param onHour called after each simulated hour
 */
export function falseDeaths(
  pops: number,
  seed: number,
  hours: number,
  onHour?: (hour: number, deaths: number) => void,
): number {
  let deaths = 0;
  const grid = new SimGrid({
    seed,
    pops,
    rttMs: goalRoundTrips(pops),
    loss: 0.02,
    watch: (_, events) => {
      for (const event of events) if (event.type === "member" && event.state === "down") deaths++;
    },
  });
  grid.startAll(1000);
  const rng = seededRng(seed);
  for (let minute = 0; minute < hours * 60; minute++) {
    grid.run(60_000);
    grid.carriers[rng() % pops].pause(unit(rng) * 3000);
    if (minute % 60 === 59) onHour?.((minute + 1) / 60, deaths);
  }
  return deaths;
}

export interface Goals {
  pops: number;
  loadP99Ms: number;
  loadAllLossMs: number;
  exitMs: number;
  silentMs: number;
  downMs: number;
  bytesPerS: number;
  healMs: number;
}

/**
 * Every goal of one size, on one grid in turn: to form a large one costs more than all that is
 * measured on it. It is whole again before each next goal; the deaths come last.
 * @param tell is told each figure as it is found, which for a large grid takes minutes
 */
export function measure(
  pops: number,
  seed: number,
  hertz: number,
  tell: (found: Partial<Goals>) => void = () => undefined,
): Goals {
  const reports = pops > 64 ? 8 : pops > 3 ? 20 : 100;
  const grid = formed(pops, seed, 0, hertz);
  const { network } = grid;
  const { p99Ms: loadP99Ms } = spreadOfLoad(grid, reports);
  const bytes = bytesPerS(grid);
  tell({ loadP99Ms, bytesPerS: bytes });
  network.options.loss = 0.02;
  grid.run(2000);
  const { allMs: loadAllLossMs } = spreadOfLoad(grid, reports);
  network.options.loss = 0;
  tell({ loadAllLossMs });
  const healMs = healing(grid, 12_000);
  tell({ healMs });
  grid.run(5000);
  const exitMs = knownGone(grid, grid.carriers[pops - 1], "ended");
  // Of three, two are too few to go on with.
  const deadly = pops === 3 ? formed(pops, seed + 1, 0, hertz) : grid;
  const silentMs = knownGone(deadly, deadly.carriers[1], "dead");
  const downMs = silentMs + knownDown(deadly, deadly.carriers[1]);
  return { pops, loadP99Ms, loadAllLossMs, exitMs, silentMs, downMs, bytesPerS: bytes, healMs };
}

function main(): void {
  const { values } = parseArgs({
    options: {
      pops: { type: "string", default: "3,30" },
      seed: { type: "string", default: "1" },
      hours: { type: "string", default: "0" },
      only: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const seed = Number(values.seed);
  for (const pops of values.pops.split(",").map(Number)) {
    const startMs = performance.now();
    const tookS = () => (performance.now() - startMs) / 1000;
    const hours = Number(values.hours);
    const told = (hour: number, deaths: number) => {
      console.error(
        `${pops} PoPs, hour ${hour} of ${hours}: ${deaths} declared down, ${tookS()} s`,
      );
    };
    const found = (some: Partial<Goals>) => console.error(JSON.stringify(some), `${tookS()} s`);
    const hertz = pops > 64 ? 2 : 4;
    const goals = values.only === "hours" ? { pops } : measure(pops, seed, hertz, found);
    const deaths = hours > 0 ? falseDeaths(pops, seed, hours, told) : undefined;
    const row = { ...goals, seed, falseDeaths: deaths, hours, tookS: tookS() };
    if (values.json) console.log(JSON.stringify(row));
    else console.table(row);
  }
}

if (import.meta.main) main();
