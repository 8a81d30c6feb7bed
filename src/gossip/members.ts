/**
 * Who is in the grid, as one PoP sees it. A member is ordered by (epoch, incarnation): no evidence
 * ever moves it back. At one (epoch, incarnation) it goes alive, suspect, down; LEFT is final for
 * its epoch. Suspicion needs two distinct signed accusers (one among three PoPs or fewer) and can
 * be withdrawn or refuted; unrefuted it becomes DOWN. DOWN and LEFT stay as graves for a day, so
 * that an old claim cannot raise the dead.
 */
import type { Millis } from "../grid/units.ts";
import { ColdMap } from "./cold.ts";
import type { Context, MemberState } from "./context.ts";
import { type Certificate, type Nid, sameBytes } from "./identity.ts";
import { type Accusation, type Claim, ownedClaim } from "./statement.ts";

/** The last load report of a member. */
export interface Hot {
  seq: number;
  /** As it travels: the content, or content and signature where reports are signed. */
  payload: Uint8Array;
  content: Uint8Array;
  /** Its age when it came here, and when that was. */
  ageMs: Millis;
  receivedMs: Millis;
  /** Counts reports accepted here: cheap to compare per link. */
  version: number;
}

/**
 * By slot, what a load report that comes is compared with. Most reports are known by another
 * neighbour already; columns answer that without a look at the member, which is not in the cache.
 */
export class ReportColumns {
  /** Reports up to this are old. */
  readonly seq: number[] = [];
  /** Of the report that is held; 0: none. */
  readonly version: number[] = [];
  readonly epoch: number[] = [];
  /** Changes with who has the slot, its epoch, and whether it lives. */
  readonly tenure: number[] = [];
}

export interface HeldAccusation {
  accusation: Accusation;
  untilMs: Millis;
}

export interface Member {
  readonly nid: Nid;
  /** Small number of this member here; names it in HOT frames that this PoP sends. */
  readonly slot: number;
  claim: Claim;
  certificate: Certificate;
  /** When its public key last changed here: old signatures may still be on their way. */
  keySinceMs: Millis;
  state: MemberState;
  /** When it got into `state`. */
  sinceMs: Millis;
  /** By accuser, at the member's present (epoch, incarnation); withdrawn and run-out ones too. */
  accusations: Map<Nid, HeldAccusation>;
  /** There are some. */
  accused: boolean;
  /** Written by `MemberTable.setHot` only. */
  hot: Hot | undefined;
  hotVersion: number;
  /** Reports up to this seq are old, though none is held. */
  leastSeq: number;
  cold: ColdMap;
  /** Last sign of life by any way: a claim or a newer load report. */
  newsMs: Millis;
  /** Our own link to it died and did not come back: not routable for us. */
  linkDead: boolean;
  linkDeadMs: Millis;
  /** Neither a link nor news of it for long: not routable for us. */
  stale: boolean;
  /** Live, and neither `linkDead` nor `stale`: what was sent there may still come back. */
  reachable: boolean;
  /** Reachable and not suspect: new work may go there. */
  routable: boolean;
  /** Least round trip measured to it; undefined: never. */
  rttMs: Millis | undefined;
  jitterMs: Millis;
  dialAttempts: number;
  dialAtMs: Millis;
  /** We told somebody that it is down, last. */
  toldMs: Millis;
}

export type ClaimOutcome = "news" | "same" | "old" | "refused" | "forged";

/** Lexicographic order of (epoch, incarnation). */
export function isAfter(
  a: { epoch: number; inc: number },
  b: { epoch: number; inc: number },
): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.inc > b.inc);
}

export class MemberTable {
  readonly byNid = new Map<Nid, Member>();
  readonly bySlot: (Member | undefined)[] = [];
  readonly reports = new ReportColumns();
  readonly self: Member;
  private readonly context: Context;
  private live = 1;
  private tenures = 0;

  constructor(context: Context, claim: Claim, certificate: Certificate) {
    this.context = context;
    this.self = this.add(claim, certificate);
  }

  /** Members neither down nor left, this PoP included. */
  get liveCount(): number {
    return this.live;
  }

  /** Accusers needed: two, or one where there is nobody to be the second. */
  get quorum(): number {
    return this.live <= 3 ? 1 : 2;
  }

  *others(): IterableIterator<Member> {
    for (const member of this.byNid.values()) if (member !== this.self) yield member;
  }

  isLive(member: Member): boolean {
    return member.state === "alive" || member.state === "suspect";
  }

  /**
   * Takes a claim of another PoP. Forged: its signature or certificate does not hold. One that was
   * good while its certificate was is no fault of who passes it on: others knew the PoP before.
   */
  applyClaim(claim: Claim): ClaimOutcome {
    const member = this.byNid.get(claim.nid);
    if (member !== undefined && !isAfter(claim, member.claim)) {
      return sameBytes(claim.body, member.claim.body) ? "same" : "old";
    }
    const { epochAheadMs, maxMembers } = this.context.limits;
    if (claim.epoch > this.context.unixMs + epochAheadMs) return "refused";
    if (member !== undefined && member.claim.epoch === claim.epoch) {
      const clone = member.claim.instance !== claim.instance;
      if (clone || member.state === "left") return "refused";
    }
    const certificate = this.verify(claim, member);
    if (certificate === undefined) return "forged";
    const isKnown = member !== undefined && certificate === member.certificate;
    if (!isKnown && certificate.notAfterS < this.context.unixS) return "refused";
    if (member !== undefined) this.renew(member, ownedClaim(claim), certificate);
    else if (this.byNid.size < maxMembers || this.buryOldest()) {
      this.add(ownedClaim(claim), certificate);
    } else return "refused";
    return "news";
  }

  /** The own claim, already signed. */
  applyOwn(claim: Claim, certificate: Certificate): void {
    this.renew(this.self, claim, certificate);
  }

  setState(member: Member, state: MemberState): void {
    if (member.state === state) return;
    const was = this.isLive(member);
    member.state = state;
    member.sinceMs = this.context.nowMs;
    const is = this.isLive(member);
    if (was !== is) this.live += is ? 1 : -1;
    if (!is && member.hot !== undefined) {
      // Should it come back in this epoch, an old report must not pass for a new one.
      member.leastSeq = member.hot.seq;
      member.hot = undefined;
    }
    this.column(member);
    // A DOWN member keeps its cold state: tombstones must hold when it proves to be alive.
    if (state === "left") member.cold = new ColdMap();
    this.announce(member);
    this.updateRoutable(member);
  }

  setHot(member: Member, hot: Hot): void {
    member.hot = hot;
    this.reports.seq[member.slot] = hot.seq;
    this.reports.version[member.slot] = hot.version;
  }

  /** Distinct accusers that count now. */
  accusers(member: Member): number {
    let active = 0;
    if (!member.accused) return active;
    for (const { accusation, untilMs } of member.accusations.values()) {
      if (!accusation.withdrawn && untilMs > this.context.nowMs) active++;
    }
    return active;
  }

  /** Draws the conclusion from the accusations held and the time passed. */
  judge(member: Member): void {
    if (!this.isLive(member) || member === this.self) return;
    const active = this.accusers(member);
    if (member.state === "alive" && active >= this.quorum) this.setState(member, "suspect");
    else if (member.state === "suspect" && active < this.quorum) this.setState(member, "alive");
    if (member.state !== "suspect") return;
    const waited = this.context.nowMs - member.sinceMs;
    if (waited >= this.context.limits.suspectMs) this.setState(member, "down");
  }

  updateRoutable(member: Member): void {
    const reachable = this.isLive(member) && !member.linkDead && !member.stale;
    const routable = reachable && member.state === "alive";
    if (routable === member.routable && reachable === member.reachable) return;
    member.routable = routable;
    member.reachable = reachable;
    this.context.event({ type: "routable", nid: member.nid, routable, reachable });
  }

  /** Forgets graves older than a day. */
  sweep(): void {
    const beforeMs = this.context.nowMs - this.context.limits.graveMs;
    for (const member of this.others()) {
      if (!this.isLive(member) && member.sinceMs < beforeMs) this.forget(member);
    }
  }

  private verify(claim: Claim, member: Member | undefined): Certificate | undefined {
    const { keyring } = this.context;
    const known = member !== undefined && sameBytes(member.certificate.bytes, claim.certificate);
    const certificate = known ? member.certificate : keyring.certificate(claim.certificate, 0);
    if (certificate === undefined || certificate.nid !== claim.nid) return undefined;
    const genuine = keyring.check("claim", certificate.publicKey, claim.body, claim.signature);
    return genuine ? certificate : undefined;
  }

  private renew(member: Member, claim: Claim, certificate: Certificate): void {
    const rekeyed = !sameBytes(member.certificate.publicKey, certificate.publicKey);
    if (rekeyed) member.keySinceMs = this.context.nowMs;
    if (claim.epoch > member.claim.epoch) {
      member.hot = undefined;
      member.leastSeq = 0;
    }
    if (rekeyed || claim.epoch > member.claim.epoch) member.cold = new ColdMap();
    member.claim = claim;
    member.certificate = certificate;
    this.column(member);
    member.accusations.clear();
    member.accused = false;
    member.newsMs = this.context.nowMs;
    member.dialAttempts = 0;
    member.dialAtMs = this.context.nowMs;
    const state = claim.left ? "left" : "alive";
    if (member.state === state) this.announce(member);
    else this.setState(member, state);
  }

  private add(claim: Claim, certificate: Certificate): Member {
    const nowMs = this.context.nowMs;
    let slot = this.bySlot.indexOf(undefined);
    if (slot < 0) slot = this.bySlot.length;
    const member: Member = {
      nid: claim.nid,
      slot,
      claim,
      certificate,
      keySinceMs: nowMs,
      state: claim.left ? "left" : "alive",
      sinceMs: nowMs,
      accusations: new Map(),
      accused: false,
      hot: undefined,
      hotVersion: 0,
      leastSeq: 0,
      cold: new ColdMap(),
      newsMs: nowMs,
      linkDead: false,
      linkDeadMs: 0,
      stale: false,
      reachable: false,
      routable: false,
      rttMs: undefined,
      jitterMs: 0,
      dialAttempts: 0,
      dialAtMs: nowMs,
      toldMs: Number.NEGATIVE_INFINITY,
    };
    this.bySlot[slot] = member;
    this.byNid.set(member.nid, member);
    this.column(member);
    if (this.byNid.size > 1 && this.isLive(member)) this.live++;
    this.announce(member);
    this.updateRoutable(member);
    return member;
  }

  /** Who, epoch or liveness of a slot changed: what links found out about it is void. */
  private column(member: Member): void {
    const { slot, hot, leastSeq, claim } = member;
    const { reports } = this;
    reports.seq[slot] = hot?.seq ?? leastSeq;
    reports.version[slot] = hot?.version ?? 0;
    reports.epoch[slot] = claim.epoch;
    reports.tenure[slot] = ++this.tenures;
  }

  private announce({ nid, state, claim }: Member): void {
    const { epoch, inc } = claim;
    this.context.event({ type: "member", nid, state, epoch, inc });
  }

  /** Makes room in a full table; false when everybody is live. */
  private buryOldest(): boolean {
    let oldest: Member | undefined;
    for (const member of this.others()) {
      if (this.isLive(member)) continue;
      if (oldest === undefined || member.sinceMs < oldest.sinceMs) oldest = member;
    }
    if (oldest !== undefined) this.forget(oldest);
    return oldest !== undefined;
  }

  private forget(member: Member): void {
    this.byNid.delete(member.nid);
    this.bySlot[member.slot] = undefined;
    this.reports.tenure[member.slot] = ++this.tenures;
    this.context.count("forgotten");
  }
}
