/**
 * The overlay, at a size that a test can pay for: forty PoPs with a full mesh of at most twelve.
 * What 300 PoPs cost and take is measured by `npm run bench:gossip -- --pops 300`.
 */
import { expect, test } from "vitest";
import { goalRoundTrips, knownGone, spreadOfLoad } from "../../bench/gossip.ts";
import { SimGrid } from "../../src/sim/grid.ts";

const POPS = 40;
const LIMITS = { fullMeshMax: 12 };

function overlay(seed: number): SimGrid {
  const rttMs = goalRoundTrips(POPS);
  const cityOf = (index: number) => (index * 7) % rttMs.length;
  const grid = new SimGrid({ seed, pops: POPS, rttMs, cityOf, limits: LIMITS });
  grid.startAll(1000);
  grid.run(12_000);
  return grid;
}

test("is connected, of bounded degree, and as quick as the goals of 300 ask", () => {
  const grid = overlay(1);
  const { degreeMax } = grid.limits;
  const whole = () =>
    grid.expect((checkers, carriers) => checkers.overlay(carriers, degreeMax + 1));
  whole();
  grid.drive(2);
  grid.run(1000);
  expect(spreadOfLoad(grid, 5).p99Ms).toBeLessThanOrEqual(250);
  expect(knownGone(grid, grid.carriers[POPS - 1], "ended")).toBeLessThanOrEqual(700);
  expect(knownGone(grid, grid.carriers[1], "dead")).toBeLessThanOrEqual(2000);
  grid.run(8_000);
  whole();
}, 60_000);
