/** Seeded randomness: the same seed gives the same run on every machine. */

/** Uniform 32-bit unsigned integers (mulberry32). */
export function randomWords(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** Uniform in 0..1, 1 excluded. */
export function randomShare(words: () => number): number {
  return words() / 2 ** 32;
}

/** Uniform in 0..count-1. */
export function randomBelow(words: () => number, count: number): number {
  return Math.floor(randomShare(words) * count);
}

/** 32 bits that depend on all bits of both arguments (murmur3's finaliser). */
export function mix(value: number, seed: number): number {
  let mixed = Math.imul(value ^ seed, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
