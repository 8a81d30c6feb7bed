/**
 * Who is dead. Any frame is a heartbeat; a link silent for 1.5 s, or broken without a last word,
 * is dead to this PoP at once and gives a signed accusation. What the fleet concludes needs two
 * accusers (`members.ts`). A PoP that was itself stalled does not count that time as silence of
 * others and accuses nobody for a while: its ears were shut, not the others' mouths.
 */
import type { Millis } from "../grid/units.ts";
import type { Context, LinkId } from "./context.ts";
import { type Link, send } from "./link.ts";
import { isAfter, type Member, type MemberTable } from "./members.ts";
import { pingFrame } from "./message.ts";
import type { Spread } from "./spread.ts";
import { type Accusation, type Claim, makeAccusation, ownedAccusation } from "./statement.ts";

/** A busy link is still asked for its round trip this often. */
const RTT_PING_MS = 10_000;
/** A peer gets at most one pong in this time. */
const PONG_MS = 50;
const TELL_MS = 1000;
const MAX_ACCUSERS = 64;

export class Health {
  private readonly context: Context;
  private readonly members: MemberTable;
  private readonly links: ReadonlyMap<LinkId, Link>;
  private readonly spread: Spread;
  private accusationSeq = 0;
  private dueMs: Millis;
  private quietUntilMs: Millis;

  constructor(
    context: Context,
    members: MemberTable,
    links: ReadonlyMap<LinkId, Link>,
    spread: Spread,
  ) {
    this.context = context;
    this.members = members;
    this.links = links;
    this.spread = spread;
    this.dueMs = context.nowMs + context.limits.tickMs;
    this.quietUntilMs = context.nowMs;
  }

  /** Before every input: was this PoP asleep since its last tick? */
  notice(): void {
    const { nowMs, limits } = this.context;
    const lateMs = nowMs - this.dueMs;
    if (lateMs <= limits.stallMs) return;
    this.context.count("stalls");
    this.dueMs = nowMs;
    this.quietUntilMs = nowMs + limits.silenceMs;
    // The stall itself is no silence of the peer's; what came before it is. Were silence counted
    // from zero, a PoP short of CPU would need seconds to notice a peer that hangs.
    for (const link of this.links.values()) {
      link.lastReceivedMs = Math.min(nowMs, link.lastReceivedMs + lateMs);
    }
    for (const member of this.members.others()) {
      member.newsMs = nowMs;
      if (member.state === "suspect") member.sinceMs = nowMs;
    }
  }

  /** Pings, silent links (returned, for the core to close) and suspicions that ran out. */
  tick(): Link[] {
    const { nowMs, limits } = this.context;
    this.dueMs = nowMs + limits.tickMs;
    const silent: Link[] = [];
    for (const link of this.links.values()) {
      if (!link.open) continue;
      const silentMs = nowMs - link.lastReceivedMs;
      if (silentMs >= limits.silenceMs) silent.push(link);
      else this.ping(link);
    }
    return silent;
  }

  /** Slower upkeep: judges every member, accuses who has been gone for long. */
  review(): void {
    const { nowMs, limits } = this.context;
    const linked = new Set<string | undefined>();
    for (const link of this.links.values()) if (link.open) linked.add(link.peer);
    for (const member of this.members.byNid.values()) {
      if (member === this.members.self || !this.members.isLive(member)) continue;
      // Nobody says anything against it: there is nothing to judge.
      if (member.accused) this.members.judge(member);
      const unlinked = !linked.has(member.nid);
      member.stale = unlinked && nowMs - member.newsMs > limits.staleMs;
      if (member.stale) this.accuse(member);
      if (unlinked && member.linkDead && this.provedAlive(member)) member.linkDead = false;
      this.members.updateRoutable(member);
    }
  }

  /** The last link to a member broke, or fell silent, without a last word. */
  lost(member: Member): void {
    if (!this.members.isLive(member)) return;
    member.linkDead = true;
    member.linkDeadMs = this.context.nowMs;
    this.members.updateRoutable(member);
    this.accuse(member);
  }

  /** A link to the member is open: what we said against it does not hold any more. */
  found(member: Member): void {
    member.linkDead = false;
    member.stale = false;
    member.newsMs = this.context.nowMs;
    const own = member.accusations.get(this.members.self.nid);
    if (own !== undefined && !own.accusation.withdrawn) this.state(member, true);
    this.members.updateRoutable(member);
  }

  accuse(member: Member): void {
    const { nowMs, limits } = this.context;
    if (nowMs < this.quietUntilMs) return;
    const own = member.accusations.get(this.members.self.nid);
    const counts = own !== undefined && !own.accusation.withdrawn && own.untilMs > nowMs;
    if (counts || this.members.accusers(member) >= limits.accusersSpread) return;
    this.state(member, false);
    this.context.event({ type: "accused", nid: member.nid });
  }

  /** Takes another's accusation. True: it is about this PoP as it is now, so refute it. */
  take(link: Link, accusation: Accusation): boolean {
    const { accuser, target, withdrawn } = accusation;
    link.accusations.delete(accuser + target);
    const author = this.members.byNid.get(accuser);
    const member = this.members.byNid.get(target);
    if (author === undefined || member === undefined || author === this.members.self) return false;
    if (isAfter(member.claim, accusation)) {
      // The accuser has not heard the newer claim. After a partition thousands are under way.
      if (withdrawn || link.knowsClaim(member.claim)) return false;
      link.queueClaim(member.claim);
      this.spread.schedule("control", this.context.limits.controlFlushMs);
      return false;
    }
    if (isAfter(accusation, member.claim) || !this.isNews(member, accusation)) return false;
    const { publicKey } = author.certificate;
    const { body, signature } = accusation;
    if (!this.context.keyring.check("accuse", publicKey, body, signature)) {
      this.context.refuse("forged", link.peer);
      return false;
    }
    if (member === this.members.self) return !withdrawn;
    if (!this.members.isLive(member)) return false;
    const kept = ownedAccusation(accusation);
    this.hold(member, kept);
    this.spread.accusation(kept, link);
    return false;
  }

  /** The peer says that a member lives which is gone here: say so, at most once a second. */
  correct(link: Link, claim: Claim): void {
    const { nowMs } = this.context;
    const member = this.members.byNid.get(claim.nid);
    if (member === undefined || isAfter(claim, member.claim)) return;
    if (this.members.isLive(member) || nowMs - member.toldMs < TELL_MS) return;
    if (member.state === "down") {
      if (nowMs < this.quietUntilMs) return;
      link.queueAccusation(this.makeStatement(member, false));
      this.context.event({ type: "accused", nid: member.nid });
    } else link.queueClaim(member.claim);
    member.toldMs = nowMs;
    this.spread.schedule("control", this.context.limits.controlFlushMs);
  }

  takePing(link: Link, frame: Uint8Array): void {
    if (this.context.nowMs - link.pongedMs < PONG_MS) return;
    link.pongedMs = this.context.nowMs;
    send(this.context, link, frame);
  }

  private ping(link: Link): void {
    const { nowMs, limits } = this.context;
    const idle = nowMs - link.lastSentMs >= limits.pingIdleMs;
    const asking = nowMs - link.lastReceivedMs >= limits.pingIdleMs;
    const sinceMs = nowMs - link.pingedMs;
    const unmeasured = link.rttMs === 0 ? limits.pingIdleMs : RTT_PING_MS;
    if (!idle && !(asking && sinceMs >= limits.pingIdleMs) && sinceMs < unmeasured) return;
    link.pingedMs = nowMs;
    send(this.context, link, pingFrame("ping", nowMs));
  }

  /** Without a link of our own: it published after our link broke, so the link was at fault. */
  private provedAlive(member: Member): boolean {
    const meshed = this.members.liveCount <= this.context.limits.fullMeshMax;
    return !meshed && member.newsMs > member.linkDeadMs + this.context.limits.hotMaxMs;
  }

  private isNews(member: Member, { accuser, accuserEpoch, seq }: Accusation): boolean {
    const held = member.accusations.get(accuser)?.accusation;
    if (held === undefined) {
      const enough = this.members.accusers(member) >= this.context.limits.accusersSpread;
      return !enough && member.accusations.size < MAX_ACCUSERS;
    }
    return (
      accuserEpoch > held.accuserEpoch || (accuserEpoch === held.accuserEpoch && seq > held.seq)
    );
  }

  private state(member: Member, withdrawn: boolean): void {
    const accusation = this.makeStatement(member, withdrawn);
    this.hold(member, accusation);
    this.spread.accusation(accusation);
  }

  private hold(member: Member, accusation: Accusation): void {
    const untilMs = this.context.nowMs + this.context.limits.accuseMs;
    member.accusations.set(accusation.accuser, { accusation, untilMs });
    member.accused = true;
    this.members.judge(member);
  }

  private makeStatement(member: Member, withdrawn: boolean): Accusation {
    const { self } = this.members;
    return makeAccusation(this.context.keyring, {
      accuser: self.nid,
      accuserEpoch: self.claim.epoch,
      seq: ++this.accusationSeq,
      target: member.nid,
      epoch: member.claim.epoch,
      inc: member.claim.inc,
      withdrawn,
    });
  }
}
