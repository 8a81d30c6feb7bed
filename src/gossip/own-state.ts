/**
 * What this PoP says of itself: its claim (epoch and incarnation), its cold keys, its load. Only
 * this process raises its incarnation, to refute an accusation; its epoch rises only when it learns
 * that an earlier process of the same id had gone further.
 */
import { utf8Encode } from "./codec.ts";
import { FLOOR_KEY } from "./cold.ts";
import type { Millis } from "../grid/units.ts";
import type { Context } from "./context.ts";
import { type Certificate, type Keyring, sameBytes } from "./identity.ts";
import type { MemberTable } from "./members.ts";
import type { Spread } from "./spread.ts";
import { type Claim, MAX_KEY_BYTES, makeClaim, makeCold } from "./statement.ts";

/** Room that a frame keeps beside a load report's content: signature, numbers, header. */
export const LOAD_OVERHEAD_BYTES = 160;
/** A timer may fire this much before its time. */
const EARLY_MS = 2;
const REFUTE_MS = 500;
const REJOIN_MS = 5000;

export class OwnState {
  private readonly context: Context;
  private readonly members: MemberTable;
  private readonly spread: Spread;
  private readonly keyring: Keyring;
  private coldSeq = 0;
  private load: Uint8Array | undefined;
  /** The load is not the one that was last told. */
  private changed = false;
  private publishedMs = Number.NEGATIVE_INFINITY;
  private refuteAtMs = 0;
  private refuteAbove = -1;
  private rejoinAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: Context, members: MemberTable, spread: Spread) {
    this.context = context;
    this.members = members;
    this.spread = spread;
    this.keyring = context.keyring;
  }

  /** New load: sent now, or on the beat after the last report. Equal content is no change. */
  setLoad(content: Uint8Array): void {
    const { hotBytes } = this.context.limits;
    const mostBytes = hotBytes - LOAD_OVERHEAD_BYTES;
    if (content.length > mostBytes) {
      throw new RangeError(`load report of ${content.length} bytes is over ${mostBytes}`);
    }
    if (this.load !== undefined && sameBytes(this.load, content)) return;
    this.load = content.slice();
    this.changed = true;
    this.publishDue();
  }

  /** Says the load when a change may be told, or when the last report is too old. */
  publishDue(): void {
    const { hotMinMs, hotMaxMs } = this.context.limits;
    if (this.load === undefined || this.members.self.state === "left") return;
    const waitMs = this.dueMs(this.changed ? hotMinMs : hotMaxMs) - this.context.nowMs;
    if (waitMs > EARLY_MS) this.spread.schedule("publish", waitMs);
    else this.publish(this.load);
  }

  /**
   * Sets or, with null, deletes a cold key. Returns its seq.
   * @throws RangeError when key or value is too long or this PoP's cold state would be too big.
   */
  setCold(key: string, value: Uint8Array | null): number {
    const { valueBytes, coldKeys, coldBytes } = this.context.limits;
    const keyBytes = utf8Encode(key).length;
    if (keyBytes < 1 || keyBytes > MAX_KEY_BYTES) {
      throw new RangeError(`cold key "${key}" must have 1 to ${MAX_KEY_BYTES} bytes`);
    }
    if ((value?.length ?? 0) > valueBytes) {
      throw new RangeError(`cold value of "${key}" is over ${valueBytes} bytes`);
    }
    const { cold } = this.members.self;
    const held = cold.records.get(key);
    if (held === undefined && value === null) return this.coldSeq;
    if (held?.value && value !== null && sameBytes(held.value, value)) return held.seq;
    const record = this.coldRecord(key, value);
    // The floor's own record may come on top of the keys.
    if (!cold.fits(record, coldKeys, coldBytes)) {
      throw new RangeError(`cold state with "${key}" is over ${coldKeys} keys or ${coldBytes} B`);
    }
    cold.put(record);
    this.spread.cold(record);
    if (cold.tombstones > coldKeys / 4) this.compact();
    return record.seq;
  }

  /** Somebody holds that we are suspect or gone at `inc` or more: say, once, that we live. */
  refute(inc: number): void {
    this.refuteAbove = Math.max(this.refuteAbove, inc);
    if (this.context.nowMs < this.refuteAtMs) return;
    const { self } = this.members;
    this.refuteAtMs = this.context.nowMs + REFUTE_MS;
    if (self.state === "left" || this.refuteAbove < self.claim.inc) return;
    this.context.count("refuted");
    this.claim({ inc: Math.min(0xffffffff, this.refuteAbove + 1) });
  }

  /**
   * A signed claim of ours that this process did not make: an earlier process, whose epoch we did
   * not know, got further. We go beyond it. False: the claim is not genuine.
   */
  rejoin(claim: Claim): boolean {
    const { keyring, limits, nowMs, unixMs } = this.context;
    // Its certificate may have run out since; that it is ours is what counts.
    const certificate = keyring.certificate(claim.certificate, 0);
    if (certificate?.nid !== this.members.self.nid) return false;
    const { publicKey } = certificate;
    if (!keyring.check("claim", publicKey, claim.body, claim.signature)) return false;
    if (nowMs < this.rejoinAtMs + REJOIN_MS) return true;
    if (claim.epoch > unixMs + limits.epochAheadMs) return true;
    this.rejoinAtMs = nowMs;
    this.context.count("rejoined");
    this.claim({ epoch: Math.max(claim.epoch, this.members.self.claim.epoch) + 1, inc: 0 });
    return true;
  }

  /** A new certificate, for a new key or a longer life; the signer must hold its key already. */
  renew(certificate: Certificate): void {
    this.claim({ inc: this.members.self.claim.inc + 1 }, certificate);
  }

  leave(): void {
    const { claim } = this.members.self;
    if (!claim.left) this.claim({ inc: claim.inc + 1, left: true });
  }

  tick(): void {
    if (this.refuteAbove >= this.members.self.claim.inc) this.refute(this.refuteAbove);
  }

  private publish(load: Uint8Array): void {
    this.publishedMs = this.context.nowMs;
    this.changed = false;
    this.spread.ownHot(load);
    this.publishDue();
  }

  /**
   * `afterMs` from the last report, or up to half the least time sooner: on a beat of the wall
   * clock, so that reports of many PoPs come together where they are as near as their clocks, and
   * a PoP wakes once for several.
   */
  private dueMs(afterMs: Millis): Millis {
    if (this.publishedMs === Number.NEGATIVE_INFINITY) return this.context.nowMs;
    const { hotMinMs } = this.context.limits;
    const latestMs = this.publishedMs + afterMs;
    const beatMs = this.context.beatBefore(latestMs + EARLY_MS, hotMinMs);
    return Math.max(beatMs, latestMs - hotMinMs / 2);
  }

  private claim(
    change: Partial<Pick<Claim, "epoch" | "inc" | "left">>,
    certificate = this.members.self.certificate,
  ): void {
    const { self } = this.members;
    const held = [...self.cold.records.values()].filter(({ key }) => key !== FLOOR_KEY);
    const { epoch } = self.claim;
    const rekeyed = !sameBytes(certificate.publicKey, self.certificate.publicKey);
    const claim = makeClaim(this.keyring, certificate, { ...self.claim, ...change });
    this.members.applyOwn(claim, certificate);
    if (self.claim.epoch !== epoch) this.context.event({ type: "epoch", epoch: self.claim.epoch });
    this.spread.claim(self.claim);
    if (self.claim.left || (self.claim.epoch === epoch && !rekeyed)) return;
    for (const { key, value } of held) if (value !== null) this.say(key, value);
    if (this.load !== undefined) this.publish(this.load);
  }

  /** Writes what lives anew and voids all that lies below, tombstones too. */
  private compact(): void {
    const { records } = this.members.self.cold;
    const live = [...records.values()].filter(({ key, value }) => key !== FLOOR_KEY && value);
    const floor = this.coldSeq + 1;
    for (const { key, value } of live) this.say(key, value);
    this.coldSeq = Math.max(this.coldSeq, floor);
    const { self } = this.members;
    const { nid } = self;
    const facts = { nid, epoch: self.claim.epoch, seq: floor, key: FLOOR_KEY, value: null };
    const record = makeCold(this.keyring, facts);
    self.cold.put(record);
    this.spread.cold(record);
  }

  private say(key: string, value: Uint8Array | null): void {
    const record = this.coldRecord(key, value);
    this.members.self.cold.put(record);
    this.spread.cold(record);
  }

  private coldRecord(key: string, value: Uint8Array | null) {
    const { self } = this.members;
    const seq = ++this.coldSeq;
    const { epoch } = self.claim;
    const kept = value === null ? null : value.slice();
    return makeCold(this.keyring, { nid: self.nid, epoch, seq, key, value: kept });
  }
}
