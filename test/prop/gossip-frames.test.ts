/** Hostile bytes: reading a frame gives a frame or a SchemaError, never anything else. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode, SchemaError, type Value } from "../../src/gossip/codec.ts";
import { decodeSet, encodeSet } from "../../src/gossip/golomb.ts";
import { GOSSIP_LIMITS } from "../../src/gossip/limits.ts";
import { hotFrame, pingFrame, sumFrame, wantFrame } from "../../src/gossip/message.ts";
import { readFrame } from "../../src/gossip/read-frame.ts";

const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }).filter((number) => !Number.isInteger(number) || number === 0.5),
    fc.string({ unit: "grapheme" }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Uint8Array.from(bytes)),
    fc.array(tie("value"), { maxLength: 20 }),
  ),
}));

function readOrRefuse(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(SchemaError);
  }
}

describe("codec", () => {
  test("what is written is read again", () => {
    fc.assert(
      fc.property(value, (one) => {
        expect(decode(encode(one))).toEqual(one);
      }),
    );
  });

  test("any bytes are a value or refused", () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(bytes, (one) => readOrRefuse(() => decode(Uint8Array.from(one)))),
      { numRuns: 2000 },
    );
  });
});

describe("frames", () => {
  const frames = [
    hotFrame(123_456, [{ ref: 3, seq: 70_000, ageMs: 40, payload: encode([1, 2, 3]) }]),
    sumFrame(new Uint32Array(64).fill(7)),
    wantFrame(["00112233445566ff"]),
    pingFrame("ping", 5),
  ];

  test("frames with changed, cut and added bytes are frames or refused", () => {
    const change = fc.tuple(fc.constantFrom(...frames), fc.nat(400), fc.nat(255), fc.nat(400));
    fc.assert(
      fc.property(change, ([frame, at, byte, cut]) => {
        const copy = frame.slice();
        copy[at % copy.length] = byte;
        readOrRefuse(() => readFrame(copy, GOSSIP_LIMITS));
        readOrRefuse(() => readFrame(copy.slice(0, cut % copy.length), GOSSIP_LIMITS));
      }),
      { numRuns: 2000 },
    );
  });

  test("well-formed values of any kind number are frames or refused", () => {
    const frame = fc.tuple(fc.integer({ min: 0, max: 25 }), fc.array(value, { maxLength: 9 }));
    fc.assert(
      fc.property(frame, ([kind, items]) => {
        readOrRefuse(() => readFrame(encode([kind, ...items]), GOSSIP_LIMITS));
      }),
      { numRuns: 2000 },
    );
  });

  test("a frame over 64 KiB is refused before it is read", () => {
    const large = new Uint8Array(GOSSIP_LIMITS.frameBytes + 1);
    expect(() => readFrame(large, GOSSIP_LIMITS)).toThrow("is over 65536");
  });
});

describe("sets of prefix hashes", () => {
  const set = fc
    .uniqueArray(fc.nat(0xff_ffff), { maxLength: 500 })
    .map((values) => values.sort((a, b) => a - b));

  test("are read as they were written", () => {
    fc.assert(
      fc.property(set, (one) => {
        expect(decodeSet(encodeSet(one), 500)).toEqual(one);
      }),
    );
  });

  test("any bytes are a set or refused", () => {
    const bytes = fc.uint8Array({ maxLength: 100 });
    fc.assert(
      fc.property(bytes, (one) => readOrRefuse(() => decodeSet(Uint8Array.from(one), 1000))),
    );
  });

  test("4,096 hashes take about 7 KB", () => {
    const values = Array.from({ length: 4096 }, (_, i) => (i * 4093 + ((i * i) % 1999)) & 0xffffff);
    const sorted = [...new Set(values)].sort((a, b) => a - b);
    expect(encodeSet(sorted).length).toBeLessThan(7500);
  });
});
