/**
 * When a PoP gives a hand-over back at once: its sender chose by an old picture of the load, and
 * would choose otherwise by today's, which goes back with the refusal. The sender says with the
 * request from which time to first token on its best other place would be the better one: only it
 * knows what is cached and how much waits elsewhere. Without that, requests are sent away from
 * their KV cache for a queue that is still worth it (a tenth of the hits with eight PoPs).
 */
import type { Decision } from "../grid/decision.ts";
import type { Millis } from "../grid/units.ts";

/** Less than this is what predictions err by, and what another way there and back may cost. */
const WORSE_MS_MIN = 500;

export type Cost = Pick<Decision, "row" | "ttftMs" | "socialMs" | "priceUsd">;

/**
 * Time to first token at the chosen place from which on the other would have been chosen;
 * undefined = there is no other.
 * @param priceTie as in the weights: prices this close count as equal
 */
export function elsewhereFromMs(
  chosen: Cost,
  other: Cost,
  sloTtftMs: Millis,
  priceTie: number,
): Millis | undefined {
  if (other.row < 0) return undefined;
  const shared = chosen.socialMs - chosen.ttftMs;
  const even = Math.max(other.socialMs - shared, chosen.ttftMs + WORSE_MS_MIN);
  // The cheaper place is worth waiting for as long as the target is met there.
  const isDearer = other.priceUsd > chosen.priceUsd * (1 + priceTie);
  const fromMs = isDearer ? Math.max(even, sloTtftMs) : even;
  return Number.isFinite(fromMs) ? fromMs : undefined;
}
