/**
 * Every bound and period of gossip, with its unit and reason. A fleet keeps the defaults; tests and
 * odd networks override some. Both ends of a link hold to the same frame size, or the larger one's
 * frames are refused.
 */
import type { Millis } from "../grid/units.ts";

export interface GossipLimits {
  /** Largest frame sent or taken, bytes. Bounds what a hostile peer can make us hold. */
  frameBytes: number;
  /** Live PoPs up to which everybody links to everybody; above it the overlay takes over. */
  fullMeshMax: number;
  /** Links of an overlay PoP: wanted, least, most. Fewer cost hops, more cost duplicates. */
  degree: number;
  degreeMin: number;
  degreeMax: number;
  /**
   * Shortest and longest time between two load reports of this PoP. The shortest is the grid's
   * beat, too: a report that waits leaves when the wall clock is at a multiple of it, which may
   * halve the time once. Equal in all PoPs, or each has a beat of its own.
   */
  hotMinMs: Millis;
  hotMaxMs: Millis;
  /** How long relayed load and cold records wait for company; longer saves frames, costs age. */
  flushMs: Millis;
  /** The same for membership and accusations, which are rare and urgent. */
  controlFlushMs: Millis;
  /** Period of the upkeep: deadlines, dials, anti-entropy. Also what a stall is measured by. */
  tickMs: Millis;
  /** A link on which nothing was sent for so long carries a ping. */
  pingIdleMs: Millis;
  /** Silence that makes a link dead: three pings missed. */
  silenceMs: Millis;
  /** Lateness of the own tick from which on this PoP was stalled and trusts no deadline. */
  stallMs: Millis;
  /** Unrefuted suspicion becomes DOWN after this long. */
  suspectMs: Millis;
  /** How long an accusation counts. */
  accuseMs: Millis;
  /** No news of a member by any way for so long, and no link to it: accuse it. */
  staleMs: Millis;
  /** How long a DOWN or LEFT member is remembered, so that no old claim brings it back. */
  graveMs: Millis;
  handshakeMs: Millis;
  /** Mean period of anti-entropy with one neighbour. */
  sumMs: Millis;
  dialMinMs: Millis;
  dialMaxMs: Millis;
  /** One DOWN member or unlinked seed is dialled this often, so that partitions heal unaided. */
  rescueDialMs: Millis;
  /** Unsent bytes of a link above which only membership, accusations and pings are sent. */
  softBufferBytes: number;
  /** Unsent bytes above which, after `hardBufferMs`, the link is closed. */
  hardBufferBytes: number;
  hardBufferMs: Millis;
  /** Bytes per second taken from one link; more is dropped and counted. */
  inBytesPerS: number;
  /** So many breaches of schema or signature within the window ban the peer. */
  breaches: number;
  breachWindowMs: Millis;
  banMs: Millis;
  /** Furthest an epoch may lie ahead of our clock: a bad clock poisons nobody for ever. */
  epochAheadMs: Millis;
  maxMembers: number;
  maxLinks: number;
  /** One load report, bytes. */
  hotBytes: number;
  /** Cold state of one PoP: bytes of values and keys, number of keys, bytes of a value. */
  coldBytes: number;
  coldKeys: number;
  valueBytes: number;
  /** Cold bytes per link and flush: 6 KiB each 25 ms is 240 KB/s. */
  coldFlushBytes: number;
  /** Distinct accusers of one member that are passed on; two decide, the third is spare. */
  accusersSpread: number;
  prefixMs: Millis;
  maxPrefix: number;
  maxSubscriptions: number;
  /** Calls to peers that may be open at once, and longest body of one. */
  maxCalls: number;
  callBytes: number;
}

export const GOSSIP_LIMITS: GossipLimits = {
  frameBytes: 65_536,
  fullMeshMax: 64,
  degree: 8,
  degreeMin: 6,
  degreeMax: 12,
  hotMinMs: 250,
  hotMaxMs: 1000,
  flushMs: 25,
  controlFlushMs: 10,
  tickMs: 100,
  pingIdleMs: 500,
  silenceMs: 1500,
  stallMs: 250,
  suspectMs: 5000,
  accuseMs: 10_000,
  staleMs: 5000,
  graveMs: 86_400_000,
  handshakeMs: 5000,
  sumMs: 10_000,
  dialMinMs: 250,
  dialMaxMs: 10_000,
  rescueDialMs: 5000,
  softBufferBytes: 262_144,
  hardBufferBytes: 1_048_576,
  hardBufferMs: 5000,
  inBytesPerS: 2_097_152,
  breaches: 3,
  breachWindowMs: 60_000,
  banMs: 300_000,
  epochAheadMs: 86_400_000,
  maxMembers: 4096,
  maxLinks: 256,
  hotBytes: 1024,
  coldBytes: 16_384,
  coldKeys: 256,
  valueBytes: 8192,
  coldFlushBytes: 6144,
  accusersSpread: 3,
  prefixMs: 500,
  maxPrefix: 65_536,
  maxSubscriptions: 16,
  maxCalls: 256,
  callBytes: 32_768,
};
