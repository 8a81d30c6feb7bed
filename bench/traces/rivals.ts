/**
 * The policies that we compare with, each from its own code or paper, with exact knowledge of the
 * engines where theirs would be estimated: what beats them here beats their best form.
 */
import { BLOCK_TOKENS } from "./trace.ts";
import { PREFILL_PER_MS } from "./engine.ts";
import { leastOf, type Policy, type PolicyInput } from "./policy.ts";
import { mix, randomBelow } from "./random.ts";

export function roundRobin({ fleet }: PolicyInput): Policy {
  let next = 0;
  return { route: () => next++ % fleet.size };
}

export function random({ fleet, random }: PolicyInput): Policy {
  return { route: () => randomBelow(random, fleet.size) };
}

export function leastRequests({ fleet, random }: PolicyInput): Policy {
  return { route: () => leastOf(fleet.size, (worker) => fleet.inFlight(worker), random) };
}

export function leastPrefillTokens({ fleet, random }: PolicyInput): Policy {
  const outstanding = (nowMs: number) => (worker: number) => fleet.outstanding(worker, nowMs);
  return { route: (_, nowMs) => leastOf(fleet.size, outstanding(nowMs), random) };
}

/** Points on the ring per worker. */
const RING_POINTS = 128;

/** Consistent hashing by conversation. */
export function sessionHash({ fleet }: PolicyInput): Policy {
  const ring: { at: number; worker: number }[] = [];
  for (let worker = 0; worker < fleet.size; worker++) {
    for (let point = 0; point < RING_POINTS; point++) {
      ring.push({ at: mix(worker * RING_POINTS + point, 0x51ed270b), worker });
    }
  }
  ring.sort((a, b) => a.at - b.at);
  return {
    route: ({ session }) => {
      const at = mix(session, 0x1b873593);
      return (ring.find((point) => point.at >= at) ?? ring[0]).worker;
    },
  };
}

/** LMetric (arXiv 2603.15202): new prefill tokens times batch size. */
export function lmetric({ fleet, random }: PolicyInput): Policy {
  return {
    route: (request) =>
      leastOf(
        fleet.size,
        (worker) => fleet.uncached(worker, request) * (fleet.inFlight(worker) + 1),
        random,
      ),
  };
}

/** NVIDIA Dynamo's cost: blocks to prefill plus active blocks, weight 1, temperature 0. */
export function dynamoLike({ fleet, random }: PolicyInput): Policy {
  return {
    route: (request, nowMs) =>
      leastOf(
        fleet.size,
        (worker) => {
          const tokens = fleet.outstanding(worker, nowMs) + fleet.uncached(worker, request);
          return tokens / BLOCK_TOKENS + fleet.engines[worker].activeBlocks;
        },
        random,
      ),
  };
}

/** Longest match where it is longer than what everybody shares, else least prefill tokens. */
export function prefixGuarded({ fleet, random }: PolicyInput): Policy {
  return {
    route: (request, nowMs) => {
      const matches = fleet.engines.map((_, worker) => fleet.expected(worker, request));
      const longest = Math.max(...matches);
      const costOf = (worker: number) =>
        longest > 1 ? -matches[worker] : fleet.outstanding(worker, nowMs);
      return leastOf(fleet.size, costOf, random);
    },
  };
}

/** The least predicted TTFT plus lambda times the own prefill, early and with exact knowledge. */
export function predictedTtft(lambda: number): (input: PolicyInput) => Policy {
  return ({ fleet, random }) => ({
    route: (request, nowMs) =>
      leastOf(
        fleet.size,
        (worker) => {
          const own = fleet.uncached(worker, request);
          return (fleet.outstanding(worker, nowMs) + (1 + lambda) * own) / PREFILL_PER_MS;
        },
        random,
      ),
  });
}

/** Wait at which a PoP sends elsewhere. */
const SPILL_MS = 2000;
const NOWHERE = Number.POSITIVE_INFINITY;

/** At home unless its least wait is over two seconds; then where wait and distance are least. */
export function thresholdSpill({ fleet, places, random }: PolicyInput): Policy {
  const { popOf, rttMs } = places;
  return {
    route: (_request, nowMs, pop) => {
      const waitMs = (worker: number) => fleet.outstanding(worker, nowMs) / PREFILL_PER_MS;
      const home = (worker: number) => (popOf[worker] === pop ? waitMs(worker) : NOWHERE);
      const local = leastOf(fleet.size, home, random);
      if (home(local) <= SPILL_MS) return local;
      const away = (worker: number) => waitMs(worker) + rttMs[pop][popOf[worker]];
      return leastOf(fleet.size, away, random);
    },
  };
}
