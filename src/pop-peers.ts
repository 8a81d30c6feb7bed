/**
 * The endpoints of other PoPs as rows of the same table: what gossip says of them is written where
 * the kernel reads, so one decision ranks local and remote together. What is known ages there by
 * itself: predicted drain, the penalty of an old sample, and `freshUntilMs`, after which a row
 * takes no work. Part of `pop.ts`.
 */
import type { PopConfig } from "./config.ts";
import { PeerWorker } from "./forward/workers/peer-worker.ts";
import { DIALECTS } from "./grid/dialect.ts";
import type { Clock, Log } from "./grid/effects.ts";
import { ADMISSION_STATES, CAPABILITIES, type EndpointSpec, PLACE } from "./grid/endpoint.ts";
import type {
  DigestChange,
  EndpointCard,
  EndpointLoad,
  FleetListener,
  FleetPop,
  PopCard,
  PopLoad,
} from "./grid/fleet.ts";
import type { Transport } from "./grid/exchange.ts";
import type { Millis, Row, Tokens } from "./grid/units.ts";
import type { Ask, Kernel } from "./kernel/kernel.ts";
import type { Roster } from "./pop-roster.ts";
import type { EndpointTable } from "./state/endpoint-table.ts";
import { hearLoad, sizeQueue, waitingShareOf, within } from "./state/heard-load.ts";
import { readLoadText } from "./state/pop-load.ts";
import { type KnownPop, type PeerRow, PopTable } from "./state/pop-table.ts";

export interface PeerHost {
  config: PopConfig;
  clock: Clock;
  log: Log;
  transport: Transport;
  kernel: Kernel;
  table: EndpointTable;
  /** Names of models, regions and tenants are numbered together with the own endpoints'. */
  roster: Roster;
  /** What this PoP says of itself in `x-grid-via`. */
  via: string;
  /** May the row be used? Its phase was said anew. */
  onPhase(row: Row): void;
  onNew(row: Row): void;
  /** What the row has not begun to answer should go elsewhere. */
  onDown(row: Row, detail: string): void;
}

/** Rows of one PoP at most, whatever its card says. */
const ROWS_PER_POP = 64;
const NO_WORK = ADMISSION_STATES.indexOf("none");
/** Bound of what a card or load may claim: beyond it it is a fault, not a fact. */
const MS_MAX = 60_000;

export class PeerRoster implements FleetListener {
  readonly pops = new PopTable();
  private readonly host: PeerHost;
  private readonly workers = new Map<string, PeerWorker>();

  constructor(host: PeerHost) {
    this.host = host;
  }

  /** The way to a row of another PoP. */
  worker(row: Row): PeerWorker {
    return this.workers.get(this.host.table.records[row]?.pop ?? "") as PeerWorker;
  }

  onPop(pop: FleetPop): void {
    const { id } = pop.card;
    if (id === this.host.config.pop.id) return;
    if (pop.state === "left") return this.forget(id);
    const known = this.pops.get(id) ?? this.pops.add(pop);
    known.pop = pop;
    if (known.url !== pop.card.url) this.connect(known);
    if (!sameCard(known.card, pop.card)) this.applyCard(known);
    if (pop.load !== undefined) this.applyLoad(known, pop.load);
    this.applyDistance(known);
    this.applyHealth(known);
  }

  onLoad(pop: FleetPop): void {
    const known = this.pops.get(pop.card.id);
    if (known === undefined || pop.load === undefined) return;
    known.pop = pop;
    if (this.applyLoad(known, pop.load)) this.applyHealth(known);
  }

  onDigest(change: DigestChange): void {
    const known = this.pops.get(change.pop);
    const peer = known?.rows[change.endpoint];
    const { kernel } = this.host;
    // Chunks of another length have other hashes: such a digest says nothing here.
    if (peer === undefined || known?.pop.card.chunkBytes !== kernel.options.chunkBytes) return;
    if (change.snapshot) kernel.setDigest(peer.row, change.added);
    else kernel.changeDigest(peer.row, change.added, change.removed);
    kernel.columns.digestDiscount[peer.row] = within(change.discount, 0, 1, 1);
  }

  /** Work was sent to the row: the next load from there may not know of it. */
  sent(row: Row, tokens: Tokens, nowMs: Millis): void {
    this.pops.at(row)?.sends.add(nowMs, tokens);
  }

  /** Requests of ours at the PoP of that row are below the cap. */
  hasRoom(row: Row): boolean {
    const peer = this.pops.at(row);
    return peer !== undefined && this.inFlight(peer.pop) < this.host.config.peers.inFlight;
  }

  inFlight(known: KnownPop): number {
    const { inFlight } = this.host.table.columns;
    return known.rows.reduce((sum, one) => sum + (one ? (inFlight[one.row] as number) : 0), 0);
  }

  /** Rows of the PoP that the row is of; none for an endpoint of this PoP. */
  siblings(row: Row): Row[] {
    const rows = this.pops.at(row)?.pop.rows ?? [];
    return rows.flatMap((one) => (one === undefined ? [] : [one.row]));
  }

  /**
   * What was tried, with everything behind the same door: a PoP that refused or is gone would say
   * the same again for each of its endpoints. Those tried come first, should there be too many.
   */
  withSiblings(tried: readonly Row[]): readonly Row[] {
    if (!tried.some((row) => this.pops.at(row) !== undefined)) return tried;
    return [...new Set([...tried, ...tried.flatMap((row) => this.siblings(row))])];
  }

  /**
   * Before a decision: of what waits in another PoP's queue only the part counts that a request
   * of this size would really wait behind.
   */
  sizeQueues(ask: Ask): void {
    const { table, kernel } = this.host;
    const { trust } = table.columns;
    for (const known of this.pops.all()) {
      if (!known.routable || known.load === undefined) continue;
      for (const peer of known.rows) {
        if (peer === undefined || peer.waitingTokens === 0) continue;
        const matched = kernel.matchedChunks(ask.chain, peer.row) * ask.tokensPerChunk;
        const hit = Math.min(matched, ask.promptTokens) * (trust[peer.row] as number);
        const uncached = Math.max(ask.promptTokens - hit, 1);
        sizeQueue(table.columns, peer, known.load.queueClasses, uncached);
      }
    }
  }

  private forget(id: string): void {
    const known = this.pops.get(id);
    if (known === undefined) return;
    for (const peer of known.rows) if (peer !== undefined) this.removeRow(peer, "it left");
    this.pops.remove(id);
    this.disconnect(known);
    this.host.log("info", "pop left", { pop: id });
  }

  private disconnect(known: KnownPop): void {
    if (this.workers.delete(known.id)) this.host.transport.forget(new URL(known.url).origin);
  }

  private connect(known: KnownPop): void {
    const { url } = known.pop.card;
    const { config, log, via } = this.host;
    this.disconnect(known);
    known.url = url;
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      log("error", "pop not used: the URL of its card is none", { pop: known.id });
      return;
    }
    const onRefusal = (code: string, load: string | undefined) => this.refused(known, code, load);
    const { key } = config.peers;
    this.workers.set(known.id, new PeerWorker({ pop: known.id, url, key, via, onRefusal }));
  }

  /** It said no: what it says of itself is newer than what gossip brought. */
  private refused(known: KnownPop, code: string, text: string | undefined): void {
    known.refusals++;
    const load = text === undefined ? undefined : readLoadText(text);
    this.host.log("debug", "pop refused", { pop: known.id, code, load: load !== undefined });
    // Until its next card: gossip is late, and nobody need ask again meanwhile.
    if (code === "draining") this.takesNothing(known);
    if (load === undefined) return;
    const atMs = this.host.clock() - known.pop.rttMs / 2;
    this.applyLoad(known, { ...load, seq: known.load?.seq ?? 0, atMs });
    this.applyHealth(known);
  }

  private takesNothing(known: KnownPop): void {
    const { admission } = this.host.table.columns;
    for (const peer of known.rows) if (peer !== undefined) admission[peer.row] = NO_WORK;
  }

  /** Rows as the card lists them; what is in it no longer goes. */
  private applyCard(known: KnownPop): void {
    const cards = this.workers.has(known.id) ? known.pop.card.endpoints.slice(0, ROWS_PER_POP) : [];
    known.card = known.pop.card;
    const wanted = new Set(cards.map((card) => card.id));
    const kept = new Map<string, PeerRow>();
    for (const peer of known.rows) {
      if (peer === undefined) continue;
      if (wanted.has(peer.endpointId)) kept.set(peer.endpointId, peer);
      else this.removeRow(peer, "its PoP took it out");
    }
    // The order is another now: the last load cannot be read by it.
    known.load = undefined;
    known.rows = cards.map((card) => this.applyEndpoint(known, card, kept.get(card.id)));
  }

  private applyEndpoint(
    known: KnownPop,
    card: EndpointCard,
    peer: PeerRow | undefined,
  ): PeerRow | undefined {
    const { table, roster, clock, log } = this.host;
    const spec = specOf(known.pop, card);
    const region = roster.places.regionId(card.region);
    const tenants = roster.places.tenantMask(card.tenants);
    const fits = region >= 0 && tenants !== undefined;
    const record = !fits
      ? undefined
      : peer !== undefined
        ? table.records[peer.row]
        : table.add(spec, region, tenants, clock(), known.id);
    if (!fits || record === undefined) {
      if (peer !== undefined) this.removeRow(peer, "its tenants or region find no room");
      log("error", "endpoint not added: a table of the kernel is full", { endpoint: spec.id });
      return undefined;
    }
    const { row } = record;
    if (peer === undefined) {
      this.host.onNew(row);
      table.columns.freshUntilMs[row] = Number.NEGATIVE_INFINITY;
    }
    table.declare(record, spec, region, tenants);
    record.replicas = Math.max(Math.floor(within(card.replicas, 1, 1e4, 1)), 1);
    record.loadSource = "gossip";
    table.columns.capabilities[row] = (card.capabilities & CAPABILITIES) | PLACE.other;
    roster.serveModels(record, card.models);
    if (known.pop.card.draining) table.columns.admission[row] = NO_WORK;
    return peer ?? this.pops.addRow(row, known, card.id);
  }

  private removeRow(peer: PeerRow, why: string): void {
    const { table, roster, kernel } = this.host;
    const { row } = peer;
    const id = table.records[row]?.spec.id;
    this.host.onDown(row, why);
    roster.models.setRow(row, []);
    kernel.clearRow(row);
    this.pops.removeRow(row);
    if (id !== undefined) table.remove(id);
  }

  /**
   * Of loads the newest counts; one that follows another order of endpoints says nothing.
   * @returns whether an endpoint came up or went down by it
   */
  private applyLoad(known: KnownPop, load: PopLoad): boolean {
    if (load.revision !== known.pop.card.revision) return false;
    if (known.load !== undefined && !(load.atMs > known.load.atMs)) return false;
    known.load = load;
    const waitingShare = waitingShareOf(load.endpoints, load.queueClasses);
    let turned = false;
    for (let index = 0; index < known.rows.length; index++) {
      const peer = known.rows[index];
      const one = load.endpoints[index];
      if (peer === undefined || one === undefined) continue;
      turned ||= peer.up !== one.up;
      this.applyOne(peer, one, load, waitingShare);
    }
    return turned;
  }

  private applyOne(peer: PeerRow, one: EndpointLoad, load: PopLoad, waitingShare: number): void {
    const { table, config, clock } = this.host;
    const c = table.columns;
    const { row } = peer;
    const record = table.records[row];
    const { rttMs } = peer.pop.pop;
    peer.up = one.up;
    // A clock that runs ahead would make it count for longer than it may.
    const atMs = Math.min(load.atMs, clock());
    hearLoad(c, peer, one, { atMs, rttMs, waitingShare });
    c.freshUntilMs[row] = atMs + config.peers.freshMs;
    if (record === undefined) return;
    record.itlMs = within(one.itlMs, 0, MS_MAX, record.itlMs);
    record.running = one.inFlight;
  }

  private applyDistance(known: KnownPop): void {
    const { rttMs, jitterMs } = this.host.table.columns;
    for (const peer of known.rows) {
      if (peer === undefined) continue;
      rttMs[peer.row] = within(known.pop.rttMs, 0, MS_MAX, MS_MAX);
      jitterMs[peer.row] = within(known.pop.jitterMs, 0, MS_MAX, 0);
    }
  }

  /** Unreachable for us, or said to be down: no new work, and what has not begun comes back. */
  private applyHealth(known: KnownPop): void {
    const { pop } = known;
    const lost = !pop.reachable || pop.state === "down";
    const routable = !lost && pop.state === "alive" && this.workers.has(known.id);
    const detail = lost ? `PoP ${known.id} does not answer` : `PoP ${known.id} is ${pop.state}`;
    if (routable !== known.routable) {
      this.host.log(routable ? "info" : "warn", routable ? "pop is reachable" : "pop is not used", {
        pop: known.id,
        detail,
      });
    }
    known.routable = routable;
    for (const peer of known.rows) {
      const record = peer === undefined ? undefined : this.host.table.records[peer.row];
      if (peer === undefined || record === undefined) continue;
      const wasReady = record.phase === "ready";
      record.phase = routable && peer.up ? "ready" : "down";
      record.detail = record.phase === "ready" ? "" : routable ? "it is not up there" : detail;
      this.host.onPhase(peer.row);
      if (wasReady && lost) this.host.onDown(peer.row, detail);
    }
  }
}

/** The revision alone does not tell: a PoP that starts again counts from the beginning. */
function sameCard(known: PopCard | undefined, card: PopCard): boolean {
  return known === card || JSON.stringify(known) === JSON.stringify(card);
}

function specOf(pop: FleetPop, card: EndpointCard): EndpointSpec {
  return {
    // No id of an endpoint has a slash, so it is nobody else's.
    id: `${pop.card.id}/${card.id}`,
    url: pop.card.url,
    engine: "openai-compatible",
    dialects: [...DIALECTS],
    tier: card.tier,
    region: card.region,
    models: card.models,
    tenants: card.tenants,
    admission: card.admission,
    priceIn: within(card.priceIn, 0, 1e6, 1e6),
    priceCached: within(card.priceCached, 0, 1e6, 1e6),
    priceOut: within(card.priceOut, 0, 1e6, 1e6),
    maxInFlight: within(card.maxInFlight, 0, 1e6, 0),
    // Between PoPs binding is early: how much may be in prefill there is that PoP's business.
    prefillBudgetTokens: Number.POSITIVE_INFINITY,
    ...(card.contextTokens === undefined ? {} : { contextTokens: card.contextTokens }),
    prefillTokensPerS: 8_000,
    itlMs: 20,
    rttMs: pop.rttMs,
    headers: {},
  };
}
