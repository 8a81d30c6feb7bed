/**
 * The wait queue of a PoP: late binding. A request pushed into a busy engine can no longer be
 * moved, reordered or cancelled cheaply; so it is bound to an endpoint only when one can start it.
 * Whoever finds its cheapest place free starts at once; the others wait here as a plan: in order
 * (`order.ts`), each at the place that was cheapest with the work of those before it counted, and
 * of those behind not. Every time something frees (`wake`) the plan is gone through: who can start
 * and is first at its place starts, and a bounded number of others is decided anew, in turns, so
 * that each has its turn before anybody has a second.
 * Bounded in length per class and in bytes (saturated), in time (queue_timeout), in work per wake.
 */
import { type Decision, EXCLUSIONS } from "../grid/decision.ts";
import { GridError } from "../grid/errors.ts";
import type { Millis, Row, Tokens } from "../grid/units.ts";
import { PRIORITIES, type Task } from "../task/task.ts";
import { passedBelow, type Waiting, WaitingOrder } from "./order.ts";
import { Promises } from "./promise.ts";

/** Waiting requests that a wake decides anew in turns, and as many again that seem to be next. */
const DECISIONS_PER_WAKE = 32;
/** Turns that come to be as time passes: many wakes within a ms share them. */
const TURNS_PER_MS = 16;
/**
 * The order is made anew after so long, and for each that waits after so much more: with it, it
 * takes a twentieth of a core at most, however many wait.
 */
const ORDER_MS = 2;
const ORDER_MS_EACH = 0.02;
/** Rows of the largest table. */
const ROWS_MAX = 4_096;

export interface QueueHost<Flight> {
  /** Runs the kernel. Result is reused by the next call. */
  decide(task: Task, tried: readonly Row[]): Decision;
  /** True when a request of so many uncached tokens can begin its prefill there now. */
  canStart(row: Row, tokens: Tokens): boolean;
  /** Reserves the place at once, so that the next decision sees it taken. */
  start(task: Task, decision: Decision): Flight;
  /** Counts waiting work against an endpoint, so that later decisions see it. */
  waiting(row: Row, tokens: Tokens): void;
  /** Nothing waits anywhere: the count begins anew. */
  clearWaiting(): void;
  /** The error when a request had better not run here, whether it could start now or not. */
  declines?(task: Task, decision: Decision): GridError | undefined;
  /** Why nobody can take it, as the error for the caller. */
  refuse(task: Task, decision: Decision): GridError;
  /** Predicted seconds until there is room. */
  retryAfterS(): number;
}

export interface QueueLimits {
  /** Requests of one class. */
  queueLength: number;
  /** Bodies of all of them. */
  queueBytes: number;
  queueWaitMs: Millis;
  /** The same for batch. */
  queueBatchWaitMs: Millis;
  /** Waiting so long lifts a request by one class. */
  queueAgeMs: Millis;
}

type Leave = (error: GridError) => void;

class Ticket<Flight> implements Waiting {
  readonly task: Task;
  readonly tried: readonly Row[];
  ownKey = 0;
  key = 0;
  row: Row = -1;
  tokens: Tokens = 0;
  serviceMs: Millis = 0;
  deadlineMs: Millis = 0;
  /** Round of turns in which it was last decided. */
  round = 0;
  open = true;
  resolve: (flight: Flight) => void = () => {};
  reject: (error: unknown) => void = () => {};

  constructor(task: Task, tried: readonly Row[]) {
    this.task = task;
    this.tried = tried.slice();
  }

  place({ row, uncachedTokens, ttftMs, waitMs }: Decision, round: number): void {
    this.row = row;
    this.tokens = uncachedTokens;
    this.serviceMs = ttftMs - waitMs;
    this.round = round;
  }
}

export class WaitQueue<Flight> {
  private readonly host: QueueHost<Flight>;
  private limits: QueueLimits;
  private readonly order: WaitingOrder;
  private readonly promises = new Promises();
  /** In the order of the last wake. */
  private tickets: Ticket<Flight>[] = [];
  private readonly lengths = PRIORITIES.map(() => 0);
  private bytes = 0;
  /** Each ticket is decided anew once per round. */
  private round = 0;
  private roundIsOver = true;
  private turns = 0;
  private wokenMs: Millis = Number.NEGATIVE_INFINITY;
  private arrangeAtMs: Millis = Number.NEGATIVE_INFINITY;
  /** How many are counted at each place so far. */
  private readonly counted = new Uint32Array(ROWS_MAX);
  private planning = false;

  constructor(host: QueueHost<Flight>, limits: QueueLimits) {
    this.host = host;
    this.limits = limits;
    this.order = new WaitingOrder(limits.queueAgeMs);
  }

  get length(): number {
    return this.tickets.length;
  }

  /**
   * Every waiting request: where it would go now, its uncached tokens there, and the size below
   * which a newcomer of priority `default` would go before it.
   */
  each(visit: (row: Row, tokens: Tokens, passedBelow: Tokens) => void): void {
    for (const ticket of this.tickets) visit(ticket.row, ticket.tokens, passedBelow(ticket));
  }

  setLimits(limits: QueueLimits): void {
    this.limits = limits;
    this.order.ageMs = limits.queueAgeMs;
  }

  /**
   * The flight when it can start now, else a promise of it. `onWait` gets the function that
   * takes the request out of the queue (its client left).
   * @throws GridError no_endpoint and its kin, saturated, queue_timeout
   */
  turn(
    task: Task,
    tried: readonly Row[],
    nowMs: Millis,
    onWait: (leave: Leave) => void,
  ): Flight | Promise<Flight> {
    const decision = this.host.decide(task, tried);
    if (decision.row < 0) throw this.host.refuse(task, decision);
    if (this.tickets.length > 0) return this.join(task, tried, decision, nowMs, onWait);
    this.giveBack(task, decision);
    if (this.host.canStart(decision.row, decision.uncachedTokens)) {
      return this.host.start(task, decision);
    }
    this.check(task, decision, nowMs);
    const ticket = new Ticket<Flight>(task, tried);
    ticket.place(decision, this.round);
    this.order.writeKey(ticket, this.tickets, nowMs);
    return this.enter(ticket, 0, nowMs, onWait);
  }

  /** One that waited here has its first token: how far to trust predictions is learned. */
  firstContent(task: Task, nowMs: Millis): void {
    this.promises.kept(task, nowMs);
  }

  /**
   * Something freed: start whoever can, first in order first. Who is first at a place with room is
   * decided anew and starts; of the others `DECISIONS_PER_WAKE` are decided anew, in turns. What
   * waits is counted anew on the way, so that each sees the work of those before it only.
   */
  wake(nowMs: Millis): void {
    if (this.tickets.length === 0 || this.planning) return;
    this.planning = true;
    try {
      this.goThrough(nowMs);
    } finally {
      this.planning = false;
    }
  }

  private goThrough(nowMs: Millis): void {
    this.arrange(nowMs);
    this.forgetCounts();
    if (this.roundIsOver) this.round++;
    this.addTurns(nowMs);
    let starts = DECISIONS_PER_WAKE;
    const kept: Ticket<Flight>[] = [];
    for (const ticket of this.tickets) {
      const isTurn = this.turns >= 1 && ticket.round !== this.round;
      const isNext = !isTurn && starts > 0 && this.isNext(ticket.row, ticket.tokens);
      if (isTurn) this.turns--;
      else if (isNext) starts--;
      if ((isTurn || isNext) && this.retry(ticket)) continue;
      this.count(ticket);
      kept.push(ticket);
    }
    this.tickets = kept;
    this.roundIsOver = this.turns >= 1;
    if (kept.length === 0) this.order.clear();
  }

  /** Refuses whoever has waited too long. Call a few times a second. */
  expire(nowMs: Millis): void {
    for (const ticket of this.tickets.filter((t) => t.deadlineMs <= nowMs)) {
      const waitMs = waitLimit(ticket.task, this.limits);
      const knob = ticket.task.priority === "batch" ? "queueBatchWaitMs" : "queueWaitMs";
      const message =
        `No endpoint became free within ${waitMs} ms. Retry later, or lower the load; ` +
        `operators: limits.${knob}.`;
      const retryAfterS = this.host.retryAfterS();
      this.leave(ticket, new GridError("queue_timeout", message, { retryAfterS }));
    }
  }

  /** Refuses everybody (the PoP closes). */
  close(error: GridError): void {
    for (const ticket of [...this.tickets]) this.leave(ticket, error);
  }

  /**
   * Others wait: it is decided again with only those counted that go before it, and overtakes the
   * rest where it can start at once.
   */
  private join(
    task: Task,
    tried: readonly Row[],
    first: Decision,
    nowMs: Millis,
    onWait: (leave: Leave) => void,
  ): Flight | Promise<Flight> {
    const { host, tickets } = this;
    const ticket = new Ticket<Flight>(task, tried);
    ticket.place(first, this.round);
    this.order.writeKey(ticket, tickets, nowMs);
    const place = placeOf(tickets, ticket.key);
    this.forgetCounts();
    for (let at = 0; at < place; at++) this.count(tickets[at] as Ticket<Flight>);
    const decision = host.decide(task, tried);
    const starts = decision.row >= 0 && this.isNext(decision.row, decision.uncachedTokens);
    for (let at = place; at < tickets.length; at++) this.count(tickets[at] as Ticket<Flight>);
    if (decision.row < 0) throw host.refuse(task, decision);
    this.giveBack(task, decision);
    if (starts) return this.start(task, decision);
    this.check(task, decision, nowMs);
    ticket.place(decision, this.round);
    return this.enter(ticket, place, nowMs, onWait);
  }

  /** @throws GridError when its sender has a better place: a start here may be late, too */
  private giveBack(task: Task, decision: Decision): void {
    const declined = this.host.declines?.(task, decision);
    if (declined !== undefined) throw declined;
  }

  /** @throws GridError when it would be too late here, or finds no room */
  private check(task: Task, decision: Decision, nowMs: Millis): void {
    const late = this.promises.tooLate(task, decision, nowMs);
    if (late !== undefined) throw late;
    const { queueLength, queueBytes } = this.limits;
    const fits = (this.lengths[classOf(task)] as number) < queueLength;
    if (fits && this.bytes + task.body.length <= queueBytes) return;
    const full = fits
      ? `${queueBytes} bytes`
      : `${queueLength} requests of priority '${task.priority}'`;
    throw new GridError(
      "saturated",
      `All endpoints are busy and the wait queue is full (${full}). ` +
        "Retry after the time in Retry-After, or send fewer requests at once.",
      { retryAfterS: this.host.retryAfterS() },
    );
  }

  private enter(
    ticket: Ticket<Flight>,
    place: number,
    nowMs: Millis,
    onWait: (leave: Leave) => void,
  ): Promise<Flight> {
    const { task } = ticket;
    ticket.deadlineMs = nowMs + waitLimit(task, this.limits);
    this.order.entered(task);
    this.lengths[classOf(task)]++;
    this.bytes += task.body.length;
    this.tickets.splice(place, 0, ticket);
    this.count(ticket);
    return new Promise<Flight>((resolve, reject) => {
      ticket.resolve = resolve;
      ticket.reject = reject;
      onWait((error) => this.leave(ticket, error));
    });
  }

  /** Decides a waiting ticket anew; true when that took it out of the queue. */
  private retry(ticket: Ticket<Flight>): boolean {
    const { task } = ticket;
    const decision = this.host.decide(task, ticket.tried);
    if (decision.row >= 0 && !this.isNext(decision.row, decision.uncachedTokens)) {
      ticket.place(decision, this.round);
      return false;
    }
    this.settle(ticket);
    try {
      if (decision.row >= 0) ticket.resolve(this.start(task, decision));
      else ticket.reject(this.host.refuse(task, decision));
    } catch (error) {
      // A fault of ours is this request's end, not that of all who wait.
      ticket.reject(error);
    }
    return true;
  }

  /** Starts one while others wait: it counts towards its tenant's share. */
  private start(task: Task, decision: Decision): Flight {
    this.order.charge(task, decision.uncachedTokens);
    return this.host.start(task, decision);
  }

  private leave(ticket: Ticket<Flight>, error: GridError): void {
    if (!ticket.open) return;
    this.settle(ticket);
    this.tickets.splice(this.tickets.indexOf(ticket), 1);
    this.host.waiting(ticket.row, -ticket.tokens);
    if (this.tickets.length === 0) this.order.clear();
    ticket.reject(error);
  }

  /** It waits no longer. */
  private settle(ticket: Ticket<Flight>): void {
    const { task } = ticket;
    ticket.open = false;
    this.order.left(task);
    this.lengths[classOf(task)]--;
    this.bytes -= task.body.length;
  }

  /** Between two arrangements a newcomer is put where it belongs, which nearly keeps the order. */
  private arrange(nowMs: Millis): void {
    if (nowMs < this.arrangeAtMs) return;
    this.order.arrange(this.tickets, nowMs);
    this.arrangeAtMs = nowMs + ORDER_MS + this.tickets.length * ORDER_MS_EACH;
  }

  private addTurns(nowMs: Millis): void {
    const sinceMs = Math.max(nowMs - this.wokenMs, 0);
    this.turns = Math.min(this.turns + sinceMs * TURNS_PER_MS, DECISIONS_PER_WAKE);
    this.wokenMs = nowMs;
  }

  /** Nobody is counted before it at that place, which has room. */
  private isNext(row: Row, tokens: Tokens): boolean {
    return this.counted[row] === 0 && this.host.canStart(row, tokens);
  }

  private forgetCounts(): void {
    this.counted.fill(0);
    this.host.clearWaiting();
  }

  private count({ row, tokens }: Ticket<Flight>): void {
    (this.counted[row] as number)++;
    this.host.waiting(row, tokens);
  }
}

function classOf({ priority }: Task): number {
  return PRIORITIES.indexOf(priority);
}

function waitLimit({ priority }: Task, limits: QueueLimits): Millis {
  return priority === "batch" ? limits.queueBatchWaitMs : limits.queueWaitMs;
}

/** Index of the first ticket that goes after that key. */
function placeOf(tickets: readonly Waiting[], key: number): number {
  let low = 0;
  let high = tickets.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tickets[middle] as Waiting).key <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** `model 2, region 1` for messages: how many endpoints fell to which rule. */
export function describeExclusions(excluded: Uint32Array): string {
  const parts: string[] = [];
  for (let code = 1; code < EXCLUSIONS.length; code++) {
    if (excluded[code]) parts.push(`${EXCLUSIONS[code]} ${excluded[code]}`);
  }
  return parts.join(", ");
}
