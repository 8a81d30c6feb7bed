/**
 * Who links to whom. Up to `fullMeshMax` live PoPs everybody links to everybody; above that each
 * keeps about eight neighbours: the two next to it on a ring of hashed ids, which hold the grid
 * together and are never given up, some with a low round trip, the rest at random. Everybody knows
 * all members, so candidates need no protocol of their own. Who is DOWN or LEFT, and seeds, are
 * dialled for ever, one at a time, so that partitions heal and the returned are found unaided.
 */
import type { Millis } from "../grid/units.ts";
import { hash32 } from "./cold.ts";
import type { Context, LinkId } from "./context.ts";
import { ROLE } from "./identity.ts";
import { type Link, send } from "./link.ts";
import type { Member, MemberTable } from "./members.ts";
import { relayFrame } from "./message.ts";

/** The PoP with the higher id leaves the lower one this long to dial. */
const YIELD_MS = 1000;
const DIAL_TIMEOUT_MS = 10_000;
/** Neighbours kept for their low round trip. */
const NEAR = 4;
const NEAR_SHARE = 0.5;
const MIN_AGE_MS = 10_000;
/** A link to try, for a lower round trip; each costs a state of some 10 KB and another link. */
const EXPLORE_MS = 60_000;
/** Peers asked to relay what no link of ours brings. */
const RELAYS = 2;
/** What a neighbour can be asked for, beside a list of ids. */
const ALL = "all";
const NOTHING = "nothing";
const LEAF_LINKS = 3;
const ACQUAINTANCES = 16;
/** Links given up in one review when a mesh turns into an overlay. */
export const MAX_PARTINGS = 8;

interface Dial {
  startedMs: Millis;
}

interface Seed {
  attempts: number;
  atMs: Millis;
}

export class Topology {
  private readonly context: Context;
  private readonly members: MemberTable;
  private readonly links: ReadonlyMap<LinkId, Link>;
  private readonly follows = new Set<string>();
  private readonly dials = new Map<string, Dial>();
  private readonly seeds: Map<string, Seed>;
  private rescueAtMs: Millis;
  private exploreAtMs: Millis;

  constructor(context: Context, members: MemberTable, links: ReadonlyMap<LinkId, Link>) {
    this.context = context;
    this.members = members;
    this.links = links;
    const own = context.options.address;
    const others = context.options.seeds.filter((seed) => seed !== own);
    this.seeds = new Map(others.map((seed) => [seed, { attempts: 0, atMs: context.nowMs }]));
    this.rescueAtMs = context.nowMs + context.chance() * context.limits.rescueDialMs;
    this.exploreAtMs = context.nowMs + EXPLORE_MS * (1 + context.chance());
  }

  get meshed(): boolean {
    return this.members.liveCount <= this.context.limits.fullMeshMax;
  }

  /** Links that carry the flood. */
  get degree(): number {
    let degree = 0;
    for (const link of this.links.values()) if (link.floods) degree++;
    return degree;
  }

  /** Whether one more neighbour that dialled us is welcome. */
  admits(link: Link): boolean {
    if (this.meshed || this.degree <= this.context.limits.degreeMax) return true;
    return link.peer !== undefined && this.ring().some(({ nid }) => nid === link.peer);
  }

  /** Some live members at random. */
  acquaintances(): Member[] {
    const live = [...this.members.others()].filter((member) => member.state === "alive");
    const some = new Set<Member>();
    for (let i = 0; i < ACQUAINTANCES && live.length > 0; i++) some.add(this.pick(live) as Member);
    return [...some];
  }

  /** An attempt ended: as a link, or with nothing. */
  ended(address: string, linked: boolean): void {
    this.dials.delete(address);
    if (!linked) this.follows.delete(address);
    const seed = this.seeds.get(address);
    const { nowMs } = this.context;
    if (seed !== undefined) {
      seed.attempts = linked ? 0 : seed.attempts + 1;
      seed.atMs = nowMs + this.backoffMs(seed.attempts);
    }
    if (linked) return;
    for (const member of this.members.others()) {
      if (member.claim.address !== address) continue;
      member.dialAttempts++;
      member.dialAtMs = nowMs + this.backoffMs(member.dialAttempts);
    }
  }

  /** The peer asked not to be dialled for a while. */
  postpone(member: Member, retryAfterMs: Millis): void {
    member.dialAtMs = this.context.nowMs + retryAfterMs;
  }

  /** Dials what is missing. */
  review(): void {
    const { nowMs } = this.context;
    for (const [address, { startedMs }] of this.dials) {
      if (nowMs - startedMs > DIAL_TIMEOUT_MS) this.ended(address, false);
    }
    const linked = this.linked();
    this.dialSeeds(linked);
    this.rescue(linked);
    if (this.isLeaf) this.dialSome(linked, LEAF_LINKS);
    else if (this.meshed) this.dialAll(linked);
    else this.dialOverlay(linked);
  }

  /** Opens a link to a member for its prefixes, unless one is there. */
  dialMember(member: Member): void {
    if (this.context.nowMs < member.dialAtMs || this.linked().has(member.nid)) return;
    if (this.dial(member.claim.address)) this.follows.add(member.claim.address);
  }

  /** Whether this dial was for prefixes only. Asked once, when it succeeded. */
  isFollow(address: string): boolean {
    return this.follows.delete(address);
  }

  /** A neighbour too many: the one to part from, or undefined. */
  surplus(): Link | undefined {
    const { limits, nowMs } = this.context;
    if (this.meshed || this.isLeaf || this.degree <= limits.degree) return undefined;
    const locked = new Set(this.ring().map(({ nid }) => nid));
    const free = [...this.links.values()].filter(
      (link) => link.floods && !locked.has(link.peer as string),
    );
    const far = free.sort((a, b) => a.rttMs - b.rttMs).slice(NEAR);
    const settled = far.filter((link) => nowMs - link.upMs > MIN_AGE_MS);
    return this.pick(settled.length > 0 ? settled : far);
  }

  /** Tells each neighbour whose load reports we want from it. */
  askRelays(): void {
    const all = !this.meshed || this.isLeaf;
    const linked = this.linked();
    const missing: string[] = [];
    if (!all) {
      for (const member of this.members.others()) {
        if (this.members.isLive(member) && !linked.has(member.nid)) missing.push(member.nid);
      }
    }
    const whole = !all && missing.length === 0;
    const neighbours = [...this.links.values()].filter(
      // In a whole mesh nothing is asked; who was asked for something is told so.
      (link) => link.floods && !(whole && (link.asked === "" || link.asked === NOTHING)),
    );
    neighbours.sort((a, b) => a.rttMs - b.rttMs || a.id - b.id);
    neighbours.forEach((link, rank) => {
      const nids = rank < RELAYS ? missing.filter((nid) => nid !== link.peer) : [];
      const asked = all ? ALL : nids.join() || NOTHING;
      if (asked === link.asked || (link.asked === "" && asked === NOTHING)) return;
      link.asked = asked;
      send(this.context, link, relayFrame(all, nids));
    });
  }

  private get isLeaf(): boolean {
    return (this.members.self.certificate.roles & ROLE.leaf) !== 0;
  }

  /** Ids of peers with a link, open or on its way. */
  private linked(): Set<string> {
    const nids = new Set<string>();
    for (const link of this.links.values()) {
      if (link.peer !== undefined && link.role === 0) nids.add(link.peer);
    }
    return nids;
  }

  private backoffMs(attempts: number): Millis {
    const { dialMinMs, dialMaxMs } = this.context.limits;
    return this.context.chance() * Math.min(dialMaxMs, dialMinMs * 2 ** attempts);
  }

  private dial(address: string): boolean {
    if (address === "" || address === this.context.options.address) return false;
    if (this.dials.has(address) || this.links.size >= this.context.limits.maxLinks) return false;
    this.dials.set(address, { startedMs: this.context.nowMs });
    this.context.emit({ kind: "dial", address });
    return true;
  }

  /** Seeds are dialled eagerly until anybody is there; then `rescue` keeps an eye on them. */
  private dialSeeds(linked: ReadonlySet<string>): void {
    if (linked.size > 0) return;
    for (const [address, seed] of this.seeds) {
      if (this.context.nowMs >= seed.atMs) this.dial(address);
    }
  }

  private rescue(linked: ReadonlySet<string>): void {
    const { nowMs, limits } = this.context;
    if (nowMs < this.rescueAtMs) return;
    this.rescueAtMs = nowMs + limits.rescueDialMs;
    const reached = new Set<string>();
    const lost: string[] = [];
    for (const member of this.members.others()) {
      const { address } = member.claim;
      // A live member is linked, or dialled as a neighbour, or needs no link from us.
      if (linked.has(member.nid) || this.members.isLive(member)) reached.add(address);
      else lost.push(address);
    }
    for (const address of this.seeds.keys()) if (!reached.has(address)) lost.push(address);
    const address = this.pick(lost);
    if (address !== undefined) this.dial(address);
  }

  private dialAll(linked: ReadonlySet<string>): void {
    for (const member of this.members.others()) {
      if (this.members.isLive(member) && !linked.has(member.nid) && this.due(member)) {
        this.dial(member.claim.address);
      }
    }
  }

  private due(member: Member): boolean {
    const yields = this.members.self.nid > member.nid && member.dialAttempts === 0;
    return this.context.nowMs >= member.dialAtMs + (yields ? YIELD_MS : 0);
  }

  private dialSome(linked: ReadonlySet<string>, wanted: number): void {
    if (linked.size + this.dials.size >= wanted) return;
    const candidate = this.pick(this.candidates(linked));
    if (candidate !== undefined) this.dial(candidate.claim.address);
  }

  private dialOverlay(linked: ReadonlySet<string>): void {
    const { nowMs, limits } = this.context;
    for (const member of this.ring()) {
      if (!linked.has(member.nid) && nowMs >= member.dialAtMs) this.dial(member.claim.address);
    }
    const explores = nowMs >= this.exploreAtMs && this.degree <= limits.degree;
    if (this.degree + this.dials.size >= limits.degree - 1 && !explores) return;
    if (explores) this.exploreAtMs = nowMs + EXPLORE_MS * (1 + this.context.chance());
    const candidates = this.candidates(linked);
    const near = explores || this.context.chance() < NEAR_SHARE;
    const candidate = (near && this.nearest(candidates)) || this.pick(candidates);
    if (candidate !== undefined) this.dial(candidate.claim.address);
  }

  private candidates(linked: ReadonlySet<string>): Member[] {
    const found: Member[] = [];
    for (const member of this.members.others()) {
      const open = member.state === "alive" && member.claim.address !== "";
      if (open && !linked.has(member.nid) && this.context.nowMs >= member.dialAtMs) {
        found.push(member);
      }
    }
    return found;
  }

  /** One of our own zone, else the quickest that we ever measured. */
  private nearest(candidates: readonly Member[]): Member | undefined {
    const { zone } = this.members.self.certificate;
    const neighbours = candidates.filter(({ certificate }) => certificate.zone === zone);
    if (neighbours.length > 0) return this.pick(neighbours);
    const measured = candidates.filter(({ rttMs }) => rttMs !== undefined);
    return measured.sort((a, b) => (a.rttMs as number) - (b.rttMs as number))[0];
  }

  /** The live members just before and after this PoP on the ring of hashed ids. */
  ring(): Member[] {
    const own = hash32(this.members.self.nid);
    let after: [number, Member] | undefined;
    let before: [number, Member] | undefined;
    for (const member of this.members.others()) {
      const leaf = (member.certificate.roles & ROLE.leaf) !== 0;
      if (!this.members.isLive(member) || leaf) continue;
      const distance = (hash32(member.nid) - own) >>> 0;
      if (after === undefined || distance < after[0]) after = [distance, member];
      if (before === undefined || distance > before[0]) before = [distance, member];
    }
    if (after === undefined || before === undefined) return [];
    return after[1] === before[1] ? [after[1]] : [after[1], before[1]];
  }

  private pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.context.chance() * items.length)];
  }
}
