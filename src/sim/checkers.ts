/**
 * What must hold in the simulated grid after every event, against the truth that only the simulator
 * knows: what each PoP itself wrote, when it slept, whom it accused. A breach throws.
 *
 *   I1 a value held for (PoP, epoch, seq) is what that PoP wrote        I2 nothing held goes back
 *   I3 the dead come back only with a larger (epoch, incarnation)       I4 only its owner raises it
 *   I5 queues and frames keep their bounds      I6 who just woke accuses nobody
 *   I7 DOWN needs its quorum of real accusers   I8 the overlay is connected, degrees are bounded
 *   I9 a refused frame changes nothing          I10 a deleted key stays deleted
 *   I11 bytes per second keep the budget: measured by the tests of the goals
 */
import { hash32 } from "../gossip/cold.ts";
import type { GossipEvent } from "../gossip/context.ts";
import type { GossipCore } from "../gossip/core.ts";
import type { Nid } from "../gossip/identity.ts";
import { type Hot, isAfter, type Member } from "../gossip/members.ts";
import type { Claim, ColdRecord } from "../gossip/statement.ts";
import type { Carrier } from "./carrier.ts";
import type { SimClock } from "./clock.ts";

export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/** What one holder showed of one member before. The very same object needs no second look. */
interface Seen {
  claim: Claim;
  gone: boolean;
  hot: Hot | undefined;
  hotSeq: number;
  /** By key, the last record ever held; one that is not held any more counts, too. */
  cold: Map<string, ColdRecord>;
}

interface Life {
  life: number;
  seen: Map<Nid, Seen>;
  /** What the PoP itself was last seen to say. */
  ownHot: Hot | undefined;
  ownCold: Map<string, ColdRecord>;
}

function hashBytes(bytes: Uint8Array | null): number {
  let hash = bytes === null ? 1 : 0x811c9dc5;
  for (const byte of bytes ?? []) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

export class Checkers {
  /** How many events were looked at. */
  checked = 0;
  private readonly clock: SimClock;
  /** Above so many PoPs only what an event names is looked at. */
  private readonly scanUpTo: number;
  private readonly reached = new Map<Nid, { epoch: number; inc: number }>();
  /** Hashes of what was written: of cold records by name, of reports by author, epoch and seq. */
  private readonly written = new Map<string, number>();
  private readonly reports = new Map<Nid, { epoch: number; hashes: number[] }[]>();
  private readonly accused = new Set<string>();
  private readonly lives = new Map<number, Life>();

  constructor(clock: SimClock, scanUpTo: number) {
    this.clock = clock;
    this.scanUpTo = scanUpTo;
  }

  inspect(carrier: Carrier, events: readonly GossipEvent[]): void {
    this.checked++;
    const { core } = carrier;
    const life = this.lifeOf(carrier);
    this.learn(carrier, life);
    for (const event of events) this.event(carrier, event);
    this.refused(events);
    if (core.members.byNid.size <= this.scanUpTo) {
      for (const member of core.members.others()) this.member(core, life, member);
      this.queues(core);
      return;
    }
    for (const event of events) {
      if (!("nid" in event) || event.nid === undefined) continue;
      const member = core.members.byNid.get(event.nid);
      if (member !== undefined && member !== core.members.self) this.member(core, life, member);
    }
  }

  /** The overlay of the running PoPs: no lonely part, and no PoP with too many neighbours. */
  overlay(carriers: readonly Carrier[], degreeMax: number): void {
    const running = carriers.filter(({ state }) => state === "running");
    const edges = new Map<Nid, Set<Nid>>(running.map(({ nid }) => [nid, new Set()]));
    for (const { nid, core } of running) {
      for (const link of core.links.values()) {
        if (link.floods) edges.get(nid)?.add(link.peer as Nid);
      }
    }
    for (const [nid, peers] of edges) {
      if (peers.size > degreeMax) this.fail("I8", `${nid} has ${peers.size} neighbours`);
      for (const peer of peers) {
        if (edges.has(peer) && !edges.get(peer)?.has(nid)) {
          this.fail("I8", `${nid} has a link to ${peer}, which has none back`);
        }
      }
    }
    const reached = new Set<Nid>();
    const todo = running.slice(0, 1).map(({ nid }) => nid);
    for (let nid = todo.pop(); nid !== undefined; nid = todo.pop()) {
      if (reached.has(nid)) continue;
      reached.add(nid);
      for (const peer of edges.get(nid) ?? []) if (edges.has(peer)) todo.push(peer);
    }
    if (reached.size < running.length) {
      this.fail("I8", `${running.length - reached.size} of ${running.length} PoPs are cut off`);
    }
  }

  /** Faults are over and time has passed: every running PoP holds the same, and it is the truth. */
  quiescent(carriers: readonly Carrier[], maxAgeMs: number): void {
    const running = carriers.filter(({ state }) => state === "running");
    for (const { core, nid } of running) {
      const live = [...core.members.byNid.values()].filter((one) => core.members.isLive(one));
      const extra = live.filter((one) => !running.some((other) => other.nid === one.nid));
      // The last survivor lacks a second accuser: the dead are not routable, which is enough.
      const bad = running.length === 1 ? extra.filter(({ routable }) => routable) : extra;
      if (bad.length > 0) this.fail("agree", `${nid} holds the dead ${bad[0].nid} as live`);
      for (const other of running) this.agree(core, other, maxAgeMs);
    }
  }

  private agree(core: GossipCore, other: Carrier, maxAgeMs: number): void {
    const truth = other.core.members.self;
    const held = core.members.byNid.get(other.nid);
    const pair = `${core.nid} on ${other.nid}`;
    if (held === undefined || held.state !== "alive") {
      this.fail("agree", `${pair}: ${held?.state ?? "unknown"} instead of alive`);
    }
    if (isAfter(truth.claim, held.claim) || isAfter(held.claim, truth.claim)) {
      this.fail("agree", `${pair}: another claim`);
    }
    if (held.cold.digest !== truth.cold.digest || held.cold.bytes !== truth.cold.bytes) {
      this.fail("agree", `${pair}: other cold state`);
    }
    if (held === core.members.self || truth.hot === undefined) return;
    if (!held.routable) this.fail("agree", `${pair}: not routable`);
    const { hot } = held;
    const ageMs = hot === undefined ? Infinity : hot.ageMs + this.clock.nowMs - hot.receivedMs;
    if (ageMs > maxAgeMs) this.fail("agree", `${pair}: load is ${Math.round(ageMs)} ms old`);
  }

  /** Notes what the PoP itself wrote, before anybody else can hold it. */
  private learn({ nid, core }: Carrier, life: Life): void {
    const { claim, hot, cold } = core.members.self;
    const before = this.reached.get(nid);
    if (before === undefined || isAfter(claim, before)) {
      this.reached.set(nid, { epoch: claim.epoch, inc: claim.inc });
    }
    if (hot !== undefined && hot !== life.ownHot) {
      life.ownHot = hot;
      this.writeHot(nid, claim.epoch, hot);
    }
    for (const record of cold.records.values()) {
      if (life.ownCold.get(record.key) === record) continue;
      life.ownCold.set(record.key, record);
      const { epoch, seq, key, value } = record;
      this.write(`cold ${nid} ${epoch} ${seq} ${key}`, hashBytes(value));
    }
  }

  private writeHot(nid: Nid, epoch: number, { seq, content }: Hot): void {
    const hashes = this.hashesOf(nid, epoch) ?? this.newEpoch(nid, epoch);
    const hash = hashBytes(content);
    if (hashes[seq] !== undefined && hashes[seq] !== hash) {
      this.fail("I1", `load ${seq} of ${nid} was written twice`);
    }
    hashes[seq] = hash;
  }

  private hashesOf(nid: Nid, epoch: number): number[] | undefined {
    // The last epoch is what nearly every question is about.
    return this.reports.get(nid)?.findLast((one) => one.epoch === epoch)?.hashes;
  }

  private newEpoch(nid: Nid, epoch: number): number[] {
    const epochs = this.reports.get(nid) ?? [];
    const hashes: number[] = [];
    epochs.push({ epoch, hashes });
    this.reports.set(nid, epochs);
    return hashes;
  }

  private write(name: string, hash: number): void {
    const before = this.written.get(name);
    if (before === undefined) this.written.set(name, hash);
    else if (before !== hash) this.fail("I1", `${name} was written twice`);
  }

  private lifeOf({ index, life }: Carrier): Life {
    const held = this.lives.get(index);
    if (held?.life === life) return held;
    const fresh = { life, seen: new Map(), ownHot: undefined, ownCold: new Map() };
    this.lives.set(index, fresh);
    return fresh;
  }

  private event(carrier: Carrier, event: GossipEvent): void {
    const { core } = carrier;
    if (event.type === "accused") {
      const member = core.members.byNid.get(event.nid) as Member;
      this.accused.add(accusationName(core.nid, member));
      const sinceMs = this.clock.nowMs - carrier.wokeMs;
      if (sinceMs >= 0 && sinceMs < core.context.limits.silenceMs) {
        this.fail("I6", `${core.nid} accuses ${sinceMs} ms after it woke`);
      }
    } else if (event.type === "member" && event.state === "down") this.down(core, event.nid);
  }

  private down(core: GossipCore, nid: Nid): void {
    const member = core.members.byNid.get(nid) as Member;
    const accusers = [...member.accusations.keys()].filter((accuser) =>
      this.accused.has(accusationName(accuser, member)),
    );
    // The member counted as live when its case was judged.
    const quorum = core.members.liveCount + 1 <= 3 ? 1 : 2;
    if (accusers.length < quorum) {
      this.fail("I7", `${core.nid} holds ${nid} down with ${accusers.length} real accusers`);
    }
  }

  private refused(events: readonly GossipEvent[]): void {
    const schema = events.some((event) => event.type === "refused" && event.reason === "schema");
    const changed = events.find((event) => event.type === "hot" || event.type === "cold");
    if (schema && changed !== undefined) this.fail("I9", "a frame that broke the schema counted");
  }

  private member(core: GossipCore, life: Life, member: Member): void {
    const { claim, hot } = member;
    const gone = !core.members.isLive(member);
    const seen = life.seen.get(member.nid);
    if (seen === undefined) {
      const fresh = { claim, gone, hot: undefined, hotSeq: 0, cold: new Map() };
      life.seen.set(member.nid, fresh);
      this.claim(core, member, undefined, gone);
      this.content(core, member, fresh);
      return;
    }
    if (seen.claim !== claim || seen.gone !== gone) {
      this.claim(core, member, seen, gone);
      if (seen.claim.epoch !== claim.epoch) {
        seen.hotSeq = 0;
        seen.cold.clear();
      }
      seen.claim = claim;
      seen.gone = gone;
    }
    if (hot !== undefined || member.cold.records.size > 0) this.content(core, member, seen);
  }

  private claim(core: GossipCore, { nid, claim }: Member, seen: Seen | undefined, gone: boolean) {
    const where = `${core.nid} on ${nid}`;
    const reached = this.reached.get(nid);
    if (reached === undefined || isAfter(claim, reached)) {
      this.fail("I4", `${where}: (${claim.epoch}, ${claim.inc}) was never reached`);
    }
    if (seen === undefined) return;
    if (isAfter(seen.claim, claim)) this.fail("I2", `${where}: claim went back`);
    if (seen.gone && !gone && !isAfter(claim, seen.claim)) this.fail("I3", `${where}: rose again`);
  }

  private content(core: GossipCore, member: Member, seen: Seen): void {
    const { hot } = member;
    if (hot !== undefined && hot !== seen.hot) {
      this.hot(core, member, hot, seen.hotSeq);
      seen.hotSeq = hot.seq;
    }
    seen.hot = hot;
    for (const record of member.cold.records.values()) {
      const last = seen.cold.get(record.key);
      if (record === last) continue;
      this.cold(core, member, record, last?.seq ?? 0);
      seen.cold.set(record.key, record);
    }
  }

  private hot(core: GossipCore, { nid, claim }: Member, hot: Hot, before: number): void {
    const where = `${core.nid} on ${nid}`;
    if (hot.seq < before) this.fail("I2", `${where}: load went back to ${hot.seq}`);
    const truth = this.hashesOf(nid, claim.epoch)?.[hot.seq];
    if (truth !== hashBytes(hot.content)) this.fail("I1", `${where}: load was never written`);
  }

  private cold(core: GossipCore, { nid }: Member, record: ColdRecord, last: number): void {
    const { epoch, seq, key, value } = record;
    const where = `${core.nid} on ${nid}`;
    if (seq < last) this.fail("I10", `${where}: key "${key}" went back`);
    const truth = this.written.get(`cold ${nid} ${epoch} ${seq} ${key}`);
    if (truth !== hashBytes(value)) this.fail("I1", `${where}: key "${key}" was never written`);
  }

  private queues(core: GossipCore): void {
    const { limits } = core.context;
    for (const link of core.links.values()) {
      if (link.buffered > limits.hardBufferBytes + limits.frameBytes) {
        this.fail("I5", `${core.nid} has ${link.buffered} bytes unsent on one link`);
      }
      if (link.dirty.size > core.members.bySlot.length) {
        this.fail("I5", `${core.nid} has more load reports waiting than there are PoPs`);
      }
    }
    if (core.members.byNid.size > limits.maxMembers) this.fail("I5", "too many members");
  }

  private fail(invariant: string, what: string): never {
    throw new InvariantError(`${invariant} at ${this.clock.nowMs.toFixed(1)} ms: ${what}`);
  }
}

function accusationName(accuser: Nid, { nid, claim }: Member): string {
  return `${accuser}>${nid}@${claim.epoch}.${claim.inc}/${hash32(nid)}`;
}
