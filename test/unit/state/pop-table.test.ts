import { describe, expect, test } from "vitest";
import { QUEUE_CLASSES } from "../../../src/grid/fleet.ts";
import { loadText, readLoadText } from "../../../src/state/pop-load.ts";
import { queueClassOf, SendLog, tokensAhead } from "../../../src/state/pop-table.ts";

const classes = (tokens: Record<number, number>): number[] =>
  Array.from({ length: QUEUE_CLASSES }, (_, index) => tokens[index] ?? 0);

describe("what waits in another PoP's queue", () => {
  test.each([
    [0, 0],
    [1, 0],
    [2, 1],
    [3, 1],
    [1024, 10],
    [2047, 10],
    [1e9, QUEUE_CLASSES - 1],
    [Number.POSITIVE_INFINITY, QUEUE_CLASSES - 1],
  ])("%d tokens are class %d", (tokens, index) => {
    expect(queueClassOf(tokens)).toBe(index);
  });

  test("a request waits behind what it is too large to pass", () => {
    const queue = classes({ 5: 40, 13: 12_800 });
    expect(tokensAhead(queue, 31)).toBe(0);
    expect(tokensAhead(queue, 33)).toBe(40);
    expect(tokensAhead(queue, 8_192)).toBe(12_840);
    expect(tokensAhead(queue, 1e6)).toBe(12_840);
    expect(tokensAhead(classes({}), 100)).toBe(0);
  });
});

describe("the log of sends", () => {
  test("counts what was sent later than a time, and forgets the oldest", () => {
    const log = new SendLog();
    expect(log.since(Number.NEGATIVE_INFINITY)).toBe(0);
    log.add(10, 100);
    log.add(20, 50);
    expect([log.since(9), log.since(10), log.since(20)]).toEqual([150, 50, 0]);
    for (let at = 0; at < 1_000; at++) log.add(1_000 + at, 1);
    expect(log.since(0)).toBe(256);
  });
});

describe("a load in a header", () => {
  const load = {
    revision: 7,
    endpoints: [
      { up: true, queuedTokens: 12.4, inFlight: 3, kvUsage: 0.5, prefillRate: 8.125, itlMs: 20 },
      { up: false, queuedTokens: 0, inFlight: 0, kvUsage: 1 / 3, prefillRate: 1, itlMs: 5 },
    ],
    queueClasses: classes({ 3: 9 }),
  };

  test("arrives as it was, rounded", () => {
    const read = readLoadText(loadText(load) as string);
    expect(read?.endpoints[0]).toEqual({ ...load.endpoints[0], queuedTokens: 12 });
    expect(read?.endpoints[1]?.kvUsage).toBe(0.333);
    expect([read?.revision, read?.queueClasses]).toEqual([7, load.queueClasses]);
  });

  test("is left out where a PoP has too many endpoints", () => {
    const endpoints = new Array(65).fill(load.endpoints[0]);
    expect(loadText({ ...load, endpoints })).toBeUndefined();
    const whole = loadText({ ...load, endpoints: endpoints.slice(1) }) as string;
    expect(whole.length).toBeLessThan(4_096);
    expect(readLoadText(whole)?.endpoints).toHaveLength(64);
  });

  const zeros = JSON.stringify(classes({}));
  test.each([
    "",
    "x",
    "{}",
    "[1]",
    `[-1,[],${zeros}]`,
    `[1,[[1,2]],${zeros}]`,
    `[1,[[1,-2,0,0,1,1]],${zeros}]`,
    `[1,[["1",2,0,0,1,1]],${zeros}]`,
    `[1,[],[0]]`,
    `[1e99,[],${zeros}]`,
    `[1,[],${zeros}]${" ".repeat(9_000)}`,
  ])("%j is none", (text) => {
    expect(readLoadText(text)).toBeUndefined();
  });
});
