/**
 * Answers, in whatever pieces they come: what a parser makes of them must not depend on where they
 * were cut. Byte by byte everything goes through llhttp; in larger pieces whole chunks go past it,
 * and whole answers with a plain head.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ResponseParser } from "../../edge/response-parser.ts";
import { wholeAnswer } from "../../edge/whole-answer.ts";
import { holds } from "./holds.ts";

const HEAD = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

interface Outcome {
  heads: object[];
  body: string;
  complete: number;
  reusable: boolean | undefined;
  failure: string | undefined;
}

function parse(pieces: Buffer[]): Outcome {
  const outcome: Outcome = {
    heads: [],
    body: "",
    complete: 0,
    reusable: undefined,
    failure: undefined,
  };
  const parser = new ResponseParser({
    onBegin: () => true,
    onHead: (status, headers) => void outcome.heads.push({ status, ...headers }),
    onBody: (chunk) => {
      outcome.body += Buffer.from(chunk).toString("latin1");
    },
    onComplete: (reusable) => {
      outcome.complete++;
      outcome.reusable = reusable;
    },
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

const lineEnd = fc.constantFrom(..."\r\n \r\n \r\n \r\n \r\n \r\n \r\n \r\n \n \r".split(" "));
const header = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("Date: now", "server: x y", "X-Id: 7", 'etag: W/"a"') },
  fc.constantFrom(
    "x-empty:",
    "x-blank: ",
    "x-space:  a ",
    "x-two:  a",
    "x-tab:\ta\t",
    "x-tight:a",
    " folded",
  ),
  fc.constantFrom("content-length: 5", "Content-Length: 05", "content-length: +5", "x y: z", "x"),
  fc.constantFrom("connection: close", "Connection: Keep-Alive", "connection: keep-alive, te"),
  fc.constantFrom("transfer-encoding: chunked", "transfer-encoding: identity", "upgrade: h2c"),
  fc.constantFrom("keep-alive: timeout=5", "proxy-connection: close", "trailer: x-t", "x\u00e9: a"),
  fc.constantFrom(
    "x-high: caf\u00e9",
    "x-nul: a\u0000b",
    "x-del: \u007f",
    ": no name",
    "x-cr: a\rb",
  ),
  fc.tuple(fc.string({ maxLength: 9 }), fc.string({ maxLength: 9 })).map((two) => two.join(": ")),
);
const status = fc.oneof(
  { weight: 8, arbitrary: fc.constant("HTTP/1.1 200 OK") },
  fc.constantFrom("HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.0 200 OK", "HTTP/1.1  200 OK"),
  fc.constantFrom("HTTP/1.1 204 None", "HTTP/1.1 304 Same", "HTTP/1.1 100 Continue", "HTTP/2 200"),
  fc.constantFrom(
    "HTTP/1.1 500 \u00e9",
    "http/1.1 200 OK",
    "HTTP/1.1 200 a\tb",
    "HTTP/1.1 2000 OK",
  ),
);
const whole = fc
  .tuple(
    status,
    fc.array(fc.tuple(header, lineEnd), { maxLength: 5 }),
    fc.string({ unit: "binary-ascii", maxLength: 12 }),
    fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.constantFrom(-1, 1, 40)),
  )
  .map(([first, lines, body, off]) => {
    const length = `Content-Length: ${Math.max(body.length + off, 0)}\r\n`;
    return `${first}\r\n${lines.flat().join("")}${length}\r\n${body}`;
  });

test("whole answers with all kinds of heads, one behind another", async () => {
  await holds(
    fc.property(fc.array(whole, { minLength: 1, maxLength: 3 }), (answers) => {
      const pieces = answers.map((text) => Buffer.from(text, "latin1"));
      const single = Array.from(Buffer.concat(pieces), (byte) => Buffer.of(byte));
      expect(parse(pieces)).toEqual(parse(single));
    }),
  );
});

test("a plain answer goes past llhttp, and llhttp takes what comes behind it", () => {
  const head = "HTTP/1.1 200 OK\r\nDate: now\r\nConnection: keep-alive\r\nContent-Length: 2";
  const plain = Buffer.from(`${head}\r\n\r\n{}`);
  expect(wholeAnswer(plain)).toEqual({
    headers: { date: "now", connection: "keep-alive", "content-length": "2" },
    bodyAt: plain.byteLength - 2,
  });
  const chunked = Buffer.from(`${HEAD}1\r\na\r\n0\r\n\r\n`);
  const outcome = parse([plain, chunked, plain, plain.subarray(0, 30), plain.subarray(30), plain]);
  expect(outcome).toMatchObject({ body: "{}a{}{}{}", complete: 5, failure: undefined });
});
