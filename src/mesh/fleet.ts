/**
 * The grid in the words of decisions, over any FleetBus: cards are cold state, loads are hot,
 * digests are followed from the nearest PoPs. Content that is not understood is its author's fault
 * and is counted; what a PoP may claim at all was checked before it was stored (`claims.ts`).
 */
import { SchemaError } from "../gossip/codec.ts";
import type { FleetBus, FleetEvent } from "../gossip/fleet-bus.ts";
import type { Nid } from "../gossip/identity.ts";
import type { PrefixView } from "../gossip/prefix.ts";
import type { MemberView } from "../gossip/view.ts";
import type { Clock, Log } from "../grid/effects.ts";
import type { DigestChange, Fleet, FleetListener, FleetPop, PopCard } from "../grid/fleet.ts";
import type { PopLoad } from "../grid/fleet.ts";
import type { Millis } from "../grid/units.ts";
import { Digests, expectedLoss } from "./digests.ts";
import { fitCard } from "./claims.ts";
import { MAX_ENDPOINTS, MAX_PAGES, pageKey, pageOf } from "./fleet-codec.ts";
import { readCard, readLoad, writeLoad } from "./fleet-codec.ts";
import type { MeshTimers } from "./mesh.ts";
import { Refusals } from "./refusals.ts";

export interface FleetHost {
  clock: Clock;
  timers: MeshTimers;
  log: Log;
  /** Where this PoP reaches what another says is at `url`. */
  route(url: string): string;
}

/** How often ages, discounts and the choice of whom to follow are looked at. */
const REVIEW_MS = 1_000;

interface Known {
  pop: FleetPop;
  /** Of the card, as its author counts; the pop's own is made unique over restarts. */
  revision: number;
}

export class GossipFleet implements Fleet {
  private readonly host: FleetHost;
  private readonly known = new Map<Nid, Known>();
  private readonly refusals: Refusals;
  private readonly digests = new Digests();
  private readonly follows = new Map<Nid, () => void>();
  /** Whose load came since the last `settle`. */
  private readonly unsettled = new Set<Nid>();
  private listener: FleetListener | undefined;
  private bus: FleetBus | undefined;
  private card: PopCard | undefined;
  private load: Omit<PopLoad, "atMs" | "seq"> | undefined;
  private review: unknown;
  private cut = "";
  private left = false;
  private notUnderstood = 0;

  constructor(host: FleetHost) {
    this.host = host;
    this.refusals = new Refusals(host.clock, host.log);
  }

  /** Says over that bus what was published so far, and listens to it. Once. */
  start(bus: FleetBus): void {
    this.bus = bus;
    bus.watch((event) => this.take(event));
    if (this.card !== undefined) this.publishCard(this.card);
    if (this.load !== undefined) this.publishLoad(this.load);
    this.flushDigest();
    this.reviewLater();
  }

  listen(listener: FleetListener): void {
    this.listener = listener;
    for (const { pop } of this.known.values()) listener.onPop(pop);
  }

  publishCard(card: PopCard): void {
    this.card = card;
    const { bus } = this;
    if (bus === undefined) return;
    const pages = this.pagesOf(bus, card);
    for (let page = 0; page < MAX_PAGES; page++) {
      const key = pageKey(page);
      this.publish(key, () => bus.setCold(key, pages[page] ?? null));
    }
  }

  publishLoad(load: Omit<PopLoad, "atMs" | "seq">): void {
    this.load = load;
    const { bus } = this;
    if (bus === undefined) return;
    this.publish("load", () => bus.publishHot(writeLoad(load, bus.limits.loadBytes)));
  }

  publishDigest(change: Omit<DigestChange, "pop" | "discount">): void {
    if (change.endpoint >= MAX_ENDPOINTS) return;
    const { added, removed } = this.digests.publish(change);
    this.digests.pend(added, removed);
    this.flushDigest();
  }

  /** Loads come one by one, a hundred a second from thirty PoPs: a turn of some costs far less. */
  settle(): void {
    if (!this.left) this.bus?.awake();
    for (const nid of this.unsettled) {
      const known = this.known.get(nid);
      if (known !== undefined && this.takeLoad(nid, known)) this.listener?.onLoad(known.pop);
    }
    this.unsettled.clear();
  }

  *pops(): Iterable<FleetPop> {
    this.settle();
    for (const { pop } of this.known.values()) yield pop;
  }

  async leave(): Promise<void> {
    if (this.bus === undefined || this.left) return;
    this.left = true;
    this.host.timers.clearTimeout(this.review as never);
    await this.bus.leave();
  }

  stats(): Record<string, number> {
    if (this.bus === undefined) return {};
    return { ...this.bus.stats(), notUnderstood: this.notUnderstood };
  }

  private flushDigest(): void {
    if (this.bus === undefined) return;
    const { added, removed } = this.digests.taken();
    this.bus.changePrefixes(added, removed);
  }

  private publish(key: string, say: () => void): void {
    try {
      say();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.host.log("error", "gossip too large", { key, message: error.message });
    }
  }

  /** What had to be cut is said once per card that needs it. */
  private pagesOf(bus: FleetBus, card: PopCard): Uint8Array[] {
    const capacity = bus.member(bus.nid)?.capacity ?? 0;
    const { pages, cut } = fitCard(card, capacity);
    const text = cut === undefined ? "" : JSON.stringify(cut);
    if (cut !== undefined && text !== this.cut) this.host.log("warn", "card is cut", cut);
    this.cut = text;
    return pages;
  }

  private take(event: FleetEvent): void {
    switch (event.type) {
      case "cold":
        if (pageOf(event.key) !== undefined) this.takeCard(event.nid);
        return;
      case "hot":
        this.unsettled.add(event.nid);
        return;
      case "member":
        return this.takeMember(event.nid);
      case "routable":
        return this.notify(event.nid);
      case "prefix":
        return this.takeDigest(event.nid, event.snapshot, event.added, event.removed);
      case "refused":
        return this.refusals.say("gossip refused", event.reason, { pop: this.nameOf(event.nid) });
      case "turned-away": {
        const { reason, nid, address } = event;
        return this.refusals.say("turned away by a pop", reason, {
          pop: this.nameOf(nid),
          address,
        });
      }
      case "accused":
        return this.host.log("info", "pop accused", { pop: this.nameOf(event.nid) });
    }
  }

  private nameOf(nid: Nid): string;
  private nameOf(nid: Nid | undefined): string | undefined;
  private nameOf(nid: Nid | undefined): string | undefined {
    return this.known.get(nid ?? "")?.pop.card.id ?? nid;
  }

  /** Another PoP; undefined: unknown, or this one. */
  private member(nid: Nid): MemberView | undefined {
    return nid === this.bus?.nid ? undefined : this.bus?.member(nid);
  }

  private takeCard(nid: Nid): void {
    const member = this.member(nid);
    if (member === undefined) return;
    const values = Array.from({ length: MAX_PAGES }, (_, page) => member.cold.get(pageKey(page)));
    const card = this.read(nid, () => readCard(values));
    if (card === undefined) return;
    const { revision } = card;
    const url = this.host.route(card.url);
    // A restarted PoP counts its cards from one again.
    const unique = (member.epoch % 2 ** 32) * 0x10000 + (revision % 0x10000);
    const pop = { ...popOf(member), card: { ...card, url, revision: unique } };
    const known = { pop, revision };
    this.known.set(nid, known);
    this.takeLoad(nid, known);
    this.notify(nid);
    this.replayDigest(nid);
  }

  /** The last report as the pop's load, when it follows the card that we have. */
  private takeLoad(nid: Nid, { pop, revision }: Known): boolean {
    const report = this.bus?.load(nid);
    if (report === undefined) return false;
    const load = this.read(nid, () => readLoad(report.content));
    if (load === undefined || load.revision !== revision % 0x10000) return false;
    if (load.endpoints.length > pop.card.endpoints.length) return false;
    const { seq, atMs } = report;
    const { endpoints, queueClasses } = load;
    pop.load = { endpoints, queueClasses, revision: pop.card.revision, seq, atMs };
    return true;
  }

  private takeMember(nid: Nid): void {
    const member = this.member(nid);
    if (member === undefined || !this.known.has(nid)) return;
    this.notify(nid);
    if (member.state === "left") this.known.delete(nid);
    if (member.state === "left" || member.state === "down") this.unfollow(nid);
  }

  private notify(nid: Nid): void {
    const member = this.member(nid);
    const known = this.known.get(nid);
    if (member !== undefined && known !== undefined) this.tell(member, known);
  }

  private tell({ rttMs, jitterMs, state, reachable }: MemberView, { pop }: Known): void {
    // Not measured yet is no short way.
    pop.rttMs = rttMs ?? Number.NaN;
    pop.jitterMs = jitterMs;
    pop.state = state;
    pop.reachable = reachable;
    this.listener?.onPop(pop);
  }

  private takeDigest(nid: Nid, snapshot: boolean, added: number[], removed: number[]): void {
    const known = this.known.get(nid);
    const view = this.bus?.prefixes(nid);
    if (known === undefined || view === undefined) return;
    const discount = this.discount(view);
    const { id, endpoints } = known.pop.card;
    const changes = this.digests.changes(snapshot ? endpoints.length : 0, added, removed);
    for (const change of changes)
      this.listener?.onDigest({ pop: id, snapshot, discount, ...change });
  }

  /** A new card may have new rows, which know nothing of what was told before. */
  private replayDigest(nid: Nid): void {
    const view = this.bus?.prefixes(nid);
    if (view !== undefined) this.takeDigest(nid, true, [...view.hashes], []);
  }

  private unfollow(nid: Nid): void {
    this.follows.get(nid)?.();
    this.follows.delete(nid);
  }

  private reviewLater(): void {
    this.review = this.host.timers.setTimeout(() => {
      this.settle();
      this.followNearest();
      for (const [nid, known] of this.known) {
        const member = this.member(nid);
        if (member === undefined) this.forget(nid, known.pop);
        else if (differs(member, known.pop)) this.tell(member, known);
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
    const bus = this.bus as FleetBus;
    const { subscriptions } = bus.limits;
    const ranked = [...this.known]
      .filter(
        ([, { pop }]) => pop.state === "alive" && pop.card.chunkBytes === this.card?.chunkBytes,
      )
      .sort(([, a], [, b]) => distance(a.pop) - distance(b.pop))
      .map(([nid]) => nid);
    // Whoever came first is far away at times; ranks that wobble around the bound change nothing.
    for (const nid of ranked.slice(1.5 * subscriptions)) this.unfollow(nid);
    for (const nid of ranked.slice(0, subscriptions)) {
      if (this.follows.size >= subscriptions) return;
      if (!this.follows.has(nid)) this.follows.set(nid, bus.followPrefixes(nid));
    }
  }

  private ageDigest(nid: Nid): void {
    const view = this.bus?.prefixes(nid);
    const known = this.known.get(nid);
    if (view === undefined || known === undefined) return;
    const discount = this.discount(view);
    known.pop.card.endpoints.forEach((_, endpoint) => {
      const none = new Uint32Array(0);
      const change = { endpoint, snapshot: false, added: none, removed: none, discount };
      this.listener?.onDigest({ pop: known.pop.card.id, ...change });
    });
  }

  private discount(view: PrefixView): number {
    return expectedLoss(view, this.host.clock() - view.updatedMs);
  }

  /** Broken content of an authentic record: its author's fault, and no reason to fall over. */
  private read<T>(nid: Nid, parse: () => T | undefined): T | undefined {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      this.notUnderstood++;
      this.host.log("debug", "gossip not understood", { from: nid, message: error.message });
      return undefined;
    }
  }
}

/** Of what no event tells, the round trip; the rest for the case that one was missed. */
function differs({ rttMs, jitterMs, state, reachable }: MemberView, pop: FleetPop): boolean {
  if (!Object.is(rttMs ?? Number.NaN, pop.rttMs) || jitterMs !== pop.jitterMs) return true;
  return state !== pop.state || reachable !== pop.reachable;
}

/** Everything but the card, as it stands now. */
const popOf = ({ rttMs, jitterMs, state, reachable }: MemberView): Omit<FleetPop, "card"> => ({
  load: undefined,
  // Not measured yet is no short way.
  rttMs: rttMs ?? Number.NaN,
  ...{ jitterMs, state, reachable },
});

const distance = ({ rttMs }: FleetPop): Millis =>
  Number.isNaN(rttMs) ? Number.POSITIVE_INFINITY : rttMs;
