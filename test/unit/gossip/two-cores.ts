/** Two cores of one grid, joined by hand: what each sends is the other's frame. */
import type { Effect, GossipOptions } from "../../../src/gossip/context.ts";
import { GossipCore } from "../../../src/gossip/core.ts";
import { GOSSIP_LIMITS } from "../../../src/gossip/limits.ts";
import { SimAuthority } from "../../../src/sim/authority.ts";
import { seededRng } from "../../../src/sim/clock.ts";

export const UNIX_MS = 1_800_000_000_000;
export const LATER_S = UNIX_MS / 1000 + 86_400;
export const LINK = 1;

export type Admission = ReturnType<SimAuthority["admit"]>;

export const authority = new SimAuthority("grid", seededRng(1));
export const stranger = new SimAuthority("grid", seededRng(2));

export function coreOf(who: Admission, change: Partial<GossipOptions> = {}): GossipCore {
  const core = new GossipCore({
    certificate: who.certificate,
    keyring: who.keyring,
    address: `sim://${who.nid}`,
    seeds: [],
    limits: GOSSIP_LIMITS,
    rng: seededRng(who.certificate[20]),
    unixMs: UNIX_MS,
    startMs: 0,
    persistedEpoch: 0,
    signHot: "none",
    accept: () => true,
    ...change,
  });
  core.start(0);
  return core;
}

/** Hands each side's frames to the other until both are silent; gives what the second sent. */
function talk(
  a: GossipCore,
  b: GossipCore,
  fromA: Effect[],
  fromB: Effect[],
  nowMs: number,
): Uint8Array[] {
  const sent: Uint8Array[] = [];
  let [left, right] = [fromA, fromB];
  while (left.length + right.length > 0) {
    for (const effect of right) if (effect.kind === "send") sent.push(effect.bytes);
    const pass = (effects: Effect[], to: GossipCore) =>
      effects.flatMap((effect) => {
        if (effect.kind === "send") return to.onFrame(LINK, effect.bytes, nowMs);
        return effect.kind === "close" ? to.onLink(LINK, "down", nowMs) : [];
      });
    [right, left] = [pass(left, b), pass(right, a)];
  }
  return sent;
}

/** All that the second one sent, its hello first. */
export function join(a: GossipCore, b: GossipCore, nowMs = 10): Uint8Array[] {
  const fromA = a.onLink(LINK, "up", nowMs, "sim://b");
  const fromB = b.onLink(LINK, "up", nowMs);
  const sent = talk(a, b, fromA, fromB, nowMs);
  talk(a, b, a.onTimer("control", nowMs), b.onTimer("control", nowMs), nowMs);
  return sent;
}

/** Two that are joined, what the second said to get in, and one of another authority. */
export function pair(change: Partial<GossipOptions> = {}) {
  const admissions = [authority.admit(1, "z", LATER_S), authority.admit(2, "z", LATER_S)];
  const [a, b] = [coreOf(admissions[0], change), coreOf(admissions[1])];
  const [hello, auth] = join(a, b);
  const outside = stranger.admit(2, "z", LATER_S);
  const foreign = { core: coreOf(outside), keyring: outside.keyring };
  return { a, b, admissions, hello, auth, foreign };
}

/** `from` says something of itself; the frames that this took, which `to` has taken. */
export function say(
  from: GossipCore,
  to: GossipCore,
  key: string,
  value: Uint8Array | null,
  nowMs: number,
): Uint8Array[] {
  const effects = [...from.setLocal(key, value, nowMs), ...from.onTimer("flush", nowMs)];
  const frames = effects.flatMap((effect) => (effect.kind === "send" ? [effect.bytes] : []));
  for (const frame of frames) to.onFrame(LINK, frame, nowMs);
  return frames;
}

export const counted = (core: GossipCore, name: string) => core.context.counters.get(name) ?? 0;
export const held = (core: GossipCore, nid: string) => core.members.byNid.get(nid);

/** All that a core holds of every member. */
export function snapshot(core: GossipCore) {
  return [...core.members.byNid.values()].map((member) => ({
    nid: member.nid,
    state: member.state,
    routable: member.routable,
    claim: member.claim.body,
    certificate: member.certificate.bytes,
    hot: member.hot && [member.hot.seq, member.hot.content],
    cold: [...member.cold.records.values()].map(({ key, seq, value }) => [key, seq, value]),
    accusers: [...member.accusations.keys()],
  }));
}
