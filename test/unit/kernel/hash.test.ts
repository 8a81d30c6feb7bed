/** The hash against a third, slow form in BigInt, written from the description alone. */
import { describe, expect, test } from "vitest";
import { IMPLEMENTATIONS, SMALL } from "../../suite/kernel.implementations.ts";

const MASK = (1n << 64n) - 1n;
const M1 = 0x9e3779b97f4a7c15n;
const M2 = 0xbf58476d1ce4e5b9n;
const M3 = 0x94d049bb133111ebn;

function rotate(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & MASK;
}

function link(parent: bigint, own: bigint): bigint {
  let mixed = (rotate(parent ^ ((own * M2) & MASK), 27n) * M1 + M3) & MASK;
  mixed = ((mixed ^ (mixed >> 33n)) * M2) & MASK;
  mixed = ((mixed ^ (mixed >> 29n)) * M3) & MASK;
  mixed ^= mixed >> 32n;
  return mixed === 0n ? 1n : mixed;
}

function wordsOf(bytes: Uint8Array): bigint[] {
  const padded = new Uint8Array((bytes.length + 7) & ~7);
  padded.set(bytes);
  return [...new BigUint64Array(padded.buffer)];
}

function digest(chunk: Uint8Array): bigint {
  const lanes = [M1, M2, M3, M1 ^ M2];
  wordsOf(chunk).forEach((word, index) => {
    const lane = lanes[index % 4];
    lanes[index % 4] = (rotate((lane + word * M2) & MASK, 31n) * M1) & MASK;
  });
  const turned = [1n, 7n, 12n, 18n].map((bits, index) => rotate(lanes[index], bits));
  return turned.reduce((sum, lane) => sum + lane) & MASK;
}

function chainOf(bytes: Uint8Array, key: string, chunkBytes: number): bigint[] {
  const keyBytes = new TextEncoder().encode(key);
  const start = (M3 + BigInt(keyBytes.length)) & MASK;
  let parent = link(wordsOf(keyBytes).reduce(link, start), BigInt(keyBytes.length));
  const chain: bigint[] = [];
  for (let at = 0; at + chunkBytes <= bytes.length; at += chunkBytes) {
    parent = link(parent, digest(bytes.slice(at, at + chunkBytes)));
    chain.push(parent);
  }
  return chain;
}

describe.each(IMPLEMENTATIONS)("hash of $name", ({ create }) => {
  test.each(["", "k", "12345678", "a longer key than eight bytes"])("with key '%s'", (key) => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, index) => (index * 37) ^ (index >> 3));
    const { chain } = create(SMALL).hashBytes(bytes, key);
    expect([...new BigUint64Array(chain.buffer)]).toStrictEqual(chainOf(bytes, key, 64));
  });

  test("each bit of a chunk turns about half of the bits of its hash", () => {
    const kernel = create(SMALL);
    const bytes = new TextEncoder().encode(
      "The quick brown fox jumps over the lazy dog. ".repeat(2),
    );
    const base = kernel.hashBytes(bytes, "k").chain.slice();
    for (let bit = 0; bit < 512; bit++) {
      const changed = bytes.slice();
      changed[bit >> 3] ^= 1 << (bit & 7);
      const { chain } = kernel.hashBytes(changed, "k");
      let turned = 0;
      for (const word of [0, 1]) {
        turned += (chain[word] ^ base[word]).toString(2).replaceAll(/[^1]/g, "").length;
      }
      expect(turned).toBeGreaterThan(8);
      expect(turned).toBeLessThan(56);
    }
  });

  test("texts that differ in two places do not collide", () => {
    const kernel = create(SMALL);
    const seen = new Set<string>();
    for (let first = 0; first < 64; first++) {
      for (let second = 0; second < 256; second++) {
        const bytes = new Uint8Array(64);
        bytes[first] = 1 + (second >> 4);
        bytes[63 - (second & 15)] += 1 + second;
        seen.add(`${bytes.join()}=${kernel.hashBytes(bytes, "k").chain.join()}`);
      }
    }
    const hashes = new Set([...seen].map((one) => one.split("=")[1]));
    expect(hashes.size).toBe(seen.size);
  });
});
