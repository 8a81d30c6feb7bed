/**
 * The gossip of one PoP, without sockets, clock or randomness: inputs are frames, timers, links
 * that come and go, and what the PoP says of itself; out come effects. Whoever carries it (a mesh
 * of WebSockets, the simulator) does them in order and calls back. One writer per record: each PoP
 * speaks for itself, everybody else only passes on.
 */
import type { Millis } from "../grid/units.ts";
import { Calls } from "./calls.ts";
import { SchemaError } from "./codec.ts";
import { Context, type Effect, type GossipOptions, type LinkId, type TimerId } from "./context.ts";
import { Gate } from "./gate.ts";
import { Health } from "./health.ts";
import type { Nid } from "./identity.ts";
import type { Link } from "./link.ts";
import { isAfter, MemberTable } from "./members.ts";
import { type Frame, pingFrame } from "./message.ts";
import { OwnState } from "./own-state.ts";
import { Prefixes } from "./prefix.ts";
import { readFrame } from "./read-frame.ts";
import { Spread } from "./spread.ts";
import { type Claim, makeClaim } from "./statement.ts";
import { Sync } from "./sync.ts";
import { MAX_PARTINGS, Topology } from "./topology.ts";
import { type MemberView, viewOf } from "./view.ts";

/** `setLocal` with this key is a load report; every other key is cold state. */
export const HOT_KEY = "hot";

/** A frame that came, and when. */
export interface Arrival {
  id: LinkId;
  bytes: Uint8Array;
  atMs: Millis;
}

const REVIEW_TICKS = 2;
const SWEEP_TICKS = 600;
const SURPLUS_MS = 60_000;

export class GossipCore {
  readonly members: MemberTable;
  readonly links = new Map<LinkId, Link>();
  readonly context: Context;
  readonly prefixes: Prefixes;
  readonly spread: Spread;
  readonly health: Health;
  readonly topology: Topology;
  readonly sync: Sync;
  private readonly own: OwnState;
  readonly calls: Calls;
  private readonly gate: Gate;
  private ticks = 0;

  /** @throws SchemaError when the certificate is not of this grid, or has run out. */
  constructor(options: GossipOptions) {
    this.context = new Context(options);
    const certificate = options.keyring.certificate(options.certificate, this.context.unixS);
    if (certificate === undefined) {
      throw new SchemaError("the certificate is not signed by a root of this grid, or is old");
    }
    const epoch = Math.max(options.persistedEpoch + 1, Math.floor(options.unixMs));
    const facts = { epoch, inc: 0, instance: options.rng(), left: false, address: options.address };
    const claim = makeClaim(options.keyring, certificate, facts);
    this.members = new MemberTable(this.context, claim, certificate);
    this.spread = new Spread(this.context, this.members, this.links);
    this.health = new Health(this.context, this.members, this.links, this.spread);
    this.topology = new Topology(this.context, this.members, this.links);
    this.sync = new Sync(this.context, this.members, this.links, this.spread, this.health);
    this.own = new OwnState(this.context, this.members, this.spread);
    this.prefixes = new Prefixes(this.context, this.links);
    this.calls = new Calls(this.context);
    this.gate = new Gate(this.context, this);
  }

  get nid(): Nid {
    return this.members.self.nid;
  }

  /** First effects: the epoch to persist, the first timer, the first dials. */
  start(nowMs: Millis): Effect[] {
    return this.run(nowMs, () => {
      this.context.event({ type: "epoch", epoch: this.members.self.claim.epoch });
      this.tick();
    });
  }

  /** `dialled`: the address when this PoP dialled; with "down" and no such link: it failed. */
  onLink(id: LinkId, state: "up" | "down", nowMs: Millis, dialled?: string): Effect[] {
    return this.run(nowMs, () => {
      if (state === "up") this.gate.linkUp(id, dialled);
      else {
        const link = this.links.get(id);
        if (link !== undefined) this.gate.closed(link);
        else if (dialled !== undefined) this.topology.ended(dialled, false);
      }
    });
  }

  /** Bytes are read before it returns and not kept. */
  onFrame(id: LinkId, bytes: Uint8Array, nowMs: Millis): Effect[] {
    return this.onFrames([{ id, bytes, atMs: nowMs }]);
  }

  /** Frames of any links in the order in which they came, with no other input in between. */
  onFrames(arrivals: readonly Arrival[]): Effect[] {
    for (const { id, bytes, atMs } of arrivals) {
      this.begin(atMs);
      const link = this.links.get(id);
      if (link !== undefined) this.takeBytes(link, bytes, atMs);
    }
    return this.context.drain();
  }

  onTimer(id: TimerId, nowMs: Millis): Effect[] {
    return this.run(nowMs, () => {
      this.spread.fired(id);
      if (id === "tick") this.tick();
      else if (id === "control") this.spread.flushControl();
      else if (id === "flush") this.spread.flush();
      else this.own.publishDue();
    });
  }

  /** How many bytes the carrier holds unsent on a link; told before or after each send. */
  onBuffered(id: LinkId, bytes: number): void {
    const link = this.links.get(id);
    if (link !== undefined) link.buffered = bytes;
  }

  /**
   * Key `HOT_KEY`: this PoP's load report. Any other: a cold key; null deletes it.
   * @throws RangeError when it is over the limits; nothing changed then.
   */
  setLocal(key: string, value: Uint8Array | null, nowMs: Millis): Effect[] {
    return this.run(nowMs, () => {
      if (key !== HOT_KEY) this.own.setCold(key, value);
      else if (value !== null) this.own.setLoad(value);
    });
  }

  /** Chunks that came into and went out of this PoP's caches: endpoint x 2^24 + 24 bits of hash. */
  setPrefix(added: Iterable<number>, removed: Iterable<number>): void {
    this.prefixes.change(added, removed);
  }

  follow(nid: Nid, on: boolean, nowMs: Millis): Effect[] {
    return this.run(nowMs, () => {
      if (on) this.prefixes.follow(nid);
      else this.prefixes.unfollow(nid);
    });
  }

  /** Says good-bye to all; close the links after the effects are done. */
  leave(nowMs: Millis): Effect[] {
    return this.run(nowMs, () => {
      this.own.leave();
      this.spread.flushControl();
    });
  }

  /** Takes a renewed certificate of this PoP. @throws SchemaError when it is not ours or old. */
  renew(bytes: Uint8Array, nowMs: Millis): Effect[] {
    return this.run(nowMs, () => {
      const certificate = this.context.keyring.certificate(bytes, this.context.unixS);
      if (certificate?.nid !== this.nid) throw new SchemaError("no valid certificate of this PoP");
      this.own.renew(certificate);
    });
  }

  /** Asks a linked peer; `id` names the `answer` event to come, undefined: cannot be sent. */
  call(nid: Nid, call: number, body: Uint8Array, timeoutMs: Millis, nowMs: Millis) {
    let id: number | undefined;
    const effects = this.run(nowMs, () => {
      const link = this.gate.linkTo(nid);
      if (link !== undefined) id = this.calls.ask(link, call, body, timeoutMs);
    });
    return { id, effects };
  }

  /** Undefined body: the call is refused. */
  answer(link: LinkId, id: number, body: Uint8Array | undefined, nowMs: Millis): Effect[] {
    return this.run(nowMs, () => {
      const open = this.links.get(link);
      if (open?.open) this.calls.answer(open, id, body);
    });
  }

  /** All members, this PoP included. Reading it costs a copy of the tables' outline. */
  view(nowMs: Millis): MemberView[] {
    return [...this.members.byNid.values()].map((member) => viewOf(member, nowMs));
  }

  private run(nowMs: Millis, input: () => void): Effect[] {
    this.begin(nowMs);
    input();
    return this.context.drain();
  }

  private begin(nowMs: Millis): void {
    this.context.nowMs = Math.max(nowMs, this.context.nowMs);
    this.health.notice();
  }

  private takeBytes(link: Link, bytes: Uint8Array, nowMs: Millis): void {
    if (!link.admit(bytes.length, this.context)) {
      this.context.refuse("rate", link.peer);
      this.gate.part(link, "rate", 1000);
      return;
    }
    link.lastReceivedMs = nowMs;
    try {
      this.take(link, readFrame(bytes, this.context.limits));
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      this.gate.breach(link, "schema");
    }
  }

  private tick(): void {
    this.ticks++;
    for (const link of this.health.tick()) this.gate.drop(link, "silent");
    this.gate.watchLinks();
    this.own.tick();
    this.sync.tick();
    this.prefixes.tick();
    this.calls.tick();
    if (this.ticks % REVIEW_TICKS === 1) this.review();
    if (this.ticks % SWEEP_TICKS === 0) this.sweep();
    this.spread.schedule("tick", this.context.limits.tickMs);
  }

  private review(): void {
    this.health.review();
    if (this.members.self.claim.left) return;
    this.topology.review();
    for (let i = 0; i < MAX_PARTINGS; i++) {
      const surplus = this.topology.surplus();
      if (surplus === undefined) break;
      this.gate.part(surplus, "surplus", SURPLUS_MS);
    }
    this.topology.askRelays();
    for (const nid of this.prefixes.followed) {
      const member = this.members.byNid.get(nid);
      const linked = this.gate.linkTo(nid) !== undefined;
      if (member?.state === "alive" && !linked && !this.topology.meshed) {
        this.topology.dialMember(member);
      }
    }
  }

  private sweep(): void {
    this.members.sweep();
    this.gate.sweep();
  }

  private take(link: Link, frame: Frame): void {
    if (frame.kind === "goaway") {
      link.parted = true;
      const { peer: nid, dialled: address } = link;
      if (!link.open)
        this.context.event({ type: "turned-away", reason: frame.reason, nid, address });
      const member = this.members.byNid.get(link.peer ?? "");
      if (member !== undefined) this.topology.postpone(member, frame.retryAfterMs);
      this.gate.drop(link, frame.reason);
    } else if (link.phase === "open") this.takeOpen(link, frame);
    else if (frame.kind === "hello") this.gate.hello(link, frame.hello);
    else if (frame.kind === "auth" && link.phase === "auth") this.gate.auth(link, frame.signature);
    else this.gate.breach(link, "order");
  }

  private takeOpen(link: Link, frame: Frame): void {
    switch (frame.kind) {
      case "hot":
        return this.spread.takeHot(link, frame.sentMs, frame.reports);
      case "ping":
        return this.health.takePing(link, pingFrame("pong", frame.sentMs));
      case "pong":
        return this.takePong(link, frame.sentMs);
      case "member":
        for (const claim of frame.claims) this.takeClaim(link, claim);
        return;
      case "accuse":
        for (const accusation of frame.accusations) {
          if (this.health.take(link, accusation)) this.own.refute(accusation.inc);
        }
        return;
      case "cold":
        return this.spread.takeCold(link, frame.records);
      case "welcome":
        return this.takeWelcome(link, frame.remembered, frame.gone);
      default:
        return this.takeRare(link, frame);
    }
  }

  private takeRare(link: Link, frame: Frame): void {
    switch (frame.kind) {
      case "sum":
        return this.sync.takeSum(link, frame.hashes);
      case "have":
        return this.sync.takeHave(link, frame.buckets, frame.entries);
      case "want":
        return this.sync.takeWant(link, frame.nids);
      case "alias":
        for (const alias of frame.aliases) link.bind(alias);
        return;
      case "rebind":
        return this.spread.rebind(link, frame.refs);
      case "relay":
        return this.spread.takeRelay(link, frame.all, frame.nids);
      case "prefix":
        return this.prefixes.take(link, frame.part);
      case "follow":
        return this.prefixes.takeFollow(link, frame.on);
      case "call": {
        const { id, call, body } = frame;
        const nid = link.peer as Nid;
        return this.context.event({ type: "call", nid, link: link.id, id, call, body });
      }
      case "answer":
        return this.calls.takeAnswer(link, frame.id, frame.done, frame.body);
      default:
        this.gate.breach(link, "order");
    }
  }

  private takePong(link: Link, sentMs: number): void {
    link.addRtt((Math.floor(this.context.nowMs) - sentMs) | 0);
    const member = this.members.byNid.get(link.peer as Nid);
    if (member === undefined) return;
    member.rttMs = link.rttMs;
    member.jitterMs = link.jitterMs;
  }

  private takeClaim(link: Link, claim: Claim): void {
    const { self } = this.members;
    if (claim.nid === self.nid) {
      const foreign = claim.instance !== self.claim.instance && claim.epoch >= self.claim.epoch;
      if (!foreign && !isAfter(claim, self.claim)) return;
      if (!this.own.rejoin(claim)) this.gate.breach(link, "forged");
      return;
    }
    const outcome = this.members.applyClaim(claim);
    const held = this.members.byNid.get(claim.nid);
    if (held !== undefined && (outcome === "news" || outcome === "same")) {
      link.heardClaim(held.claim);
    } else link.claims.delete(claim.nid);
    if (outcome === "forged") this.gate.breach(link, "forged");
    else if (outcome === "refused") this.context.refuse("claim", claim.nid);
    else if (outcome !== "news") this.health.correct(link, claim);
    else {
      if (held === undefined) return;
      this.spread.claim(held.claim, link);
      if (this.gate.linkTo(claim.nid)) this.health.found(held);
    }
  }

  private takeWelcome(link: Link, remembered: Claim | undefined, gone: boolean): void {
    const { claim, nid } = this.members.self;
    if (remembered === undefined || remembered.nid !== nid) return;
    const ours = remembered.instance === claim.instance && remembered.epoch === claim.epoch;
    if (ours && gone && remembered.inc >= claim.inc) this.own.refute(remembered.inc);
    else if (!ours && remembered.epoch >= claim.epoch && !this.own.rejoin(remembered)) {
      this.gate.breach(link, "forged");
    }
  }
}
