/**
 * When a PoP gives a hand-over back at once: its sender chose by an old picture of the load, and
 * would choose otherwise by today's, which goes back with the refusal.
 */
import type { Millis } from "../grid/units.ts";

/** Less than this is what predictions err by, and what another way there and back may cost. */
const WORSE_MS_MIN = 500;
const WORSE_TIMES = 2;

/** The sender counted on `expectedMs`; here it would be `ttftMs`. */
export function isMuchWorse(ttftMs: Millis, expectedMs: Millis): boolean {
  return ttftMs > Math.max(expectedMs * WORSE_TIMES, expectedMs + WORSE_MS_MIN);
}
