/** A PoP that hangs: how soon every other one knows, and what each is told of it. */
import { describe, expect, test } from "vitest";
import { GOSSIP_LIMITS } from "../../../src/gossip/limits.ts";
import { SimGrid } from "../../../src/sim/grid.ts";

const POPS = 8;
const VICTIM = 3;
/** Silence, the tick that finds it, and half a round trip. */
const WORST_MS = GOSSIP_LIMITS.silenceMs + GOSSIP_LIMITS.tickMs + 10;

/** When each PoP was told first that the victim is neither routable nor reachable, ms after it. */
function hang(seed: number, stallMs = 0) {
  const routableMs = new Map<number, number>();
  const reachableMs = new Map<number, number>();
  let downMs = Number.POSITIVE_INFINITY;
  const grid: SimGrid = new SimGrid({
    ...{ seed, pops: POPS, rttMs: [[20]] },
    watch: (carrier, events, nowMs) => {
      for (const event of events) {
        if (event.type !== "routable" || event.nid !== grid.carriers[VICTIM].nid) continue;
        const told = (times: Map<number, number>, gone: boolean) => {
          if (gone && !times.has(carrier.index)) times.set(carrier.index, nowMs - downMs);
        };
        told(routableMs, nowMs > downMs && !event.routable);
        told(reachableMs, nowMs > downMs && !event.reachable);
      }
    },
  });
  grid.startAll(500);
  grid.run(3000 + seed * 37);
  downMs = grid.clock.nowMs;
  grid.carriers[VICTIM].pause(6000);
  if (stallMs > 0) {
    // Everybody else is short of CPU, too.
    grid.run(300);
    for (const carrier of grid.carriers) if (carrier.index !== VICTIM) carrier.pause(stallMs);
  }
  grid.run(6000);
  return { grid, routableMs: [...routableMs.values()], reachableMs: [...reachableMs.values()] };
}

describe("a PoP that hangs is unroutable for all", () => {
  test.each([1, 2, 3, 4, 5, 6])(
    "within 1.6 s, whatever the phase of its pings: seed %i",
    (seed) => {
      const { routableMs, reachableMs } = hang(seed);
      expect(routableMs).toHaveLength(POPS - 1);
      expect(Math.max(...routableMs)).toBeLessThanOrEqual(WORST_MS);
      // Also when others' accusations came first: that it is unreachable is told at once.
      expect(reachableMs).toHaveLength(POPS - 1);
      expect(Math.max(...reachableMs)).toBeLessThanOrEqual(WORST_MS);
    },
  );

  test("a stall of the others delays it by the stall, not by another 1.5 s", () => {
    const { reachableMs } = hang(1, 800);
    expect(reachableMs).toHaveLength(POPS - 1);
    expect(Math.max(...reachableMs)).toBeLessThanOrEqual(WORST_MS + 800);
  });

  test("and is routable for all again within 2 s of its going on", () => {
    const { grid } = hang(2);
    const back = () =>
      grid.carriers.every(
        (one) => one.index === VICTIM || grid.member(one, grid.carriers[VICTIM])?.routable,
      );
    expect(grid.until(back, 5000)).toBeLessThan(2000);
  });
});
