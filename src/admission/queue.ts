/**
 * The wait queue of a PoP: late binding. A request pushed into a busy engine can no longer be
 * moved, reordered or cancelled cheaply; so it is bound to an endpoint only when one can start it.
 * Whoever finds its cheapest place free starts at once; the others wait here, and every time
 * something frees (`wake`) those first in order are decided anew with the state of that moment.
 * The order is the order of `tickets`: first come first served until a policy replaces it.
 * Bounded in length (saturated), in time (queue_timeout) and in work per wake.
 */
import { type Decision, EXCLUSIONS } from "../grid/decision.ts";
import { GridError } from "../grid/errors.ts";
import type { Millis, Row, Tokens } from "../grid/units.ts";
import type { Task } from "../task/task.ts";

/** Decisions taken per wake: bounds its time to about this many kernel runs. */
const DECISIONS_PER_WAKE = 64;
/** Tickets of other endpoints that are decided anew in vain before a wake gives up on them. */
const MISSES_PER_WAKE = 4;

export interface QueueHost<Flight> {
  /** Runs the kernel. Result is reused by the next call. */
  decide(task: Task, tried: readonly Row[]): Decision;
  /** True when a request can begin its prefill on that endpoint now. */
  canStart(row: Row): boolean;
  /** Reserves the place at once, so that the next decision sees it taken. */
  start(task: Task, decision: Decision): Flight;
  /** Counts waiting work against an endpoint, so that later decisions see it. */
  waiting(row: Row, tokens: Tokens): void;
  /** A request that cannot start now: the error when it had better not wait here. */
  declines?(task: Task, decision: Decision): GridError | undefined;
  /** Why nobody can take it, as the error for the caller. */
  refuse(task: Task, decision: Decision): GridError;
  /** Predicted seconds until there is room. */
  retryAfterS(): number;
}

export interface QueueLimits {
  length: number;
  waitMs: Millis;
}

interface Ticket<Flight> {
  readonly task: Task;
  readonly tried: readonly Row[];
  readonly deadlineMs: Millis;
  row: Row;
  tokens: Tokens;
  open: boolean;
  readonly resolve: (flight: Flight) => void;
  readonly reject: (error: GridError) => void;
}

export class WaitQueue<Flight> {
  private readonly host: QueueHost<Flight>;
  private limits: QueueLimits;
  private tickets: Ticket<Flight>[] = [];

  constructor(host: QueueHost<Flight>, limits: QueueLimits) {
    this.host = host;
    this.limits = limits;
  }

  get length(): number {
    return this.tickets.length;
  }

  /** Every waiting request: where it would go now, and its uncached tokens there. */
  each(visit: (row: Row, tokens: Tokens) => void): void {
    for (const { row, tokens } of this.tickets) visit(row, tokens);
  }

  setLimits(limits: QueueLimits): void {
    this.limits = limits;
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
    onWait: (leave: (error: GridError) => void) => void,
  ): Flight | Promise<Flight> {
    const decision = this.host.decide(task, tried);
    if (decision.row < 0) throw this.host.refuse(task, decision);
    if (this.host.canStart(decision.row) && !this.isAwaited(decision.row)) {
      return this.host.start(task, decision);
    }
    const declined = this.host.declines?.(task, decision);
    if (declined !== undefined) throw declined;
    if (this.tickets.length >= this.limits.length) {
      throw new GridError(
        "saturated",
        `All endpoints are busy and the wait queue is full (${this.limits.length} requests). ` +
          "Retry after the time in Retry-After, or send fewer requests at once.",
        { retryAfterS: this.host.retryAfterS() },
      );
    }
    return this.enqueue(task, tried, decision, nowMs, onWait);
  }

  /**
   * Something freed at `row` (-1: somewhere): start whoever can, first in order first. Tickets
   * that wait for that row are looked at as long as it has room, a few others in case it is
   * now their best place too.
   */
  wake(row: Row): void {
    let decisions = 0;
    let misses = 0;
    for (let at = 0; at < this.tickets.length && decisions < DECISIONS_PER_WAKE; ) {
      const ticket = this.tickets[at] as Ticket<Flight>;
      const due =
        ticket.row === row ? this.host.canStart(row) : row < 0 || misses < MISSES_PER_WAKE;
      if (!due) {
        at++;
        continue;
      }
      decisions++;
      if (this.retry(ticket)) {
        misses = 0;
      } else {
        misses++;
        at++;
      }
    }
  }

  /** Refuses whoever has waited too long. Call a few times a second. */
  expire(nowMs: Millis): void {
    for (const ticket of this.tickets.filter((t) => t.deadlineMs <= nowMs)) {
      this.leave(
        ticket,
        new GridError(
          "queue_timeout",
          `No endpoint became free within ${this.limits.waitMs} ms. Retry later, or lower the ` +
            "load; operators: limits.queueWaitMs.",
          { retryAfterS: this.host.retryAfterS() },
        ),
      );
    }
  }

  /** Refuses everybody (the PoP closes). */
  close(error: GridError): void {
    for (const ticket of [...this.tickets]) this.leave(ticket, error);
  }

  /** Decides a waiting ticket anew; true when it has left the queue. */
  private retry(ticket: Ticket<Flight>): boolean {
    this.host.waiting(ticket.row, -ticket.tokens);
    const decision = this.host.decide(ticket.task, ticket.tried);
    const startable = decision.row >= 0 && this.host.canStart(decision.row);
    if (decision.row >= 0 && !startable) {
      this.place(ticket, decision);
      return false;
    }
    ticket.open = false;
    this.tickets.splice(this.tickets.indexOf(ticket), 1);
    if (startable) ticket.resolve(this.host.start(ticket.task, decision));
    else ticket.reject(this.host.refuse(ticket.task, decision));
    return true;
  }

  private enqueue(
    task: Task,
    tried: readonly Row[],
    decision: Decision,
    nowMs: Millis,
    onWait: (leave: (error: GridError) => void) => void,
  ): Promise<Flight> {
    return new Promise<Flight>((resolve, reject) => {
      const ticket: Ticket<Flight> = {
        task,
        tried: tried.slice(),
        deadlineMs: nowMs + this.limits.waitMs,
        row: -1,
        tokens: 0,
        open: true,
        resolve,
        reject,
      };
      this.place(ticket, decision);
      this.tickets.push(ticket);
      onWait((error) => this.leave(ticket, error));
    });
  }

  private place(ticket: Ticket<Flight>, decision: Decision): void {
    ticket.row = decision.row;
    ticket.tokens = decision.uncachedTokens;
    this.host.waiting(ticket.row, ticket.tokens);
  }

  private leave(ticket: Ticket<Flight>, error: GridError): void {
    if (!ticket.open) return;
    ticket.open = false;
    this.tickets.splice(this.tickets.indexOf(ticket), 1);
    this.host.waiting(ticket.row, -ticket.tokens);
    ticket.reject(error);
  }

  /** Nobody overtakes those who already wait for the same endpoint. */
  private isAwaited(row: Row): boolean {
    return this.tickets.length > 0 && this.tickets.some((ticket) => ticket.row === row);
  }
}

/** `model 2, region 1` for messages: how many endpoints fell to which rule. */
export function describeExclusions(excluded: Uint32Array): string {
  const parts: string[] = [];
  for (let code = 1; code < EXCLUSIONS.length; code++) {
    if (excluded[code]) parts.push(`${EXCLUSIONS[code]} ${excluded[code]}`);
  }
  return parts.join(", ");
}
