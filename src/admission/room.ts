/**
 * May a request begin its prefill at an endpoint now? Late binding gives an engine just so much
 * work that it never runs dry: what is more waits here, where it can still move.
 */
import type { Tokens } from "../grid/units.ts";
import type { EndpointColumns, EndpointRecord } from "../state/endpoint-table.ts";

/**
 * Work that an engine has in hand, in time of its learned prefill rate: some of its steps, and
 * many small requests at once where it is fast. At 8,000 tokens a second it is the configured
 * 1,024 tokens. It only raises that: a rate learned too low must not starve the engine.
 */
const IN_HAND_MS = 128;
/**
 * So much smaller than what is in prefill one joins it. An engine that prefills several at once is
 * through with it soon, and the others hardly notice (mean TTFT 1.22 to 1.16 s on the
 * conversation trace); one that does not has it next (no difference). At 4 times the large ones
 * are held up by what joins (1.38 s, p99 15 instead of 10).
 */
const JOIN_TIMES = 16;
/** No more than so many in prefill that way: each delays the largest by its own size. */
const JOIN_PREFILLS = 4;

/**
 * @param leastTokens `prefillBudgetTokens` of the endpoint. Compared with its own load undrained:
 *   an engine that shares its prefill among requests has not done the first when it is due.
 * @param tokens the newcomer's uncached tokens
 */
export function hasPrefillRoom(
  c: EndpointColumns,
  { row, prefills }: EndpointRecord,
  leastTokens: Tokens,
  tokens: Tokens,
): boolean {
  if ((c.inFlight[row] as number) >= (c.inFlightCap[row] as number)) return false;
  const rate = c.prefillRate[row] as number;
  // What is on the way to a far endpoint is not in its hands yet: one round trip's worth more.
  const onTheWay = rate * (c.rttMs[row] as number);
  const own = c.ownTokens[row] as number;
  if (own <= Math.max(leastTokens, rate * IN_HAND_MS) + onTheWay) return true;
  return prefills < JOIN_PREFILLS && JOIN_TIMES * prefills * tokens <= own;
}
