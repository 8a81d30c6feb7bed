/**
 * The seam between a PoP and whatever carries the grid's state: gossip over WebSockets, the
 * simulator's network, or a broker. The rest of the PoP knows this interface only. Reading is
 * synchronous and never fails, also when every peer is gone: then the ages grow. Nothing here
 * throws because of what a peer does.
 */
import type { Millis } from "../grid/units.ts";
import type { MemberState } from "./context.ts";
import type { Nid } from "./identity.ts";
import type { PrefixView } from "./prefix.ts";
import type { LoadReport, MemberView } from "./view.ts";

export type FleetEvent =
  | { type: "member"; nid: Nid; state: MemberState }
  | { type: "routable"; nid: Nid; routable: boolean; reachable: boolean }
  | { type: "hot"; nid: Nid }
  /** Null: the key is deleted. */
  | { type: "cold"; nid: Nid; key: string; value: Uint8Array | null }
  /** A followed PoP's prefixes changed; `snapshot`: `added` is all of them. */
  | { type: "prefix"; nid: Nid; snapshot: boolean; added: number[]; removed: number[] }
  /** For logs: this PoP accused a member; a peer or a statement was turned away. */
  | { type: "accused"; nid: Nid }
  | { type: "refused"; reason: string; nid: Nid | undefined }
  /** The other way about: a peer turned this PoP away, at the address that was dialled. */
  | { type: "turned-away"; reason: string; nid: Nid | undefined; address: string | undefined };

/** Counts by name: `links`, `members`, `alive`, what the carrier has (`bytesOut`), `core.*`. */
export type FleetStats = Record<string, number>;

export interface FleetLimits {
  /** A load report, bytes. */
  loadBytes: number;
  /** PoPs whose prefixes can be followed at once. */
  subscriptions: number;
}

/** Answers a peer's question; undefined or a rejection: refused. */
export type Answerer = (
  nid: Nid,
  call: number,
  body: Uint8Array,
) => Promise<Uint8Array | undefined> | Uint8Array | undefined;

export interface FleetBus {
  readonly nid: Nid;
  readonly limits: FleetLimits;
  /** This PoP's load. Lossy, the newest wins. @throws RangeError when over the limits */
  publishHot(content: Uint8Array): void;
  /** Sets or, with null, deletes a key of this PoP. @throws RangeError when over the limits */
  setCold(key: string, value: Uint8Array | null): void;
  /** All members with the age of what is known of them; this PoP included. */
  view(): readonly MemberView[];
  /** One of them; undefined: never heard of, or forgotten. */
  member(nid: Nid): MemberView | undefined;
  /** Its last load report alone; undefined: it has told none. */
  load(nid: Nid): LoadReport | undefined;
  /** Every change from now on, in order per member. Returns what ends it. */
  watch(listener: (event: FleetEvent) => void): () => void;
  /** Chunks that came into and went out of this PoP's caches. */
  changePrefixes(added: Iterable<number>, removed: Iterable<number>): void;
  /** Keeps `prefixes(nid)` up to date until the returned function is called. */
  followPrefixes(nid: Nid): () => void;
  prefixes(nid: Nid): PrefixView | undefined;
  /** Asks a peer; undefined: refused, too late, not reachable or too long a body. */
  request(
    nid: Nid,
    call: number,
    body: Uint8Array,
    timeoutMs: Millis,
  ): Promise<Uint8Array | undefined>;
  /** Who answers peers' questions; one. Without it they are refused. */
  answerWith(answerer: Answerer): void;
  /**
   * The process is awake for a reason of its own. Upkeep that is due soon is done now: to wake for
   * it costs more than all that it does.
   */
  awake(): void;
  /** Says good-bye: peers send no new work from then on. Resolves when it is out. */
  leave(): Promise<void>;
  stats(): FleetStats;
}
