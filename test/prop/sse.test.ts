import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type SseEvent, SseParser } from "../../src/stream/sse.ts";
import { CHAT } from "../../src/stream/dialects/chat.ts";
import { SseTap } from "../../src/stream/tap.ts";
import { holds } from "./holds.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Cuts bytes at the given places, each a share of the length. */
function cut(bytes: Uint8Array, shares: readonly number[]): Uint8Array[] {
  const places = shares.map((share) => Math.floor(share * (bytes.length + 1)));
  const sorted = [0, ...places.sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, i) => bytes.slice(sorted[i], end));
}

const cuts = fc.oneof(
  fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 12 }),
  fc.constant(Array.from({ length: 400 }, (_, i) => i / 400)),
);
const newline = fc.constantFrom("\n", "\r\n", "\r");
const line = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, "")),
  fc.constantFrom("data: x", "data:", "event: error", ": c", "id: 1", "", "", '{"error":"e"}'),
);
const anyStream = fc
  .tuple(fc.boolean(), fc.array(fc.tuple(line, newline), { maxLength: 30 }))
  .map(([mark, lines]) => (mark ? "\ufeff" : "") + lines.map((pair) => pair.join("")).join(""));

interface Step {
  json: string;
  usageOnly: boolean;
  done: boolean;
  finish: number | undefined;
}

const choice = fc.record({
  index: fc.constantFrom(0, 1),
  delta: fc.constantFrom({}, { role: "assistant" }, { content: "" }, { content: 'a"usage":é' }),
  finish_reason: fc.constantFrom(null, null, null, "stop"),
});
const said = choice.map<Step>((one) => ({
  json: JSON.stringify({ choices: [one], usage: null }),
  usageOnly: false,
  done: false,
  finish: one.finish_reason === null ? undefined : one.index,
}));
const used = fc.constant<Step>({
  json: '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}',
  usageOnly: true,
  done: false,
  finish: undefined,
});
const over = fc.constant<Step>({
  json: "[DONE]",
  usageOnly: false,
  done: true,
  finish: undefined,
});
const step = fc.oneof(
  { weight: 6, arbitrary: said },
  { weight: 1, arbitrary: used },
  { weight: 1, arbitrary: over },
);
const openAiStream = fc.tuple(fc.array(step, { maxLength: 12 }), newline);
const framed = (steps: readonly Step[], end: string): string =>
  steps.map((one) => `data: ${one.json}${end}${end}`).join("");

const openAiText = openAiStream.map(([steps, end]) => framed(steps, end));

function parse(chunks: readonly Uint8Array[]) {
  const events: SseEvent[] = [];
  const parser = new SseParser((event) => events.push(event));
  for (const chunk of chunks) parser.feed(chunk);
  return { events, tail: parser.finish() };
}

function tap(chunks: readonly Uint8Array[], dropUsage = true) {
  const reader = new SseTap({ dialect: CHAT, dropUsage, choices: 2 });
  const out: Uint8Array[] = [];
  for (const chunk of chunks) {
    const part = reader.feed(chunk);
    if (part !== undefined) out.push(part);
  }
  const rest = reader.finish();
  if (rest !== undefined) out.push(rest);
  const { contentSeen, contentEvents, terminal, doneSeen, usage, error, model } = reader;
  const facts = { contentSeen, contentEvents, terminal, doneSeen, usage, error, model };
  return { bytes: Buffer.concat(out), facts };
}

describe("any cut of a stream into chunks", () => {
  it("gives the same events", async () => {
    await holds(
      fc.property(anyStream, cuts, (text, shares) => {
        const bytes = encoder.encode(text);
        expect(parse(cut(bytes, shares))).toEqual(parse([bytes]));
      }),
    );
  });

  it("gives the same forwarded bytes and facts", async () => {
    await holds(
      fc.property(fc.oneof(anyStream, openAiText), cuts, (text, shares) => {
        const bytes = encoder.encode(text);
        const before = bytes.slice();
        expect(tap(cut(bytes, shares))).toEqual(tap([bytes]));
        expect(bytes).toEqual(before);
      }),
    );
  });
});

describe("what the tap forwards", () => {
  it("is whole events only, after every chunk", async () => {
    await holds(
      fc.property(openAiStream, cuts, ([steps, end], shares) => {
        const reader = new SseTap({ dialect: CHAT, dropUsage: true, choices: 2 });
        const seen: (string | undefined)[] = [];
        const client = new SseParser((event) => seen.push(event.data));
        let torn = 0;
        for (const chunk of cut(encoder.encode(framed(steps, end)), shares)) {
          const part = reader.feed(chunk);
          if (part !== undefined) client.feed(part);
          if (client.finish() !== undefined) torn++;
        }
        expect(torn).toBe(0);
        const sent = steps.filter((one) => !one.usageOnly).map((one) => one.json);
        expect(seen).toEqual(sent);
      }),
    );
  });

  it("is the stream less the usage event, or the stream itself", async () => {
    await holds(
      fc.property(openAiStream, cuts, ([steps, end], shares) => {
        const text = framed(steps, end);
        const chunks = cut(encoder.encode(text), shares);
        expect(decoder.decode(tap(chunks, false).bytes)).toBe(text);
        const without = framed(
          steps.filter((one) => !one.usageOnly),
          end,
        );
        expect(decoder.decode(tap(chunks, true).bytes)).toBe(without);
      }),
    );
  });
});

/** What the events that came whole, but for their blank line, say of the end. */
function endOf(steps: readonly Step[], end: string, length: number): boolean {
  const finished = new Set<number>();
  let done = false;
  let at = 0;
  for (const one of steps) {
    const dataEnd = at + encoder.encode(`data: ${one.json}`).length;
    if (dataEnd > length) break;
    at = dataEnd + 2 * end.length;
    done ||= one.done;
    if (one.finish !== undefined) finished.add(one.finish);
  }
  return done || finished.size === 2;
}

describe("a stream that is cut off anywhere", () => {
  it("is terminal exactly when what came says so", async () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    await holds(
      fc.property(openAiStream, share, cuts, ([steps, end], part, shares) => {
        const bytes = encoder.encode(framed(steps, end));
        const length = Math.floor(part * bytes.length);
        const { facts } = tap(cut(bytes.slice(0, length), shares));
        expect(facts.terminal).toBe(endOf(steps, end, length));
      }),
    );
  });
});
