/**
 * A map from 64-bit hashes to a pair of 32-bit values, in typed arrays: open addressing, linear
 * probing, no tombstones. A Map of the runtime would cost five times the memory per entry and
 * rebuild itself again and again while entries come and go, which is all that KV events do.
 * Keys are hashes already: their low word names the slot. The key 0 is the empty slot.
 *
 *     slot u32 × 4: key low │ key high │ first │ second     (a look-up is one cache line)
 */

const START_SLOTS = 64;

export class PairMap {
  /** Of the last entry that `get` found. */
  first = 0;
  second = 0;
  private words = new Uint32Array(START_SLOTS * 4);
  private slots = START_SLOTS;
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Puts the entry's values into `first` and `second`; false when there is none. */
  get(low: number, high: number): boolean {
    const at = this.placeOf(low >>> 0, high >>> 0);
    const { words } = this;
    if (isEmpty(words, at)) return false;
    this.first = words[at + 2];
    this.second = words[at + 3];
    return true;
  }

  set(low: number, high: number, first: number, second = 0): void {
    const at = this.placeOf(low >>> 0, high >>> 0);
    const { words } = this;
    const isNew = isEmpty(words, at);
    words[at] = low;
    words[at + 1] = high;
    words[at + 2] = first;
    words[at + 3] = second;
    if (isNew && ++this.count * 3 > this.slots * 2) this.resize(this.slots * 2);
  }

  delete(low: number, high: number): boolean {
    const { words, slots } = this;
    const mask = slots - 1;
    let hole = this.placeOf(low >>> 0, high >>> 0) >>> 2;
    if (isEmpty(words, hole * 4)) return false;
    this.count--;
    // What was pushed past the hole by it moves back, so that no search ends too early.
    for (let slot = (hole + 1) & mask; !isEmpty(words, slot * 4); slot = (slot + 1) & mask) {
      const home = words[slot * 4] & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      words.copyWithin(hole * 4, slot * 4, slot * 4 + 4);
      hole = slot;
    }
    words[hole * 4] = 0;
    words[hole * 4 + 1] = 0;
    return true;
  }

  clear(): void {
    this.count = 0;
    this.resize(START_SLOTS);
  }

  /** The map must not change meanwhile. */
  visitAll(visit: (low: number, high: number, first: number, second: number) => void): void {
    const { words } = this;
    for (let at = 0; at < words.length; at += 4) {
      if (!isEmpty(words, at)) visit(words[at], words[at + 1], words[at + 2], words[at + 3]);
    }
  }

  /** Where the key stands, or would. */
  private placeOf(low: number, high: number): number {
    const { words } = this;
    const mask = this.slots - 1;
    let slot = low & mask;
    for (;;) {
      const at = slot * 4;
      if (isEmpty(words, at) || (words[at] === low && words[at + 1] === high)) return at;
      slot = (slot + 1) & mask;
    }
  }

  private resize(slots: number): void {
    const { words, count } = this;
    this.slots = slots;
    this.words = new Uint32Array(slots * 4);
    for (let old = 0; count > 0 && old < words.length; old += 4) {
      if (isEmpty(words, old)) continue;
      const at = this.placeOf(words[old], words[old + 1]);
      this.words.set(words.subarray(old, old + 4), at);
    }
  }
}

function isEmpty(words: Uint32Array, at: number): boolean {
  return words[at] === 0 && words[at + 1] === 0;
}
