/**
 * What the parts of one gossip core share: its options, the time of the input being handled, the
 * effects collected so far and the counters. No part reads a clock or draws a number by itself.
 */
import type { Rng } from "../grid/effects.ts";
import type { Millis } from "../grid/units.ts";
import type { Certificate, Keyring, Nid } from "./identity.ts";
import type { GossipLimits } from "./limits.ts";

/** Chosen by whoever carries the links; unique while the core lives. */
export type LinkId = number;

export type MemberState = "alive" | "suspect" | "down" | "left";

export type GossipEvent =
  /** A member's state, epoch or incarnation changed, as this PoP sees it. */
  | { type: "member"; nid: Nid; state: MemberState; epoch: number; inc: number }
  /** Suspect: not routable, but reachable. Link broken or silent: neither. */
  | { type: "routable"; nid: Nid; routable: boolean; reachable: boolean }
  | { type: "hot"; nid: Nid }
  | { type: "cold"; nid: Nid; key: string; value: Uint8Array | null }
  /** A followed PoP's digest changed; `snapshot`: `added` is all of it. Members as in prefix.ts. */
  | { type: "prefix"; nid: Nid; snapshot: boolean; added: number[]; removed: number[] }
  /** This PoP's epoch: write it to disk, and hand it back as `persistedEpoch` at the next start. */
  | { type: "epoch"; epoch: number }
  /** This PoP accused a member. */
  | { type: "accused"; nid: Nid }
  /** A peer or a statement was turned away; `reason` is one of the counters' names. */
  | { type: "refused"; reason: string; nid: Nid | undefined }
  /** A peer let no link come to be; `address`: the one that was dialled. */
  | { type: "turned-away"; reason: string; nid: Nid | undefined; address: string | undefined }
  /** A peer asks; answer with `core.answer(link, id, ...)`. */
  | { type: "call"; nid: Nid; link: LinkId; id: number; call: number; body: Uint8Array }
  /** Undefined body: refused, timed out or the link broke. */
  | { type: "answer"; id: number; body: Uint8Array | undefined };

export type TimerId = "tick" | "control" | "flush" | "publish";

export type Effect =
  | { kind: "send"; link: LinkId; bytes: Uint8Array }
  | { kind: "close"; link: LinkId; reason: string }
  /** Open a link; answer with `onLink(id, "up", now, address)`, or "down" with it on failure. */
  | { kind: "dial"; address: string }
  /** Call `onTimer(id, now)` at `atMs`; replaces an earlier timer of the same id. */
  | { kind: "timer"; id: TimerId; atMs: Millis }
  | { kind: "event"; event: GossipEvent };

export interface GossipOptions {
  /** This PoP's certificate, as the grid's authority issued it. */
  certificate: Uint8Array;
  keyring: Keyring;
  /** Where others dial this PoP; empty when it only dials. */
  address: string;
  seeds: readonly string[];
  limits: GossipLimits;
  rng: Rng;
  /**
   * Unix milliseconds at `startMs`: the first epoch, and a bound on the epochs that others claim.
   * Milliseconds, so that a PoP that lost its disk does not start twice in one epoch.
   */
  unixMs: number;
  startMs: Millis;
  /** The epoch that an earlier process of this PoP persisted; 0 when none is known. */
  persistedEpoch: number;
  /** `each`: every load report carries its author's signature (+64 B, and a check per report). */
  signHot: "none" | "each";
  /**
   * May this author say this? Called for every cold record with a value, so that a claim above a
   * certificate is refused, counted and never stored.
   */
  accept: (author: Certificate, key: string, value: Uint8Array) => boolean;
}

export class Context {
  readonly options: GossipOptions;
  readonly limits: GossipLimits;
  readonly keyring: Keyring;
  nowMs: Millis;
  /** Counters by name, for metrics: `breach`, `banned`, `rate`, `dropped`, ... */
  readonly counters = new Map<string, number>();
  private effects: Effect[] = [];

  constructor(options: GossipOptions) {
    this.options = options;
    this.limits = options.limits;
    this.keyring = options.keyring;
    this.nowMs = options.startMs;
  }

  get unixMs(): number {
    return Math.floor(this.options.unixMs + this.nowMs - this.options.startMs);
  }

  get unixS(): number {
    return Math.floor(this.unixMs / 1000);
  }

  /** The last time up to `atMs` when the wall clock is at a multiple of the period. */
  beatBefore(atMs: Millis, periodMs: Millis): Millis {
    const unixMs = this.options.unixMs + atMs - this.options.startMs;
    return atMs - (unixMs % periodMs);
  }

  /** Uniform in [0, 1). */
  chance(): number {
    return this.options.rng() / 0x1_0000_0000;
  }

  emit(effect: Effect): void {
    this.effects.push(effect);
  }

  event(event: GossipEvent): void {
    this.effects.push({ kind: "event", event });
  }

  count(name: string): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + 1);
  }

  refuse(reason: string, nid: Nid | undefined): void {
    this.count(reason);
    this.event({ type: "refused", reason, nid });
  }

  /** What the input caused, in order. */
  drain(): Effect[] {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }
}
