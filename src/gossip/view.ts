/** What a PoP reads of the grid: one plain snapshot per member, with the age of all it holds. */
import type { Millis } from "../grid/units.ts";
import type { MemberState } from "./context.ts";
import { FLOOR_KEY } from "./cold.ts";
import type { Nid } from "./identity.ts";
import type { Member } from "./members.ts";

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
  /** Its last load report, how old that is and when it was made, never told too young. */
  load: { seq: number; ageMs: Millis; atMs: Millis; content: Uint8Array } | undefined;
  cold: ReadonlyMap<string, Uint8Array>;
}

export function viewOf(member: Member, nowMs: Millis): MemberView {
  const { hot, claim, certificate } = member;
  const cold = new Map<string, Uint8Array>();
  for (const { key, value } of member.cold.records.values()) {
    if (value !== null && key !== FLOOR_KEY) cold.set(key, value);
  }
  return {
    nid: member.nid,
    state: member.state,
    routable: member.routable,
    reachable: member.reachable,
    epoch: claim.epoch,
    inc: claim.inc,
    address: claim.address,
    zone: certificate.zone,
    roles: certificate.roles,
    capacity: certificate.capacity,
    rttMs: member.rttMs,
    jitterMs: member.jitterMs,
    load: hot && {
      seq: hot.seq,
      ageMs: hot.ageMs + nowMs - hot.receivedMs,
      atMs: hot.receivedMs - hot.ageMs,
      content: hot.content,
    },
    cold,
  };
}
