/**
 * Anti-entropy: what the flood missed is found by comparing. One side sends 64 hashes over what it
 * holds of live members; the other answers with its entries of the buckets that differ; then each
 * sends what the other lacks and asks for what it lacks itself. Runs on every new link, soon, and
 * with one neighbour every ten seconds. The dead take no part, so they cannot make it grow.
 */
import { hash32 } from "./cold.ts";
import type { Context, LinkId } from "./context.ts";
import type { Health } from "./health.ts";
import type { Nid } from "./identity.ts";
import { type Link, send } from "./link.ts";
import { isAfter, type Member, type MemberTable } from "./members.ts";
import { type Have, haveFrame, SUM_BUCKETS, sumFrame, wantFrame } from "./message.ts";
import type { Spread } from "./spread.ts";

const MAX_ENTRIES = 768;
/** Wait per live member before the first comparison on a new link, at most; spreads a heal. */
const JITTER_PER_MEMBER_MS = 15;
const MAX_JITTER_MS = 5000;
/** One answer to a SUM per link in this time. */
const ANSWER_MS = 200;

function bucketOf(nid: Nid): number {
  return hash32(nid) % SUM_BUCKETS;
}

export class Sync {
  private readonly context: Context;
  private readonly members: MemberTable;
  private readonly links: ReadonlyMap<LinkId, Link>;
  private readonly spread: Spread;
  private readonly health: Health;
  private nextMs: number;

  constructor(
    context: Context,
    members: MemberTable,
    links: ReadonlyMap<LinkId, Link>,
    spread: Spread,
    health: Health,
  ) {
    this.context = context;
    this.members = members;
    this.links = links;
    this.spread = spread;
    this.health = health;
    this.nextMs = context.nowMs + this.periodMs();
  }

  /** A link opened: compare soon. */
  opened(link: Link): void {
    const most = Math.min(MAX_JITTER_MS, JITTER_PER_MEMBER_MS * this.members.liveCount);
    link.sumAtMs = this.context.nowMs + this.context.chance() * most;
  }

  tick(): void {
    const { nowMs } = this.context;
    const open: Link[] = [];
    for (const link of this.links.values()) {
      if (!link.floods) continue;
      open.push(link);
      if (nowMs >= link.sumAtMs) this.sum(link);
    }
    if (nowMs < this.nextMs) return;
    this.nextMs = nowMs + this.periodMs();
    const link = open[Math.floor(this.context.chance() * open.length)];
    if (link !== undefined) this.sum(link);
  }

  takeSum(link: Link, hashes: Uint32Array): void {
    if (this.context.nowMs - link.answeredMs < ANSWER_MS) return;
    link.answeredMs = this.context.nowMs;
    const own = this.hashes();
    const buckets = new Uint8Array(SUM_BUCKETS / 8);
    let differ = false;
    for (let i = 0; i < SUM_BUCKETS; i++) {
      if (own[i] === hashes[i]) continue;
      buckets[i >> 3] |= 1 << (i & 7);
      differ = true;
    }
    if (!differ) return;
    const entries: Have[] = [];
    for (const member of this.members.byNid.values()) {
      if (inBuckets(buckets, member.nid)) entries.push(this.entry(member));
    }
    entries.sort((a, b) => Number(a.gone) - Number(b.gone));
    send(this.context, link, haveFrame(buckets, entries.slice(0, MAX_ENTRIES)));
  }

  /** The peer's entries of the buckets that differ. */
  takeHave(link: Link, buckets: Uint8Array, entries: readonly Have[]): void {
    const wanted: Nid[] = [];
    const theirs = new Map(entries.map((entry) => [entry.nid, entry]));
    for (const entry of entries) {
      const member = this.members.byNid.get(entry.nid);
      if (member === undefined ? !entry.gone : this.lacks(member, entry)) wanted.push(entry.nid);
    }
    for (const member of this.members.byNid.values()) {
      const entry = theirs.get(member.nid);
      if (inBuckets(buckets, member.nid)) this.compare(link, member, entry);
    }
    if (wanted.length > 0) send(this.context, link, wantFrame(wanted));
    this.spread.schedule("control", this.context.limits.controlFlushMs);
  }

  takeWant(link: Link, nids: readonly Nid[]): void {
    for (const nid of nids) {
      const member = this.members.byNid.get(nid);
      if (member === undefined) continue;
      if (this.members.isLive(member)) this.give(link, member);
      else this.health.correct(link, member.claim);
    }
    this.spread.schedule("control", this.context.limits.controlFlushMs);
  }

  private sum(link: Link): void {
    link.sumAtMs = Number.POSITIVE_INFINITY;
    send(this.context, link, sumFrame(this.hashes()));
  }

  private hashes(): Uint32Array {
    const hashes = new Uint32Array(SUM_BUCKETS);
    for (const member of this.members.byNid.values()) {
      if (!this.members.isLive(member)) continue;
      const { epoch, inc } = member.claim;
      const state = hash32(`${member.nid} ${epoch} ${inc}`, member.cold.digest);
      hashes[bucketOf(member.nid)] ^= state;
    }
    return hashes;
  }

  private entry(member: Member): Have {
    const { epoch, inc } = member.claim;
    const gone = !this.members.isLive(member);
    return { nid: member.nid, epoch, inc, digest: member.cold.digest, gone };
  }

  /** The peer knows what we do not: a newer claim, other cold records, or a death. */
  private lacks(member: Member, entry: Have): boolean {
    if (isAfter(entry, member.claim)) return true;
    if (isAfter(member.claim, entry) || !this.members.isLive(member)) return false;
    return entry.gone || entry.digest !== member.cold.digest;
  }

  private compare(link: Link, member: Member, entry: Have | undefined): void {
    if (this.members.isLive(member)) {
      const same = entry !== undefined && !isAfter(member.claim, entry);
      const newer = entry !== undefined && isAfter(entry, member.claim);
      if (!same || (!newer && !entry.gone && entry.digest !== member.cold.digest)) {
        this.give(link, member);
      }
    } else if (entry !== undefined && !entry.gone && !isAfter(entry, member.claim)) {
      this.health.correct(link, member.claim);
    }
  }

  private give(link: Link, member: Member): void {
    link.queueClaim(member.claim);
    for (const record of member.cold.records.values()) link.queueCold(record);
    if (member.cold.records.size > 0) this.spread.schedule("flush", this.context.limits.flushMs);
  }

  private periodMs(): number {
    return this.context.limits.sumMs * (0.7 + 0.6 * this.context.chance());
  }
}

function inBuckets(buckets: Uint8Array, nid: Nid): boolean {
  const bucket = bucketOf(nid);
  return (buckets[bucket >> 3] & (1 << (bucket & 7))) !== 0;
}
