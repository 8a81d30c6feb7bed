/**
 * One link to a peer: what was said on it, what waits to be said, what the peer knows already. A
 * record waits at most once per link: a newer one takes its place, so a slow peer costs a bounded
 * amount of memory however long it stays slow.
 */
import type { Millis } from "../grid/units.ts";
import type { Context, LinkId } from "./context.ts";
import type { Certificate, Nid } from "./identity.ts";
import type { Member } from "./members.ts";
import type { Alias, Hello } from "./message.ts";
import type { Accusation, Claim, ColdRecord } from "./statement.ts";

/** What a ref of the peer's stands for, and the slot that it was found to be in `tenure`. */
export interface Bound extends Alias {
  slot: number;
  tenure: number;
}

export type Phase = "hello" | "auth" | "open";

export const NEIGHBOUR = 0;
export const FOLLOWER = 1;

const RTT_SAMPLES = 8;
const CLOCK_WINDOW_MS = 30_000;
const MAX_WAITING = 8192;

export class Link {
  readonly id: LinkId;
  /** The address that we dialled; undefined when the peer dialled us. */
  readonly dialled: string | undefined;
  readonly upMs: Millis;
  phase: Phase = "hello";
  role = NEIGHBOUR;
  nonce: Uint8Array = new Uint8Array();
  ownHello: Hello | undefined;
  peerHello: Hello | undefined;
  certificate: Certificate | undefined;
  peer: Nid | undefined;
  /** The peer said a last word, so its silence is no death. */
  parted = false;
  lastReceivedMs: Millis;
  lastSentMs: Millis;
  pingedMs = Number.NEGATIVE_INFINITY;
  pongedMs = Number.NEGATIVE_INFINITY;
  answeredMs = Number.NEGATIVE_INFINITY;
  reboundMs = Number.NEGATIVE_INFINITY;
  snapshotMs = Number.NEGATIVE_INFINITY;
  /** When it is our turn to compare states with the peer. */
  sumAtMs = Number.POSITIVE_INFINITY;
  /** Bytes that the carrier holds unsent, and since when they are over the hard limit. */
  buffered = 0;
  overSinceMs: Millis | undefined;
  tokens: number;
  tokensMs: Millis;
  /** What the peer's refs stand for. */
  readonly refs = new Map<number, Bound>();
  /** By slot: the epoch under which our ref was announced. */
  readonly announced: number[] = [];
  /** By slot: the version of the load report that the peer has. */
  readonly known: number[] = [];
  /** Slots whose load report waits. */
  readonly dirty = new Set<number>();
  wantsAll = false;
  readonly wants = new Set<Nid>();
  /** What we asked the peer to relay. */
  asked = "";
  readonly claims = new Map<Nid, Claim>();
  /** Weak: a claim that nobody holds any more is nothing to remember. */
  private readonly knownClaims = new WeakSet<Claim>();
  readonly accusations = new Map<string, Accusation>();
  readonly cold = new Map<string, ColdRecord>();
  /** Least round trip of the last few; 0: none was measured. */
  rttMs: Millis = 0;
  private readonly rtts: number[] = [];
  private offsets: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  private windowMs: Millis;

  constructor(context: Context, id: LinkId, dialled: string | undefined) {
    this.id = id;
    this.dialled = dialled;
    this.upMs = context.nowMs;
    this.lastReceivedMs = context.nowMs;
    this.lastSentMs = context.nowMs;
    this.windowMs = context.nowMs;
    this.tokens = context.limits.inBytesPerS;
    this.tokensMs = context.nowMs;
  }

  get open(): boolean {
    return this.phase === "open";
  }

  /** A neighbour carries the flood; a follower only prefixes. */
  get floods(): boolean {
    return this.phase === "open" && this.role === NEIGHBOUR;
  }

  /** How much longer than the least the last round trips took, on average. */
  get jitterMs(): Millis {
    if (this.rtts.length === 0) return 0;
    const sum = this.rtts.reduce((total, rttMs) => total + rttMs, 0);
    return sum / this.rtts.length - this.rttMs;
  }

  addRtt(rttMs: Millis): void {
    if (this.rtts.push(Math.max(0, rttMs)) > RTT_SAMPLES) this.rtts.shift();
    this.rttMs = Math.min(...this.rtts);
  }

  /**
   * Time that a frame spent under way: half the round trip, plus what it took longer than the
   * quickest frame of the last minute. So a frame held up by a retransmission says its true age.
   * `sentMs` is the sender's own clock, modulo 2^32; only differences of it are used.
   */
  transitMs(sentMs: number, nowMs: Millis): Millis {
    const now = Math.floor(nowMs) % 0x1_0000_0000;
    const offset = (now - sentMs) | 0;
    if (nowMs - this.windowMs > CLOCK_WINDOW_MS) {
      this.offsets = [this.offsets[1], Number.POSITIVE_INFINITY];
      this.windowMs = nowMs;
    }
    this.offsets[1] = Math.min(this.offsets[1], offset);
    const least = Math.min(this.offsets[0], this.offsets[1]);
    return this.rttMs / 2 + (offset - least);
  }

  /** Takes `bytes` from the peer's allowance; false: it is used up. */
  admit(bytes: number, context: Context): boolean {
    const { inBytesPerS } = context.limits;
    const earned = ((context.nowMs - this.tokensMs) * inBytesPerS) / 1000;
    this.tokens = Math.min(inBytesPerS, this.tokens + earned);
    this.tokensMs = context.nowMs;
    if (this.tokens < bytes) return false;
    this.tokens -= bytes;
    return true;
  }

  /** The peer asked for reports of others, all or some. */
  get relays(): boolean {
    return this.wantsAll || this.wants.size > 0;
  }

  bind({ ref, nid, epoch }: Alias): void {
    this.refs.set(ref, { ref, nid, epoch, slot: 0, tenure: 0 });
  }

  wantsHotOf(member: Member, self: Member): boolean {
    return member === self || this.wantsAll || this.wants.has(member.nid);
  }

  /** The peer has this claim: it said it, or was told; a link loses nothing. */
  knowsClaim(claim: Claim): boolean {
    return this.knownClaims.has(claim);
  }

  heardClaim(claim: Claim): void {
    this.claims.delete(claim.nid);
    this.knownClaims.add(claim);
  }

  /** Says it even to a peer that was told: whoever asks may have forgotten it. */
  queueClaim(claim: Claim): void {
    if (this.claims.size >= MAX_WAITING && !this.claims.has(claim.nid)) return;
    this.claims.set(claim.nid, claim);
    this.knownClaims.add(claim);
  }

  queueAccusation(accusation: Accusation): void {
    const key = accusation.accuser + accusation.target;
    if (this.accusations.size < MAX_WAITING || this.accusations.has(key)) {
      this.accusations.set(key, accusation);
    }
  }

  queueCold(record: ColdRecord): void {
    const key = `${record.nid}/${record.key}`;
    if (this.cold.size < MAX_WAITING || this.cold.has(key)) this.cold.set(key, record);
  }
}

/** Sends a frame on a link. */
export function send(context: Context, link: Link, bytes: Uint8Array): void {
  link.lastSentMs = context.nowMs;
  link.buffered += bytes.length;
  context.emit({ kind: "send", link: link.id, bytes });
}
