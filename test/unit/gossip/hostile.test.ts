/**
 * A member with a good certificate that does not play fair. Each case: refused, counted by the name
 * that metrics show, and what is held of everybody is byte for byte what it was.
 */
import { describe, expect, test } from "vitest";
import { encode } from "../../../src/gossip/codec.ts";
import { signedFrame } from "../../../src/gossip/message.ts";
import { makeAccusation, makeClaim, makeCold } from "../../../src/gossip/statement.ts";
import { counted, held, LINK, pair, say, snapshot, UNIX_MS } from "./two-cores.ts";

const DAY_MS = 86_400_000;
const CAPACITY = 100;

interface Case {
  frame: Uint8Array;
  counter: string;
}

/** What the second PoP of a fresh pair would say, and how the first counts it. */
const CASES: [string, (b: ReturnType<typeof pair>) => Case][] = [
  [
    "a frame of one byte more than the limit",
    () => ({ frame: new Uint8Array(65_537), counter: "schema" }),
  ],
  ["bytes that are no frame", () => ({ frame: Uint8Array.of(0xc1, 0xff), counter: "schema" })],
  ["a frame of an unknown kind", () => ({ frame: encode([99, 1]), counter: "schema" })],
  [
    "a frame that says it holds four billion items",
    () => ({ frame: Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff, 6), counter: "schema" }),
  ],
  ["a hello on an open link", ({ hello }) => ({ frame: hello, counter: "order" })],
  [
    "a claim from two days ahead of the clock",
    ({ b, admissions }) => {
      const { certificate } = b.members.self;
      const epoch = UNIX_MS + 2 * DAY_MS;
      const facts = { epoch, inc: 0, instance: 5, left: false, address: "" };
      const claim = makeClaim(admissions[1].keyring, certificate, facts);
      return { frame: signedFrame("member", [claim]), counter: "claim" };
    },
  ],
  [
    "a claim with another's signature",
    ({ b, admissions }) => {
      const { certificate, claim } = b.members.self;
      const facts = { ...claim, inc: claim.inc + 1, left: true };
      const forged = makeClaim(admissions[0].keyring, certificate, facts);
      return { frame: signedFrame("member", [forged]), counter: "forged" };
    },
  ],
  [
    "a claim under a certificate of another authority",
    ({ b, foreign }) => {
      const { claim } = b.members.self;
      const { certificate } = foreign.core.members.self;
      const facts = { ...claim, inc: claim.inc + 1 };
      const forged = makeClaim(foreign.keyring, certificate, facts);
      return { frame: signedFrame("member", [forged]), counter: "forged" };
    },
  ],
  [
    "a cold record with a signature that does not hold",
    ({ b, admissions }) => {
      const { epoch } = b.members.self.claim;
      const said = { nid: b.nid, epoch, seq: 9, key: "k", value: Uint8Array.of(7) };
      const record = makeCold(admissions[1].keyring, said);
      record.signature[5] ^= 1;
      return { frame: signedFrame("cold", [record]), counter: "old-key" };
    },
  ],
  [
    "more capacity than its certificate allows",
    ({ b, admissions }) => {
      const { epoch } = b.members.self.claim;
      const said = { nid: b.nid, epoch, seq: 9, key: "capacity", value: Uint8Array.of(200) };
      const record = makeCold(admissions[1].keyring, said);
      return { frame: signedFrame("cold", [record]), counter: "not-accepted" };
    },
  ],
  [
    "more cold state than fits",
    ({ b, admissions }) => {
      const { epoch } = b.members.self.claim;
      const records = [1, 2, 3].map((seq) => {
        const value = new Uint8Array(8_000);
        const said = { nid: b.nid, epoch, seq: 10 + seq, key: `k${seq}`, value };
        return makeCold(admissions[1].keyring, said);
      });
      return { frame: signedFrame("cold", records.slice(2).concat(records)), counter: "cold-full" };
    },
  ],
  [
    "an accusation that its author did not sign",
    ({ a, b, admissions }) => {
      const { claim } = a.members.self;
      const accuserEpoch = b.members.self.claim.epoch;
      const facts = { accuser: b.nid, accuserEpoch, seq: 1, withdrawn: false };
      const { epoch, inc } = claim;
      const said = makeAccusation(admissions[0].keyring, { ...facts, target: a.nid, epoch, inc });
      return { frame: signedFrame("accuse", [said]), counter: "forged" };
    },
  ],
];

describe("refused, counted, and nothing changed", () => {
  const changesState = new Set(["more cold state than fits"]);

  test.each(CASES)("%s", (name, make) => {
    const two = pair({ accept: (_, key, value) => key !== "capacity" || value[0] <= CAPACITY });
    const { frame, counter } = make(two);
    const before = snapshot(two.a);
    const count = counted(two.a, counter);
    two.a.onFrame(LINK, frame, 20);
    expect(counted(two.a, counter)).toBe(count + 1);
    // What fits of several records is kept; the one too many is not.
    if (changesState.has(name)) expect(held(two.a, two.b.nid)?.cold.bytes).toBeLessThan(16_384);
    else expect(snapshot(two.a)).toEqual(before);
    expect(two.a.links.size).toBe(1);
  });
});

describe("replayed", () => {
  test("every frame of a whole life, in order and backwards: no record changes", () => {
    const { a, b } = pair();
    const frames: Uint8Array[] = [];
    let nowMs = 20;
    const life = (key: string, value: Uint8Array | null) => {
      nowMs += 300;
      frames.push(...say(b, a, key, value, nowMs));
    };
    for (let i = 0; i < 5; i++) life(`k${i % 2}`, i === 3 ? null : Uint8Array.of(i));
    for (let i = 0; i < 5; i++) life("hot", Uint8Array.of(i, i));
    const before = snapshot(a);
    expect(frames.length).toBeGreaterThanOrEqual(10);
    for (const frame of [...frames, ...frames.reverse()]) a.onFrame(LINK, frame, nowMs + 1);
    expect(snapshot(a)).toEqual(before);
    expect(a.links.size).toBe(1);
  });

  test("hello and signature of one link are worth nothing on another", () => {
    const { a, hello, auth } = pair();
    const before = snapshot(a);
    a.onLink(7, "up", 30);
    a.onFrame(7, hello, 31);
    a.onFrame(7, auth, 32);
    expect(counted(a, "auth")).toBe(1);
    expect([...a.links.keys()]).toEqual([LINK]);
    expect(snapshot(a)).toEqual(before);
  });
});
