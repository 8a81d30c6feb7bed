/**
 * What the caches behind one published endpoint hold, as changes for the other PoPs. Where it
 * stands for several engines a chunk is gone only when the last of them dropped it, so those are
 * counted; a single engine's own changes pass as they are. Part of `pop.ts`.
 */
import type { Row } from "./grid/units.ts";
import type { DigestDelta, Kernel } from "./kernel/kernel.ts";

export interface DigestNews {
  /** True: `added` is everything. */
  snapshot: boolean;
  added: Uint32Array;
  removed: Uint32Array;
}

const NOTHING = new Uint32Array(0);

export class GroupDigest {
  private readonly kernel: Kernel;
  private readonly rows: readonly Row[];
  /** Hash to how many of the rows hold it; only for several rows. */
  private counts = new Map<number, number>();
  private told = false;

  constructor(kernel: Kernel, rows: readonly Row[]) {
    this.kernel = kernel;
    this.rows = rows;
  }

  /** Changes since the last call; undefined = none. */
  next(): DigestNews | undefined {
    const changes = this.rows.map((row) => this.kernel.drainDigestChanges(row));
    const deltas = changes.filter((change) => change !== "snapshot");
    if (!this.told || deltas.length < changes.length) return this.snapshot();
    const news = this.rows.length === 1 ? (deltas[0] as DigestDelta) : this.counted(deltas);
    if (news.added.length + news.removed.length === 0) return undefined;
    return { snapshot: false, added: news.added, removed: news.removed };
  }

  private snapshot(): DigestNews {
    this.told = true;
    const all = this.rows.map((row) => this.kernel.digestOf(row));
    if (all.length === 1) {
      return { snapshot: true, added: all[0] as Uint32Array, removed: NOTHING };
    }
    this.counts = new Map();
    for (const hashes of all) for (const hash of hashes) this.count(hash, 1);
    return { snapshot: true, added: Uint32Array.from(this.counts.keys()), removed: NOTHING };
  }

  /** What the group as a whole came to hold, and what it does not hold any more. */
  private counted(deltas: readonly DigestDelta[]): DigestDelta {
    const before = new Map<number, boolean>();
    for (const { added, removed } of deltas) {
      for (const hash of removed) this.note(hash, -1, before);
      for (const hash of added) this.note(hash, 1, before);
    }
    const added: number[] = [];
    const removed: number[] = [];
    for (const [hash, held] of before) {
      const holds = this.counts.has(hash);
      if (holds && !held) added.push(hash);
      if (!holds && held) removed.push(hash);
    }
    return { added: Uint32Array.from(added), removed: Uint32Array.from(removed) };
  }

  private note(hash: number, change: number, before: Map<number, boolean>): void {
    if (!before.has(hash)) before.set(hash, this.counts.has(hash));
    this.count(hash, change);
  }

  private count(hash: number, change: number): void {
    const left = (this.counts.get(hash) ?? 0) + change;
    if (left > 0) this.counts.set(hash, left);
    else this.counts.delete(hash);
  }
}
