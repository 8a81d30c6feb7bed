/** The goals table of gossip as bounds, for the sizes that the simulator can pay for. */
import type { Goals } from "../../bench/gossip.ts";

/** Most that a goal may take, by size: research section 2.7. */
export const GOAL_BOUNDS: Goals[] = [
  {
    pops: 3,
    loadP99Ms: 150,
    loadAllLossMs: 250,
    exitMs: 500,
    silentMs: 2000,
    downMs: 8000,
    bytesPerS: 2000,
    healMs: 2000,
  },
  {
    pops: 30,
    loadP99Ms: 150,
    loadAllLossMs: 300,
    exitMs: 500,
    silentMs: 2000,
    downMs: 8000,
    bytesPerS: 25_000,
    healMs: 3000,
  },
  {
    pops: 300,
    loadP99Ms: 250,
    loadAllLossMs: 300,
    exitMs: 700,
    silentMs: 2000,
    downMs: 8000,
    bytesPerS: 140_000,
    healMs: 10_000,
  },
];

/** What does not hold, in words; empty: all of it does. */
export function missedGoals(goals: Goals): string[] {
  const bounds = GOAL_BOUNDS.find(({ pops }) => pops === goals.pops);
  if (bounds === undefined) return [`no goals are set for ${goals.pops} PoPs`];
  const names = Object.keys(bounds) as (keyof Goals)[];
  return names
    .filter((name) => !(goals[name] > 0 && goals[name] <= bounds[name]))
    .map((name) => `${goals.pops} PoPs: ${name} is ${goals[name]}, at most ${bounds[name]} wanted`);
}
