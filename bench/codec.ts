/**
 * CPU per streamed event in the relay: same dialect on both sides (bytes pass, the tap reads them)
 * against a codec between two. One event per chunk, as tokens come. Ratios within one run are the
 * figures to go by.
 *
 *     node bench/codec.ts [--json] [--streams N]
 */
import { parseArgs } from "node:util";
import type { Dialect } from "../src/grid/dialect.ts";
import { DIALECTS } from "../src/grid/dialect.ts";
import type { StreamEvent } from "../src/stream/event.ts";
import type { WriterOptions } from "../src/stream/dialects/dialect.ts";
import { STREAM_DIALECTS } from "../src/stream/dialects/table.ts";
import { SseTap } from "../src/stream/tap.ts";

const TOKENS = 400;
const ROUNDS = 7;
const OPTIONS: WriterOptions = {
  ...{ model: "m", id: "r", createdS: 1, usage: false, promptTokens: 9, version: "2026-10-21" },
  asked: {},
};
const encoder = new TextEncoder();

export interface CodecFigure {
  engine: Dialect;
  caller: Dialect;
  /** Median over the rounds. */
  usPerEvent: number;
}

/** One stream of the dialect, an event per chunk. */
function streamOf(dialect: Dialect): Uint8Array[] {
  const writer = STREAM_DIALECTS[dialect].writer(OPTIONS);
  const events: StreamEvent[] = [{ type: "start", id: "c", model: "m" }];
  for (let at = 0; at < TOKENS; at++) {
    events.push({ type: "text", choice: 0, text: at % 7 === 0 ? ' "word"' : " token" });
  }
  const usage = { promptTokens: 9, completionTokens: TOKENS };
  events.push({ type: "stop", choice: 0, reason: "stop" }, { type: "usage", usage });
  events.push({ type: "end" });
  const frames = events.map((event) => writer.write(event)).filter((frame) => frame !== "");
  return frames.map((frame) => encoder.encode(frame));
}

function relay(chunks: readonly Uint8Array[], engine: Dialect, caller: Dialect): number {
  const tap = new SseTap({
    dialect: STREAM_DIALECTS[engine],
    writer: engine === caller ? undefined : STREAM_DIALECTS[caller].writer(OPTIONS),
    dropUsage: false,
    choices: 1,
  });
  let bytes = 0;
  for (const chunk of chunks) bytes += tap.feed(chunk)?.length ?? 0;
  if (!tap.terminal || tap.contentEvents < TOKENS) throw new Error("the stream was not understood");
  return bytes;
}

export function measureCodecs(streams: number): CodecFigure[] {
  const pairs = DIALECTS.flatMap((engine) => DIALECTS.map((caller) => ({ engine, caller })));
  const inputs = new Map(DIALECTS.map((dialect) => [dialect, streamOf(dialect)]));
  const times = pairs.map((): number[] => []);
  for (let round = 0; round <= ROUNDS; round++) {
    pairs.forEach(({ engine, caller }, index) => {
      const chunks = inputs.get(engine) as Uint8Array[];
      const start = process.cpuUsage();
      for (let at = 0; at < streams; at++) relay(chunks, engine, caller);
      const { user, system } = process.cpuUsage(start);
      // The first round warms up.
      if (round > 0) times[index].push((user + system) / streams / chunks.length);
    });
  }
  return pairs.map((pair, index) => {
    const sorted = times[index].sort((a, b) => a - b);
    return { ...pair, usPerEvent: sorted[Math.floor(sorted.length / 2)] };
  });
}

function main(): void {
  const options = { json: { type: "boolean" }, streams: { type: "string" } } as const;
  const { values } = parseArgs({ options });
  const figures = measureCodecs(Number(values.streams ?? 500));
  if (values.json) return console.log(JSON.stringify(figures));
  const base = figures.find(({ engine, caller }) => engine === "chat" && caller === "chat");
  for (const { engine, caller, usPerEvent } of figures) {
    const ratio = usPerEvent / (base?.usPerEvent ?? 1);
    const pair = `${engine} to ${caller}`.padEnd(22);
    console.log(
      `${pair} ${usPerEvent.toFixed(2)} us per event, ${ratio.toFixed(2)} x chat to chat`,
    );
  }
}

if (import.meta.main) main();
