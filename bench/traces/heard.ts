/**
 * What a PoP of the bench tells of its load and hears of others': the reckoning of
 * `src/pop-publish.ts` and `src/pop-peers.ts` without cards, sockets and names.
 */
import type { WaitQueue } from "../../src/admission/queue.ts";
import type { Flight } from "../../src/feedback/observe.ts";
import { type EndpointLoad, QUEUE_CLASSES } from "../../src/grid/fleet.ts";
import type { Ask, Kernel } from "../../src/kernel/kernel.ts";
import { backlogAt } from "../../src/state/backlog.ts";
import type { EndpointColumns } from "../../src/state/endpoint-table.ts";
import { type HeardRow, hearLoad, sizeQueue, waitingShareOf } from "../../src/state/heard-load.ts";
import { queueClassOf, SendLog } from "../../src/state/pop-table.ts";
import { DECODE_MS } from "./engine.ts";

/** Which PoP of all it is, which PoP each worker is of, and the round trip to each PoP. */
export interface PopPlace {
  index: number;
  popOf: readonly number[];
  rttMs: readonly number[];
}

/** Of each of the PoP's workers, and of those that wait for them. */
export interface SaidLoad {
  workers: EndpointLoad[];
  queueClasses: number[];
}

export function workersOf({ popOf }: PopPlace, pop: number): number[] {
  return popOf.flatMap((owner, worker) => (owner === pop ? [worker] : []));
}

export class HeardLoads {
  private readonly place: PopPlace;
  private readonly kernel: Kernel;
  private readonly columns: EndpointColumns;
  /** By worker. */
  private readonly rows: HeardRow[];
  /** By PoP: what waits there. */
  private readonly classes: number[][] = [];

  constructor(place: PopPlace, kernel: Kernel, columns: EndpointColumns) {
    this.place = place;
    this.kernel = kernel;
    this.columns = columns;
    this.rows = place.popOf.map((_, row) => {
      return { row, sends: new SendLog(), queuedTokens: 0, waitingTokens: 0 };
    });
  }

  load(nowMs: number, queue: WaitQueue<Flight>): SaidLoad {
    const c = this.columns;
    const { index, popOf } = this.place;
    const queueClasses = new Array<number>(QUEUE_CLASSES).fill(0);
    queue.each((row, tokens, passedBelow) => {
      if (popOf[row] === index) queueClasses[queueClassOf(passedBelow)] += tokens;
    });
    const workers = workersOf(this.place, index).map((row): EndpointLoad => {
      const prefillRate = c.prefillRate[row];
      const queuedTokens = backlogAt(c, row, prefillRate, nowMs) + c.waitingTokens[row];
      const [kvUsage, inFlight] = [c.kvUsage[row], c.inFlight[row]];
      return { up: true, queuedTokens, inFlight, kvUsage, prefillRate, itlMs: DECODE_MS };
    });
    return { workers, queueClasses };
  }

  /** Another PoP's word on itself; of two the newer counts. */
  hear(pop: number, { workers, queueClasses }: SaidLoad, atMs: number): void {
    const rttMs = this.place.rttMs[pop];
    const waitingShare = waitingShareOf(workers, queueClasses);
    workersOf(this.place, pop).forEach((worker, index) => {
      if (this.columns.sampleAtMs[worker] > atMs) return;
      this.classes[pop] = queueClasses;
      hearLoad(this.columns, this.rows[worker], workers[index], { atMs, rttMs, waitingShare });
    });
  }

  sent(worker: number, tokens: number, nowMs: number): void {
    this.rows[worker].sends.add(nowMs, tokens);
  }

  /** Before a decision. */
  sizeQueues({ chain, promptTokens, tokensPerChunk }: Ask): void {
    const { kernel, columns, place } = this;
    for (const peer of this.rows) {
      if (peer.waitingTokens === 0) continue;
      const matched = kernel.matchedChunks(chain, peer.row) * tokensPerChunk;
      const hit = Math.min(matched, promptTokens) * columns.trust[peer.row];
      const classes = this.classes[place.popOf[peer.row]];
      sizeQueue(columns, peer, classes, Math.max(promptTokens - hit, 1));
    }
  }
}
