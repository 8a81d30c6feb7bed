/** The blocks that one simulated engine keeps, least recently used first to go. */
export class BlockCache {
  private readonly blocks = new Set<number>();
  private readonly capacity: number;

  /** @param capacity in blocks */
  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get size(): number {
    return this.blocks.size;
  }

  has(block: number): boolean {
    return this.blocks.has(block);
  }

  /** Blocks of the path that are here, from the root. */
  match(path: Uint32Array): number {
    let depth = 0;
    while (depth < path.length && this.blocks.has(path[depth])) depth++;
    return depth;
  }

  /** Used again: tail first, so that a root is younger than what hangs on it. */
  touch(path: Uint32Array): void {
    for (let depth = path.length - 1; depth >= 0; depth--) {
      this.blocks.delete(path[depth]);
      this.blocks.add(path[depth]);
    }
    for (const oldest of this.blocks) {
      if (this.blocks.size <= this.capacity) break;
      this.blocks.delete(oldest);
    }
  }
}
