/**
 * The order of requests that wait in a PoP. First the class (interactive, default, batch); a
 * request that has waited for `ageMs` goes up by one, so that none starves. Within a class the
 * tenant that had less: what a tenant got while others waited counts against it (start-time fair
 * queueing), in steps so coarse that small differences do not disturb the rest. Within that those
 * whose SLO is about to be missed and can still be met, earliest first. Then the response ratio,
 * highest first: (waited + 500 ms) / own uncached tokens. It lets small requests pass as shortest
 * first would, and a large one's turn comes all the same, since its ratio grows as it waits.
 */
import type { Millis, Tokens } from "../grid/units.ts";
import { PRIORITIES, type Task } from "../task/task.ts";

/** What the order must know of a waiting request. */
export interface Waiting {
  readonly task: Task;
  /** Uncached tokens where it would go now. */
  tokens: Tokens;
  /** What its first token takes once it is started. */
  serviceMs: Millis;
  /** Its place without regard to tenants, and with it: least goes first. */
  ownKey: number;
  key: number;
}

/** Head start of a newcomer: two of like size do not change places over a few ms. */
const HEAD_START_MS = 500;
/** The last part of the wait that its SLO allows, in which a request goes first. */
const URGENT_SHARE = 0.25;
/**
 * Uncached tokens that a tenant may be ahead of others before it yields: about a second of one
 * mid-size GPU. Less: the order turns into turns, and small requests lose what it is for. More:
 * who asks for little waits longer behind those who ask for much.
 */
export const FAIR_TOKENS = 8_192;
/** Steps by which a tenant can be behind; far more than requests that may wait. */
const STEPS = 1 << 20;

/** Tenants remembered per class; above it those that nobody waits for are forgotten. */
const ACCOUNTS_MAX = 4_096;

interface Account {
  /** Virtual time at which the tenant's next request would start. */
  startTag: Tokens;
  /** The same after those that are arranged before. */
  planned: Tokens;
  waiting: number;
}

/** Start-time fair queueing over the tenants of one class. */
class Shares {
  private readonly accounts = new Map<string, Account>();
  /** The least start tag of those that wait. */
  private virtualTime: Tokens = 0;

  of(tenant: string): Account {
    let account = this.accounts.get(tenant);
    if (account === undefined) {
      account = { startTag: this.virtualTime, planned: this.virtualTime, waiting: 0 };
      this.accounts.set(tenant, account);
    }
    return account;
  }

  /** It was idle: what it did not use is not saved up. */
  catchUp(account: Account): void {
    account.startTag = Math.max(account.startTag, this.virtualTime);
  }

  /** How far ahead of the others a request with that start tag would be, in whole steps. */
  stepsAhead(startTag: Tokens): number {
    return Math.min(Math.floor(Math.max(startTag - this.virtualTime, 0) / FAIR_TOKENS), STEPS - 1);
  }

  /** Nobody to share with. */
  get isOfOne(): boolean {
    return this.accounts.size <= 1;
  }

  /** Before all are arranged: tenants that are neither waited for nor ahead are forgotten. */
  turn(): void {
    let least = Number.POSITIVE_INFINITY;
    for (const account of this.accounts.values()) {
      account.planned = account.startTag;
      if (account.waiting > 0 && account.startTag < least) least = account.startTag;
    }
    if (least > this.virtualTime && least < Number.POSITIVE_INFINITY) this.virtualTime = least;
    for (const [tenant, { waiting, startTag }] of this.accounts) {
      const isEven = startTag <= this.virtualTime || this.accounts.size > ACCOUNTS_MAX;
      if (waiting === 0 && isEven) this.accounts.delete(tenant);
    }
  }

  clear(): void {
    this.accounts.clear();
    this.virtualTime = 0;
  }
}

export class WaitingOrder {
  ageMs: Millis;
  private readonly shares = PRIORITIES.map(() => new Shares());

  constructor(ageMs: Millis) {
    this.ageMs = ageMs;
  }

  /** The tenant has one more that waits. */
  entered(task: Task): void {
    const shares = this.sharesOf(task);
    const account = shares.of(task.tenant);
    if (account.waiting++ === 0) shares.catchUp(account);
  }

  /** It waits no longer. */
  left(task: Task): void {
    this.sharesOf(task).of(task.tenant).waiting--;
  }

  /** The tenant was given so much while others waited. */
  charge(task: Task, tokens: Tokens): void {
    this.sharesOf(task).of(task.tenant).startTag += tokens;
  }

  /** Nobody waits: nobody is behind. */
  clear(): void {
    for (const shares of this.shares) shares.clear();
  }

  /** Writes the keys and sorts; nearly sorted is cheap, which it is from one time to the next. */
  arrange(tickets: Waiting[], nowMs: Millis): void {
    for (const ticket of tickets) {
      ticket.ownKey = this.ownKey(ticket, nowMs);
      ticket.key = ticket.ownKey;
    }
    tickets.sort(byKey);
    for (const shares of this.shares) shares.turn();
    if (this.shares.every((shares) => shares.isOfOne)) return;
    for (const ticket of tickets) this.addSteps(ticket);
    tickets.sort(byKey);
  }

  /** The key of one that comes now, among those that are arranged. */
  writeKey(ticket: Waiting, tickets: readonly Waiting[], nowMs: Millis): void {
    ticket.ownKey = this.ownKey(ticket, nowMs);
    ticket.key = ticket.ownKey;
    const shares = this.sharesOf(ticket.task);
    const { tenant, priority } = ticket.task;
    const account = shares.of(tenant);
    if (account.waiting === 0) shares.catchUp(account);
    account.planned = account.startTag;
    if (shares.isOfOne && account.waiting > 0) return;
    for (const { task, ownKey, tokens } of tickets) {
      const isOfOne = task.tenant === tenant && task.priority === priority;
      if (isOfOne && ownKey < ticket.ownKey) account.planned += tokens;
    }
    this.addSteps(ticket);
  }

  /** Without regard to tenants. */
  private ownKey({ task, tokens, serviceMs }: Waiting, nowMs: Millis): number {
    const given = PRIORITIES.indexOf(task.priority);
    const waitedMs = Math.max(nowMs - task.arrivedMs, 0);
    const rank = Math.max(given - Math.floor(waitedMs / this.ageMs), 0);
    const allowedMs = task.sloTtftMs - serviceMs;
    const slackMs = allowedMs - waitedMs;
    // Infinite is not below infinite: without an SLO nothing is urgent.
    const isUrgent = slackMs >= 0 && slackMs < allowedMs * URGENT_SHARE;
    if (isUrgent) return rank * STEPS + slackMs / (slackMs + HEAD_START_MS) / 2;
    // What it waited in a lower class does not put it before those who were here first.
    const ratio = responseRatio(tokens, waitedMs - (given - rank) * this.ageMs);
    return rank * STEPS + 0.5 + 0.5 / (1 + ratio);
  }

  private addSteps(ticket: Waiting): void {
    const shares = this.sharesOf(ticket.task);
    const account = shares.of(ticket.task.tenant);
    ticket.key += shares.stepsAhead(account.planned);
    account.planned += ticket.tokens;
  }

  private sharesOf({ priority }: Task): Shares {
    return this.shares[PRIORITIES.indexOf(priority)] as Shares;
  }
}

/** Size below which a newcomer of priority `default` would go before it, by its key. */
export function passedBelow({ ownKey }: Waiting): Tokens {
  const inClass = ownKey - NEWCOMER * STEPS;
  if (inClass >= 1) return Number.POSITIVE_INFINITY;
  // Of a higher class, or about to miss its target.
  if (inClass < 0.5) return 0;
  const ratio = 0.5 / (inClass - 0.5) - 1;
  return HEAD_START_MS / ratio;
}

const NEWCOMER = PRIORITIES.indexOf("default");

function responseRatio(tokens: Tokens, waitedMs: Millis): number {
  return (waitedMs + HEAD_START_MS) / Math.max(tokens, 1);
}

function byKey(one: Waiting, other: Waiting): number {
  return one.key - other.key;
}
