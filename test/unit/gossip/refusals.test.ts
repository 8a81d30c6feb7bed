/** What a core turns away: strangers, forgeries, the future, floods. Its state stays as it was. */
import { describe, expect, test } from "vitest";
import { encode } from "../../../src/gossip/codec.ts";
import type { GossipCore } from "../../../src/gossip/core.ts";
import { helloFrame, signedFrame } from "../../../src/gossip/message.ts";
import { makeAccusation, makeClaim, makeCold } from "../../../src/gossip/statement.ts";
import { authority, coreOf, counted, held, join, LATER_S, LINK } from "./two-cores.ts";
import { pair, stranger, UNIX_MS } from "./two-cores.ts";

test("two of one grid join", () => {
  const { a, b } = pair();
  expect([held(a, b.nid)?.state, held(b, a.nid)?.state]).toEqual(["alive", "alive"]);
});

describe("at the door", () => {
  const refused = (b: GossipCore, reason: string) => {
    const a = coreOf(authority.admit(3, "z", LATER_S));
    join(a, b);
    expect(counted(a, reason)).toBe(1);
    expect(a.links.size).toBe(0);
    expect(a.members.byNid.size).toBe(1);
  };

  test("a certificate of another authority", () => {
    refused(coreOf(stranger.admit(4, "z", LATER_S)), "certificate");
  });

  test("an epoch that lies two days ahead", () => {
    const ahead = UNIX_MS + 2 * 86_400_000;
    refused(coreOf(authority.admit(5, "z", LATER_S), { persistedEpoch: ahead }), "future-epoch");
  });

  test("a certificate that ran out", () => {
    const old = authority.admit(6, "z", UNIX_MS / 1000 - 10);
    refused(coreOf(old, { unixMs: UNIX_MS - 60_000 }), "expired");
  });

  test("a hello with somebody else's certificate: its key is missing", () => {
    const a = coreOf(authority.admit(7, "z", LATER_S));
    const thief = coreOf(authority.admit(8, "z", LATER_S));
    const { certificate } = authority.admit(9, "z", LATER_S);
    a.onLink(LINK, "up", 1);
    const nonce = new Uint8Array(16);
    const facts = { version: 1, gridId: "grid", epoch: UNIX_MS, instance: 1, nonce, role: 0 };
    a.onFrame(LINK, helloFrame({ ...facts, certificate }), 1);
    const auth = thief.context.keyring.sign("auth", new Uint8Array([1]));
    a.onFrame(LINK, encode([2, auth]), 2);
    expect(counted(a, "auth")).toBe(1);
    expect(a.links.size).toBe(0);
  });

  test("anything but a hello first", () => {
    const a = coreOf(authority.admit(10, "z", LATER_S));
    a.onLink(LINK, "up", 1);
    a.onFrame(LINK, encode([9, 1]), 1);
    expect(counted(a, "order")).toBe(1);
    expect(a.links.size).toBe(0);
  });

  test("the core itself without a certificate of its grid", () => {
    const other = stranger.admit(11, "z", LATER_S);
    const { keyring } = authority.admit(12, "z", LATER_S);
    expect(() => coreOf({ ...other, keyring })).toThrow("not signed by a root of this grid");
  });
});

describe("from an open link", () => {
  test("claims, accusations and cold records that their author did not sign", () => {
    const { a, b, admissions } = pair();
    const [, second] = admissions;
    const own = a.members.self.certificate;
    const { epoch } = b.members.self.claim;
    const before = held(a, b.nid)?.claim;
    const facts = { epoch, inc: 5, instance: 1, left: true, address: "" };
    const certificate = held(a, b.nid)?.certificate ?? own;
    const forged = makeClaim(admissions[0].keyring, certificate, facts);
    a.onFrame(LINK, signedFrame("member", [{ ...forged, inc: 5 } as never]), 20);
    expect(counted(a, "claim") + counted(a, "forged")).toBe(1);
    const record = { nid: b.nid, epoch, seq: 1, key: "k", value: new Uint8Array([1]) };
    const cold = makeCold(second.keyring, record);
    cold.signature[0] ^= 1;
    a.onFrame(LINK, signedFrame("cold", [cold]), 21);
    const third = { accuser: b.nid, accuserEpoch: epoch, seq: 1, withdrawn: false };
    const claim = a.members.self.claim;
    const accusation = makeAccusation(second.keyring, { ...third, target: a.nid, ...claim });
    accusation.signature[3] ^= 1;
    a.onFrame(LINK, signedFrame("accuse", [accusation]), 22);
    expect(a.members.self.claim.inc).toBe(0);
    expect(held(a, b.nid)?.claim).toBe(before);
    expect(held(a, b.nid)?.cold.records.size).toBe(0);
  });

  test("a real accusation is refuted with a higher incarnation", () => {
    const { a, b } = pair();
    const { epoch, inc } = a.members.self.claim;
    const { epoch: accuserEpoch } = b.members.self.claim;
    const facts = { accuser: b.nid, accuserEpoch, seq: 1, target: a.nid, epoch, inc };
    const accusation = makeAccusation(b.context.keyring, { ...facts, withdrawn: false });
    a.onFrame(LINK, signedFrame("accuse", [accusation]), 20);
    expect(a.members.self.claim.inc).toBe(1);
  });

  test("a value that the PoP's certificate does not allow", () => {
    const { a, b } = pair({ accept: ({ capacity }, _, value) => value[0] * 100 <= capacity });
    const say = (units: number, nowMs: number) => {
      b.setLocal("capacity", Uint8Array.of(units), nowMs);
      for (const effect of b.onTimer("flush", nowMs)) {
        if (effect.kind === "send") a.onFrame(LINK, effect.bytes, nowMs);
      }
    };
    say(9, 20);
    say(11, 40);
    expect(held(a, b.nid)?.cold.records.get("capacity")?.value).toEqual(Uint8Array.of(9));
    expect(counted(a, "not-accepted")).toBe(1);
  });

  test("a claim whose certificate ran out is no fault of who passes it on", () => {
    const { a } = pair();
    // Known to the others from before; this PoP has started since.
    const old = authority.admit(20, "z", UNIX_MS / 1000 - 10);
    const { claim } = coreOf(old, { unixMs: UNIX_MS - 60_000 }).members.self;
    for (let i = 0; i < 5; i++) a.onFrame(LINK, signedFrame("member", [claim]), 20 + i);
    expect([counted(a, "claim"), counted(a, "forged"), counted(a, "banned")]).toEqual([5, 0, 0]);
    expect([a.links.size, held(a, old.nid)]).toEqual([1, undefined]);
  });

  test("a member stays one when its certificate runs out, until it is gone", () => {
    const { a } = pair();
    const soon = authority.admit(21, "z", UNIX_MS / 1000 + 5);
    const third = coreOf(soon);
    a.onFrame(LINK, signedFrame("member", [third.members.self.claim]), 20);
    expect(held(a, soon.nid)?.state).toBe("alive");
    third.leave(10_000);
    a.onFrame(LINK, signedFrame("member", [third.members.self.claim]), 10_001);
    expect(held(a, soon.nid)?.state).toBe("left");
  });

  test("three broken frames in a minute ban the peer, for five minutes", () => {
    const { a, b } = pair();
    for (let i = 0; i < 3; i++) a.onFrame(LINK, Uint8Array.of(0x92, 0xc1, i), 20 + i);
    expect([counted(a, "schema"), counted(a, "banned"), a.links.size]).toEqual([3, 1, 0]);
    b.onLink(LINK, "down", 30);
    join(a, b, 1000);
    expect([counted(a, "banned"), a.links.size]).toEqual([2, 0]);
    a.onTimer("tick", 302_000);
    b.onTimer("tick", 302_000);
    join(a, b, 302_000);
    expect(a.links.size).toBe(1);
  });

  test("more bytes than a link may bring", () => {
    const { a } = pair();
    const junk = encode([9, 1]);
    const large = new Uint8Array(60_000);
    let frames = 0;
    while (a.links.size > 0 && frames < 100) {
      a.onFrame(LINK, frames % 2 === 0 ? junk : large, 20);
      frames++;
      if (counted(a, "banned") > 0) break;
    }
    expect(counted(a, "schema") + counted(a, "rate")).toBeGreaterThan(0);
    expect(a.links.size).toBe(0);
  });
});
