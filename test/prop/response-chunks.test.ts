/**
 * Chunked answers, in whatever pieces they come: what a parser makes of them must not depend on
 * where they were cut. Byte by byte everything goes through llhttp; in larger pieces whole chunks
 * go past it.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ResponseParser } from "../../edge/response-parser.ts";
import { holds } from "./holds.ts";

const HEAD = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

interface Outcome {
  heads: number;
  body: string;
  complete: number;
  failure: string | undefined;
}

function parse(pieces: Buffer[]): Outcome {
  const outcome: Outcome = { heads: 0, body: "", complete: 0, failure: undefined };
  const parser = new ResponseParser({
    onBegin: () => true,
    onHead: () => void outcome.heads++,
    onBody: (chunk) => {
      outcome.body += Buffer.from(chunk).toString("latin1");
    },
    onComplete: () => void outcome.complete++,
  });
  for (const piece of pieces) {
    outcome.failure = parser.execute(piece)?.code;
    if (outcome.failure !== undefined) break;
  }
  parser.free();
  return outcome;
}

function cutAt(bytes: Buffer, places: number[]): Buffer[] {
  const cuts = [...new Set(places.map((place) => place % bytes.byteLength))].sort((a, b) => a - b);
  return [0, ...cuts].flatMap((from, at) => {
    const piece = bytes.subarray(from, cuts[at] ?? bytes.byteLength);
    return piece.byteLength === 0 ? [] : [piece];
  });
}

const size = (data: string, style: number): string => {
  const hex = data.length.toString(16);
  return [hex, hex.toUpperCase(), `000${hex}`, `${hex};name=value`][style] as string;
};

const chunk = fc
  .tuple(fc.string({ minLength: 1, maxLength: 40, unit: "binary-ascii" }), fc.nat(3))
  .map(([data, style]) => `${size(data, style)}\r\n${data}\r\n`);
/** What no server should write, and some do. */
const odd = fc.constantFrom(
  "5\r\nhelloXX",
  "5\nhello\r\n",
  "5 \r\nhello\r\n",
  "zz\r\n",
  "\r\n",
  "-1\r\n\r\n",
  "7ffffff\r\nhello\r\n",
  "fffffffffffffffff\r\nhello\r\n",
  "5\r\nhello\r",
);
const last = fc.constantFrom("0\r\n\r\n", "0\r\nx-trailer: t\r\n\r\n", "");
const answer = fc
  .tuple(fc.array(chunk, { maxLength: 6 }), fc.option(odd), fc.array(chunk, { maxLength: 2 }), last)
  .map(([before, wrong, behind, end]) =>
    Buffer.from(HEAD + before.join("") + (wrong ?? "") + behind.join("") + end, "latin1"),
  );

test("an answer is the same wherever it was cut", async () => {
  await holds(
    fc.property(answer, fc.array(fc.nat(1_000), { maxLength: 12 }), (bytes, places) => {
      const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
      expect(parse(cutAt(bytes, places))).toEqual(parse(single));
    }),
  );
});

test("also where each piece is a chunk, as engines write tokens", async () => {
  await holds(
    fc.property(fc.array(chunk, { minLength: 1, maxLength: 20 }), (chunks) => {
      const pieces = [HEAD, ...chunks, "0\r\n\r\n"].map((text) => Buffer.from(text, "latin1"));
      const whole = Buffer.concat(pieces);
      expect(parse(pieces)).toEqual(
        parse(Array.from(whole, (_, at) => whole.subarray(at, at + 1))),
      );
    }),
  );
});

test("long chunks, and many in one piece", () => {
  const data = [1, 999, 1_000, 1_001, 70_000, 200_000].map((length) => "x".repeat(length));
  const text = data.map((one) => `${one.length.toString(16)}\r\n${one}\r\n`).join("");
  const rest = Buffer.from(`${text}0\r\n\r\n`);
  const outcome = parse([Buffer.from(`${HEAD}1\r\na\r\n`), rest]);
  expect([outcome.body === `a${data.join("")}`, outcome.complete]).toEqual([true, 1]);
  expect(outcome.failure).toBeUndefined();
});
