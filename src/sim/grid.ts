/**
 * A grid in a box: many cores, one clock, one network, one seed. The tests drive it; it tells its
 * story, so that a failure can be read.
 */
import { encode } from "../gossip/codec.ts";
import type { GossipEvent } from "../gossip/context.ts";
import { GOSSIP_LIMITS, type GossipLimits } from "../gossip/limits.ts";
import { HOT_KEY } from "../gossip/core.ts";
import type { Keyring, Nid } from "../gossip/identity.ts";
import type { Millis } from "../grid/units.ts";
import { SimAuthority } from "./authority.ts";
import { Carrier } from "./carrier.ts";
import { Checkers, InvariantError } from "./checkers.ts";
import { SimClock, seededRng, splitRng, unit } from "./clock.ts";
import { Network } from "./network.ts";

export interface SimOptions {
  seed: number;
  pops: number;
  /** Round trips between cities, ms; the diagonal is within one city. */
  rttMs: readonly (readonly number[])[];
  loss?: number;
  jitterMs?: Millis;
  bytesPerS?: number;
  limits?: Partial<GossipLimits>;
  signHot?: "none" | "each";
  /** PoPs that everybody knows at first. */
  seeds?: number;
  /** Which city a PoP is in; drawn from the seed when not said. */
  cityOf?: (index: number) => number;
  /** Offset of each PoP's wall clock, seconds. */
  clockOffsetS?: (index: number) => number;
  /** Sees events after the checkers. */
  watch?: (carrier: Carrier, events: readonly GossipEvent[], nowMs: Millis) => void;
}

const UNIX_S = 1_800_000_000;
const YEAR_S = 31_536_000;
const DEFAULT_BYTES_PER_S = 12_500_000;
/** PoPs up to which every check looks at all that a PoP holds. */
const SCAN_UP_TO = 12;

export class SimGrid {
  readonly clock = new SimClock();
  readonly network: Network;
  readonly carriers: Carrier[] = [];
  readonly checkers: Checkers;
  readonly story: string[] = [];
  readonly options: SimOptions;
  readonly limits: GossipLimits;
  private readonly keyrings: Keyring[] = [];
  private readonly certificates: Uint8Array[] = [];
  private readonly cities: number[];
  private readonly authority: SimAuthority;
  private published = 0;

  constructor(options: SimOptions) {
    this.options = options;
    this.limits = { ...GOSSIP_LIMITS, ...options.limits };
    const rng = seededRng(options.seed);
    this.authority = new SimAuthority("sim-grid", splitRng(options.seed, 1));
    const drawn = () => Math.floor(unit(rng) * options.rttMs.length);
    this.cities = Array.from({ length: options.pops }, (_, i) => options.cityOf?.(i) ?? drawn());
    this.network = new Network(this.clock, splitRng(options.seed, 2), {
      latencyMs: (from, to) => options.rttMs[this.cities[from]][this.cities[to]] / 2,
      jitterMs: options.jitterMs ?? 1,
      loss: options.loss ?? 0,
      bytesPerS: options.bytesPerS ?? DEFAULT_BYTES_PER_S,
    });
    this.checkers = new Checkers(this.clock, SCAN_UP_TO);
    for (let index = 0; index < options.pops; index++) this.add(index);
  }

  get running(): Carrier[] {
    return this.carriers.filter(({ state }) => state === "running");
  }

  /** Starts all PoPs within `withinMs`. */
  startAll(withinMs: Millis): void {
    for (const carrier of this.carriers) {
      const atMs = (withinMs * carrier.index) / this.carriers.length;
      this.clock.at(this.clock.nowMs + atMs, () => {
        carrier.start();
        this.publish(carrier);
      });
    }
  }

  run(ms: Millis): void {
    try {
      this.clock.run(this.clock.nowMs + ms);
    } catch (error) {
      throw this.told(error);
    }
  }

  /** Runs a check of the whole grid; its failure tells the story too. */
  expect(check: (checkers: Checkers, carriers: readonly Carrier[]) => void): void {
    try {
      check(this.checkers, this.carriers);
    } catch (error) {
      throw this.told(error);
    }
  }

  /** Runs until `done` says so; the time it took, or undefined after `mostMs`. */
  until(done: () => boolean, mostMs: Millis, stepMs: Millis = 10): Millis | undefined {
    const startMs = this.clock.nowMs;
    while (!done()) {
      if (this.clock.nowMs - startMs >= mostMs) return undefined;
      this.run(stepMs);
    }
    return this.clock.nowMs - startMs;
  }

  say(what: string): void {
    this.story.push(`${this.clock.nowMs.toFixed(0).padStart(8)} ms  ${what}`);
  }

  /** A load report of about 16 B that nobody said before. */
  publish(carrier: Carrier): void {
    const content = encode([++this.published % 60_000, 12, 7, 431, 1000, 85, 140, 0]);
    carrier.act((core, nowMs) => core.setLocal(HOT_KEY, content, nowMs));
  }

  /** Every running PoP publishes so many times a second, from now on, each at its own phase. */
  drive(hertz: number): void {
    const periodMs = 1000 / hertz;
    for (const carrier of this.carriers) {
      const again = () => {
        this.publish(carrier);
        this.clock.at(this.clock.nowMs + periodMs, again);
      };
      this.clock.at(this.clock.nowMs + (periodMs * (carrier.index % 97)) / 97, again);
    }
  }

  /** Blocks all that passes between two groups, in both directions or from the first only. */
  cut(a: readonly number[], b: readonly number[], bothWays = true): void {
    for (const from of a) {
      for (const to of b) {
        this.network.block(from, to);
        if (bothWays) this.network.block(to, from);
      }
    }
  }

  member(holder: Carrier, about: Carrier) {
    return holder.core.members.byNid.get(about.nid);
  }

  private add(index: number): void {
    const { seed, clockOffsetS, seeds = 3 } = this.options;
    const zone = `zone-${this.cities[index]}`;
    const { nid, certificate, keyring } = this.authority.admit(index, zone, UNIX_S + YEAR_S);
    this.keyrings.push(keyring);
    this.certificates.push(certificate);
    const first = Array.from({ length: seeds }, (_, i) => `sim://${i}`);
    const offsetS = clockOffsetS?.(index) ?? 0;
    const makeOptions = (carrier: Carrier) => ({
      certificate: this.certificates[index],
      keyring: this.keyrings[index],
      address: carrier.address,
      seeds: first,
      limits: this.limits,
      rng: splitRng(seed, 1000 + index * 100 + carrier.life),
      unixMs: (UNIX_S + offsetS) * 1000 + this.clock.nowMs,
      startMs: this.clock.nowMs,
      persistedEpoch: carrier.persistedEpoch,
      signHot: this.options.signHot ?? "none",
      accept: () => true,
    });
    const watcher = (carrier: Carrier, events: readonly GossipEvent[]) => {
      this.checkers.inspect(carrier, events);
      this.options.watch?.(carrier, events, this.clock.nowMs);
    };
    this.carriers.push(new Carrier(index, nid, this.clock, this.network, makeOptions, watcher));
  }

  /** The name of a PoP in stories. */
  nameOf(nid: Nid): string {
    const index = this.carriers.findIndex((carrier) => carrier.nid === nid);
    return index < 0 ? nid : `#${index}`;
  }

  private told(error: unknown): unknown {
    if (!(error instanceof InvariantError)) return error;
    const named = error.message.replace(/[0-9a-f]{16}/g, (nid) => this.nameOf(nid));
    const story = this.story.slice(-60).join("\n");
    return new InvariantError(`SEED=${this.options.seed} ${named}\n${story}`);
  }
}
