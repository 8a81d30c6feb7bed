/**
 * What a vendor says of its rate limits in the headers of an answer. Two families of names:
 * OpenAI's (`x-ratelimit-remaining-requests`, reset as a duration: `6m0s`, `12ms`), which many
 * vendors copy, and Anthropic's (`anthropic-ratelimit-requests-remaining`, reset as RFC 3339). The
 * second is compared with the answer's own Date, so no clock of ours has to be right.
 */
import type { Headers } from "../grid/exchange.ts";
import type { Millis } from "../grid/units.ts";
import { retryAfterMs, UNKNOWN_MS, untilMs } from "../stream/refusal.ts";

const KINDS = ["requests", "tokens", "input-tokens", "output-tokens"];
const UNITS: Readonly<Record<string, Millis>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * How long the vendor will take nothing more; 0 = it will.
 * @param status of the answer that carried the headers
 */
export function limitedMs(status: number, headers: Headers): Millis {
  let longest = status === 429 || status === 529 ? retryAfterMs(headers) : 0;
  for (const kind of KINDS) {
    const openAi = headers[`x-ratelimit-remaining-${kind}`];
    if (isSpent(openAi)) {
      longest = Math.max(longest, durationMs(headers[`x-ratelimit-reset-${kind}`]));
    }
    const anthropic = headers[`anthropic-ratelimit-${kind}-remaining`];
    if (isSpent(anthropic)) {
      longest = Math.max(longest, untilMs(headers[`anthropic-ratelimit-${kind}-reset`], headers));
    }
  }
  return longest;
}

function isSpent(remaining: string | undefined): boolean {
  return remaining !== undefined && remaining.trim() !== "" && Number(remaining) <= 0;
}

/** `1h2m3.5s`, `12ms`, or bare seconds. */
function durationMs(text: string | undefined): Millis {
  if (text === undefined) return UNKNOWN_MS;
  const seconds = Number(text);
  if (text.trim() !== "" && Number.isFinite(seconds)) return Math.max(seconds, 0) * 1_000;
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)) {
    sum += Number(count) * UNITS[unit];
  }
  return sum > 0 ? sum : UNKNOWN_MS;
}
