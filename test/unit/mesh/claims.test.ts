import { describe, expect, test } from "vitest";
import { nidOf } from "../../../edge/identity.ts";
import type { Certificate } from "../../../src/gossip/identity.ts";
import { fitCard, mayClaim } from "../../../src/mesh/claims.ts";
import { pageKey, readCard } from "../../../src/mesh/fleet-codec.ts";
import { card } from "./world.ts";

const author = (pop: string, capacity: number) =>
  ({ nid: nidOf("g", pop), capacity }) as Certificate;
const may = (pop: string, capacity: number, key: string, value: Uint8Array) =>
  mayClaim(author(pop, capacity), key, value, (name) => nidOf("g", name));
/** Two endpoints of 256 requests. */
const CLAIMED = 512;
const [page] = fitCard(card("a"), CLAIMED).pages;

describe("before a card is stored", () => {
  test("its author's name and its certificate's capacity are what it may say", () => {
    expect(may("a", CLAIMED, pageKey(0), page)).toBe(true);
    expect(may("a", CLAIMED - 1, pageKey(0), page)).toBe(false);
    expect(may("b", CLAIMED, pageKey(0), page)).toBe(false);
  });

  test("a page under another number, and one that cannot be read, are refused", () => {
    expect(may("a", CLAIMED, pageKey(1), page)).toBe(false);
    for (let cut = 0; cut < 20; cut++) {
      expect(may("a", CLAIMED, pageKey(0), page.slice(0, cut))).toBe(false);
    }
  });

  test("keys of a later version are carried, whatever they hold", () => {
    expect(may("a", 0, "later/1", Uint8Array.of(1))).toBe(true);
  });
});

test("an author cuts its card to its certificate, and then may say it", () => {
  const { pages, cut } = fitCard(card("a"), 100);
  expect(cut).toMatchObject({ claimed: CLAIMED, capacity: 100 });
  expect(may("a", 100, pageKey(0), pages[0])).toBe(true);
  expect(readCard(pages)?.endpoints.map(({ maxInFlight }) => maxInFlight)).toEqual([50, 50]);
});
