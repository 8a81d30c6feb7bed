/**
 * What a PoP knows of the other PoPs, beside the rows of their endpoints: card and load as gossip
 * brought them, which rows are whose, what was sent there lately, and how much of a PoP's queue a
 * request of a given size would really wait behind.
 */
import { type FleetPop, type PopCard, type PopLoad, QUEUE_CLASSES } from "../grid/fleet.ts";
import type { Millis, Row, Tokens } from "../grid/units.ts";

/** Sends remembered per row: at 100 a second to one endpoint more than two seconds' worth. */
const SENDS_KEPT = 256;

/** The newest sends to one row, so that a load that left before they arrived is corrected. */
export class SendLog {
  private readonly times = new Float64Array(SENDS_KEPT).fill(Number.NEGATIVE_INFINITY);
  private readonly tokens = new Float64Array(SENDS_KEPT);
  private next = 0;
  private newestMs = Number.NEGATIVE_INFINITY;

  add(atMs: Millis, tokens: Tokens): void {
    this.newestMs = Math.max(this.newestMs, atMs);
    this.times[this.next] = atMs;
    this.tokens[this.next] = tokens;
    this.next = (this.next + 1) % SENDS_KEPT;
  }

  /** Tokens sent later than that. */
  since(atMs: Millis): Tokens {
    let sum = 0;
    if (this.newestMs <= atMs) return sum;
    for (let at = 0; at < SENDS_KEPT; at++) {
      if ((this.times[at] as number) > atMs) sum += this.tokens[at] as number;
    }
    return sum;
  }
}

/** One row of another PoP. */
export interface PeerRow {
  readonly row: Row;
  readonly pop: KnownPop;
  readonly endpointId: string;
  readonly sends: SendLog;
  /** Tokens of the last load, and the part of them that waits in that PoP's queue. */
  queuedTokens: Tokens;
  waitingTokens: Tokens;
  /** The last load said that the endpoint can be used. */
  up: boolean;
}

export interface KnownPop {
  readonly id: string;
  /** As last told; whoever tells may go on writing to it. */
  pop: FleetPop;
  /** Of the card that the rows were made from. */
  url: string;
  card: PopCard | undefined;
  /** The newest load by time, whichever way it came. */
  load: PopLoad | undefined;
  /** By the card's order; undefined = it found no place in the table. */
  rows: (PeerRow | undefined)[];
  /** New work may be sent there. */
  routable: boolean;
  /** Requests of ours that it refused. */
  refusals: number;
}

export class PopTable {
  private readonly pops = new Map<string, KnownPop>();
  private readonly byRow: (PeerRow | undefined)[] = [];

  get size(): number {
    return this.pops.size;
  }

  get(id: string): KnownPop | undefined {
    return this.pops.get(id);
  }

  /** How many are in which state, as `gridpoint top` has it: every state, also with none. */
  states(): Record<string, number> {
    const counts = { alive: 0, draining: 0, suspect: 0, down: 0, unreachable: 0 };
    for (const { pop, card } of this.pops.values()) {
      if (pop.state === "left") continue;
      if (!pop.reachable && pop.state !== "down") counts.unreachable++;
      else if (pop.state === "alive" && card?.draining) counts.draining++;
      else counts[pop.state]++;
    }
    return counts;
  }

  all(): IterableIterator<KnownPop> {
    return this.pops.values();
  }

  add(pop: FleetPop): KnownPop {
    const known: KnownPop = {
      id: pop.card.id,
      pop,
      url: "",
      card: undefined,
      load: undefined,
      rows: [],
      routable: false,
      refusals: 0,
    };
    this.pops.set(known.id, known);
    return known;
  }

  remove(id: string): void {
    this.pops.delete(id);
  }

  /** Undefined for an endpoint of this PoP. */
  at(row: Row): PeerRow | undefined {
    return this.byRow[row];
  }

  addRow(row: Row, pop: KnownPop, endpointId: string): PeerRow {
    const peer: PeerRow = {
      ...{ row, pop, endpointId, sends: new SendLog() },
      ...{ queuedTokens: 0, waitingTokens: 0, up: false },
    };
    this.byRow[row] = peer;
    return peer;
  }

  /** The row may belong to somebody else from now on. */
  removeRow(row: Row): void {
    this.byRow[row] = undefined;
  }
}

/** Size class of a request: 2^i..2^(i+1)-1 uncached tokens are class i. */
export function queueClassOf(tokens: Tokens): number {
  const most = 2 ** QUEUE_CLASSES - 1;
  return 31 - Math.clz32(Math.min(Math.max(tokens, 1), most));
}

/**
 * Tokens of a PoP's queue that a newcomer of that size waits behind. The PoP files each that waits
 * under the size below which a newcomer would pass it, by its own order at that moment: what is
 * small or has waited for long stands in a low class, however large it is.
 */
export function tokensAhead(queueClasses: readonly number[], tokens: Tokens): Tokens {
  const own = queueClassOf(tokens);
  let ahead = 0;
  for (let index = 0; index <= own; index++) ahead += queueClasses[index] ?? 0;
  return ahead;
}
