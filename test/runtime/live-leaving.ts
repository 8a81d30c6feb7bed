/** A caller who leaves frees the engine, wherever the request is: by the engine's own gauge. */
import { document, question, bodyOf } from "./live-cache.ts";
import { FOREVER } from "./live-identity.ts";
import { expectThat, NotOffered, type Report, spread } from "./live-report.ts";
import { gauges, type Json, type Live, send, untilIdle, user } from "./live-scene.ts";
import { eventually, inFlight } from "./pop-process.ts";

/** Looked at while it stands so: far below what the whole answer takes. */
const FREE_WITHIN_MS = 2_000;

export async function checkLeaving(live: Live, report: Report): Promise<void> {
  for (const isStream of [true, false]) {
    const how = isStream ? "streamed" : "plain";
    await report.check(`who leaves frees it: ${how}, while it decodes`, () =>
      leaves(live, isStream, async () => [user("Tell a very long story.")]),
    );
    await report.check(`who leaves frees it: ${how}, in prefill`, () =>
      leaves(live, isStream, async () => [await document(live, 0.8), question()], true),
    );
  }
}

async function leaves(
  live: Live,
  isStream: boolean,
  messages: () => Promise<{ role: string; content: string }[]>,
  isPrefill = false,
): Promise<string> {
  if ((await gauges(live)) === undefined) throw new NotOffered("no gauge of what runs");
  const freed: number[] = [];
  let early = 0;
  for (let round = 0; round < live.options.samples; round++) {
    await untilIdle(live);
    const sent = { ...bodyOf(live, await messages(), 300), ...FOREVER, stream: isStream };
    const { tookMs, hadContent, wasOver } = await leaveOnce(live, sent, isPrefill);
    // The whole answer had come: nothing to free.
    if (wasOver) continue;
    if (!hadContent) early++;
    freed.push(tookMs);
  }
  expectThat(freed.length > 0, "every answer was over before its caller could leave");
  const worst = Math.max(...freed);
  expectThat(worst < FREE_WITHIN_MS, `freed after up to ${worst.toFixed(0)} ms`);
  expectThat((await inFlight(live.pop)) === 0, "the PoP still counts requests");
  return `${spread(freed)}; ${early} before the first byte`;
}

async function leaveOnce(live: Live, body: Json, isPrefill: boolean) {
  const leaving = new AbortController();
  let hadContent = false;
  let wasOver = false;
  const call = send(live.door, "POST", "/v1/chat/completions", body, leaving.signal)
    .then(async (response) => {
      for await (const _ of response.body ?? []) hadContent = true;
      wasOver = true;
    })
    .catch(() => undefined);
  // Of a prefill there may be no more to see than that the PoP sent it.
  const isThere = isPrefill
    ? async () => (await inFlight(live.pop)) > 0
    : async () => ((await gauges(live))?.running ?? 0) > 0;
  await eventually("a running request", async () => wasOver || (await isThere()), 30_000);
  const startMs = performance.now();
  leaving.abort();
  await call;
  await eventually("a free engine", async () => (await gauges(live))?.running === 0, 30_000);
  return { tookMs: performance.now() - startMs, hadContent, wasOver };
}
