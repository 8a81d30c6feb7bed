import { describe, expect, test } from "vitest";
import { limitedMs } from "../../../src/forward/rate-limits.ts";
import { retryAfterMs } from "../../../src/stream/refusal.ts";

const DATE = "Thu, 26 Nov 2026 12:00:00 GMT";

describe("how long a vendor takes nothing more", () => {
  test.each([
    ["nothing said", {}, 0],
    ["room left", { "x-ratelimit-remaining-requests": "1" }, 0],
    [
      "requests spent",
      { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12ms" },
      12,
    ],
    [
      "tokens spent for longer",
      {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
      },
      360_000,
    ],
    [
      "hours, minutes and parts of seconds",
      { "x-ratelimit-remaining-tokens": "-3", "x-ratelimit-reset-tokens": "1h2m3.5s" },
      3_723_500,
    ],
    [
      "bare seconds",
      { "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1.5" },
      1_500,
    ],
    ["no reset", { "x-ratelimit-remaining-tokens": "0" }, 1_000],
    [
      "Anthropic's date, by its own clock",
      {
        date: DATE,
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-26T12:00:07Z",
      },
      7_000,
    ],
    [
      "a date that has passed",
      {
        date: DATE,
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-26T11:59:00Z",
      },
      0,
    ],
    ["words for a number", { "x-ratelimit-remaining-requests": "none" }, 0],
  ])("%s", (_name, headers, ms) => {
    expect(limitedMs(200, headers as Record<string, string>)).toBe(ms);
  });

  test("a refusal says by itself that the limit is reached", () => {
    expect(limitedMs(429, { "retry-after": "20" })).toBe(20_000);
    expect(limitedMs(529, {})).toBe(1_000);
    expect(limitedMs(503, { "retry-after": "20" })).toBe(0);
  });

  test.each([
    [{ "retry-after-ms": "250", "retry-after": "3" }, 250],
    [{ "retry-after": "3" }, 3_000],
    [{ "retry-after": "Thu, 26 Nov 2026 12:00:04 GMT", date: DATE }, 4_000],
    [{ "retry-after": "soon" }, 1_000],
  ])("%o", (headers, ms) => {
    expect(retryAfterMs(headers as Record<string, string>)).toBe(ms);
  });
});
