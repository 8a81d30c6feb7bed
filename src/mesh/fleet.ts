/**
 * The grid in the words of decisions, over the gossip core: cards are cold state, loads are hot,
 * digests are followed from the nearest PoPs. What a PoP claims is checked here before it is
 * believed: its name against its id, its capacity against its certificate.
 */
import { SchemaError } from "../gossip/codec.ts";
import type { GossipEvent, GossipOptions } from "../gossip/context.ts";
import { GossipCore, HOT_KEY } from "../gossip/core.ts";
import type { Nid } from "../gossip/identity.ts";
import type { Member } from "../gossip/members.ts";
import type { PrefixView } from "../gossip/prefix.ts";
import type { Clock, Log } from "../grid/effects.ts";
import type { DigestChange, Fleet, FleetListener, FleetPop, PopCard } from "../grid/fleet.ts";
import type { PopLoad } from "../grid/fleet.ts";
import type { Millis } from "../grid/units.ts";
import { Digests, expectedLoss } from "./digests.ts";
import { fitCard, mayClaim } from "./claims.ts";
import { MAX_ENDPOINTS, MAX_PAGES, pageKey, pageOf } from "./fleet-codec.ts";
import { readCard, readLoad, writeLoad } from "./fleet-codec.ts";
import { type LinkSocket, turnAway } from "./link.ts";
import { Mesh, type MeshTimers } from "./mesh.ts";

export type CoreOptions = Omit<
  GossipOptions,
  "address" | "accept" | "startMs" | "signHot" | "unixMs"
>;

export interface FleetHost {
  core: CoreOptions;
  clock: Clock;
  /** Unix milliseconds now. */
  unixMs(): number;
  timers: MeshTimers;
  log: Log;
  dial(address: string): LinkSocket;
  /** The id that a PoP of that name has in this grid. */
  nidOf(pop: string): Nid;
  /** Where this PoP reaches what another says is at `url`. */
  route(url: string): string;
  saveEpoch(epoch: number): void;
}

/** How often ages, discounts and the choice of whom to follow are looked at. */
const REVIEW_MS = 1_000;
/** Time for good-byes to leave before the sockets are cut. */
const LEAVE_MS = 300;
const LEAVE_POLL_MS = 10;
/** Room that the core keeps beside a load report's content. */
const HOT_OVERHEAD = 160;

interface Known {
  pop: FleetPop;
  /** Of the card, as its author counts; the pop's own is made unique over restarts. */
  revision: number;
}

export class GossipFleet implements Fleet {
  private readonly host: FleetHost;
  private readonly known = new Map<Nid, Known>();
  private readonly digests = new Digests();
  private listener: FleetListener | undefined;
  private mesh: Mesh | undefined;
  private card: PopCard | undefined;
  private load: Omit<PopLoad, "atMs" | "seq"> | undefined;
  private review: unknown;
  private cut = "";
  private left = false;

  constructor(host: FleetHost) {
    this.host = host;
  }

  /** Begins to gossip; `address` is where others dial this PoP. @throws SchemaError */
  start(address: string): void {
    const { core: options, clock, timers, dial } = this.host;
    const core = new GossipCore({
      ...options,
      address,
      unixMs: this.host.unixMs(),
      startMs: clock(),
      signHot: "none",
      accept: (author, key, value) => mayClaim(author, key, value, this.host.nidOf),
    });
    const onEvent = (event: GossipEvent) => this.take(event);
    this.mesh = new Mesh(core, { clock, timers, dial, onEvent });
    this.mesh.start();
    if (this.card !== undefined) this.publishCard(this.card);
    if (this.load !== undefined) this.publishLoad(this.load);
    this.reviewLater();
  }

  /** A socket on which another PoP came in. */
  accept(socket: LinkSocket): void {
    if (this.mesh === undefined) turnAway(socket, "not started");
    else this.mesh.accept(socket);
  }

  /** A renewed certificate for the same key. @throws SchemaError */
  renew(certificate: Uint8Array): void {
    const mesh = this.mesh;
    mesh?.perform(mesh.core.renew(certificate, this.host.clock()));
  }

  listen(listener: FleetListener): void {
    this.listener = listener;
    for (const { pop } of this.known.values()) listener.onPop(pop);
  }

  publishCard(card: PopCard): void {
    this.card = card;
    if (this.mesh === undefined) return;
    const pages = this.pagesOf(card);
    for (let page = 0; page < MAX_PAGES; page++) {
      this.setLocal(pageKey(page), pages[page] ?? null);
    }
  }

  publishLoad(load: Omit<PopLoad, "atMs" | "seq">): void {
    this.load = load;
    if (this.mesh === undefined) return;
    const { hotBytes } = this.mesh.core.context.limits;
    this.setLocal(HOT_KEY, writeLoad(load, hotBytes - HOT_OVERHEAD));
  }

  publishDigest(change: Omit<DigestChange, "pop" | "discount">): void {
    if (change.endpoint >= MAX_ENDPOINTS) return;
    const { added, removed } = this.digests.publish(change);
    this.digests.pend(added, removed);
    if (this.mesh !== undefined) this.flushDigest(this.mesh.core);
  }

  *pops(): Iterable<FleetPop> {
    for (const { pop } of this.known.values()) yield pop;
  }

  async leave(): Promise<void> {
    const { mesh, host } = this;
    if (mesh === undefined || this.left) return;
    this.left = true;
    host.timers.clearTimeout(this.review as never);
    mesh.perform(mesh.core.leave(host.clock()));
    mesh.close();
    const untilMs = host.clock() + LEAVE_MS;
    while (mesh.open > 0 && host.clock() < untilMs) {
      await new Promise<void>((resolve) => {
        host.timers.setTimeout(resolve, LEAVE_POLL_MS);
      });
    }
    mesh.cut();
  }

  /** Of the sockets; members known and alive; and `core.*`, what the core counted by name. */
  stats(): Record<string, number> {
    if (this.mesh === undefined) return {};
    const { core, stats } = this.mesh;
    const counted = [...core.context.counters].map(([name, count]) => [`core.${name}`, count]);
    const { byNid, liveCount } = core.members;
    return { ...stats, members: byNid.size, alive: liveCount, ...Object.fromEntries(counted) };
  }

  private flushDigest(core: GossipCore): void {
    const { added, removed } = this.digests.taken();
    core.setPrefix(added, removed);
  }

  private setLocal(key: string, value: Uint8Array | null): void {
    const mesh = this.mesh as Mesh;
    try {
      mesh.perform(mesh.core.setLocal(key, value, this.host.clock()));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.host.log("error", "gossip too large", { key, message: error.message });
    }
  }

  /** What had to be cut is said once per card that needs it. */
  private pagesOf(card: PopCard): Uint8Array[] {
    const { capacity } = (this.mesh as Mesh).core.members.self.certificate;
    const { pages, cut } = fitCard(card, capacity);
    const text = cut === undefined ? "" : JSON.stringify(cut);
    if (cut !== undefined && text !== this.cut) this.host.log("warn", "card is cut", cut);
    this.cut = text;
    return pages;
  }

  private take(event: GossipEvent): void {
    switch (event.type) {
      case "cold":
        if (pageOf(event.key) !== undefined) this.takeCard(event.nid);
        return;
      case "hot":
        return this.takeLoad(event.nid);
      case "member":
        return this.takeMember(event.nid);
      case "routable":
        return this.notify(event.nid);
      case "prefix":
        return this.takeDigest(event.nid, event.snapshot, event.added, event.removed);
      case "epoch":
        return this.keepEpoch(event.epoch);
      case "call": {
        // No question is known yet: refused at once, so that a later version need not wait.
        const mesh = this.mesh as Mesh;
        return mesh.perform(mesh.core.answer(event.link, event.id, undefined, this.host.clock()));
      }
      case "refused":
        return this.host.log("debug", "gossip refused", { why: event.reason, from: event.nid });
      case "accused":
        return this.host.log("info", "pop accused", { pop: this.nameOf(event.nid) });
      case "answer":
        return;
    }
  }

  private nameOf(nid: Nid): string {
    return this.known.get(nid)?.pop.card.id ?? nid;
  }

  private keepEpoch(epoch: number): void {
    try {
      this.host.saveEpoch(epoch);
    } catch (error) {
      const message = (error as Error).message;
      const hint = "a restart within a second may be taken for the old process";
      this.host.log("error", "epoch not kept", { message, hint });
    }
  }

  private member(nid: Nid): Member | undefined {
    const { members } = (this.mesh as Mesh).core;
    return nid === members.self.nid ? undefined : members.byNid.get(nid);
  }

  private takeCard(nid: Nid): void {
    const member = this.member(nid);
    if (member === undefined) return;
    const values = Array.from(
      { length: MAX_PAGES },
      (_, page) => member.cold.records.get(pageKey(page))?.value ?? undefined,
    );
    const card = this.read(nid, () => readCard(values));
    if (card === undefined) return;
    const { revision } = card;
    const url = this.host.route(card.url);
    // A restarted PoP counts its cards from one again.
    const unique = (member.claim.epoch % 2 ** 32) * 0x10000 + (revision % 0x10000);
    const pop = { ...this.popOf(member), card: { ...card, url, revision: unique } };
    this.known.set(nid, { pop, revision });
    this.readLoadOf(nid, member, pop);
    this.notify(nid);
    this.replayDigest(nid);
  }

  private takeLoad(nid: Nid): void {
    const member = this.member(nid);
    const known = this.known.get(nid);
    if (member === undefined || known === undefined) return;
    this.readLoadOf(nid, member, known.pop);
    this.notify(nid);
  }

  /** The last report as the pop's load, when it follows the card that we have. */
  private readLoadOf(nid: Nid, member: Member, pop: FleetPop): void {
    const { hot } = member;
    const revision = this.known.get(nid)?.revision ?? -1;
    if (hot === undefined) return;
    const load = this.read(nid, () => readLoad(hot.content));
    if (load === undefined || load.revision !== revision % 0x10000) return;
    if (load.endpoints.length > pop.card.endpoints.length) return;
    const atMs = hot.receivedMs - hot.ageMs;
    pop.load = { ...load, revision: pop.card.revision, seq: hot.seq, atMs };
  }

  private takeMember(nid: Nid): void {
    const member = this.member(nid);
    const known = this.known.get(nid);
    if (member === undefined || known === undefined) return;
    this.notify(nid);
    if (member.state === "left") this.known.delete(nid);
    if (member.state === "left" || member.state === "down") this.follow(nid, false);
  }

  /** Everything but the card, as it stands now. */
  private popOf(member: Member): Omit<FleetPop, "card"> {
    const { links } = (this.mesh as Mesh).core;
    let jitterMs: Millis = 0;
    for (const link of links.values()) if (link.peer === member.nid) jitterMs = link.jitterMs;
    return {
      load: undefined,
      // Not measured yet is no short way.
      rttMs: member.rttMs ?? Number.NaN,
      jitterMs,
      state: member.state,
      reachable: member.reachable,
    };
  }

  private notify(nid: Nid): void {
    const member = this.member(nid);
    const known = this.known.get(nid);
    if (member === undefined || known === undefined) return;
    const { rttMs, jitterMs, state, reachable } = this.popOf(member);
    Object.assign(known.pop, { rttMs, jitterMs, state, reachable });
    this.listener?.onPop(known.pop);
  }

  private takeDigest(nid: Nid, snapshot: boolean, added: number[], removed: number[]): void {
    const known = this.known.get(nid);
    const view = this.mesh?.core.prefixes.view(nid);
    if (known === undefined || view === undefined) return;
    const discount = this.discount(nid, view);
    const { id, endpoints } = known.pop.card;
    const changes = this.digests.changes(snapshot ? endpoints.length : 0, added, removed);
    for (const change of changes)
      this.listener?.onDigest({ pop: id, snapshot, discount, ...change });
  }

  /** A new card may have new rows, which know nothing of what was told before. */
  private replayDigest(nid: Nid): void {
    const view = this.mesh?.core.prefixes.view(nid);
    if (view !== undefined) this.takeDigest(nid, true, [...view.hashes], []);
  }

  private follow(nid: Nid, on: boolean): void {
    const mesh = this.mesh as Mesh;
    mesh.perform(mesh.core.follow(nid, on, this.host.clock()));
  }

  private reviewLater(): void {
    this.review = this.host.timers.setTimeout(() => {
      this.followNearest();
      for (const [nid, { pop }] of this.known) {
        if (this.member(nid) === undefined) this.forget(nid, pop);
        this.notify(nid);
        this.ageDigest(nid);
      }
      this.reviewLater();
    }, REVIEW_MS);
  }

  /** Its grave is gone, a day after it went down. */
  private forget(nid: Nid, pop: FleetPop): void {
    pop.state = "left";
    this.listener?.onPop(pop);
    this.known.delete(nid);
  }

  /** The digests of PoPs far away would change no decision. */
  private followNearest(): void {
    const { core } = this.mesh as Mesh;
    const followed = new Set(core.prefixes.followed);
    const wanted = [...this.known]
      .filter(
        ([, { pop }]) => pop.state === "alive" && pop.card.chunkBytes === this.card?.chunkBytes,
      )
      .sort(([, a], [, b]) => distance(a.pop) - distance(b.pop))
      .slice(0, core.context.limits.maxSubscriptions);
    for (const [nid] of wanted) if (!followed.has(nid)) this.follow(nid, true);
  }

  private ageDigest(nid: Nid): void {
    const view = this.mesh?.core.prefixes.view(nid);
    const known = this.known.get(nid);
    if (view === undefined || known === undefined) return;
    const discount = this.discount(nid, view);
    known.pop.card.endpoints.forEach((_, endpoint) => {
      const none = new Uint32Array(0);
      const change = { endpoint, snapshot: false, added: none, removed: none, discount };
      this.listener?.onDigest({ pop: known.pop.card.id, ...change });
    });
  }

  /** Frames of a link come in order: without a change since, the digest is as fresh as the link. */
  private discount(nid: Nid, view: PrefixView): number {
    const { links, context } = (this.mesh as Mesh).core;
    let { updatedMs } = view;
    for (const link of links.values()) {
      if (link.peer !== nid || !link.open) continue;
      updatedMs = Math.max(updatedMs, link.lastReceivedMs - context.limits.prefixMs);
    }
    return expectedLoss(view, this.host.clock() - updatedMs);
  }

  /** Broken content of an authentic record: its author's fault, and no reason to fall over. */
  private read<T>(nid: Nid, parse: () => T | undefined): T | undefined {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      this.mesh?.core.context.count("content");
      this.host.log("debug", "gossip not understood", { from: nid, message: error.message });
      return undefined;
    }
  }
}

const distance = ({ rttMs }: FleetPop): Millis =>
  Number.isNaN(rttMs) ? Number.POSITIVE_INFINITY : rttMs;
