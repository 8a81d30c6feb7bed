/**
 * A map from 64-bit hashes to a pair of 32-bit values, in typed arrays: open addressing, linear
 * probing, no tombstones. A Map of the runtime would cost five times the memory per entry and
 * rebuild itself again and again while entries come and go, which is all that KV events do.
 * Keys are hashes already: their low word names the slot. The key 0 is the empty slot.
 */

const START_SLOTS = 64;

export class PairMap {
  /** Of the last entry that `get` found. */
  first = 0;
  second = 0;
  private lows = new Uint32Array(START_SLOTS);
  private highs = new Uint32Array(START_SLOTS);
  private firsts = new Uint32Array(START_SLOTS);
  private seconds = new Uint32Array(START_SLOTS);
  private mask = START_SLOTS - 1;
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Puts the entry's values into `first` and `second`; false when there is none. */
  get(low: number, high: number): boolean {
    const slot = this.slotOf(low >>> 0, high >>> 0);
    if (this.isEmpty(slot)) return false;
    this.first = this.firsts[slot];
    this.second = this.seconds[slot];
    return true;
  }

  set(low: number, high: number, first: number, second = 0): void {
    const slot = this.slotOf(low >>> 0, high >>> 0);
    const isNew = this.isEmpty(slot);
    this.lows[slot] = low;
    this.highs[slot] = high;
    this.firsts[slot] = first;
    this.seconds[slot] = second;
    if (isNew && ++this.count * 3 > this.lows.length * 2) this.resize(this.lows.length * 2);
  }

  delete(low: number, high: number): boolean {
    let hole = this.slotOf(low >>> 0, high >>> 0);
    if (this.isEmpty(hole)) return false;
    this.count--;
    // What was pushed past the hole by it moves back, so that no search ends too early.
    for (let slot = (hole + 1) & this.mask; !this.isEmpty(slot); slot = (slot + 1) & this.mask) {
      const home = this.lows[slot] & this.mask;
      if (((slot - home) & this.mask) < ((slot - hole) & this.mask)) continue;
      this.lows[hole] = this.lows[slot];
      this.highs[hole] = this.highs[slot];
      this.firsts[hole] = this.firsts[slot];
      this.seconds[hole] = this.seconds[slot];
      hole = slot;
    }
    this.lows[hole] = 0;
    this.highs[hole] = 0;
    return true;
  }

  clear(): void {
    this.count = 0;
    this.resize(START_SLOTS);
  }

  /** The map must not change meanwhile. */
  visitAll(visit: (low: number, high: number, first: number, second: number) => void): void {
    for (let slot = 0; slot < this.lows.length; slot++) {
      if (this.isEmpty(slot)) continue;
      visit(this.lows[slot], this.highs[slot], this.firsts[slot], this.seconds[slot]);
    }
  }

  private isEmpty(slot: number): boolean {
    return this.lows[slot] === 0 && this.highs[slot] === 0;
  }

  /** Where the key stands, or would. */
  private slotOf(low: number, high: number): number {
    let slot = low & this.mask;
    while (!this.isEmpty(slot) && (this.lows[slot] !== low || this.highs[slot] !== high)) {
      slot = (slot + 1) & this.mask;
    }
    return slot;
  }

  private resize(slots: number): void {
    const { lows, highs, firsts, seconds, count } = this;
    this.lows = new Uint32Array(slots);
    this.highs = new Uint32Array(slots);
    this.firsts = new Uint32Array(slots);
    this.seconds = new Uint32Array(slots);
    this.mask = slots - 1;
    for (let old = 0; count > 0 && old < lows.length; old++) {
      if (lows[old] === 0 && highs[old] === 0) continue;
      const slot = this.slotOf(lows[old], highs[old]);
      this.lows[slot] = lows[old];
      this.highs[slot] = highs[old];
      this.firsts[slot] = firsts[old];
      this.seconds[slot] = seconds[old];
    }
  }
}
