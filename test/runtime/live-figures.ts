/** What the PoP adds, and how right its predictions are: medians beside the engine alone. */
import { EXACT } from "./live-answers.ts";
import { FOREVER } from "./live-identity.ts";
import { expectThat, median, ms, type Report } from "./live-report.ts";
import { type Json, type Live, type Side, stream, untilIdle, user } from "./live-scene.ts";

const TOKENS = 32;

export async function checkFigures(live: Live, report: Report): Promise<void> {
  await report.check("time to first token and between tokens, beside it alone", () => beside(live));
  await report.check("the predicted time to first token", () => predicted(live));
}

interface Times {
  firstMs: number[];
  gapMs: number[];
}

async function timed(live: Live, side: Side, times: Times, body: Json): Promise<void> {
  const { events, atMs, sentMs } = await stream(side, "/v1/chat/completions", body);
  const isContent = (event: Json | undefined) =>
    (event?.choices as { delta?: { content?: string } }[] | undefined)?.[0]?.delta?.content;
  const at = atMs.filter((_, index) => isContent(events[index]));
  expectThat(at.length > 1, `${side.name}: ${at.length} chunks of content`);
  times.firstMs.push((at[0] as number) - sentMs);
  times.gapMs.push(((at.at(-1) as number) - (at[0] as number)) / (at.length - 1));
  await untilIdle(live);
}

const bodyOf = (live: Live, index: number): Json => ({
  ...{ model: live.model, ...EXACT, ...FOREVER, max_tokens: TOKENS, stream: true },
  messages: [user(`Question ${index}: why is the sky blue?`)],
});

async function beside(live: Live): Promise<string> {
  const own: Times = { firstMs: [], gapMs: [] };
  const ours: Times = { firstMs: [], gapMs: [] };
  await untilIdle(live);
  for (let index = 0; index < live.options.samples; index++) {
    const body = bodyOf(live, index);
    // By turns, so that what the machine does meanwhile is the same for both.
    const order: [Side, Times][] = [
      [live.engine, own],
      [live.door, ours],
    ];
    for (const [side, times] of index % 2 === 0 ? order : order.reverse()) {
      await timed(live, side, times, body);
    }
  }
  const added = (read: (times: Times) => number[]) => median(read(ours)) - median(read(own));
  const first = `first token ${ms(median(own.firstMs))} + ${ms(added((one) => one.firstMs))}`;
  const gap = `gap ${ms(median(own.gapMs))} + ${ms(added((one) => one.gapMs))}`;
  return `${first}, ${gap}, of ${live.options.samples} each`;
}

async function predicted(live: Live): Promise<string> {
  const before = await firstTokens(live);
  for (let index = 0; index < live.options.samples; index++) {
    await timed(live, live.door, { firstMs: [], gapMs: [] }, bodyOf(live, 100 + index));
  }
  const after = await firstTokens(live);
  const mean = (kind: keyof typeof after) =>
    ((after[kind] - before[kind]) * 1_000) / live.options.samples;
  expectThat(mean("observed") > 0, "no first token was counted");
  return `predicted ${ms(mean("predicted"))}, observed ${ms(mean("observed"))} on average`;
}

async function firstTokens({ pop }: Live) {
  const page = await pop.text("/metrics");
  const name = "gridpoint_choice_to_first_token_seconds_total";
  const read = (kind: string) =>
    Number(new RegExp(`^${name}\\{kind="${kind}"\\} (\\S+)$`, "m").exec(page)?.[1] ?? 0);
  return { predicted: read("predicted"), observed: read("observed") };
}
