/**
 * What other PoPs say that their endpoints hold: the twin's table of digests in plain TypeScript
 * (the kernel's form is drawn in `assembly/digest.ts`). A 24-bit hash has one slot, found by linear
 * probing, with one or two rows or the number of a mask. Byte cap, no tombstones, no rehash; a
 * full table refuses what is new, so it never says more than it was told.
 */
export interface DigestSizes {
  slots: number;
  masks: number;
  /** For the feed of own rows. */
  segments: number;
  bytes: number;
}

const ROW_BYTES = 32;
const SLOT_BYTES = 8;
const SEGMENT_BYTES = 256;
const SLOTS_MAX = 1 << 24;
const SLOTS_MIN = 64;
const MASKS_MIN = 4;
const SEGMENTS_MIN = 4;
const TWO_24 = 2 ** 24;
const HASHES = 0xffffff;
const TWO = 2 ** 30;
const WIDE = 2 ** 31;
const NUMBER = TWO - 1;

/** How a byte cap is shared out; 0 = no digests. Undefined: too small for any use. */
export function digestSizes(rows: number, digestBytes: number): DigestSizes | undefined {
  if (digestBytes === 0) return { slots: 0, masks: 0, segments: 0, bytes: 0 };
  const fixed = rows * ROW_BYTES;
  const rest = Math.max(digestBytes - fixed, 0);
  const segments = Math.floor(rest / 16 / SEGMENT_BYTES);
  const maskBytes = rows / 8;
  const masks = Math.floor(Math.floor((rest * 5) / 16) / maskBytes);
  const shared = segments * SEGMENT_BYTES + masks * maskBytes;
  const slots = Math.min(Math.floor((rest - shared) / SLOT_BYTES), SLOTS_MAX);
  if (segments < SEGMENTS_MIN || masks < MASKS_MIN || slots < SLOTS_MIN) return undefined;
  return { slots, masks, segments, bytes: fixed + shared + slots * SLOT_BYTES };
}

export class DigestTable {
  readonly bytes: number;
  /** Most hashes: three quarters of the slots, so that probes stay short. */
  readonly capacity: number;
  readonly #rowMax: number;
  readonly #words: number;
  readonly #slots: number;
  readonly #keys: Uint32Array;
  readonly #holders: Uint32Array;
  readonly #masks: Uint32Array;
  readonly #masksEnd: number;
  readonly #held: Uint32Array;
  /** Rows that have a digest. */
  readonly #told: Uint32Array;
  #masksUsedOnce = 0;
  #freeMasks = 0;
  #entries = 0;
  #pairs = 0;
  #refused = 0;

  constructor(rows: number, sizes: DigestSizes) {
    this.bytes = sizes.bytes;
    this.capacity = Math.floor((sizes.slots * 3) / 4);
    this.#rowMax = Math.floor(this.capacity / 4);
    this.#words = rows / 32;
    this.#slots = sizes.slots;
    this.#keys = new Uint32Array(sizes.slots);
    this.#holders = new Uint32Array(sizes.slots);
    this.#masks = new Uint32Array(sizes.masks * this.#words);
    this.#masksEnd = sizes.masks;
    this.#held = new Uint32Array(rows);
    this.#told = new Uint32Array(this.#words);
  }

  get entries(): number {
    return this.#entries;
  }

  /** (hash, row) pairs held. */
  get pairs(): number {
    return this.#pairs;
  }

  /** Hashes that found no room. */
  get refused(): number {
    return this.#refused;
  }

  #homeOf(hash: number): number {
    return Math.floor((hash * this.#slots) / TWO_24);
  }

  #after(slot: number): number {
    return slot + 1 === this.#slots ? 0 : slot + 1;
  }

  /** The hash's slot, else the empty one where it would stand. */
  #probe(hash: number): number {
    const keys = this.#keys;
    let slot = this.#homeOf(hash);
    while (keys[slot] !== hash + 1 && keys[slot] !== 0) slot = this.#after(slot);
    return slot;
  }

  #isHolder(slot: number, row: number): boolean {
    if (this.#keys[slot] === 0) return false;
    const holders = this.#holders[slot];
    if (holders >= WIDE) {
      const word = this.#masks[(holders & NUMBER) * this.#words + (row >>> 5)];
      return ((word >>> (row & 31)) & 1) !== 0;
    }
    return firstOf(holders) === row || (holders >= TWO && secondOf(holders) === row);
  }

  holds(hash: number, row: number): boolean {
    return this.#pairs > 0 && this.#isHolder(this.#probe(hash & HASHES), row);
  }

  /** One of the rows in the set has a digest. */
  knows(set: Uint32Array): boolean {
    if (this.#pairs === 0) return false;
    return this.#told.some((word, index) => (word & set[index]) !== 0);
  }

  /** Takes the hash's holders out of a set. */
  removeHolders(hash: number, set: Uint32Array): void {
    const slot = this.#probe(hash & HASHES);
    if (this.#keys[slot] === 0) return;
    const holders = this.#holders[slot];
    if (holders < WIDE) {
      exclude(set, 0, firstOf(holders));
      if (holders >= TWO) exclude(set, 0, secondOf(holders));
      return;
    }
    const first = (holders & NUMBER) * this.#words;
    for (let word = 0; word < this.#words; word++) set[word] &= ~this.#masks[first + word];
  }

  add(hashes: Uint32Array, row: number): void {
    if (this.#slots === 0) return;
    for (const hash of hashes) if (!this.#addHash(hash & HASHES, row)) this.#refused++;
  }

  drop(hashes: Uint32Array, row: number): void {
    if (this.#slots === 0) return;
    for (const hash of hashes) {
      const slot = this.#probe(hash & HASHES);
      if (this.#isHolder(slot, row)) this.#dropHolder(slot, row);
    }
  }

  /** The row has no digest any more. */
  clear(row: number): void {
    // A slot that is emptied takes over a later one: it is looked at again.
    for (let slot = 0; this.#held[row] !== 0; ) {
      if (this.#isHolder(slot, row)) this.#dropHolder(slot, row);
      else slot++;
    }
  }

  /** False: no room for it. */
  #addHash(hash: number, row: number): boolean {
    const slot = this.#probe(hash);
    if (this.#isHolder(slot, row)) return true;
    if (this.#held[row] >= this.#rowMax) return false;
    const holders = this.#holders[slot];
    if (this.#keys[slot] === 0) {
      if (this.#entries >= this.capacity) return false;
      this.#entries++;
      this.#keys[slot] = hash + 1;
      this.#holders[slot] = row;
    } else if (holders < TWO) {
      this.#holders[slot] = TWO + holders + row * 4096;
    } else if (holders < WIDE) {
      if (!this.#widen(slot, row)) return false;
    } else {
      include(this.#masks, (holders & NUMBER) * this.#words, row);
    }
    if (this.#held[row]++ === 0) include(this.#told, 0, row);
    this.#pairs++;
    return true;
  }

  /** A third row: from now on the slot names a mask. */
  #widen(slot: number, row: number): boolean {
    let mask = this.#freeMasks - 1;
    if (mask >= 0) this.#freeMasks = this.#masks[mask * this.#words];
    else if (this.#masksUsedOnce < this.#masksEnd) mask = this.#masksUsedOnce++;
    else return false;
    const first = mask * this.#words;
    this.#masks.fill(0, first, first + this.#words);
    const both = this.#holders[slot];
    for (const one of [firstOf(both), secondOf(both), row]) include(this.#masks, first, one);
    this.#holders[slot] = WIDE + mask;
    return true;
  }

  /** Takes a holder out of a slot; the last one empties it. */
  #dropHolder(slot: number, row: number): void {
    const holders = this.#holders[slot];
    if (--this.#held[row] === 0) exclude(this.#told, 0, row);
    this.#pairs--;
    if (holders >= WIDE) {
      exclude(this.#masks, (holders & NUMBER) * this.#words, row);
      this.#narrow(slot, holders & NUMBER);
    } else if (holders >= TWO) {
      this.#holders[slot] = firstOf(holders) === row ? secondOf(holders) : firstOf(holders);
    } else {
      this.#empty(slot);
    }
  }

  /** Two rows need no mask: it goes back to the pool. */
  #narrow(slot: number, mask: number): void {
    const first = mask * this.#words;
    let left = 0;
    let both = 0;
    for (let word = 0; word < this.#words; word++) {
      for (let bits = this.#masks[first + word]; bits !== 0; bits &= bits - 1) {
        both = ((both * 4096) % TWO_24) + word * 32 + 31 - Math.clz32(bits & -bits);
        if (++left === 3) return;
      }
    }
    this.#holders[slot] = TWO + both;
    this.#masks[first] = this.#freeMasks;
    this.#freeMasks = mask + 1;
  }

  /** Empties a slot and shifts back whoever probed past it. */
  #empty(slot: number): void {
    const keys = this.#keys;
    let hole = slot;
    for (let next = this.#after(slot); keys[next] !== 0; next = this.#after(next)) {
      const home = this.#homeOf(keys[next] - 1);
      if (this.#distance(home, next) < this.#distance(hole, next)) continue;
      keys[hole] = keys[next];
      this.#holders[hole] = this.#holders[next];
      hole = next;
    }
    keys[hole] = 0;
    this.#entries--;
  }

  #distance(from: number, to: number): number {
    return to >= from ? to - from : to + this.#slots - from;
  }
}

function firstOf(holders: number): number {
  return holders & 0xfff;
}

function secondOf(holders: number): number {
  return (holders >>> 12) & 0xfff;
}

function include(sets: Uint32Array, first: number, row: number): void {
  sets[first + (row >>> 5)] |= 1 << (row & 31);
}

function exclude(sets: Uint32Array, first: number, row: number): void {
  sets[first + (row >>> 5)] &= ~(1 << (row & 31));
}
