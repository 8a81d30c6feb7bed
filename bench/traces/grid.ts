/**
 * The PoPs of one run and what passes between them: requests handed over, loads gossiped every
 * so many milliseconds, changes of prefix digests. A hand-over and what comes back of it take
 * half a round trip each. With one PoP there is nothing to gossip.
 */
import type { Events } from "./events.ts";
import type { SimulatedFleet } from "./fleet.ts";
import {
  BenchPop,
  type Journey,
  type PopOptions,
  SURVEY_MS,
  type Upstream,
  WAKE_MS,
} from "./pop.ts";
import type { Places } from "./places.ts";
import { mix, randomWords } from "./random.ts";

export interface GridOptions {
  places: Places;
  /** Period of load gossip, per PoP, each with its own phase. */
  gossipMs: number;
  digestMs: number;
}

export class BenchGrid {
  readonly pops: BenchPop[];
  /** Requests handed over, and of these refused. */
  handedOver = 0;
  refusals = 0;
  /** Hashes told to other PoPs: each has three bytes. */
  digestHashes = 0;
  private readonly options: GridOptions;
  private readonly events: Events;
  private readonly isOver: () => boolean;
  private readonly seed: number;

  constructor(
    options: GridOptions,
    pop: PopOptions,
    fleet: SimulatedFleet,
    events: Events,
    isOver: () => boolean,
  ) {
    this.options = options;
    this.events = events;
    this.isOver = isOver;
    this.seed = pop.seed;
    const { names, popOf, rttMs } = options.places;
    this.pops = names.map((_, index) => {
      const handOver = (worker: number, journey: Journey, upstream: Upstream) =>
        this.handOver(index, worker, journey, upstream);
      const seed = mix(pop.seed, index);
      const place = { index, popOf, rttMs: rttMs[index] };
      return new BenchPop({ ...pop, seed }, place, fleet, events, handOver);
    });
    this.startTicks();
  }

  enter(journey: Journey, pop: number): void {
    this.pops[pop].enter(journey);
  }

  private handOver(from: number, worker: number, journey: Journey, upstream: Upstream): void {
    const { popOf, rttMs } = this.options.places;
    const owner = popOf[worker];
    const wayMs = rttMs[from][owner] / 2;
    this.handedOver++;
    this.after(wayMs, () => {
      const far = this.farUpstream(wayMs, upstream, () => this.tell(owner, from, wayMs));
      this.pops[owner].receive(journey, far, wayMs);
    });
  }

  /** News for the PoP that handed over, one way later; a refusal brings the fresh load along. */
  private farUpstream(wayMs: number, upstream: Upstream, tell: () => void): Upstream {
    return {
      ...upstream,
      firstContent: (nowMs) => this.after(wayMs, () => upstream.firstContent(nowMs + wayMs)),
      ended: (nowMs, cached) => this.after(wayMs, () => upstream.ended(nowMs + wayMs, cached)),
      refused: () => {
        this.refusals++;
        tell();
        this.after(wayMs, () => upstream.refused());
      },
    };
  }

  private after(delayMs: number, run: () => void): void {
    this.events.at(this.events.nowMs + delayMs, run);
  }

  private startTicks(): void {
    const { gossipMs, digestMs } = this.options;
    const words = randomWords(this.seed ^ 0x71c5);
    for (const [index, pop] of this.pops.entries()) {
      this.every(WAKE_MS, words, () => pop.queue.wake(this.events.nowMs));
      this.every(SURVEY_MS, words, () => pop.survey());
      if (this.pops.length === 1) continue;
      this.every(gossipMs, words, () => {
        for (const other of this.pops.keys()) this.gossip(index, other);
      });
      this.every(digestMs, words, () => this.tellDigests(pop));
    }
  }

  private every(periodMs: number, words: () => number, run: () => void): void {
    const tick = () => {
      run();
      if (!this.isOver()) this.events.at(this.events.nowMs + periodMs, tick);
    };
    this.events.at((words() / 2 ** 32) * periodMs, tick);
  }

  private gossip(pop: number, other: number): void {
    if (pop !== other) this.tell(pop, other, this.options.places.rttMs[pop][other] / 2);
  }

  /** What a PoP says of its load now, as another one takes it up after the way there. */
  private tell(pop: number, other: number, wayMs: number): void {
    const load = this.pops[pop].load();
    const saidMs = this.events.nowMs;
    if (wayMs === 0) this.pops[other].hear(pop, load, saidMs);
    else this.after(wayMs, () => this.pops[other].hear(pop, load, saidMs));
  }

  private tellDigests(pop: BenchPop): void {
    for (const row of pop.own) {
      const delta = pop.kernel.drainDigestChanges(row);
      if (delta === "snapshot") {
        const all = pop.kernel.digestOf(row);
        this.digestHashes += all.length;
        for (const other of this.pops) if (other !== pop) other.kernel.setDigest(row, all);
        continue;
      }
      const { added, removed } = delta;
      if (added.length + removed.length === 0) continue;
      this.digestHashes += added.length + removed.length;
      for (const other of this.pops) {
        if (other !== pop) other.kernel.changeDigest(row, added, removed);
      }
    }
  }
}
