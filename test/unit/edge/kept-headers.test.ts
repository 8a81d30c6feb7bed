import { describe, expect, test } from "vitest";
import { KeptHeaders } from "../../../edge/kept-headers.ts";

const NAMES = ["content-type", "x-request-id", "x-grid-route", "server-timing", "retry-after"];
const VALUES = ["a", "b", "text/event-stream; charset=utf-8", ""];

/** Every order of every subset would be too many: a walk over them that never repeats itself. */
function* answers(count: number): Generator<Record<string, string>> {
  let state = 12345;
  const next = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 16) % below;
  };
  for (let at = 0; at < count; at++) {
    const lines: Record<string, string> = {};
    const first = next(NAMES.length);
    for (let i = 0, many = next(NAMES.length + 1); i < many; i++) {
      const name = NAMES[(first + i) % NAMES.length] as string;
      lines[name] = VALUES[next(VALUES.length)] as string;
    }
    yield lines;
  }
}

describe("headers that are kept", () => {
  test("say what an object of their own would, whatever came before", () => {
    const kept = new KeptHeaders();
    for (const lines of answers(3000)) {
      expect([...kept.of(lines)]).toEqual([...new Headers(lines)]);
    }
  });

  test("leave answers alone that were made with them", () => {
    const kept = new KeptHeaders();
    const all = [...answers(50)];
    const made = all.map((lines) => new Response(null, { headers: kept.of(lines) }));
    expect(made.map(({ headers }) => [...headers])).toEqual(
      all.map((lines) => [...new Headers(lines)]),
    );
  });

  test("are right again after a line that no header may have", () => {
    const kept = new KeptHeaders();
    const bad = { "x-a": "1", "x-b": "two\nlines", "x-c": "3" };
    const sets: Record<string, string>[] = [
      { "x-a": "1" },
      { "x-a": "0", "x-b": "2", "x-c": "3" },
      {},
    ];
    for (const lines of sets) {
      expect(() => kept.of(bad)).toThrow(TypeError);
      expect([...kept.of(lines)]).toEqual([...new Headers(lines)]);
    }
  });
});
