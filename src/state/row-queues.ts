/**
 * What each engine's own cache throws away, mirrored (the twin's form of `assembly/mirror.ts`): a
 * row with a known KV cache never holds more chunks than fit there. One queue per row with a
 * second chance, cut in segments from one pool. Slots may outlive their entry and are skipped.
 */

/** The entries that slots stand for. */
export interface QueuedEntries {
  heldBy(row: number): number;
  tagOf(entry: number): number;
  holds(entry: number, row: number): boolean;
  takeMark(entry: number, row: number): boolean;
  release(entry: number, row: number): void;
}

const SEGMENT = 64;
const ENTRY_MASK = 0xffffff;

export class RowQueues {
  readonly #rows: number;
  readonly #segments: number;
  readonly #entries: QueuedEntries;
  /** Per segment: next segment + 1, then 63 slots of (tag, entry). */
  readonly #pool: Uint32Array;
  readonly #limit: Uint32Array;
  readonly #slots: Uint32Array;
  readonly #owned: Uint32Array;
  readonly #head: Uint32Array;
  readonly #tail: Uint32Array;
  readonly #headPos: Uint32Array;
  readonly #tailPos: Uint32Array;
  #usedOnce = 0;
  #freeList = 0;

  constructor(rows: number, segments: number, entries: QueuedEntries) {
    this.#rows = rows;
    this.#segments = segments;
    this.#entries = entries;
    this.#pool = new Uint32Array(segments * SEGMENT);
    this.#limit = new Uint32Array(rows);
    this.#slots = new Uint32Array(rows);
    this.#owned = new Uint32Array(rows);
    this.#head = new Uint32Array(rows);
    this.#tail = new Uint32Array(rows);
    this.#headPos = new Uint32Array(rows);
    this.#tailPos = new Uint32Array(rows);
  }

  limitOf(row: number): number {
    return this.#limit[row];
  }

  setLimit(row: number, limit: number): void {
    this.#limit[row] = limit;
  }

  /** Lets go of the row's oldest chunks until one more fits. */
  makeRoom(row: number): void {
    const limit = this.#limit[row];
    while (this.#entries.heldBy(row) >= limit || this.#slots[row] >= limit * 2) this.#passOne(row);
  }

  /** The same after a lower limit. */
  shrink(row: number): void {
    const limit = this.#limit[row];
    while (this.#entries.heldBy(row) > limit || this.#slots[row] > limit * 2) this.#passOne(row);
  }

  /** Makes sure that `enqueue` finds a place; may cost the row with most segments its oldest. */
  reserve(row: number): void {
    if (this.#tail[row] !== 0 && this.#tailPos[row] < SEGMENT) return;
    if (this.#freeList === 0 && this.#usedOnce === this.#segments) {
      this.#dropSegment(this.#largestRow());
    }
    let segment = this.#freeList;
    if (segment !== 0) this.#freeList = this.#pool[(segment - 1) * SEGMENT];
    else segment = ++this.#usedOnce;
    this.#pool[(segment - 1) * SEGMENT] = 0;
    const tail = this.#tail[row];
    if (tail !== 0) {
      this.#pool[(tail - 1) * SEGMENT] = segment;
    } else {
      this.#head[row] = segment;
      this.#headPos[row] = 1;
    }
    this.#tail[row] = segment;
    this.#tailPos[row] = 1;
    this.#owned[row]++;
  }

  /** After `reserve`. */
  enqueue(row: number, entry: number): void {
    this.#push(row, entry | (this.#entries.tagOf(entry) << 24));
  }

  /** Empties the queue; the chunks stay held. */
  forgetQueue(row: number): void {
    while (this.#slots[row] !== 0) this.#pop(row);
  }

  /** Empties the queue and lets go of all that it names. */
  dropAll(row: number): void {
    while (this.#slots[row] !== 0) this.#dropOne(row);
  }

  #stands(slot: number, row: number): boolean {
    const entry = slot & ENTRY_MASK;
    return this.#entries.tagOf(entry) === slot >>> 24 && this.#entries.holds(entry, row);
  }

  #passOne(row: number): void {
    const slot = this.#pop(row);
    if (!this.#stands(slot, row)) return;
    const entry = slot & ENTRY_MASK;
    if (this.#entries.takeMark(entry, row)) {
      this.reserve(row);
      this.#push(row, slot);
    } else {
      this.#entries.release(entry, row);
    }
  }

  #push(row: number, slot: number): void {
    this.#pool[(this.#tail[row] - 1) * SEGMENT + this.#tailPos[row]++] = slot;
    this.#slots[row]++;
  }

  #pop(row: number): number {
    const position = this.#headPos[row]++;
    const slot = this.#pool[(this.#head[row] - 1) * SEGMENT + position];
    this.#slots[row]--;
    if (this.#slots[row] === 0 || position + 1 === SEGMENT) this.#freeHead(row);
    return slot;
  }

  #freeHead(row: number): void {
    const head = this.#head[row];
    const at = (head - 1) * SEGMENT;
    const next = this.#pool[at];
    this.#pool[at] = this.#freeList;
    this.#freeList = head;
    this.#owned[row]--;
    this.#head[row] = next;
    this.#headPos[row] = 1;
    if (next === 0) this.#tail[row] = 0;
  }

  #largestRow(): number {
    let largest = 0;
    for (let row = 1; row < this.#rows; row++) {
      if (this.#owned[row] > this.#owned[largest]) largest = row;
    }
    return largest;
  }

  /** Gives up the row's oldest segment with all that stands in it. */
  #dropSegment(row: number): void {
    const before = this.#owned[row];
    while (this.#owned[row] === before) {
      if (this.#slots[row] === 0) this.#freeHead(row);
      else this.#dropOne(row);
    }
  }

  #dropOne(row: number): void {
    const slot = this.#pop(row);
    if (this.#stands(slot, row)) this.#entries.release(slot & ENTRY_MASK, row);
  }
}
