/**
 * The twin's hash: what `assembly/hash.ts` does with 64-bit words, done with 32-bit halves, since
 * JavaScript has no fast 64-bit integers. Bit for bit the same. A product's low half is
 * `Math.imul`; its high half is put together from 16-bit pieces. Lanes are independent, so they
 * are walked one after the other. Assumes a little-endian machine, as every supported one is.
 */

const M1_LOW = 0x7f4a7c15;
const M1_HIGH = 0x9e3779b9;
const M2_LOW = 0x1ce4e5b9;
const M2_HIGH = 0xbf58476d;
const M3_LOW = 0x133111eb;
const M3_HIGH = 0x94d049bb;

/** High half of the last 64-bit result; the low half is returned. */
let high = 0;

/** High half of the product of two unsigned 32-bit numbers. */
function highOfProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = Math.imul(aLow, bLow);
  // Neither sum reaches 2^32: (2^16 - 1)^2 + 2^16 - 1 < 2^32.
  const cross = (Math.imul(aHigh, bLow) + (low >>> 16)) | 0;
  const middle = (Math.imul(aLow, bHigh) + (cross & 0xffff)) | 0;
  return (Math.imul(aHigh, bHigh) + (cross >>> 16) + (middle >>> 16)) | 0;
}

/** High half of a 64-bit product of halves. */
function highOf(low: number, top: number, byLow: number, byHigh: number): number {
  return (highOfProduct(low, byLow) + Math.imul(low, byHigh) + Math.imul(top, byLow)) | 0;
}

function multiply(low: number, top: number, byLow: number, byHigh: number): number {
  high = highOf(low, top, byLow, byHigh);
  return Math.imul(low, byLow);
}

/** One lane over a chunk: words 0, 8, 16 … from `first`, each two 32-bit halves. */
function lane(
  words: Uint32Array,
  first: number,
  end: number,
  seedLow: number,
  seedHigh: number,
): number {
  let low = seedLow | 0;
  let top = seedHigh | 0;
  for (let at = first; at < end; at += 8) {
    const word = words[at] | 0;
    const wordTop = highOf(word, words[at + 1] | 0, M2_LOW, M2_HIGH);
    const added = (low + Math.imul(word, M2_LOW)) | 0;
    // A sum that is below one of its addends has carried.
    const carry = added >>> 0 < low >>> 0 ? 1 : 0;
    const addedTop = (top + wordTop + carry) | 0;
    const turned = (added << 31) | (addedTop >>> 1);
    const turnedTop = (addedTop << 31) | (added >>> 1);
    top = highOf(turned, turnedTop, M1_LOW, M1_HIGH);
    low = Math.imul(turned, M1_LOW);
  }
  high = top;
  return low;
}

/** Halves of a running sum. */
let sumLow = 0;
let sumHigh = 0;

/** Adds (low, high) rotated left by `bits` (1..31) to the running sum. */
function addRotated(low: number, bits: number): void {
  const turnedLow = (low << bits) | (high >>> (32 - bits));
  const turnedHigh = (high << bits) | (low >>> (32 - bits));
  const total = (sumLow >>> 0) + (turnedLow >>> 0);
  sumHigh = (sumHigh + turnedHigh + (total > 0xffffffff ? 1 : 0)) | 0;
  sumLow = total | 0;
}

function digest(words: Uint32Array, first: number, end: number): void {
  sumLow = 0;
  sumHigh = 0;
  addRotated(lane(words, first, end, M1_LOW, M1_HIGH), 1);
  addRotated(lane(words, first + 2, end, M2_LOW, M2_HIGH), 7);
  addRotated(lane(words, first + 4, end, M3_LOW, M3_HIGH), 12);
  addRotated(lane(words, first + 6, end, M1_LOW ^ M2_LOW, M1_HIGH ^ M2_HIGH), 18);
}

/** Mixes a parent with its child's own digest; the result's high half is in `high`. */
function link(parentLow: number, parentHigh: number, ownLow: number, ownHigh: number): number {
  let low = parentLow ^ multiply(ownLow, ownHigh, M2_LOW, M2_HIGH);
  let top = parentHigh ^ high;
  const turnedLow = (low << 27) | (top >>> 5);
  const turnedTop = (top << 27) | (low >>> 5);
  const product = multiply(turnedLow, turnedTop, M1_LOW, M1_HIGH);
  const sum = (product >>> 0) + M3_LOW;
  low = sum | 0;
  top = (high + M3_HIGH + (sum > 0xffffffff ? 1 : 0)) | 0;
  low = multiply(low ^ (top >>> 1), top, M2_LOW, M2_HIGH);
  top = high;
  low = multiply(low ^ ((low >>> 29) | (top << 3)), top ^ (top >>> 29), M3_LOW, M3_HIGH);
  top = high;
  low ^= top;
  if ((low | top) === 0) low = 1;
  high = top;
  return low;
}

export interface Seed {
  low: number;
  high: number;
}

/** The prompt's window and its chain, hashed in place like the kernel's. */
export class ReferenceHash {
  readonly window: Uint8Array;
  /** (low, high) per chunk. */
  readonly chain: Uint32Array;
  readonly #words: Uint32Array;
  readonly #chunkBytes: number;
  readonly #chunkLimit: number;
  #low = 1;
  #high = 0;
  #count = 0;

  /** `windowBytes` is a multiple of `chunkBytes`. */
  constructor(windowBytes: number, chunkBytes: number, chunkLimit: number) {
    const buffer = new ArrayBuffer(windowBytes + 64);
    this.window = new Uint8Array(buffer, 0, windowBytes);
    this.chain = new Uint32Array(chunkLimit * 2);
    this.#words = new Uint32Array(buffer);
    this.#chunkBytes = chunkBytes;
    this.#chunkLimit = chunkLimit;
  }

  get count(): number {
    return this.#count;
  }

  /** Seed from the window's first bytes. */
  hashKey(bytes: number): Seed {
    new Uint8Array(this.#words.buffer).fill(0, bytes, (bytes + 8) & ~7);
    const start = M3_LOW + bytes;
    let low = start | 0;
    let top = (M3_HIGH + (start > 0xffffffff ? 1 : 0)) | 0;
    for (let at = 0; at * 4 < bytes; at += 2) {
      low = link(low, top, this.#words[at], this.#words[at + 1]);
      top = high;
    }
    low = link(low, top, bytes, 0);
    return { low: low >>> 0, high: high >>> 0 };
  }

  begin(seed: Seed): void {
    this.#low = seed.low;
    this.#high = seed.high;
    this.#count = 0;
  }

  /** Hashes whole chunks among the first `filled` bytes, moves the rest to the front. */
  absorb(filled: number): number {
    const rest = filled & (this.#chunkBytes - 1);
    const end = filled - rest;
    const step = this.#chunkBytes >>> 2;
    for (let at = 0; at * 4 < end && this.#count < this.#chunkLimit; at += step) {
      digest(this.#words, at, at + step);
      this.#low = link(this.#low, this.#high, sumLow, sumHigh);
      this.#high = high;
      this.chain[this.#count * 2] = this.#low;
      this.chain[this.#count * 2 + 1] = this.#high;
      this.#count++;
    }
    this.window.copyWithin(0, end, filled);
    return rest;
  }
}
