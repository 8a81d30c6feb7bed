/** What two PoPs tell each other of one request. Part of `pop.ts`. */
import { elsewhereFromMs } from "./admission/handover.ts";
import type { Flight } from "./feedback/observe.ts";
import type { Decision } from "./grid/decision.ts";
import { GridError } from "./grid/errors.ts";
import { type Handover, HOPS_MAX } from "./grid/handover.ts";
import type { Millis, Row } from "./grid/units.ts";
import type { Ask } from "./kernel/kernel.ts";
import type { PopParts } from "./pop-stages.ts";

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
    elsewhereTtftMs: flight.elsewhereTtftMs,
  };
}

/** Its load there is an old picture: from when on would it be better off elsewhere? */
export function lookElsewhere(
  { kernel, config, table }: PopParts,
  flight: Flight,
  { row, ttftMs, socialMs, priceUsd }: Decision,
  askWithout: (tried: readonly Row[]) => Ask,
  nowMs: Millis,
): void {
  const { tried, sloTtftMs } = flight.task;
  // Who cannot try again had better wait there than be told to go elsewhere.
  if (table.records[row]?.pop === undefined || tried.length >= config.limits.retries) return;
  const chosen = { row, ttftMs, socialMs, priceUsd };
  const other = kernel.decide(askWithout([...tried, row]), nowMs);
  flight.elsewhereTtftMs = elsewhereFromMs(chosen, other, sloTtftMs, config.weights.priceTie);
}

/** A peer that chose this PoP by an old picture, and has other places, decides again. */
export function declined(
  handover: Handover | undefined,
  ttftMs: Millis,
  retryAfterS: number,
): GridError | undefined {
  const { expectedTtftMs, elsewhereTtftMs } = handover ?? {};
  if (elsewhereTtftMs === undefined || ttftMs <= elsewhereTtftMs) return undefined;
  const message = `It would take ${Math.round(ttftMs)} ms here, not ${expectedTtftMs}.`;
  return new GridError("saturated", message, { retryAfterS });
}
