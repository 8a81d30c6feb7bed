/**
 * May a request begin its prefill at an endpoint now? Late binding gives an engine just so much
 * work that it never runs dry: what is more waits here, where it can still move.
 */
import type { Row, Tokens } from "../grid/units.ts";
import type { EndpointColumns } from "../state/endpoint-table.ts";

/**
 * Work that an engine has in hand, in time of its learned prefill rate: some of its steps, and
 * many small requests at once where it is fast. At 8,000 tokens a second it is the configured
 * 1,024 tokens. It only raises that: a rate learned too low must not starve the engine.
 */
const IN_HAND_MS = 128;

/**
 * @param leastTokens `prefillBudgetTokens` of the endpoint. Compared with its own load undrained:
 *   an engine that shares its prefill among requests has not done the first when it is due.
 */
export function hasPrefillRoom(c: EndpointColumns, row: Row, leastTokens: Tokens): boolean {
  if ((c.inFlight[row] as number) >= (c.inFlightCap[row] as number)) return false;
  const rate = c.prefillRate[row] as number;
  // What is on the way to a far endpoint is not in its hands yet: one round trip's worth more.
  const onTheWay = rate * (c.rttMs[row] as number);
  return (c.ownTokens[row] as number) <= Math.max(leastTokens, rate * IN_HAND_MS) + onTheWay;
}
