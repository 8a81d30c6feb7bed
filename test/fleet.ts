/**
 * A fleet in memory: what one PoP publishes the others hear at once, with the round trip that the
 * test says. Tests may also speak for a PoP that has no fleet of its own, and silence one.
 */
import type {
  DigestChange,
  Fleet,
  FleetListener,
  FleetPop,
  PopCard,
  PopLoad,
} from "../src/grid/fleet.ts";

export class MemoryGrid {
  private readonly members = new Map<string, MemoryFleet>();
  readonly clock: () => number;
  rttMs: number;

  constructor(clock: () => number, rttMs = 1) {
    this.clock = clock;
    this.rttMs = rttMs;
  }

  fleet(id: string): MemoryFleet {
    const fleet = new MemoryFleet(this, id);
    this.members.set(id, fleet);
    return fleet;
  }

  others(id: string): MemoryFleet[] {
    return [...this.members.values()].filter((fleet) => fleet.id !== id);
  }

  /** Everybody hears that the PoP is in that state. */
  say(id: string, change: Partial<Pick<FleetPop, "state" | "reachable">>): void {
    for (const fleet of this.others(id)) fleet.heard(id, change);
  }
}

export class MemoryFleet implements Fleet {
  readonly id: string;
  /** False: what it publishes is lost on the way. */
  connected = true;
  readonly cards: PopCard[] = [];
  readonly loads: PopLoad[] = [];
  readonly digests: DigestChange[] = [];
  left = false;
  private readonly grid: MemoryGrid;
  private readonly known = new Map<string, FleetPop>();
  private listener: FleetListener | undefined;
  private seq = 0;

  constructor(grid: MemoryGrid, id: string) {
    this.grid = grid;
    this.id = id;
  }

  listen(listener: FleetListener): void {
    this.listener = listener;
  }

  publishCard(card: PopCard): void {
    this.cards.push(card);
    if (!this.connected) return;
    for (const other of this.grid.others(this.id)) other.heardCard(card);
  }

  publishLoad(load: Omit<PopLoad, "atMs" | "seq">): void {
    const whole = { ...load, atMs: this.grid.clock(), seq: ++this.seq };
    this.loads.push(whole);
    if (!this.connected) return;
    for (const other of this.grid.others(this.id)) other.heard(this.id, { load: whole });
  }

  publishDigest(change: Omit<DigestChange, "pop" | "discount">): void {
    const whole = { ...change, pop: this.id, discount: 0 };
    this.digests.push(whole);
    if (!this.connected) return;
    for (const other of this.grid.others(this.id)) other.listener?.onDigest(whole);
  }

  pops(): Iterable<FleetPop> {
    return this.known.values();
  }

  async leave(): Promise<void> {
    this.left = true;
    this.grid.say(this.id, { state: "left", reachable: false });
  }

  /** This fleet hears of a PoP; also for one that has no fleet itself. */
  heardCard(card: PopCard): void {
    const { rttMs } = this.grid;
    const before = this.known.get(card.id);
    const load = before?.load;
    this.tell({ card, load, rttMs, jitterMs: 0, state: "alive", reachable: true });
  }

  heard(id: string, change: Partial<Pick<FleetPop, "load" | "state" | "reachable">>): void {
    const before = this.known.get(id);
    if (before !== undefined) this.tell({ ...before, ...change });
  }

  private tell(pop: FleetPop): void {
    this.known.set(pop.card.id, pop);
    this.listener?.onPop(pop);
  }
}
