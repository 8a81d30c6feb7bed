/**
 * The FleetBus on a gossip core. Who carries the core (a mesh of sockets, the simulator) says how
 * an input is run and its effects are done (`carry`), and hands every event to `hear`.
 */
import type { Clock } from "../grid/effects.ts";
import type { Millis } from "../grid/units.ts";
import type { Effect, GossipEvent } from "./context.ts";
import { type GossipCore, HOT_KEY } from "./core.ts";
import type { Answerer, FleetBus, FleetEvent, FleetLimits, FleetStats } from "./fleet-bus.ts";
import type { Nid } from "./identity.ts";
import type { PrefixView } from "./prefix.ts";
import { LOAD_OVERHEAD_BYTES } from "./own-state.ts";
import { type LoadReport, type MemberView, reportOf, viewOf } from "./view.ts";

export type Input = (core: GossipCore, nowMs: Millis) => Effect[];

export abstract class CoreBus implements FleetBus {
  readonly limits: FleetLimits;
  protected readonly core: GossipCore;
  protected readonly clock: Clock;
  private readonly listeners = new Set<(event: FleetEvent) => void>();
  private readonly waiting = new Map<number, (body: Uint8Array | undefined) => void>();
  private answerer: Answerer | undefined;

  constructor(core: GossipCore, clock: Clock) {
    this.core = core;
    this.clock = clock;
    const { hotBytes, maxSubscriptions } = core.context.limits;
    this.limits = { loadBytes: hotBytes - LOAD_OVERHEAD_BYTES, subscriptions: maxSubscriptions };
  }

  /** Runs an input of the core now and does the effects. */
  protected abstract carry(input: Input): void;

  abstract leave(): Promise<void>;

  get nid(): Nid {
    return this.core.nid;
  }

  publishHot(content: Uint8Array): void {
    this.carry((core, nowMs) => core.setLocal(HOT_KEY, content, nowMs));
  }

  setCold(key: string, value: Uint8Array | null): void {
    if (key === HOT_KEY) throw new RangeError(`"${HOT_KEY}" is no cold key: choose another name`);
    this.carry((core, nowMs) => core.setLocal(key, value, nowMs));
  }

  view(): readonly MemberView[] {
    return this.core.view(this.clock());
  }

  member(nid: Nid): MemberView | undefined {
    const member = this.core.members.byNid.get(nid);
    return member && viewOf(member, this.clock());
  }

  load(nid: Nid): LoadReport | undefined {
    const hot = this.core.members.byNid.get(nid)?.hot;
    return hot && reportOf(hot);
  }

  watch(listener: (event: FleetEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changePrefixes(added: Iterable<number>, removed: Iterable<number>): void {
    this.core.setPrefix(added, removed);
  }

  followPrefixes(nid: Nid): () => void {
    this.carry((core, nowMs) => core.follow(nid, true, nowMs));
    return () => this.carry((core, nowMs) => core.follow(nid, false, nowMs));
  }

  prefixes(nid: Nid): PrefixView | undefined {
    return this.core.prefixes.view(nid);
  }

  request(
    nid: Nid,
    call: number,
    body: Uint8Array,
    timeoutMs: Millis,
  ): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      this.carry((core, nowMs) => {
        const { id, effects } = core.call(nid, call, body, timeoutMs, nowMs);
        if (id === undefined) resolve(undefined);
        else this.waiting.set(id, resolve);
        return effects;
      });
    });
  }

  answerWith(answerer: Answerer): void {
    this.answerer = answerer;
  }

  /** Whoever has timers of its own does here what they would do soon. */
  awake(): void {}

  stats(): FleetStats {
    const { members, links, context } = this.core;
    const counted = [...context.counters].map(([name, count]) => [`core.${name}`, count]);
    const { byNid, liveCount } = members;
    const held = { links: links.size, members: byNid.size, alive: liveCount };
    return { ...held, ...Object.fromEntries(counted) };
  }

  /** Takes an event of the core, after its effects are done. */
  hear(event: GossipEvent): void {
    if (event.type === "answer") {
      this.waiting.get(event.id)?.(event.body);
      this.waiting.delete(event.id);
    } else if (event.type === "call") void this.answer(event);
    else if (isFleetEvent(event)) for (const listener of this.listeners) listener(event);
  }

  private async answer({ nid, link, id, call, body }: GossipEvent & { type: "call" }) {
    let answer: Uint8Array | undefined;
    try {
      answer = await this.answerer?.(nid, call, body);
    } catch {
      // A refusal says all that the peer needs; the answerer knows its own errors.
      answer = undefined;
    }
    this.carry((core, nowMs) => core.answer(link, id, answer, nowMs));
  }
}

const isFleetEvent = (event: GossipEvent): event is GossipEvent & FleetEvent =>
  event.type !== "epoch" && event.type !== "call" && event.type !== "answer";
