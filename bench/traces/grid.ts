/**
 * The PoPs of one run and what passes between them: requests handed over, loads gossiped every
 * so many milliseconds, changes of prefix digests. A hand-over and what comes back of it take
 * half a round trip each. With one PoP there is nothing to gossip.
 */
import { backlogAt } from "../../src/state/backlog.ts";
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
  /**
   * A PoP refuses what is handed to it, once per request, when it expects a TTFT worse than
   * promised by more than this: its fresh load comes with the refusal. Infinity = never.
   */
  refuseMs: number;
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
      const rtts = popOf.map((owner) => rttMs[index][owner]);
      const own = popOf.flatMap((owner, worker) => (owner === index ? [worker] : []));
      const seed = mix(pop.seed, index);
      return new BenchPop({ ...pop, seed }, { own, rtts }, fleet, events, handOver);
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
      if (this.isRefused(this.pops[owner], journey, upstream)) {
        this.after(wayMs, () => this.refused(from, owner, journey, upstream));
      } else {
        this.pops[owner].receive(journey, this.farUpstream(wayMs, upstream), wayMs);
      }
    });
  }

  private isRefused(owner: BenchPop, journey: Journey, upstream: Upstream): boolean {
    const { refuseMs } = this.options;
    if (journey.hops++ > 0 || !Number.isFinite(refuseMs)) return false;
    return owner.expects(journey) > upstream.hintMs + refuseMs;
  }

  private refused(from: number, owner: number, journey: Journey, upstream: Upstream): void {
    this.refusals++;
    this.tell(this.pops[owner], this.pops[from]);
    upstream.refused();
    this.pops[from].enter(journey);
  }

  /** News for the PoP that handed over, one way later. */
  private farUpstream(wayMs: number, upstream: Upstream): Upstream {
    return {
      ...upstream,
      firstContent: (nowMs) => this.after(wayMs, () => upstream.firstContent(nowMs + wayMs)),
      ended: (nowMs, cached) => this.after(wayMs, () => upstream.ended(nowMs + wayMs, cached)),
    };
  }

  private after(delayMs: number, run: () => void): void {
    this.events.at(this.events.nowMs + delayMs, run);
  }

  private startTicks(): void {
    const { gossipMs, digestMs } = this.options;
    const words = randomWords(this.seed ^ 0x71c5);
    for (const pop of this.pops) {
      this.every(WAKE_MS, words, () => pop.queue.wake(this.events.nowMs));
      this.every(SURVEY_MS, words, () => pop.survey());
      if (this.pops.length === 1) continue;
      this.every(gossipMs, words, () => {
        for (const other of this.pops) this.gossip(pop, other);
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

  /** What a PoP knows of its own workers' load, as another one takes it up. */
  private tell(pop: BenchPop, other: BenchPop): void {
    if (pop === other) return;
    const said = pop.table.columns;
    const heard = other.table.columns;
    for (const row of pop.own) {
      const backlog = backlogAt(said, row, said.prefillRate[row], this.events.nowMs);
      heard.queuedTokens[row] = backlog + said.waitingTokens[row];
      heard.sentTokens[row] = 0;
      heard.sampleAtMs[row] = this.events.nowMs;
      heard.prefillRate[row] = said.prefillRate[row];
      heard.kvUsage[row] = said.kvUsage[row];
    }
  }

  /** The same, underway for half a round trip. */
  private gossip(pop: BenchPop, other: BenchPop): void {
    if (pop === other) return;
    const { rttMs } = this.options.places;
    const wayMs = rttMs[this.pops.indexOf(pop)][this.pops.indexOf(other)] / 2;
    if (wayMs === 0) this.tell(pop, other);
    else this.after(wayMs, () => this.tell(pop, other));
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
