/**
 * What this PoP tells the grid of itself: its card when it changes, its load soon after it changes
 * and at least once a second, what its caches came to hold or dropped. A PoP of many endpoints
 * tells those that a decision could not tell apart as one. Part of `pop.ts`.
 */
import type { WaitQueue } from "./admission/queue.ts";
import type { PopConfig } from "./config.ts";
import type { Flight } from "./feedback/observe.ts";
import { ADMISSION_STATES, CAPABILITIES, TIERS } from "./grid/endpoint.ts";
import {
  type EndpointCard,
  type EndpointLoad,
  type Fleet,
  type PopCard,
  QUEUE_CLASSES,
} from "./grid/fleet.ts";
import type { Millis, Row, Tokens } from "./grid/units.ts";
import type { Kernel } from "./kernel/kernel.ts";
import { GroupDigest } from "./pop-digest.ts";
import { backlogAt } from "./state/backlog.ts";
import type { EndpointRecord, EndpointTable } from "./state/endpoint-table.ts";
import type { LoadNow } from "./state/pop-load.ts";
import { queueClassOf } from "./state/pop-table.ts";

export interface PublisherParts {
  config: PopConfig;
  fleet: Fleet;
  kernel: Kernel;
  table: EndpointTable;
  queue: WaitQueue<Flight>;
  /** This PoP takes no work of others. */
  draining(): boolean;
}

/** A load that did not change is said again after this long: it is also a sign of life. */
const LOAD_AGAIN_MS = 1_000;
/** What the caches hold travels lazily: a chunk lives there for minutes. */
const DIGEST_EVERY_MS = 750;
/** Smaller changes are noise: of a queue in tokens and in parts, of a KV cache. */
const TOKENS_NEWS = 64;
const TOKENS_NEWS_SHARE = 0.05;
const KV_NEWS = 0.02;
const UNKNOWN_CONTEXT = 0xffffffff;

/** Endpoints that stand on the card as one. */
type Group = readonly EndpointRecord[];

export class Publisher {
  private readonly parts: PublisherParts;
  private url: string | undefined;
  private groups: Group[] = [];
  private card: PopCard | undefined;
  private cardText = "";
  /** What the card was made of: ten times a second nothing of it has changed. */
  private readonly cardParts: unknown[] = [];
  private load: LoadNow | undefined;
  private loadAtMs: Millis = Number.NEGATIVE_INFINITY;
  private digestAtMs: Millis = Number.NEGATIVE_INFINITY;
  /** Row that each endpoint of the last digest stood for: another order needs snapshots. */
  private digested = "";
  private digests: GroupDigest[] = [];

  constructor(parts: PublisherParts) {
    this.parts = parts;
  }

  /** Where others reach this PoP's door: nothing is published before. */
  announce(url: string): void {
    this.url = this.parts.config.peers.url ?? url;
  }

  /** Longest silence about our load, also when nothing changed. */
  private get againMs(): Millis {
    return this.parts.config.gossip?.hotMaxMs ?? LOAD_AGAIN_MS;
  }

  /** Call at least four times a second. */
  tick(nowMs: Millis): void {
    if (this.url === undefined) return;
    const carded = this.publishCard(this.url);
    const load = this.loadNow(nowMs);
    if (carded || nowMs - this.loadAtMs >= this.againMs || isNews(this.load, load)) {
      this.load = load;
      this.loadAtMs = nowMs;
      this.parts.fleet.publishLoad(load);
    }
    if (nowMs - this.digestAtMs < DIGEST_EVERY_MS) return;
    this.digestAtMs = nowMs;
    this.publishDigests();
  }

  /** The load in the order of the published card; what a refused peer is told. */
  loadNow(nowMs: Millis): LoadNow {
    const queueClasses = new Array<number>(QUEUE_CLASSES).fill(0);
    const { records } = this.parts.table;
    this.parts.queue.each((row, tokens, passedBelow) => {
      if (records[row]?.pop !== undefined) return;
      const index = queueClassOf(passedBelow);
      queueClasses[index] = (queueClasses[index] as number) + tokens;
    });
    return {
      revision: this.card?.revision ?? 0,
      endpoints: this.groups.map((group) => this.loadOf(group, nowMs)),
      queueClasses,
    };
  }

  private publishCard(url: string): boolean {
    if (!this.cardChanged(url)) return false;
    const { config, table, kernel } = this.parts;
    const groups = groupsOf([...table.own()], config.peers.endpoints, table);
    const card: PopCard = {
      ...{ id: config.pop.id, url, tier: config.pop.tier, region: config.pop.region },
      zone: config.pop.region,
      chunkBytes: kernel.options.chunkBytes,
      draining: this.parts.draining(),
      endpoints: groups.map((group, index) => cardOf(group, index, table)),
      revision: 0,
    };
    // Also where it reads as before: an endpoint at another URL is another record.
    this.groups = groups;
    const text = JSON.stringify(card);
    if (text === this.cardText) return false;
    this.cardText = text;
    this.card = { ...card, revision: (this.card?.revision ?? 0) + 1 };
    this.parts.fleet.publishCard(this.card);
    return true;
  }

  /** Each part is replaced when it changes, or is a number. */
  private cardChanged(url: string): boolean {
    const { columns: c } = this.parts.table;
    const known = this.cardParts;
    let changed = false;
    let at = 0;
    const see = (part: unknown): void => {
      changed ||= known[at] !== part;
      known[at++] = part;
    };
    see(url);
    see(this.parts.draining());
    for (const record of this.parts.table.own()) {
      const { row } = record;
      see(record);
      see(record.spec);
      see(record.models);
      see(c.tier[row]);
      see(c.admission[row]);
      see(c.capabilities[row]);
      see(c.contextTokens[row]);
    }
    changed ||= known.length !== at;
    known.length = at;
    return changed;
  }

  private loadOf(group: Group, nowMs: Millis): EndpointLoad {
    const c = this.parts.table.columns;
    const able = group.filter(({ row }) => c.down[row] === 0);
    // Of several the mean: each request runs at one of them, at the speed of one.
    const counted = able.length > 0 ? able : group;
    const mean = (read: (record: EndpointRecord) => number): number =>
      counted.reduce((sum, record) => sum + read(record), 0) / counted.length;
    return {
      up: able.length > 0,
      queuedTokens: mean(({ row }) => this.backlog(row, nowMs)),
      inFlight: group.reduce((sum, one) => sum + runningAt(one, c.inFlight[one.row]), 0),
      kvUsage: mean(({ row }) => c.kvUsage[row] as number),
      prefillRate: mean(({ row }) => c.prefillRate[row] as number),
      itlMs: mean(({ itlMs }) => itlMs),
    };
  }

  /** The kernel's own reckoning of what stands before a newcomer, with what waits for the row. */
  private backlog(row: Row, nowMs: Millis): Tokens {
    const c = this.parts.table.columns;
    const rate = c.prefillRate[row] as number;
    return backlogAt(c, row, rate, nowMs) + (c.waitingTokens[row] as number);
  }

  private publishDigests(): void {
    const { fleet, kernel } = this.parts;
    // Without room for digests there is nothing to tell but everything, each time.
    if (kernel.stats().digestCapacity === 0) return;
    const order = this.groups.map((group) => group.map(({ row }) => row).join("+")).join(" ");
    if (order !== this.digested) {
      this.digested = order;
      this.digests = this.groups.map((group) => new GroupDigest(kernel, group.map(rowOf)));
    }
    this.digests.forEach((digest, endpoint) => {
      const change = digest.next();
      if (change !== undefined) fleet.publishDigest({ endpoint, ...change });
    });
  }
}

function rowOf(record: EndpointRecord): Row {
  return record.row;
}

/** Others may use the engine too, and it counts them all; its count is older than ours. */
function runningAt(record: EndpointRecord, ours: number): number {
  return Math.max(ours, record.running ?? 0);
}

function isNews(before: LoadNow | undefined, now: LoadNow): boolean {
  if (before === undefined) return true;
  return (
    now.endpoints.some((one, index) => endpointNews(before.endpoints[index], one)) ||
    now.queueClasses.some((tokens, index) => tokensNews(before.queueClasses[index] ?? 0, tokens))
  );
}

function endpointNews(before: EndpointLoad | undefined, now: EndpointLoad): boolean {
  if (before === undefined || before.up !== now.up || before.inFlight !== now.inFlight) return true;
  if (Math.abs(before.kvUsage - now.kvUsage) > KV_NEWS) return true;
  return tokensNews(before.queuedTokens, now.queuedTokens);
}

function tokensNews(before: Tokens, now: Tokens): boolean {
  return Math.abs(now - before) > Math.max(TOKENS_NEWS, before * TOKENS_NEWS_SHARE);
}

/** One endpoint each; above the bound those that no filter or price tells apart together. */
function groupsOf(own: EndpointRecord[], most: number, table: EndpointTable): Group[] {
  if (own.length <= most) return own.map((record) => [record]);
  const groups = new Map<string, EndpointRecord[]>();
  for (const record of own) {
    const key = JSON.stringify(alike(record, table));
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [record]);
    else group.push(record);
  }
  return [...groups.values()];
}

/** What a decision may exclude or price by: it must be equal for all that stand as one. */
function alike(record: EndpointRecord, { columns: c }: EndpointTable): unknown[] {
  const { spec, row, models } = record;
  return [
    ...[spec.tier, spec.region, [...models].sort(), [...spec.tenants].sort()],
    ...[c.capabilities[row], c.admission[row], c.contextTokens[row]],
    ...[spec.priceIn, spec.priceCached, spec.priceOut],
  ];
}

function cardOf(group: Group, index: number, { columns: c }: EndpointTable): EndpointCard {
  const [record] = group as [EndpointRecord];
  const { spec, row } = record;
  const context = c.contextTokens[row] as number;
  const tier = TIERS[c.tier[row] as number] ?? spec.tier;
  return {
    id: group.length === 1 ? spec.id : `${tier}-x${group.length}-${index}`,
    tier,
    region: spec.region,
    models: [...record.models],
    capabilities: (c.capabilities[row] as number) & CAPABILITIES,
    contextTokens: context === UNKNOWN_CONTEXT ? undefined : context,
    tenants: [...spec.tenants],
    admission: ADMISSION_STATES[c.admission[row] as number] ?? "none",
    ...{ priceIn: spec.priceIn, priceCached: spec.priceCached, priceOut: spec.priceOut },
    maxInFlight: group.reduce((sum, one) => sum + one.spec.maxInFlight, 0),
    replicas: group.length,
  };
}
