/** Tables against a plain Map, and readers of foreign bytes against whatever bytes there are. */
import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBatch } from "../../src/kv/events.ts";
import { PairMap } from "../../src/kv/pair-map.ts";
import { TokenChain } from "../../src/kv/token-chain.ts";
import { ZmtpConnection, ZmtpError } from "../../src/kv/zmtp.ts";
import { same } from "./same.ts";

describe("PairMap", () => {
  test("does what a Map does, through growth, collisions and deletions", () => {
    // Few low words, so that probing runs are long.
    const low = fc.integer({ min: 1, max: 12 });
    const high = fc.integer({ min: 0, max: 6 });
    const step = fc.record({ low, high, value: fc.nat(), isDelete: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const map = new PairMap();
        const model = new Map<string, number>();
        for (const { low, high, value, isDelete } of steps) {
          const name = `${low}.${high}`;
          if (isDelete) same(map.delete(low, high), model.delete(name));
          else {
            map.set(low, high, value, value ^ 1);
            model.set(name, value);
          }
        }
        expect(map.size).toBe(model.size);
        for (const [name, value] of model) {
          const [low, high] = name.split(".").map(Number) as [number, number];
          same(map.get(low, high), true);
          same([map.first, map.second], [value, value ^ 1]);
        }
        let seen = 0;
        map.visitAll(() => seen++);
        expect(seen).toBe(model.size);
      }),
    );
  });
});

describe("TokenChain", () => {
  test("equal ids, equal name; any other id, another", () => {
    const ids = fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 64 });
    fc.assert(
      fc.property(ids, fc.nat(), fc.integer({ min: 1, max: 200_000 }), (list, at, change) => {
        const name = (tokens: number[]) => {
          const chain = new TokenChain();
          chain.begin("");
          chain.pushAll(tokens, 0, tokens.length);
          return `${chain.low}.${chain.high}`;
        };
        expect(name([...list])).toBe(name(list));
        const other = [...list];
        other[at % list.length] = (other[at % list.length] as number) + change;
        expect(name(other)).not.toBe(name(list));
      }),
    );
  });

  test("two hundred thousand prefixes, no two with one name", () => {
    const seen = new Set<bigint>();
    const chain = new TokenChain();
    for (let root = 0; root < 200; root++) {
      chain.begin("");
      chain.push(root);
      for (let token = 0; token < 1_000; token++) {
        chain.push(token % 7);
        seen.add((BigInt(chain.high) << 32n) | BigInt(chain.low));
      }
    }
    expect(seen.size).toBe(200_000);
  });
});

describe("foreign bytes", () => {
  test("the decoder throws an Error or gives a batch, and takes no more than there is", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          expect(decodeBatch(bytes).events.length).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("whatever JSON-like values stand in events, siblings are read", () => {
    // A key __proto__ condemns the whole payload: no engine sends it by mistake.
    const isPlain = (one: unknown) => !JSON.stringify(one).includes("__proto__");
    const value = fc.jsonValue({ maxDepth: 3 }).filter(isPlain);
    const tag = fc.constantFrom("BlockStored", "BlockRemoved", "BlockStoredWithMetadata", "X");
    const asArray = fc.tuple(tag, value, value, value, value, value, value);
    const names = ["block_hashes", "token_ids", "block_size", "extra_keys", "medium"] as const;
    const asMap = fc.record({
      type: tag,
      ...Object.fromEntries(names.map((name) => [name, value])),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(asArray, asMap), { maxLength: 8 }), (events) => {
        const payload = encode([1, [...events, ["AllBlocksCleared"]], 0]);
        const { events: read, bad, unknown } = decodeBatch(payload);
        expect(read.at(-1)).toEqual({ kind: "cleared" });
        expect(read.length + bad + unknown).toBe(events.length + 1);
      }),
      { numRuns: 1_000 },
    );
  });

  test("ZMTP: any bytes in any pieces end in silence, messages or a ZmtpError", () => {
    const greeting = new Uint8Array(64);
    greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1, 0x4e, 0x55, 0x4c, 0x4c]);
    const handler = { write: () => {}, ready: () => {}, message: () => {} };
    const pieces = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
    fc.assert(
      fc.property(fc.boolean(), pieces, (greets, parts) => {
        const zmtp = new ZmtpConnection("SUB", handler, 0);
        try {
          if (greets) zmtp.receive(greeting, 0);
          for (const part of parts) zmtp.receive(part, 0);
        } catch (error) {
          expect(error).toBeInstanceOf(ZmtpError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
