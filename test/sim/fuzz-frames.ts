/**
 * Frames to begin a fuzz with: at least one of each kind, as an honest member of the grid would
 * send it, and ways to spoil them. Whatever a member can sign is signed, so that what gets past the
 * reader goes as deep as it can.
 */
import type { Rng } from "../../src/grid/effects.ts";
import { decode, encode, type Value } from "../../src/gossip/codec.ts";
import type { GossipCore } from "../../src/gossip/core.ts";
import { encodeSet } from "../../src/gossip/golomb.ts";
import * as message from "../../src/gossip/message.ts";
import { makeAccusation, makeClaim, makeCold } from "../../src/gossip/statement.ts";
import { unit } from "../../src/sim/clock.ts";

export type Damage = "none" | "bytes" | "cut" | "random" | "items" | "oversized" | "joined";

export const DAMAGES: Damage[] = ["none", "bytes", "cut", "random", "items", "oversized", "joined"];

/** Valid frames of all twenty kinds, said by `author` to `hearer`. */
export function validFrames(author: GossipCore, hearer: GossipCore, count: number): Uint8Array[] {
  const { keyring } = author.context;
  const { claim, certificate } = author.members.self;
  const { epoch, instance } = claim;
  const nid = author.nid;
  const about = hearer.members.self.claim;
  const facts = { accuser: nid, accuserEpoch: epoch, seq: count, withdrawn: count % 2 === 0 };
  const accusation = makeAccusation(keyring, { ...facts, ...pick(about), target: about.nid });
  const said = { nid, epoch, seq: count, key: `k${count % 5}`, value: encode([count]) };
  const colds = [said, { ...said, value: null }].map((one) => makeCold(keyring, one));
  const alive = { epoch, inc: count, instance, left: false, address: "sim://fuzz" };
  const nonce = new Uint8Array(16).fill(count & 0xff);
  const hello = { version: 1, gridId: keyring.gridId, certificate: certificate.bytes, nonce };
  const part = { seq: count, part: 0, parts: 1, count: 3, churn: 5, removed: encodeSet([]) };
  const entry = { nid, epoch, inc: count, digest: count, gone: false };
  return [
    message.helloFrame({ ...hello, epoch, instance, role: 0 }),
    message.authFrame(keyring.sign("auth", nonce)),
    message.welcomeFrame(about, true),
    message.welcomeFrame(undefined, false),
    message.hotFrame(count, [{ ref: 0, seq: count, ageMs: 20, payload: encode([count, 2]) }]),
    message.signedFrame("cold", colds.slice(0, 1)),
    message.signedFrame("cold", colds),
    message.sumFrame(new Uint32Array(64).fill(count)),
    message.haveFrame(new Uint8Array(8).fill(0xff), [entry]),
    message.pingFrame("ping", count),
    message.pingFrame("pong", count),
    message.signedFrame("accuse", [accusation]),
    message.signedFrame("member", [makeClaim(keyring, certificate, alive)]),
    message.prefixFrame({ ...part, added: encodeSet([1, 70_000, 0xffffff]) }),
    message.prefixFrame({ ...part, parts: 0, added: encodeSet([count & 0xffff]) }),
    message.followFrame(count % 2 === 0),
    message.relayFrame(count % 2 === 0, [about.nid, nid]),
    message.wantFrame([about.nid, nid]),
    message.aliasFrame([{ ref: count % 50, nid, epoch }]),
    message.rebindFrame([0, 1, count % 100]),
    message.callFrame(count, 1, new Uint8Array(40)),
    message.answerFrame(count, true, new Uint8Array(40)),
    message.goawayFrame("surplus", 10),
  ];
}

const pick = ({ epoch, inc }: { epoch: number; inc: number }) => ({ epoch, inc });

/** A frame as a broken or hostile sender would make it of that one. */
export function spoil(frame: Uint8Array, damage: Damage, rng: Rng, other: Uint8Array): Uint8Array {
  switch (damage) {
    case "none":
      return frame;
    case "bytes": {
      const copy = frame.slice();
      const changes = 1 + (rng() % 4);
      for (let i = 0; i < changes; i++) copy[rng() % copy.length] = rng() & 0xff;
      return copy;
    }
    case "cut":
      return frame.slice(0, rng() % (frame.length + 1));
    case "random":
      return Uint8Array.from({ length: rng() % 300 }, () => rng() & 0xff);
    case "oversized":
      return oversized(frame, rng);
    case "joined": {
      const both = new Uint8Array(frame.length + other.length);
      both.set(frame);
      both.set(other, rng() % (frame.length + 1));
      return both;
    }
    case "items":
      return withOddItem(frame, rng);
  }
}

/** Longer than a frame may be, or one that says that it holds far more than it does. */
function oversized(frame: Uint8Array, rng: Rng): Uint8Array {
  if (unit(rng) < 0.1) {
    const large = new Uint8Array(65_537 + (rng() % 5000));
    large.set(frame);
    return large;
  }
  const claimed = Uint8Array.of(0xdd, 0xff, 0xff, rng() & 0xff, rng() & 0xff);
  const copy = new Uint8Array(claimed.length + frame.length - 1);
  copy.set(claimed);
  copy.set(frame.subarray(1), claimed.length);
  return copy;
}

const ODD: Value[] = [
  ...[null, true, -1, 0, 1.5, 0xffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER, "", "x"],
  ...["é".repeat(200), new Uint8Array(0), new Uint8Array(5000), [], [[]], [1, [2, [3]]]],
];

/** Well formed, but one item is of another kind, out of its range, missing or twice there. */
function withOddItem(frame: Uint8Array, rng: Rng): Uint8Array {
  const items = decode(frame) as Value[];
  const at = rng() % items.length;
  const how = rng() % 3;
  if (how === 0) items[at] = ODD[rng() % ODD.length];
  else if (how === 1) items.splice(at, 1);
  else items.splice(at, 0, items[at]);
  return encode(items);
}
