/**
 * In which order each row used its chunks (the twin's form of `assembly/recency.ts`): a list per
 * row from the oldest use to the newest, and the uses of an entry hang together, so that a use is
 * found and goes with its entry. Numbers of uses count from 1; 0 = none.
 */
export class RowRecency {
  readonly #limit: Uint32Array;
  readonly #count: Uint32Array;
  readonly #oldest: Uint32Array;
  readonly #newest: Uint32Array;
  /** First use of each entry. */
  readonly #first: Uint32Array;
  readonly #older: Uint32Array;
  readonly #newer: Uint32Array;
  readonly #next: Uint32Array;
  readonly #row: Uint32Array;
  readonly #entry: Uint32Array;
  #usedOnce = 0;
  #freeList = 0;

  constructor(rows: number, entries: number, uses: number) {
    this.#limit = new Uint32Array(rows);
    this.#count = new Uint32Array(rows);
    this.#oldest = new Uint32Array(rows);
    this.#newest = new Uint32Array(rows);
    this.#first = new Uint32Array(entries);
    this.#older = new Uint32Array(uses + 1);
    this.#newer = new Uint32Array(uses + 1);
    this.#next = new Uint32Array(uses + 1);
    this.#row = new Uint32Array(uses + 1);
    this.#entry = new Uint32Array(uses + 1);
  }

  limitOf(row: number): number {
    return this.#limit[row];
  }

  setLimit(row: number, limit: number): void {
    this.#limit[row] = limit;
  }

  get hasFree(): boolean {
    return this.#freeList !== 0 || this.#usedOnce < this.#next.length - 1;
  }

  /** Entry that the row has not used for longest, -1 = it has none. */
  oldestOf(row: number): number {
    const oldest = this.#oldest[row];
    return oldest === 0 ? -1 : this.#entry[oldest];
  }

  /** Row with most uses. */
  largest(): number {
    let largest = 0;
    for (let row = 1; row < this.#count.length; row++) {
      if (this.#count[row] > this.#count[largest]) largest = row;
    }
    return largest;
  }

  /** The newest use of the row, of an entry that it had no use of. There is a free one. */
  add(entry: number, row: number): void {
    const use = this.#freeList !== 0 ? this.#freeList : ++this.#usedOnce;
    if (use === this.#freeList) this.#freeList = this.#next[use];
    this.#next[use] = this.#first[entry];
    this.#row[use] = row;
    this.#entry[use] = entry;
    this.#first[entry] = use;
    this.#append(use, row);
    this.#count[row]++;
  }

  /** Makes the row's use the newest. */
  renew(entry: number, row: number): void {
    let use = this.#first[entry];
    while (use !== 0 && this.#row[use] !== row) use = this.#next[use];
    if (use === 0 || use === this.#newest[row]) return;
    this.#unlink(use, row);
    this.#append(use, row);
  }

  /** Takes the row's use out; nothing happens when there is none. */
  remove(entry: number, row: number): void {
    let before = 0;
    let use = this.#first[entry];
    while (use !== 0 && this.#row[use] !== row) {
      before = use;
      use = this.#next[use];
    }
    if (use === 0) return;
    if (before === 0) this.#first[entry] = this.#next[use];
    else this.#next[before] = this.#next[use];
    this.#unlink(use, row);
    this.#next[use] = this.#freeList;
    this.#freeList = use;
    this.#count[row]--;
  }

  #append(use: number, row: number): void {
    const newest = this.#newest[row];
    this.#older[use] = newest;
    this.#newer[use] = 0;
    if (newest !== 0) this.#newer[newest] = use;
    else this.#oldest[row] = use;
    this.#newest[row] = use;
  }

  #unlink(use: number, row: number): void {
    const older = this.#older[use];
    const newer = this.#newer[use];
    if (older !== 0) this.#newer[older] = newer;
    else this.#oldest[row] = newer;
    if (newer !== 0) this.#older[newer] = older;
    else this.#newest[row] = older;
  }
}
