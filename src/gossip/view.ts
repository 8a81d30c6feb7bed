/** What a PoP reads of the grid: one plain snapshot per member, with the age of all it holds. */
import type { Millis } from "../grid/units.ts";
import type { MemberState } from "./context.ts";
import { FLOOR_KEY } from "./cold.ts";
import type { Nid } from "./identity.ts";
import type { Hot, Member } from "./members.ts";

/** What a PoP last said of its load, and when that was made, never told too young. */
export interface LoadReport {
  seq: number;
  atMs: Millis;
  content: Uint8Array;
}

export interface MemberView {
  nid: Nid;
  state: MemberState;
  /** Alive, and no link of ours to it is broken: new work may go there. */
  routable: boolean;
  /** Live, and no link of ours to it is broken: what runs there may still end well. */
  reachable: boolean;
  epoch: number;
  inc: number;
  address: string;
  zone: string;
  roles: number;
  /** Most concurrent requests it may claim, by its certificate. */
  capacity: number;
  /** Least round trip measured to it; undefined: no link yet. */
  rttMs: Millis | undefined;
  /** How much longer than that the last round trips took, on average. */
  jitterMs: Millis;
  /** Its last load report, and how old that is. */
  load: (LoadReport & { ageMs: Millis }) | undefined;
  /** As it is when this is read for the first time. */
  readonly cold: ReadonlyMap<string, Uint8Array>;
}

class MemberSnapshot implements MemberView {
  readonly nid: Nid;
  readonly state: MemberState;
  readonly routable: boolean;
  readonly reachable: boolean;
  readonly epoch: number;
  readonly inc: number;
  readonly address: string;
  readonly zone: string;
  readonly roles: number;
  readonly capacity: number;
  readonly rttMs: Millis | undefined;
  readonly jitterMs: Millis;
  readonly load: MemberView["load"];
  readonly #member: Member;
  #cold: ReadonlyMap<string, Uint8Array> | undefined;

  constructor(member: Member, nowMs: Millis) {
    const { hot, claim, certificate } = member;
    this.nid = member.nid;
    this.state = member.state;
    this.routable = member.routable;
    this.reachable = member.reachable;
    this.epoch = claim.epoch;
    this.inc = claim.inc;
    this.address = claim.address;
    this.zone = certificate.zone;
    this.roles = certificate.roles;
    this.capacity = certificate.capacity;
    this.rttMs = member.rttMs;
    this.jitterMs = member.jitterMs;
    this.load = hot && { ...reportOf(hot), ageMs: hot.ageMs + nowMs - hot.receivedMs };
    this.#member = member;
  }

  /** A copy, made only for whoever looks: most want the load alone. */
  get cold(): ReadonlyMap<string, Uint8Array> {
    this.#cold ??= coldOf(this.#member);
    return this.#cold;
  }
}

export function viewOf(member: Member, nowMs: Millis): MemberView {
  return new MemberSnapshot(member, nowMs);
}

export function reportOf({ seq, receivedMs, ageMs, content }: Hot): LoadReport {
  return { seq, atMs: receivedMs - ageMs, content };
}

function coldOf(member: Member): ReadonlyMap<string, Uint8Array> {
  const cold = new Map<string, Uint8Array>();
  for (const { key, value } of member.cold.records.values()) {
    if (value !== null && key !== FLOOR_KEY) cold.set(key, value);
  }
  return cold;
}
