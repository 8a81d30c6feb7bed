/**
 * Spreading: what a PoP learns goes once to each neighbour that does not have it. Membership and
 * accusations go first and soon; cold records and load reports wait 25 ms for company, which also
 * lets the neighbour say first what it knows (then it is not told again). Own load goes at once.
 */
import type { Millis } from "../grid/units.ts";
import { encode, Reader } from "./codec.ts";
import { FLOOR_KEY } from "./cold.ts";
import type { Context, LinkId, TimerId } from "./context.ts";
import { type Bound, type Link, send } from "./link.ts";
import { MAX_SIGNATURE_BYTES, type Nid, nidToBytes, ROLE } from "./identity.ts";
import type { Member, MemberTable } from "./members.ts";
import {
  type Alias,
  aliasFrame,
  type HotItem,
  type HotReports,
  hotFrame,
  MAX_HOT,
  rebindFrame,
  signedFrame,
} from "./message.ts";
import type { Accusation, Claim, ColdRecord, Signed } from "./statement.ts";

/** Room that a frame's own header may take. */
const HEADER_BYTES = 64;
const SIGNED_HEADER_BYTES = 16;
/** Load reports that may come at once after a quiet time, beyond ten a second. */
const SEQ_SLACK = 64;
const SEQ_PER_MS = 0.01;
const REBIND_MS = 1000;
/** For so long after a key change old signatures may still be on their way. */
const KEY_GRACE_MS = 60_000;

export class Spread {
  private readonly context: Context;
  private readonly members: MemberTable;
  private readonly links: ReadonlyMap<LinkId, Link>;
  private readonly timers = new Map<TimerId, Millis>();
  /** Links whose peer asked for reports of others: in a whole mesh none. */
  private readonly relaying = new Set<Link>();

  constructor(context: Context, members: MemberTable, links: ReadonlyMap<LinkId, Link>) {
    this.context = context;
    this.members = members;
    this.links = links;
  }

  /** Asks for a timer unless an earlier one of the same id is set. */
  schedule(id: TimerId, delayMs: Millis): void {
    const atMs = this.context.nowMs + delayMs;
    if ((this.timers.get(id) ?? Number.POSITIVE_INFINITY) <= atMs) return;
    this.timers.set(id, atMs);
    this.context.emit({ kind: "timer", id, atMs });
  }

  /** Not deleted: a Map of which things are deleted has to be made anew. */
  fired(id: TimerId): void {
    this.timers.set(id, Number.POSITIVE_INFINITY);
  }

  claim(claim: Claim, from?: Link): void {
    for (const link of this.flooded(from)) if (!link.knowsClaim(claim)) link.queueClaim(claim);
    this.schedule("control", this.context.limits.controlFlushMs);
  }

  accusation(accusation: Accusation, from?: Link): void {
    for (const link of this.flooded(from)) link.queueAccusation(accusation);
    this.schedule("control", this.context.limits.controlFlushMs);
  }

  cold(record: ColdRecord, from?: Link): void {
    for (const link of this.flooded(from)) link.queueCold(record);
    this.schedule("flush", this.context.limits.flushMs);
  }

  /** A new report of this PoP: to every neighbour at once. */
  ownHot(content: Uint8Array): void {
    const { self } = this.members;
    const seq = (self.hot?.seq ?? 0) + 1;
    const payload = this.signHot(seq, content);
    const receivedMs = this.context.nowMs;
    const version = ++self.hotVersion;
    this.members.setHot(self, { seq, payload, content, ageMs: 0, receivedMs, version });
    // Nothing in it depends on the link but the numbers that were announced there.
    const item = { ref: self.slot, seq, ageMs: 0, payload };
    let frame: Uint8Array | undefined;
    for (const link of this.flooded()) {
      if (link.dirty.size === 0 && link.announced[self.slot] === self.claim.epoch) {
        if (link.buffered > this.context.limits.softBufferBytes) {
          link.dirty.add(self.slot);
          continue;
        }
        link.known[self.slot] = version;
        frame ??= hotFrame(receivedMs, [item]);
        send(this.context, link, frame);
      } else {
        link.dirty.add(self.slot);
        this.flushHot(link);
      }
    }
  }

  /** Takes a HOT frame; a report that is not newer, or not plausible, changes nothing. */
  takeHot(link: Link, sentMs: number, reports: HotReports): void {
    const transitMs = link.transitMs(sentMs, this.context.nowMs);
    const unbound: number[] = [];
    const { seq: seqs, version, tenure } = this.members.reports;
    for (let at = 0; at < reports.count; at++) {
      const bound = link.refs.get(reports.refs[at]);
      // A ref of an epoch that is over was replayed, or its successor was lost.
      const fits = bound !== undefined && (tenure[bound.slot] === bound.tenure || this.find(bound));
      if (bound === undefined || (!fits && this.isOver(bound))) unbound.push(reports.refs[at]);
      if (!fits) continue;
      const { slot } = bound;
      const seq = reports.seqs[at];
      if (seq > seqs[slot]) this.putHot(link, slot, reports, at, transitMs);
      else if (seq === seqs[slot] && version[slot] > 0) link.known[slot] = version[slot];
    }
    if (unbound.length === 0 || this.context.nowMs - link.reboundMs < REBIND_MS) return;
    link.reboundMs = this.context.nowMs;
    send(this.context, link, rebindFrame(unbound));
  }

  /** The peer lost what our refs stand for: they are announced with the next reports. */
  rebind(link: Link, refs: readonly number[]): void {
    for (const ref of refs) {
      if (this.members.bySlot[ref] === undefined) continue;
      delete link.announced[ref];
      link.dirty.add(ref);
    }
    this.schedule("flush", this.context.limits.flushMs);
  }

  takeCold(link: Link, records: readonly ColdRecord[]): void {
    for (const record of records) {
      const key = `${record.nid}/${record.key}`;
      if ((link.cold.get(key)?.seq ?? record.seq + 1) <= record.seq) link.cold.delete(key);
      const member = this.members.byNid.get(record.nid);
      if (member === undefined || member === this.members.self) continue;
      if (member.claim.epoch !== record.epoch || !this.members.isLive(member)) continue;
      if (!member.cold.isNews(record) || !this.genuine(link, member, record)) continue;
      member.cold.put(record);
      if (record.key !== FLOOR_KEY) {
        const { nid, key: name, value } = record;
        this.context.event({ type: "cold", nid, key: name, value });
      }
      this.cold(record, link);
    }
  }

  flushControl(): void {
    for (const link of this.links.values()) if (link.open) this.flushControlOf(link);
  }

  flush(): void {
    let more = false;
    for (const link of this.links.values()) {
      if (!link.open) continue;
      this.flushControlOf(link);
      if (link.buffered > this.context.limits.softBufferBytes) continue;
      this.flushCold(link);
      this.flushHot(link);
      more ||= link.cold.size > 0 || link.dirty.size > 0;
    }
    if (more) this.schedule("flush", this.context.limits.flushMs);
  }

  /** Everything that this PoP holds and the link's peer asked for waits to be sent to it. */
  offerHot(link: Link): void {
    for (const member of this.members.byNid.values()) {
      if (member.hot !== undefined && link.wantsHotOf(member, this.members.self)) {
        link.dirty.add(member.slot);
      }
    }
    this.schedule("flush", this.context.limits.flushMs);
  }

  /** The peer wants all reports, or those of `nids`. */
  takeRelay(link: Link, all: boolean, nids: readonly Nid[]): void {
    link.wantsAll = all;
    link.wants.clear();
    for (const nid of nids) link.wants.add(nid);
    if (link.relays) this.relaying.add(link);
    else this.relaying.delete(link);
    this.offerHot(link);
  }

  /** What comes is passed on. */
  get relays(): boolean {
    return this.relaying.size > 0;
  }

  closed(link: Link): void {
    this.relaying.delete(link);
  }

  private *flooded(except?: Link): IterableIterator<Link> {
    for (const link of this.links.values()) if (link.floods && link !== except) yield link;
  }

  private signHot(seq: number, content: Uint8Array): Uint8Array {
    if (this.context.options.signHot === "none") return content;
    const body = this.hotBody(this.members.self, seq, content);
    return encode([content, this.context.keyring.sign("hot", body)]);
  }

  private hotBody(member: Member, seq: number, content: Uint8Array): Uint8Array {
    return encode([nidToBytes(member.nid), member.claim.epoch, seq, content]);
  }

  /** The content of a report as it travelled; undefined when its signature does not hold. */
  private hotContent(member: Member, seq: number, payload: Uint8Array): Uint8Array | undefined {
    if (this.context.options.signHot === "none") return payload;
    const reader = new Reader(payload);
    reader.array(2, 2);
    const content = reader.bin(0, this.context.limits.hotBytes);
    const signature = reader.bin(1, MAX_SIGNATURE_BYTES);
    reader.end();
    const body = this.hotBody(member, seq, content);
    const { publicKey } = member.certificate;
    return this.context.keyring.check("hot", publicKey, body, signature) ? content : undefined;
  }

  private putHot(
    link: Link,
    slot: number,
    reports: HotReports,
    at: number,
    transitMs: Millis,
  ): void {
    const { nowMs } = this.context;
    const member = this.members.bySlot[slot] as Member;
    const held = member.hot;
    const seq = reports.seqs[at];
    const ageMs = reports.agesMs[at] + transitMs;
    if (held !== undefined) {
      // A relay must not lock the author out by a seq that the author cannot have reached.
      const passedMs = nowMs - held.receivedMs + held.ageMs;
      if (seq > held.seq + SEQ_SLACK + passedMs * SEQ_PER_MS) {
        this.context.count("seq-jump");
        return;
      }
    }
    const payload = reports.payload(at);
    const content = this.hotContent(member, seq, payload);
    if (content === undefined) {
      this.context.refuse("forged", link.peer);
      return;
    }
    const version = ++member.hotVersion;
    this.members.setHot(member, { seq, payload, content, ageMs, receivedMs: nowMs, version });
    member.newsMs = Math.max(member.newsMs, nowMs - ageMs);
    link.known[member.slot] = version;
    this.context.event({ type: "hot", nid: member.nid });
    if ((this.members.self.certificate.roles & ROLE.leaf) === 0) this.passOn(member, link);
  }

  /** Looks up whom a ref stands for. False: nobody here whose reports of that epoch count. */
  private find(bound: Bound): boolean {
    const member = this.members.byNid.get(bound.nid);
    if (member === undefined || member === this.members.self) return false;
    if (bound.epoch !== member.claim.epoch || !this.members.isLive(member)) return false;
    bound.slot = member.slot;
    bound.tenure = this.members.reports.tenure[member.slot];
    return true;
  }

  private isOver(bound: Bound): boolean {
    const member = this.members.byNid.get(bound.nid);
    return member !== undefined && bound.epoch < member.claim.epoch;
  }

  private passOn(member: Member, from: Link): void {
    let waits = false;
    for (const link of this.relaying) {
      if (link === from || !link.floods || link.peer === member.nid) continue;
      if (!link.wantsAll && !link.wants.has(member.nid)) continue;
      link.dirty.add(member.slot);
      waits = true;
    }
    if (waits) this.schedule("flush", this.context.limits.flushMs);
  }

  private genuine(link: Link, member: Member, record: ColdRecord): boolean {
    const { coldKeys, coldBytes } = this.context.limits;
    const { publicKey } = member.certificate;
    if (!this.context.keyring.check("cold", publicKey, record.body, record.signature)) {
      const settled = this.context.nowMs - member.keySinceMs > KEY_GRACE_MS;
      this.context.refuse(settled ? "forged" : "old-key", link.peer);
      return false;
    }
    const { value, key } = record;
    const isClaim = value !== null && key !== FLOOR_KEY;
    if (isClaim && !this.context.options.accept(member.certificate, key, value)) {
      this.context.refuse("not-accepted", record.nid);
      return false;
    }
    if (member.cold.fits(record, coldKeys + 1, coldBytes)) return true;
    this.context.refuse("cold-full", record.nid);
    return false;
  }

  private flushControlOf(link: Link): void {
    this.flushSigned(link, "member", link.claims);
    this.flushSigned(link, "accuse", link.accusations);
  }

  /** Sends and forgets everything that waits, in as many frames as it takes. */
  private flushSigned<T extends Signed & { certificate?: Uint8Array }>(
    link: Link,
    kind: "member" | "accuse",
    waiting: Map<string, T>,
  ): void {
    if (waiting.size === 0) return;
    const room = this.context.limits.frameBytes - HEADER_BYTES;
    let batch: T[] = [];
    let bytes = 0;
    for (const statement of waiting.values()) {
      const size = sizeOf(statement);
      if (bytes + size > room || batch.length >= 1024) {
        send(this.context, link, signedFrame(kind, batch));
        batch = [];
        bytes = 0;
      }
      batch.push(statement);
      bytes += size;
    }
    send(this.context, link, signedFrame(kind, batch));
    waiting.clear();
  }

  /** Small records first, and no more than the link's share of bytes. */
  private flushCold(link: Link): void {
    if (link.cold.size === 0) return;
    const waiting = [...link.cold].sort((a, b) => sizeOf(a[1]) - sizeOf(b[1]));
    const batch: ColdRecord[] = [];
    let bytes = 0;
    for (const [key, record] of waiting) {
      bytes += sizeOf(record);
      if (batch.length > 0 && bytes > this.context.limits.coldFlushBytes) break;
      batch.push(record);
      link.cold.delete(key);
    }
    send(this.context, link, signedFrame("cold", batch));
  }

  private flushHot(link: Link): void {
    if (link.dirty.size === 0 || link.buffered > this.context.limits.softBufferBytes) return;
    const { nowMs, limits } = this.context;
    const { reports } = this.members;
    const aliases: Alias[] = [];
    const items: HotItem[] = [];
    let bytes = 0;
    for (const slot of link.dirty) {
      if (items.length >= MAX_HOT || bytes > limits.frameBytes - 2 * limits.hotBytes) break;
      link.dirty.delete(slot);
      const told = link.known[slot] === reports.version[slot];
      if (told && link.announced[slot] === reports.epoch[slot]) continue;
      const member = this.members.bySlot[slot];
      const hot = member?.hot;
      if (member === undefined || hot === undefined || link.peer === member.nid) continue;
      const { epoch } = member.claim;
      if (link.announced[slot] !== epoch) {
        aliases.push({ ref: slot, nid: member.nid, epoch });
        link.announced[slot] = epoch;
      }
      link.known[slot] = hot.version;
      const ageMs = hot.ageMs + nowMs - hot.receivedMs;
      items.push({ ref: slot, seq: hot.seq, ageMs, payload: hot.payload });
      bytes += hot.payload.length + SIGNED_HEADER_BYTES;
    }
    if (aliases.length > 0) send(this.context, link, aliasFrame(aliases));
    if (items.length > 0) send(this.context, link, hotFrame(nowMs, items));
  }
}

function sizeOf({ body, signature, certificate }: Signed & { certificate?: Uint8Array }): number {
  return body.length + signature.length + (certificate?.length ?? 0) + SIGNED_HEADER_BYTES;
}
