import fc from "fast-check";
import { expect, test } from "vitest";
import { BackwardSearch, codes } from "../../../src/stream/bytes.ts";

const letters = (least: number, most: number) =>
  fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: least, maxLength: most });

test("the last of a word is where a string's search finds it", () => {
  fc.assert(
    fc.property(letters(1, 5), letters(0, 60), fc.nat(60), fc.nat(60), (word, text, from, end) => {
      const part = text.slice(from, end);
      const found = part.lastIndexOf(word);
      const search = new BackwardSearch(codes(word));
      const last = search.last(codes(text), from, Math.min(end, text.length));
      expect(last).toBe(found < 0 ? -1 : found + from);
    }),
    { numRuns: 2_000 },
  );
});

test("a word of JSON is found from the end on, one after the other", () => {
  const text = codes('{"usage":1,"text":"usage","usage":2}');
  const search = new BackwardSearch(codes('"usage"'));
  const last = search.last(text, 0, text.length);
  const before = search.last(text, 0, last);
  expect([last, before, search.last(text, 0, before), search.last(text, 0, 18)]).toEqual([
    26, 18, 1, 1,
  ]);
  expect(search.last(text, 2, 18)).toBe(-1);
});
