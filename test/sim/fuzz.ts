/**
 * A core under fire: a member with a good certificate, and strangers without, send frames of every
 * kind, whole, spoilt and replayed. After each frame: nothing was thrown, a refused frame changed
 * nothing but a counter, a replayed one changed no record, whatever is held was signed by its
 * author, tables are bounded. A failure names seed, number and bytes of the frame.
 */
import type { Rng } from "../../src/grid/effects.ts";
import type { Effect } from "../../src/gossip/context.ts";
import { GossipCore } from "../../src/gossip/core.ts";
import { GOSSIP_LIMITS } from "../../src/gossip/limits.ts";
import { SimAuthority } from "../../src/sim/authority.ts";
import { seededRng, splitRng } from "../../src/sim/clock.ts";
import { type Damage, DAMAGES, spoil, validFrames } from "./fuzz-frames.ts";

export interface FuzzReport {
  frames: number;
  /** By damage, "replayed" and "stranger" too. */
  sent: Record<string, number>;
  refused: number;
  /** Times that the core threw the sender out, or banned it. */
  closed: number;
  bans: number;
}

const UNIX_MS = 1_800_000_000_000;
const YEAR_S = 31_536_000;
const MEMBER_LINK = 1;
const FRAME_MS = 2;
const BAN_MS = 301_000;
const KEPT = 256;
const HOT_KIND = 5;
/** More than a fleet allows, or most of the time would go into bans and handshakes. */
const BREACHES = 40;
/** A reply may be a few frames (a comparison, pages of records), never a flood. */
const MOST_REPLIES = 16;
const OUTSIDE_REFUSALS = new Set(["schema", "order", "rate"]);

type Admission = ReturnType<SimAuthority["admit"]>;

class Fuzz {
  readonly report: FuzzReport = { frames: 0, sent: {}, refused: 0, closed: 0, bans: 0 };
  private readonly seed: number;
  private readonly rng: Rng;
  private readonly member: Admission;
  private readonly target: GossipCore;
  private author: GossipCore;
  private nowMs = 0;
  private epoch = 0;
  private frames: Uint8Array[] = [];
  /** What was taken once. */
  private kept: Uint8Array[] = [];
  private strangers = 10;

  constructor(seed: number) {
    this.seed = seed;
    this.rng = seededRng(seed);
    const authority = new SimAuthority("grid", splitRng(seed, 1));
    const notAfterS = UNIX_MS / 1000 + YEAR_S;
    this.member = authority.admit(1, "z", notAfterS);
    this.target = this.coreOf(authority.admit(2, "z", notAfterS));
    this.author = this.coreOf(this.member);
    this.target.setLocal("own", Uint8Array.of(1), 0);
    this.rejoin();
    this.target.follow(this.author.nid, true, this.nowMs);
  }

  /** One frame from the member or, one time in eight, from somebody unknown. */
  step(): void {
    this.nowMs += FRAME_MS;
    if (this.report.frames % 64 === 0) {
      this.frames = validFrames(this.author, this.target, this.report.frames + 1);
      this.absorb(this.target.onTimer("tick", this.nowMs));
    }
    if (!this.target.links.has(MEMBER_LINK)) this.rejoin();
    this.report.frames++;
    const any = () => this.frames[this.rng() % this.frames.length];
    const replays = this.kept.length > 0 && this.rng() % 8 === 0;
    if (replays) this.replay(this.kept[this.rng() % this.kept.length]);
    else {
      const damage = DAMAGES[this.rng() % DAMAGES.length];
      const bytes = spoil(any(), damage, this.rng, any());
      if (this.rng() % 8 === 0) this.stranger(bytes);
      else this.attack(bytes, damage);
    }
  }

  private attack(bytes: Uint8Array, damage: Damage): void {
    this.count(damage);
    const before = this.everything();
    const records = this.records();
    const reasons = this.give(MEMBER_LINK, bytes);
    this.judge(bytes);
    const outside = reasons.some((reason) => OUTSIDE_REFUSALS.has(reason));
    // Being thrown out may change what is thought of the link's state, not what is known.
    const same = this.target.links.has(MEMBER_LINK)
      ? before === this.everything()
      : records === this.records();
    if (outside && !same) this.fail(bytes, "a refused frame changed the state");
    if (damage === "none" && records !== this.records()) {
      this.kept[this.kept.length < KEPT ? this.kept.length : this.rng() % KEPT] = bytes;
    }
  }

  /** Once more what was taken already; signed statements also from an epoch that is over. */
  private replay(bytes: Uint8Array): void {
    this.count("replayed");
    const before = this.records();
    this.give(MEMBER_LINK, bytes);
    this.judge(bytes);
    if (before !== this.records()) this.fail(bytes, "a replayed frame changed a record");
  }

  /** A link that never proves itself is closed at its first wrong word. */
  private stranger(bytes: Uint8Array): void {
    this.count("stranger");
    const id = ++this.strangers;
    const before = this.everything();
    this.absorb(this.target.onLink(id, "up", this.nowMs));
    this.give(id, bytes);
    const open = this.target.links.get(id);
    if (open?.open) this.fail(bytes, "a stranger came in");
    if (open !== undefined) this.absorb(this.target.onLink(id, "down", this.nowMs));
    if (before !== this.everything()) this.fail(bytes, "a stranger changed the state");
  }

  private give(link: number, bytes: Uint8Array): string[] {
    let effects: Effect[];
    try {
      effects = this.target.onFrame(link, bytes, this.nowMs);
    } catch (error) {
      this.fail(bytes, `threw ${(error as Error).stack}`);
    }
    return this.absorb(effects, bytes);
  }

  /** Reasons of what was refused. */
  private absorb(effects: readonly Effect[], bytes?: Uint8Array): string[] {
    const reasons: string[] = [];
    let replies = 0;
    for (const effect of effects) {
      if (effect.kind === "send" && effect.link === MEMBER_LINK) replies++;
      if (effect.kind === "close" && effect.link === MEMBER_LINK) this.report.closed++;
      if (effect.kind !== "event" || effect.event.type !== "refused") continue;
      reasons.push(effect.event.reason);
      if (effect.event.reason === "banned") this.report.bans++;
    }
    if (reasons.length > 0) this.report.refused++;
    if (bytes !== undefined && replies > MOST_REPLIES) this.fail(bytes, `${replies} replies`);
    // The carrier always drains.
    for (const id of this.target.links.keys()) this.target.onBuffered(id, 0);
    return reasons;
  }

  /** Bounds, and that all that is held is what its author signed. */
  private judge(bytes: Uint8Array): void {
    const { members, links, context } = this.target;
    const { limits, keyring } = context;
    if (members.byNid.size > 2) this.fail(bytes, "a member that nobody certified");
    if (links.size > 1) this.fail(bytes, "more links than peers");
    for (const member of members.byNid.values()) {
      const { publicKey } = member.certificate;
      const { claim } = member;
      const genuine = keyring.check("claim", publicKey, claim.body, claim.signature);
      if (!genuine) this.fail(bytes, "a claim that its author did not sign");
      for (const { body, signature } of member.cold.records.values()) {
        if (!keyring.check("cold", publicKey, body, signature)) this.fail(bytes, "a forged record");
      }
      if (member.cold.bytes > limits.coldBytes) this.fail(bytes, "too much cold state");
      if (member.accusations.size > 64) this.fail(bytes, "too many accusers");
    }
    for (const link of links.values()) {
      if (link.refs.size > limits.maxMembers) this.fail(bytes, "too many refs");
      const waiting = link.claims.size + link.accusations.size + link.cold.size;
      if (waiting > 3 * 8192 || link.wants.size > 4096) this.fail(bytes, "too much waits");
    }
    const held = this.target.prefixes.view(this.author.nid)?.hashes.size ?? 0;
    if (held > limits.maxPrefix) this.fail(bytes, "too many prefixes");
  }

  /** What the core holds of each member, as text. */
  private records(): string {
    return [...this.target.members.byNid.values()]
      .map(({ nid, claim, cold, hot }) => [nid, claim.epoch, claim.inc, cold.digest, hot?.seq])
      .join(";");
  }

  private everything(): string {
    const { members, links, prefixes } = this.target;
    const link = links.get(MEMBER_LINK);
    const more = [...members.byNid.values()].map(({ state, accusations, routable }) => [
      state,
      routable,
      ...[...accusations.values()].map(({ accusation }) => accusation.seq),
    ]);
    const said = [link?.refs.size, link?.wantsAll, link?.wants.size, link?.phase];
    const { count, hashes } = prefixes.view(this.author.nid) ?? {};
    return `${this.records()}|${more.join(";")}|${said}|${count},${hashes?.size}`;
  }

  /** The member comes back as a new process, after its ban. */
  private rejoin(): void {
    this.nowMs += BAN_MS;
    // A load report is the word of its link, unsigned unless the grid asks for it.
    this.kept = this.kept.filter((bytes) => bytes[1] !== HOT_KIND);
    this.epoch = this.author.members.self.claim.epoch;
    this.author = this.coreOf(this.member);
    this.absorb(this.target.onTimer("tick", this.nowMs));
    let toTarget = this.author.onLink(MEMBER_LINK, "up", this.nowMs, "sim://target");
    let toAuthor = this.target.onLink(MEMBER_LINK, "up", this.nowMs);
    while (toTarget.length + toAuthor.length > 0) {
      const pass = (effects: readonly Effect[], core: GossipCore) =>
        effects.flatMap((effect) =>
          effect.kind === "send" && effect.link === MEMBER_LINK
            ? core.onFrame(MEMBER_LINK, effect.bytes, this.nowMs)
            : [],
        );
      [toAuthor, toTarget] = [pass(toTarget, this.target), pass(toAuthor, this.author)];
    }
    if (!this.target.links.get(MEMBER_LINK)?.open) {
      throw new Error(`seed ${this.seed}: an honest PoP is not let in after its ban`);
    }
    this.frames = validFrames(this.author, this.target, this.report.frames + 1);
  }

  private coreOf(who: Admission): GossipCore {
    const core = new GossipCore({
      certificate: who.certificate,
      keyring: who.keyring,
      address: `sim://${who.nid}`,
      seeds: [],
      limits: { ...GOSSIP_LIMITS, breaches: BREACHES },
      rng: splitRng(this.seed, 3),
      unixMs: UNIX_MS + this.nowMs,
      startMs: this.nowMs,
      persistedEpoch: this.epoch,
      signHot: "none",
      accept: () => true,
    });
    core.start(this.nowMs);
    return core;
  }

  private count(what: string): void {
    this.report.sent[what] = (this.report.sent[what] ?? 0) + 1;
  }

  private fail(bytes: Uint8Array, what: string): never {
    const hex = Buffer.from(bytes.subarray(0, 400)).toString("hex");
    throw new Error(`SEED=${this.seed} frame ${this.report.frames} (${hex}): ${what}`);
  }
}

/** Sends frames until `done` says so. @throws Error naming the frame that broke a rule */
export function fuzzFrames(seed: number, done: (frames: number) => boolean): FuzzReport {
  const fuzz = new Fuzz(seed);
  while (!done(fuzz.report.frames)) fuzz.step();
  return fuzz.report;
}
