/** A caller who leaves frees the engine, wherever the request is: by the engine's own gauge. */
import { document, question, bodyOf } from "./live-cache.ts";
import { FOREVER } from "./live-identity.ts";
import { expectThat, NotOffered, type Report, spread } from "./live-report.ts";
import { gauges, type Json, type Live, send, type Side, untilIdle, user } from "./live-scene.ts";
import { eventually, inFlight } from "./pop-process.ts";

/** Looked at while it stands so: far below what the whole answer takes. */
const FREE_WITHIN_MS = 2_000;
/** An engine that does not hear its callers leave goes on to the end of the answer. */
const END_WITHIN_MS = 60_000;

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
    const { tookMs, hadContent, wasOver } = await leaveOnce(live, live.door, sent, isPrefill);
    // The whole answer had come: nothing to free.
    if (wasOver) continue;
    if (!hadContent) early++;
    freed.push(tookMs);
    if (tookMs >= FREE_WITHIN_MS) await blame(live, sent, isPrefill, tookMs);
  }
  expectThat(freed.length > 0, "every answer was over before its caller could leave");
  expectThat((await inFlight(live.pop)) === 0, "the PoP still counts requests");
  return `${spread(freed)}; ${early} before the first byte`;
}

/** Freed late: by us, or does it take as long where nobody stands between? */
async function blame(live: Live, body: Json, isPrefill: boolean, tookMs: number): Promise<never> {
  const own: number[] = [];
  for (let round = 0; round < 3; round++) {
    await untilIdle(live);
    own.push((await leaveOnce(live, live.engine, body, isPrefill)).tookMs);
  }
  const late = Math.max(...own);
  const what = `freed after ${tookMs.toFixed(0)} ms, left directly after ${late.toFixed(0)} ms`;
  if (late >= FREE_WITHIN_MS / 2) throw new NotOffered(`it hears it late itself: ${what}`);
  throw new Error(what);
}

async function leaveOnce(live: Live, side: Side, body: Json, isPrefill: boolean) {
  const leaving = new AbortController();
  let hadContent = false;
  let wasOver = false;
  const call = send(side, "POST", "/v1/chat/completions", body, leaving.signal)
    .then(async (response) => {
      for await (const _ of response.body ?? []) hadContent = true;
      wasOver = true;
    })
    .catch(() => undefined);
  // Of a prefill there may be no more to see than that the PoP sent it.
  const isThere =
    isPrefill && side === live.door
      ? async () => (await inFlight(live.pop)) > 0
      : async () => ((await gauges(live))?.running ?? 0) > 0;
  await eventually("a running request", async () => wasOver || (await isThere()), 30_000);
  const startMs = performance.now();
  leaving.abort();
  await call;
  await eventually("a free engine", async () => (await gauges(live))?.running === 0, END_WITHIN_MS);
  return { tookMs: performance.now() - startMs, hadContent, wasOver };
}
