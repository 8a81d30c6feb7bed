/**
 * PoPs that lie. They are members with a good certificate, so their links are open; what they pass
 * on is not what they heard.
 */
import type { Rng } from "../../src/grid/effects.ts";
import { decode, encode, type Value } from "../../src/gossip/codec.ts";
import { unit } from "../../src/sim/clock.ts";
import type { Tamper } from "../../src/sim/network.ts";

const KEPT = 64;
/** Frames of signed statements (cold, accuse, member) and load reports. */
const STATEMENTS = new Set([5, 6, 11, 12]);

/** Sends old frames again, at random. */
export function makeReplayer(rng: Rng): Tamper {
  const kept: Uint8Array[] = [];
  return (bytes) => {
    if (kept.length < KEPT) kept.push(bytes);
    else kept[rng() % KEPT] = bytes;
    const old = unit(rng) < 0.3 ? [kept[rng() % kept.length]] : [];
    return { frames: [bytes, ...old], delayMs: 0 };
  };
}

/** Changes one byte of a statement: body, signature or certificate, or a load report's number. */
export function makeForger(rng: Rng): Tamper {
  return (bytes) => {
    if (unit(rng) > 0.1) return { frames: [bytes], delayMs: 0 };
    const frame = decode(bytes) as Value[];
    if (!STATEMENTS.has(frame[0] as number)) return { frames: [bytes], delayMs: 0 };
    const forged = frame.map((item) => {
      if (!(item instanceof Uint8Array) || item.length === 0) return item;
      const copy = item.slice();
      copy[rng() % copy.length] ^= 1 << (rng() & 7);
      return copy;
    });
    return { frames: [bytes, encode(forged)], delayMs: 0 };
  };
}

/** Adds frames of random bytes, and cut ones. */
export function makeNoise(rng: Rng): Tamper {
  return (bytes) => {
    if (unit(rng) > 0.05) return { frames: [bytes], delayMs: 0 };
    const random = Uint8Array.from({ length: rng() % 80 }, () => rng() & 0xff);
    const cut = bytes.slice(0, rng() % (bytes.length + 1));
    return { frames: [random, bytes, cut], delayMs: 0 };
  };
}
