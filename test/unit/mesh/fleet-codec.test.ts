import { describe, expect, test } from "vitest";
import { SchemaError } from "../../../src/gossip/codec.ts";
import type { PopCard } from "../../../src/grid/fleet.ts";
import {
  readCard,
  readLoad,
  readPage,
  writeCard,
  writeLoad,
} from "../../../src/mesh/fleet-codec.ts";
import { card, endpoint, load } from "./world.ts";

const pages = (of: PopCard) => writeCard(of) as Uint8Array[];

describe("cards", () => {
  test("come out as they went in", () => {
    const whole = card("pop-1", {
      endpoints: [endpoint("a"), { ...endpoint("b"), contextTokens: undefined }],
    });
    expect(readCard(pages(whole))).toEqual(whole);
    expect(pages(whole)).toHaveLength(1);
    expect(pages(whole)[0].length).toBeLessThan(220);
  });

  test("in two pages are known when both of one revision are there", () => {
    const wide = Array.from({ length: 40 }, (_, i) => ({
      ...endpoint(`e-${i}`),
      models: Array.from({ length: 4 }, (_, m) => `model-${i}-${m}`.padEnd(60, "x")),
    }));
    const [first, second] = pages(card("p", { endpoints: wide }));
    const [old] = pages(card("p", { endpoints: wide, revision: 2 }));
    expect(readCard([first, second])?.endpoints).toEqual(wide);
    expect(readCard([first, undefined])).toBeUndefined();
    expect(readCard([old, second])).toBeUndefined();
    expect(readCard([undefined, second])).toBeUndefined();
  });

  test("a claim that its page does not show is refused", () => {
    const honest = pages(card("p"))[0];
    const page = readPage(honest);
    expect(page.capacity).toBe(512);
    // 512 stands as cd 02 00.
    const at = honest.findIndex(
      (byte, i) => byte === 0xcd && honest[i + 1] === 2 && honest[i + 2] === 0,
    );
    const forged = honest.slice();
    forged.set([0xcd, 0, 9], at);
    expect(() => readCard([forged])).toThrow(SchemaError);
  });

  test("cut, changed and random bytes are refused or read, and never throw anything else", () => {
    const [page] = pages(card("p"));
    let seed = 5;
    const random = () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed >>> 8;
    };
    for (let round = 0; round < 5_000; round++) {
      const bytes = page.slice(0, round % 3 === 0 ? random() % page.length : page.length);
      for (let i = 0; i < 3; i++) if (bytes.length > 0) bytes[random() % bytes.length] = random();
      for (const read of [() => readCard([bytes]), () => readLoad(bytes)]) {
        try {
          read();
        } catch (error) {
          expect(error).toBeInstanceOf(SchemaError);
        }
      }
    }
  });
});

describe("loads", () => {
  test("come out within the steps of their scales", () => {
    const { endpoints, queueClasses, revision } = readLoad(writeLoad(load(123_456, 70_000), 864));
    expect(revision).toBe(70_000 % 65_536);
    expect(queueClasses).toEqual(load(0).queueClasses);
    expect(endpoints.map((one) => one.queuedTokens)).toEqual([123_456, 123_457]);
    expect(endpoints.map((one) => one.inFlight)).toEqual([0, 3]);
    for (const one of endpoints) {
      expect(one.kvUsage).toBeCloseTo(0.25, 2);
      expect(Math.abs(one.prefillRate / 8 - 1)).toBeLessThan(0.033);
      expect(Math.abs(one.itlMs / 21 - 1)).toBeLessThan(0.031);
    }
  });

  test("of an idle PoP take a dozen bytes, of 64 busy endpoints what a report may have", () => {
    const one = { ...load(0), queueClasses: [], endpoints: load(0).endpoints.slice(0, 1) };
    expect(writeLoad(one, 864).length).toBeLessThanOrEqual(14);
    const endpoints = Array.from({ length: 64 }, () => ({
      ...{ up: true, queuedTokens: 2e9, inFlight: 1e5, kvUsage: 1, prefillRate: 1e4, itlMs: 1e4 },
    }));
    const queueClasses = new Array(20).fill(2e9);
    const bytes = writeLoad({ revision: 65_535, endpoints, queueClasses }, 864);
    expect(bytes.length).toBeLessThanOrEqual(864);
    expect(readLoad(bytes).endpoints.length).toBeGreaterThan(50);
  });

  test("odd numbers are told as the nearest that can be", () => {
    const odd = {
      up: false,
      queuedTokens: Number.NaN,
      inFlight: -3,
      kvUsage: 7,
      prefillRate: 0,
      itlMs: -1,
    };
    const { endpoints } = readLoad(
      writeLoad({ revision: 0, endpoints: [odd], queueClasses: [] }, 864),
    );
    expect(endpoints).toEqual([
      { up: false, queuedTokens: 0, inFlight: 0, kvUsage: 1, prefillRate: 0, itlMs: 0 },
    ]);
  });
});
