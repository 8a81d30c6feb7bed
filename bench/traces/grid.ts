/**
 * The PoPs of one run and what passes between them: requests handed over, loads gossiped every
 * so many milliseconds, changes of prefix digests. Worker w belongs to PoP w mod K. With one PoP
 * there is nothing to gossip.
 */
import type { Events } from "./events.ts";
import type { SimulatedFleet } from "./fleet.ts";
import { BenchPop, type Journey, type PopOptions, SURVEY_MS, type Upstream, WAKE_MS } from "./pop.ts";
import { mix, randomBelow, randomWords } from "./random.ts";
import type { TraceRequest } from "./trace.ts";

export const ENTRIES = ["random", "session"] as const;
export type Entry = (typeof ENTRIES)[number];

export interface GridOptions {
  pops: number;
  /** Period of load gossip, per PoP, each with its own phase. */
  gossipMs: number;
  digestMs: number;
  /** A conversation stays at one PoP, or each request comes in anywhere. */
  entry: Entry;
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
  private readonly entries: () => number;

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
    this.entries = randomWords(pop.seed ^ 0x0e07);
    const workers = Array.from({ length: fleet.size }, (_, worker) => worker);
    this.pops = Array.from({ length: options.pops }, (_, index) => {
      const own = workers.filter((worker) => worker % options.pops === index);
      const handOver = (worker: number, journey: Journey, upstream: Upstream) =>
        this.handOver(index, worker, journey, upstream);
      return new BenchPop({ ...pop, seed: mix(pop.seed, index) }, own, fleet, events, handOver);
    });
    this.startTicks();
  }

  enter(journey: Journey): void {
    this.entryOf(journey.request).enter(journey);
  }

  entryOf({ session }: TraceRequest): BenchPop {
    const { entry, pops } = this.options;
    const index = entry === "session" ? mix(session, this.seed) % pops : randomBelow(this.entries, pops);
    return this.pops[index];
  }

  private handOver(from: number, worker: number, journey: Journey, upstream: Upstream): void {
    const owner = this.pops[worker % this.pops.length];
    this.handedOver++;
    if (journey.hops++ === 0 && Number.isFinite(this.options.refuseMs)) {
      const expectedMs = owner.expects(journey);
      if (expectedMs > upstream.hintMs + this.options.refuseMs) {
        this.refusals++;
        this.tell(owner, this.pops[from]);
        upstream.refused();
        this.pops[from].enter(journey);
        return;
      }
    }
    owner.receive(journey, upstream);
  }

  private startTicks(): void {
    const { gossipMs, digestMs } = this.options;
    const words = randomWords(this.seed ^ 0x71c5);
    for (const pop of this.pops) {
      this.every(WAKE_MS, words, () => pop.queue.wake(-1));
      this.every(SURVEY_MS, words, () => pop.survey());
      if (this.pops.length === 1) continue;
      this.every(gossipMs, words, () => {
        for (const other of this.pops) this.tell(pop, other);
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
      heard.queuedTokens[row] = said.ownTokens[row] + said.waitingTokens[row];
      heard.sentTokens[row] = 0;
      heard.sampleAtMs[row] = this.events.nowMs;
      heard.prefillRate[row] = said.prefillRate[row];
      heard.kvUsage[row] = said.kvUsage[row];
    }
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
