/**
 * The paged KV cache of one engine: fixed blocks, shared by content, counted by reference.
 *
 * Follows vLLM's block pool (v1/core/block_pool): a block with no user keeps its content and waits
 * in a free list ordered by age; a later prompt with the same chained key takes it back from there.
 * Users give their blocks back deepest first, so that of one prompt the ancestors are evicted last.
 *
 *     free list   oldest -> ... -> newest     (prev/next by block number, -1 ends it)
 *     byKey       chained content key -> block
 */

const NONE = -1;

export class BlockPool {
  /** Number of blocks. */
  readonly capacity: number;
  /** Blocks without a user; cached content among them is evictable. */
  free: number;
  /** Cached blocks thrown out to make room, since the start. */
  evictions = 0;
  private readonly users: Int32Array;
  private readonly keys: Float64Array;
  private readonly previous: Int32Array;
  private readonly next: Int32Array;
  private readonly byKey = new Map<number, number>();
  private oldest = NONE;
  private newest = NONE;
  /** Hears of content that is thrown out. */
  onForget: ((key: number) => void) | undefined;

  /** @throws RangeError unless `capacity` is a whole number from 1 to 16,777,216. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 1 << 24) {
      throw new RangeError(`KV blocks must be a whole number from 1 to ${1 << 24}: ${capacity}`);
    }
    this.capacity = capacity;
    this.free = 0;
    this.users = new Int32Array(capacity);
    this.keys = new Float64Array(capacity).fill(Number.NaN);
    this.previous = new Int32Array(capacity);
    this.next = new Int32Array(capacity);
    for (let block = 0; block < capacity; block++) this.append(block);
  }

  /** Blocks with content that a later prompt can share, in use or not. */
  get cached(): number {
    return this.byKey.size;
  }

  /** Block that holds this content, or -1. */
  find(key: number): number {
    return this.byKey.get(key) ?? NONE;
  }

  isIdle(block: number): boolean {
    return this.users[block] === 0;
  }

  /** One more user for a block found by content. */
  share(block: number): void {
    if (this.users[block]++ === 0) this.unlink(block);
  }

  /** Takes the oldest free block for new content; its old content is gone. -1 when none is free. */
  take(): number {
    const block = this.oldest;
    if (block === NONE) return NONE;
    this.unlink(block);
    this.forget(block);
    this.users[block] = 1;
    return block;
  }

  /**
   * Makes a computed block findable. A second block with the same content stays private: then it
   * is false.
   */
  publish(block: number, key: number): boolean {
    if (this.byKey.has(key)) return false;
    this.byKey.set(key, block);
    this.keys[block] = key;
    return true;
  }

  /** Gives back a sequence's blocks, deepest first. Empties the table. */
  release(table: number[]): void {
    for (let i = table.length - 1; i >= 0; i--) {
      const block = table[i];
      if (--this.users[block] === 0) this.append(block);
    }
    table.length = 0;
  }

  /** Loses all content that nobody uses (a restart with no users loses all). */
  clear(): void {
    for (const [key, block] of this.byKey) {
      if (this.users[block] > 0) continue;
      this.byKey.delete(key);
      this.keys[block] = Number.NaN;
    }
  }

  private forget(block: number): void {
    const key = this.keys[block];
    if (Number.isNaN(key)) return;
    this.byKey.delete(key);
    this.keys[block] = Number.NaN;
    this.evictions++;
    this.onForget?.(key);
  }

  private append(block: number): void {
    this.previous[block] = this.newest;
    this.next[block] = NONE;
    if (this.newest === NONE) this.oldest = block;
    else this.next[this.newest] = block;
    this.newest = block;
    this.free++;
  }

  private unlink(block: number): void {
    const before = this.previous[block];
    const after = this.next[block];
    if (before === NONE) this.oldest = after;
    else this.next[before] = after;
    if (after === NONE) this.newest = before;
    else this.previous[after] = before;
    this.free--;
  }
}
