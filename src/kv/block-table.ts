/**
 * What one publisher (an engine, or one rank of it) holds: the engine's own block hashes, which
 * parents and removals use, as names of prefixes in tokens; and in which media each prefix lies.
 * Both tables are as large as the engine's cache, and have a bound. After events were lost the
 * names stay, since a hash does not change its meaning within a process, and nothing is held.
 */
import { MEDIUM, type RemovedEvent, type StoredEvent } from "./events.ts";
import { PairMap } from "./pair-map.ts";
import { TokenChain } from "./token-chain.ts";

/** Blocks of one publisher: 16 million tokens in blocks of 16. */
export const BLOCKS_MAX = 1 << 20;
const GROUPS_MAX = 64;

export interface BlockListener {
  /** It is held now and was not, or the set of its media changed. */
  onHeld(low: number, high: number, media: number): void;
  onGone(low: number, high: number): void;
  /** The engine's blocks have another size than it said before. */
  onBlockSize(): void;
}

export class BlockTable {
  /** Tokens per block, as the events say; 0 = none came yet. */
  blockTokens = 0;
  /** Blocks whose parent nobody told us of: their prefix is unknown. */
  orphans = 0;
  /** Blocks that lie in slower media only. */
  slow = 0;
  private readonly listener: BlockListener;
  private readonly blocksMax: number;
  private readonly names = new PairMap();
  private readonly media = new PairMap();
  private readonly chain = new TokenChain();
  /** Groups of a hybrid model whose blocks say nothing of prefixes. */
  private readonly otherGroups = new Set<number>();

  constructor(listener: BlockListener, blocksMax = BLOCKS_MAX) {
    this.listener = listener;
    this.blocksMax = blocksMax;
  }

  get blocks(): number {
    return this.media.size;
  }

  /** Media of a prefix, 0 = not held. */
  mediaOf(low: number, high: number): number {
    return this.media.get(low, high) ? this.media.first : 0;
  }

  stored(event: StoredEvent): void {
    if (!event.isFull) {
      if (this.otherGroups.size < GROUPS_MAX) this.otherGroups.add(event.group);
      return;
    }
    if (!this.begin(event)) {
      this.orphans += event.hashes.length / 2;
      return;
    }
    this.sizeIs(event.blockTokens);
    const { chain } = this;
    for (let block = 0; block * 2 < event.hashes.length; block++) {
      const extra = event.extras?.[block] ?? "";
      if (extra !== "") chain.text(extra);
      const from = block * event.blockTokens;
      chain.pushAll(event.tokenIds, from, from + event.blockTokens);
      this.name(event.hashes[block * 2], event.hashes[block * 2 + 1]);
      this.hold(chain.low, chain.high, event.medium);
    }
  }

  removed(event: RemovedEvent): void {
    if (this.otherGroups.has(event.group)) return;
    for (let at = 0; at < event.hashes.length; at += 2) {
      const low = event.hashes[at];
      const high = event.hashes[at + 1];
      if (!this.names.get(low, high)) continue;
      const { first, second } = this.names;
      const before = this.mediaOf(first, second);
      const left = event.medium === 0 ? 0 : before & ~event.medium;
      if (left === 0) this.names.delete(low, high);
      if (left === before) continue;
      this.countSlow(before, left);
      if (left === 0) {
        this.media.delete(first, second);
        this.listener.onGone(first, second);
      } else {
        this.media.set(first, second, left);
        this.listener.onHeld(first, second, left);
      }
    }
  }

  /** The size of blocks, before any event says it. */
  expect(blockTokens: number): void {
    if (this.blockTokens === 0) this.sizeIs(blockTokens);
  }

  /** Held for sure, whoever says so. */
  hold(low: number, high: number, medium: number): void {
    const before = this.mediaOf(low, high);
    const after = before | medium;
    if (after === before) return;
    this.countSlow(before, after);
    this.media.set(low, high, after);
    this.listener.onHeld(low, high, after);
  }

  /** Tells the listener of all that is held. */
  retell(): void {
    this.media.visitAll((low, high, media) => this.listener.onHeld(low, high, media));
  }

  /** Nothing is held; `names` too when the process is another. */
  clear(names: boolean): void {
    if (names) this.names.clear();
    if (this.media.size === 0) return;
    const gone: number[] = [];
    this.media.visitAll((low, high) => gone.push(low, high));
    this.media.clear();
    this.slow = 0;
    for (let at = 0; at < gone.length; at += 2) this.listener.onGone(gone[at], gone[at + 1]);
  }

  /** False: the parent is unknown. */
  private begin({ parent, adapter }: StoredEvent): boolean {
    if (parent === undefined) this.chain.begin(adapter);
    else if (this.names.get(parent[0], parent[1])) {
      this.chain.from(this.names.first, this.names.second);
    } else return false;
    return true;
  }

  private countSlow(before: number, after: number): void {
    const isSlow = (media: number) => (media !== 0 && (media & MEDIUM.device) === 0 ? 1 : 0);
    this.slow += isSlow(after) - isSlow(before);
  }

  private sizeIs(blockTokens: number): void {
    if (this.blockTokens === blockTokens) return;
    this.blockTokens = blockTokens;
    this.listener.onBlockSize();
  }

  private name(low: number, high: number): void {
    // An engine that never removes, or lies, must not make us grow: everything is learned anew.
    if (this.names.size >= this.blocksMax || this.media.size >= this.blocksMax) {
      const { low: chainLow, high: chainHigh } = this.chain;
      this.clear(true);
      this.chain.from(chainLow, chainHigh);
    }
    this.names.set(low, high, this.chain.low, this.chain.high);
  }
}
