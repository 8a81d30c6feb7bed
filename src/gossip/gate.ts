/**
 * The door of the core: which links come in, which peers are turned away, how links end. A peer
 * that breaks the schema, or passes on forgeries, three times in a minute is banned here for five;
 * that is our own judgement and is told to nobody.
 */
import type { Millis } from "../grid/units.ts";
import type { Calls } from "./calls.ts";
import type { Context, LinkId } from "./context.ts";
import { diallerWins, sayHello, takeAuth, takeHello } from "./handshake.ts";
import type { Health } from "./health.ts";
import type { Nid } from "./identity.ts";
import { FOLLOWER, Link, NEIGHBOUR, send } from "./link.ts";
import type { MemberTable } from "./members.ts";
import { goawayFrame, type Hello, signedFrame, welcomeFrame } from "./message.ts";
import type { Prefixes } from "./prefix.ts";
import type { Spread } from "./spread.ts";
import type { Sync } from "./sync.ts";
import type { Topology } from "./topology.ts";

/** A PoP with enough neighbours asks to be left alone this long. */
const FULL_MS = 5000;

/** The other parts, which the door opens to and tells of links that end. */
export interface GateParts {
  members: MemberTable;
  links: Map<LinkId, Link>;
  spread: Spread;
  health: Health;
  topology: Topology;
  sync: Sync;
  prefixes: Prefixes;
  calls: Calls;
}

export class Gate {
  private readonly context: Context;
  private readonly parts: GateParts;
  private readonly links: Map<LinkId, Link>;
  private readonly members: MemberTable;
  private readonly breaches = new Map<Nid, Millis[]>();
  private readonly bans = new Map<Nid, Millis>();

  constructor(context: Context, parts: GateParts) {
    this.context = context;
    this.parts = parts;
    this.links = parts.links;
    this.members = parts.members;
  }

  /** Forgets bans and breaches that ran out. */
  sweep(): void {
    const { nowMs, limits } = this.context;
    for (const [nid, untilMs] of this.bans) if (untilMs <= nowMs) this.bans.delete(nid);
    for (const [nid, times] of this.breaches) {
      if (times.every((atMs) => nowMs - atMs > limits.breachWindowMs)) this.breaches.delete(nid);
    }
  }

  /**
   * Closes links whose hello does not come, and those that cannot be written to. One that can be
   * again gets what waited for it.
   */
  watchLinks(): void {
    const { nowMs, limits } = this.context;
    for (const link of this.links.values()) {
      if (!link.open && nowMs - link.upMs > limits.handshakeMs) this.drop(link, "handshake");
      const waits = link.dirty.size > 0 || link.cold.size > 0;
      if (waits && link.buffered <= limits.softBufferBytes) {
        this.parts.spread.schedule("flush", limits.flushMs);
      }
      if (link.buffered <= limits.hardBufferBytes) link.overSinceMs = undefined;
      else link.overSinceMs ??= nowMs;
      const overMs = nowMs - (link.overSinceMs ?? nowMs);
      if (overMs > limits.hardBufferMs) this.drop(link, "slow");
    }
  }

  linkUp(id: LinkId, dialled: string | undefined): void {
    if (dialled !== undefined) this.parts.topology.ended(dialled, true);
    if (this.links.size >= this.context.limits.maxLinks || this.members.self.claim.left) {
      this.context.emit({ kind: "close", link: id, reason: "full" });
      return;
    }
    const link = new Link(this.context, id, dialled);
    this.links.set(id, link);
    const follows = dialled !== undefined && this.parts.topology.isFollow(dialled);
    sayHello(this.context, link, this.members.self, follows ? FOLLOWER : NEIGHBOUR);
  }

  linkTo(nid: Nid): Link | undefined {
    for (const link of this.links.values()) if (link.open && link.peer === nid) return link;
    return undefined;
  }

  hello(link: Link, hello: Hello): void {
    const reason = takeHello(this.context, link, this.members.self, hello);
    const banned = (this.bans.get(link.peer ?? "") ?? 0) > this.context.nowMs;
    if (reason === undefined && !banned) return;
    this.context.refuse(reason ?? "banned", link.peer);
    this.part(link, reason ?? "banned", this.context.limits.dialMaxMs);
  }

  auth(link: Link, signature: Uint8Array): void {
    if (!takeAuth(this.context, link, signature)) {
      this.context.refuse("auth", link.peer);
      this.part(link, "auth", this.context.limits.dialMaxMs);
      return;
    }
    if (this.isDuplicate(link)) return;
    const asks = link.dialled === undefined && link.role === NEIGHBOUR;
    if (asks && !this.parts.topology.admits(link)) {
      // A newcomer that we have no room for must learn of others who may have.
      const claims = this.parts.topology.acquaintances().map(({ claim }) => claim);
      send(this.context, link, signedFrame("member", [this.members.self.claim, ...claims]));
      this.part(link, "full", FULL_MS);
      return;
    }
    link.phase = "open";
    const member = this.members.byNid.get(link.peer as Nid);
    const gone = member !== undefined && !this.members.isLive(member);
    send(this.context, link, welcomeFrame(member?.claim, gone));
    link.queueClaim(this.members.self.claim);
    this.parts.spread.flushControl();
    if (member !== undefined) this.parts.health.found(member);
    this.parts.prefixes.opened(link);
    if (link.role === FOLLOWER) return;
    this.parts.sync.opened(link);
    this.parts.spread.offerHot(link);
  }

  /** Two links between two PoPs: the one that the lower id dialled stays, else the newer one. */
  private isDuplicate(link: Link): boolean {
    for (const other of this.links.values()) {
      if (other === link || !other.open || other.peer !== link.peer) continue;
      if (other.role !== link.role) continue;
      const wins = diallerWins(this.members.self.nid, link);
      const same = (other.dialled === undefined) === (link.dialled === undefined);
      if (same || wins) this.part(other, "duplicate", 0);
      else {
        this.part(link, "duplicate", 0);
        return true;
      }
    }
    return false;
  }

  /** The peer broke schema or order, or passed on a forgery. Three in a minute: banned here. */
  breach(link: Link, reason: string): void {
    this.context.refuse(reason, link.peer);
    if (!link.open) {
      this.part(link, reason, this.context.limits.dialMaxMs);
      return;
    }
    const { nowMs, limits } = this.context;
    const nid = link.peer as Nid;
    const recent = (this.breaches.get(nid) ?? []).filter(
      (atMs) => nowMs - atMs < limits.breachWindowMs,
    );
    recent.push(nowMs);
    this.breaches.set(nid, recent);
    if (recent.length < limits.breaches) return;
    this.breaches.delete(nid);
    this.bans.set(nid, nowMs + limits.banMs);
    this.context.refuse("banned", nid);
    this.part(link, "banned", limits.banMs);
  }

  /** Ends a link with a last word, so that the peer does not take it for a death. */
  part(link: Link, reason: string, retryAfterMs: Millis): void {
    send(this.context, link, goawayFrame(reason, retryAfterMs));
    link.parted = true;
    this.drop(link, reason);
  }

  drop(link: Link, reason: string): void {
    this.context.emit({ kind: "close", link: link.id, reason });
    this.closed(link);
  }

  closed(link: Link): void {
    if (!this.links.delete(link.id)) return;
    this.parts.prefixes.closed(link);
    this.parts.spread.closed(link);
    this.parts.calls.closed(link);
    const member = this.members.byNid.get(link.peer ?? "");
    if (member === undefined || !link.open || this.linkTo(member.nid) !== undefined) return;
    const { nowMs, limits } = this.context;
    member.dialAtMs = Math.max(member.dialAtMs, nowMs + this.context.chance() * limits.dialMinMs);
    if (!link.parted && link.role === NEIGHBOUR) this.parts.health.lost(member);
  }
}
