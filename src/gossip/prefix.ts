/**
 * Which prompt chunks a PoP's caches hold, for those who ask. A follower gets a snapshot in parts,
 * then a delta every half second; a gap in the numbers makes it ask again. Count and churn travel
 * with each frame, so that the reader can discount what it holds by age:
 * believed = match x exp(-age x churn / count). Hashes are salted per tenant by whoever makes them;
 * a member is the number of the endpoint, times 2^24, plus 24 bits of hash.
 */
import type { Millis } from "../grid/units.ts";
import type { Context, LinkId } from "./context.ts";
import { decodeSet, encodeSet } from "./golomb.ts";
import type { Nid } from "./identity.ts";
import { type Link, send } from "./link.ts";
import { followFrame, type PrefixPart, prefixFrame } from "./message.ts";

/** Hashes per snapshot part: at most 40 KB coded. */
const PART = 12_288;
/** Churn is told as changes per 1,000 s, averaged over about ten seconds. */
const CHURN_UNIT = 1000;
const CHURN_WEIGHT = 0.05;
const SNAPSHOT_AGAIN_MS = 2000;

/** What this PoP knows of another's caches. Read only. */
export interface PrefixView {
  hashes: ReadonlySet<number>;
  /** Until when it is known to be complete, at most one period of deltas ago on an open link. */
  updatedMs: Millis;
  count: number;
  /** Changes per second. */
  churnPerS: number;
}

interface Following {
  hashes: Set<number>;
  seq: number;
  /** Parts of a snapshot that are still to come; 0: complete. */
  missing: number;
  updatedMs: Millis;
  count: number;
  churnPerS: number;
}

export class Prefixes {
  private readonly context: Context;
  private readonly links: ReadonlyMap<LinkId, Link>;
  private readonly own = new Set<number>();
  private readonly added = new Set<number>();
  private readonly removed = new Set<number>();
  private seq = 0;
  private churnPerS = 0;
  private flushedMs: Millis;
  private readonly followers = new Map<LinkId, { snapshot: boolean }>();
  private readonly following = new Map<Nid, Following>();

  constructor(context: Context, links: ReadonlyMap<LinkId, Link>) {
    this.context = context;
    this.links = links;
    this.flushedMs = context.nowMs;
  }

  /** Notes chunks that came into or went out of this PoP's caches; the low 32 bits count. */
  change(added: Iterable<number>, removed: Iterable<number>): void {
    for (const hash of removed) this.drop(hash >>> 0);
    for (const hash of added) this.keep(hash >>> 0);
  }

  /** False when too many are followed already. */
  follow(nid: Nid): boolean {
    if (this.following.has(nid)) return true;
    if (this.following.size >= this.context.limits.maxSubscriptions) return false;
    const fresh = { hashes: new Set<number>(), seq: -1, missing: 0, count: 0, churnPerS: 0 };
    this.following.set(nid, { ...fresh, updatedMs: Number.NEGATIVE_INFINITY });
    this.ask(nid, true);
    return true;
  }

  unfollow(nid: Nid): void {
    if (this.following.delete(nid)) this.ask(nid, false);
  }

  get followed(): IterableIterator<Nid> {
    return this.following.keys();
  }

  view(nid: Nid): PrefixView | undefined {
    const held = this.following.get(nid);
    if (held === undefined || held.seq < 0 || held.missing > 0) return undefined;
    const { hashes, count, churnPerS } = held;
    let { updatedMs } = held;
    // Frames of a link come in order: without a change since, it is as fresh as the link.
    for (const link of this.links.values()) {
      if (link.peer !== nid || !link.open) continue;
      updatedMs = Math.max(updatedMs, link.lastReceivedMs - this.context.limits.prefixMs);
    }
    return { hashes, updatedMs, count, churnPerS };
  }

  opened(link: Link): void {
    if (this.following.has(link.peer as Nid)) send(this.context, link, followFrame(true));
  }

  closed(link: Link): void {
    this.followers.delete(link.id);
  }

  takeFollow(link: Link, on: boolean): void {
    if (!on) this.followers.delete(link.id);
    else if (!this.followers.has(link.id)) this.followers.set(link.id, { snapshot: true });
    else if (this.context.nowMs - link.snapshotMs >= SNAPSHOT_AGAIN_MS) {
      this.followers.set(link.id, { snapshot: true });
    }
  }

  take(link: Link, part: PrefixPart): void {
    const held = this.following.get(link.peer as Nid);
    if (held === undefined) return;
    const added = decodeSet(part.added, this.context.limits.maxPrefix);
    const removed = decodeSet(part.removed, this.context.limits.maxPrefix);
    const snapshot = part.parts > 0;
    if (snapshot) this.takeSnapshot(held, part, added);
    else if (held.missing > 0 || part.seq !== held.seq + 1) {
      if (part.seq > held.seq + 1) this.again(link, held);
      return;
    } else {
      for (const hash of removed) held.hashes.delete(hash);
      for (const hash of added) held.hashes.add(hash);
      held.seq = part.seq;
    }
    if (held.hashes.size > this.context.limits.maxPrefix) this.again(link, held);
    held.count = part.count;
    held.churnPerS = part.churn / CHURN_UNIT;
    held.updatedMs = this.context.nowMs - link.rttMs / 2;
    if (held.seq < 0 || held.missing > 0) return;
    const changes = snapshot ? { added: [...held.hashes], removed: [] } : { added, removed };
    this.context.event({ type: "prefix", nid: link.peer as Nid, snapshot, ...changes });
  }

  tick(): void {
    const passedMs = this.context.nowMs - this.flushedMs;
    if (passedMs < this.context.limits.prefixMs) return;
    this.flushedMs = this.context.nowMs;
    const changes = this.added.size + this.removed.size;
    const rate = (changes * 1000) / passedMs;
    this.churnPerS += CHURN_WEIGHT * (rate - this.churnPerS);
    const delta = changes > 0 ? this.delta() : undefined;
    for (const [id, follower] of this.followers) {
      // More than fits one frame goes as a snapshot in parts.
      if (changes > PART) follower.snapshot = true;
      const link = this.links.get(id);
      if (link === undefined) continue;
      if (link.buffered > this.context.limits.softBufferBytes) follower.snapshot = true;
      else if (follower.snapshot) this.snapshot(link, follower);
      else if (delta !== undefined) send(this.context, link, delta);
    }
  }

  private keep(hash: number): void {
    if (this.own.has(hash) || this.own.size >= this.context.limits.maxPrefix) return;
    this.own.add(hash);
    if (!this.removed.delete(hash)) this.added.add(hash);
  }

  private drop(hash: number): void {
    if (!this.own.delete(hash)) return;
    if (!this.added.delete(hash)) this.removed.add(hash);
  }

  private delta(): Uint8Array {
    this.seq++;
    const frame = this.frame(0, 0, sorted(this.added), sorted(this.removed));
    this.added.clear();
    this.removed.clear();
    return frame;
  }

  private snapshot(link: Link, follower: { snapshot: boolean }): void {
    follower.snapshot = false;
    link.snapshotMs = this.context.nowMs;
    const hashes = sorted(this.own);
    const parts = Math.max(1, Math.ceil(hashes.length / PART));
    for (let part = 0; part < parts; part++) {
      const some = hashes.slice(part * PART, (part + 1) * PART);
      send(this.context, link, this.frame(part, parts, some, []));
    }
  }

  private frame(part: number, parts: number, added: number[], removed: number[]): Uint8Array {
    return prefixFrame({
      seq: this.seq,
      part,
      parts,
      count: this.own.size,
      churn: Math.min(0xffffffff, Math.round(this.churnPerS * CHURN_UNIT)),
      added: encodeSet(added),
      removed: encodeSet(removed),
    });
  }

  private takeSnapshot(held: Following, part: PrefixPart, added: readonly number[]): void {
    if (part.part === 0) {
      held.hashes = new Set();
      held.missing = part.parts;
      held.seq = part.seq;
    }
    if (part.seq !== held.seq || part.part !== part.parts - held.missing) return;
    for (const hash of added) held.hashes.add(hash);
    held.missing--;
  }

  private again(link: Link, held: Following): void {
    held.seq = -1;
    held.hashes = new Set();
    send(this.context, link, followFrame(true));
  }

  private ask(nid: Nid, on: boolean): void {
    for (const link of this.links.values()) {
      if (link.open && link.peer === nid) send(this.context, link, followFrame(on));
    }
  }
}

function sorted(hashes: Iterable<number>): number[] {
  return [...hashes].sort((a, b) => a - b);
}
