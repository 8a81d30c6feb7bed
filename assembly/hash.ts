/**
 * Chained 64-bit hashes of a prompt's chunks: link(parent, digest(chunk)). A digest depends on
 * the chunk alone, so the digests of neighbours overlap in the processor and only the short link
 * is serial. The digest has four lanes of multiply and rotate, the structure of xxHash64
 * (Y. Collet), with the multipliers of SplitMix64 (G. Steele et al., 2014). It is fast and
 * spreads well; it is no cryptographic hash: a forged collision costs its sender a wrong guess.
 */
import { chain, chunkBytes, chunkLimit, textWindow } from "./columns";

const M1: u64 = 0x9e3779b97f4a7c15;
const M2: u64 = 0xbf58476d1ce4e5b9;
const M3: u64 = 0x94d049bb133111eb;

let parent: u64 = 1;
let count: u32 = 0;

// @ts-ignore: decorator
@inline
function round(lane: u64, word: u64): u64 {
  return rotl<u64>(lane + word * M2, 31) * M1;
}

// @ts-ignore: decorator
@inline
function digest(from: usize, end: usize): u64 {
  let a: u64 = M1;
  let b: u64 = M2;
  let c: u64 = M3;
  let d: u64 = M1 ^ M2;
  for (let at = from; at < end; at += 32) {
    a = round(a, load<u64>(at));
    b = round(b, load<u64>(at, 8));
    c = round(c, load<u64>(at, 16));
    d = round(d, load<u64>(at, 24));
  }
  return rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
}

/** Never 0: that is an empty place of the index. */
// @ts-ignore: decorator
@inline
function link(before: u64, own: u64): u64 {
  let mixed = rotl<u64>(before ^ (own * M2), 27) * M1 + M3;
  mixed = (mixed ^ (mixed >> 33)) * M2;
  mixed = (mixed ^ (mixed >> 29)) * M3;
  mixed ^= mixed >> 32;
  return mixed === 0 ? 1 : mixed;
}

/** Hash of the window's first `bytes`, the seed of a chain; written to the chain's first place. */
export function hashKey(bytes: u32): void {
  const end = textWindow + bytes;
  for (let at = end; at < ((end + 8) & ~7); ++at) store<u8>(at, 0);
  let seed: u64 = M3 + bytes;
  for (let at = textWindow; at < end; at += 8) seed = link(seed, load<u64>(at));
  store<u64>(chain, link(seed, bytes));
}

/** Starts a chain from a seed. */
export function begin(seedLow: u32, seedHigh: u32): void {
  parent = <u64>seedLow | ((<u64>seedHigh) << 32);
  count = 0;
}

/** Hashes the whole chunks among the window's first `filled` bytes, moves the rest to its front. */
export function absorb(filled: u32): u32 {
  const rest = filled & (chunkBytes - 1);
  const end = textWindow + (filled - rest);
  for (let at = textWindow; at < end && count < chunkLimit; at += chunkBytes) {
    parent = link(parent, digest(at, at + chunkBytes));
    store<u64>(chain + ((<usize>count) << 3), parent);
    ++count;
  }
  memory.copy(textWindow, end, rest);
  return rest;
}

export function chunkCount(): u32 {
  return count;
}
