/** What two PoPs tell each other of one request. Part of `pop.ts`. */
import type { Flight } from "./feedback/observe.ts";
import { GridError } from "./grid/errors.ts";
import { type Handover, HOPS_MAX } from "./grid/handover.ts";
import type { Millis } from "./grid/units.ts";
import type { PopParts } from "./pop-stages.ts";

/** A hand-over that finds it so much worse here than its sender thought had better go elsewhere. */
const WORSE_MS_MIN = 500;
const WORSE_TIMES = 2;

/** What the other PoP's door is told of a request that goes there. */
export function handoverOf({ config, peers }: PopParts, flight: Flight, nowMs: Millis): Handover {
  const { task } = flight;
  return {
    hops: HOPS_MAX,
    forwardedBy: [config.pop.id],
    tenant: task.tenant,
    leftMs: task.arrivedMs + config.timeouts.totalMs - nowMs,
    endpoint: peers.pops.at(flight.row)?.endpointId,
    expectedTtftMs: flight.predictedTtftMs,
    others: flight.others,
  };
}

/** A peer that chose this PoP by an old picture, and has other places, decides again. */
export function declined(
  handover: Handover | undefined,
  ttftMs: Millis,
  retryAfterS: number,
): GridError | undefined {
  if (handover?.expectedTtftMs === undefined || handover.others === 0) return undefined;
  const { expectedTtftMs } = handover;
  const most = Math.max(expectedTtftMs * WORSE_TIMES, expectedTtftMs + WORSE_MS_MIN);
  if (ttftMs <= most) return undefined;
  const message = `It would take ${Math.round(ttftMs)} ms here, not ${expectedTtftMs}.`;
  return new GridError("saturated", message, { retryAfterS });
}
