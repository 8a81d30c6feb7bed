/** What is compared: who decides where a request goes, and what such a one may see. */
import type { SimulatedFleet } from "./fleet.ts";
import type { Places } from "./places.ts";
import type { TraceRequest } from "./trace.ts";

/** Chooses at once and for good, with exact knowledge of all engines. */
export interface Policy {
  /**
   * @param pop where the request came in
   * @returns the worker
   */
  route(request: TraceRequest, nowMs: number, pop: number): number;
}

export interface PolicyInput {
  fleet: SimulatedFleet;
  places: Places;
  /** Uniform 32-bit words. */
  random: () => number;
}

/** Index with the least cost; of equals one at random. */
export function leastOf(count: number, costOf: (index: number) => number, random: () => number) {
  let best = 0;
  let bestCost = Number.POSITIVE_INFINITY;
  let equals = 0;
  for (let index = 0; index < count; index++) {
    const cost = costOf(index);
    if (cost < bestCost) {
      best = index;
      bestCost = cost;
      equals = 1;
    } else if (cost === bestCost && random() / 2 ** 32 < 1 / ++equals) {
      best = index;
    }
  }
  return best;
}
