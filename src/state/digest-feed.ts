/**
 * What own rows came to hold or let go of since somebody last asked, for publishing as digests (the
 * twin's form of `assembly/feed.ts`). A row is fed once it was asked for. When the pool is used
 * up, the row with the longest log loses it and starts again with a snapshot.
 */
const SEGMENT = 64;

export class DigestFeed {
  readonly #segments: number;
  /** Per segment: next segment + 1, then 63 records of (hash 24 bits, came 1 bit). */
  readonly #pool: Uint32Array;
  readonly #fed: Uint8Array;
  readonly #owned: Uint32Array;
  readonly #head: Uint32Array;
  readonly #tail: Uint32Array;
  readonly #tailPos: Uint32Array;
  #usedOnce = 0;
  #freeList = 0;

  constructor(rows: number, segments: number) {
    this.#segments = segments;
    this.#pool = new Uint32Array(segments * SEGMENT);
    this.#fed = new Uint8Array(rows);
    this.#owned = new Uint32Array(rows);
    this.#head = new Uint32Array(rows);
    this.#tail = new Uint32Array(rows);
    this.#tailPos = new Uint32Array(rows);
  }

  isFed(row: number): boolean {
    return this.#fed[row] !== 0;
  }

  /** From now on the row's changes are logged. False: they were already. */
  start(row: number): boolean {
    if (this.#fed[row] !== 0) return false;
    if (this.#segments > 0) this.#fed[row] = 1;
    return true;
  }

  /** Drops the row's log; the next who asks is told to take a snapshot. */
  stop(row: number): void {
    this.#fed[row] = 0;
    while (this.#head[row] !== 0) this.#freeHead(row);
  }

  /** Logs one change of a fed row. */
  note(row: number, hash: number, came: boolean): void {
    const isFull = this.#tail[row] === 0 || this.#tailPos[row] === SEGMENT;
    if (isFull && !this.#addSegment(row)) return;
    const at = (this.#tail[row] - 1) * SEGMENT + this.#tailPos[row]++;
    this.#pool[at] = hash * 2 + (came ? 1 : 0);
  }

  /** The records of a fed row, oldest first; its log is empty then. */
  take(row: number): Uint32Array {
    const records = new Uint32Array(this.#owned[row] * (SEGMENT - 1));
    let count = 0;
    while (this.#head[row] !== 0) {
      const head = this.#head[row];
      const end = head === this.#tail[row] ? this.#tailPos[row] : SEGMENT;
      const at = (head - 1) * SEGMENT;
      records.set(this.#pool.subarray(at + 1, at + end), count);
      count += end - 1;
      this.#freeHead(row);
    }
    return records.subarray(0, count);
  }

  #freeHead(row: number): void {
    const head = this.#head[row];
    const at = (head - 1) * SEGMENT;
    const next = this.#pool[at];
    this.#pool[at] = this.#freeList;
    this.#freeList = head;
    this.#head[row] = next;
    if (next === 0) this.#tail[row] = 0;
    this.#owned[row]--;
  }

  /** False: it was the row itself that had to give up its log. */
  #addSegment(row: number): boolean {
    if (this.#freeList === 0 && this.#usedOnce === this.#segments) {
      const longest = this.#longestLog();
      this.stop(longest);
      if (longest === row) return false;
    }
    let segment = this.#freeList;
    if (segment !== 0) this.#freeList = this.#pool[(segment - 1) * SEGMENT];
    else segment = ++this.#usedOnce;
    this.#pool[(segment - 1) * SEGMENT] = 0;
    const tail = this.#tail[row];
    if (tail !== 0) this.#pool[(tail - 1) * SEGMENT] = segment;
    else this.#head[row] = segment;
    this.#tail[row] = segment;
    this.#tailPos[row] = 1;
    this.#owned[row]++;
    return true;
  }

  #longestLog(): number {
    let longest = 0;
    for (let row = 1; row < this.#owned.length; row++) {
      if (this.#owned[row] > this.#owned[longest]) longest = row;
    }
    return longest;
  }
}
