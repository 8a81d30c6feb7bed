/**
 * The books of the other processes of this PoP, kept in the same columns: what they have in flight
 * counts like our own in every decision, a tick later. Own shares travel whole and not as changes,
 * so a report that comes late or twice does no harm. Part of `pop.ts`.
 */
import type { PrefixKnowledge, SessionPins } from "./feedback/observe.ts";
import type { Clock } from "./grid/effects.ts";
import type { ProcessPort, ProcessReport, ProcessShare } from "./grid/processes.ts";
import type { Row, Tokens } from "./grid/units.ts";
import type { EndpointRecord, EndpointTable } from "./state/endpoint-table.ts";

export interface ProcessHost {
  port: ProcessPort;
  clock: Clock;
  table: EndpointTable;
  kernel: PrefixKnowledge;
  sessions: SessionPins;
  /** Somebody may start: a place became free elsewhere. */
  freed(): void;
  drain(endpoint: string | undefined, on: boolean): void;
}

interface Share {
  inFlight: number;
  ownTokens: Tokens;
}

/** What others have at one endpoint. */
interface Foreign {
  record: EndpointRecord;
  total: Share;
  byProcess: Map<number, Share>;
  told: Share;
}

/** Of one report; what is beyond is not told, and costs a cache hit or a session's home. */
const PREFIXES_MAX = 512;
const PREFIX_WORDS_MAX = 1 << 18;
const PINS_MAX = 1_024;
const NOTHING: Share = { inFlight: 0, ownTokens: 0 };

export class ProcessBooks implements PrefixKnowledge, SessionPins {
  private readonly host: ProcessHost;
  private readonly foreign = new Map<string, Foreign>();
  private news = emptyNews();
  private words = 0;

  constructor(host: ProcessHost) {
    this.host = host;
    host.port.listen(
      (report) => this.take(report),
      (number) => this.gone(number),
    );
  }

  learn(chain: Uint32Array, row: Row, nowMs: number): void {
    this.host.kernel.learn(chain, row, nowMs);
    this.tell(chain, row);
  }

  forget(chain: Uint32Array, row: Row, fromChunk: number): void {
    this.host.kernel.forget(chain, row, fromChunk);
    this.tell(chain, row, fromChunk);
  }

  pin(tenant: string, session: string, endpoint: string): void {
    this.host.sessions.pin(tenant, session, endpoint);
    if (this.news.pins.length < PINS_MAX) this.news.pins.push({ tenant, session, endpoint });
  }

  drained(endpoint: string | undefined, on: boolean): void {
    this.news.drains.push({ endpoint, on });
  }

  /** Sends what is new; call once per tick. */
  tick(): void {
    const shares = this.changedShares();
    const { news, host } = this;
    const quiet = news.prefixes.length + news.pins.length + news.drains.length === 0;
    if (shares.length === 0 && quiet) return;
    this.news = emptyNews();
    this.words = 0;
    host.port.send({ process: host.port.process, shares, ...news });
  }

  private tell(chain: Uint32Array, row: Row, fromChunk?: number): void {
    const endpoint = this.host.table.records[row]?.spec.id;
    const { prefixes } = this.news;
    const full = prefixes.length >= PREFIXES_MAX || this.words + chain.length > PREFIX_WORDS_MAX;
    if (endpoint === undefined || chain.length === 0 || full) return;
    this.words += chain.length;
    prefixes.push({ chain, endpoint, ...(fromChunk === undefined ? {} : { fromChunk }) });
  }

  private changedShares(): ProcessShare[] {
    const { columns } = this.host.table;
    const changed: ProcessShare[] = [];
    for (const record of this.host.table.live()) {
      const foreign = this.foreignOf(record);
      const { total, told } = foreign;
      const inFlight = Math.max((columns.inFlight[record.row] as number) - total.inFlight, 0);
      const tokens = (columns.ownTokens[record.row] as number) - total.ownTokens;
      const ownTokens = inFlight === 0 ? 0 : Math.max(tokens, 0);
      if (inFlight === told.inFlight && ownTokens === told.ownTokens) continue;
      foreign.told = { inFlight, ownTokens };
      changed.push({ endpoint: record.spec.id, inFlight, ownTokens });
    }
    return changed;
  }

  /** Of the record that stands in the table now: one that replaced another starts anew. */
  private foreignOf(record: EndpointRecord): Foreign {
    const known = this.foreign.get(record.spec.id);
    if (known?.record === record) return known;
    const fresh: Foreign = {
      ...{ record, byProcess: new Map(), told: NOTHING },
      total: { ...NOTHING },
    };
    this.foreign.set(record.spec.id, fresh);
    return fresh;
  }

  private take(report: ProcessReport): void {
    const { table, kernel, sessions, clock } = this.host;
    let freed = false;
    for (const { endpoint, inFlight, ownTokens } of report.shares) {
      const record = table.records[table.row(endpoint)];
      const foreign = record === undefined ? this.foreign.get(endpoint) : this.foreignOf(record);
      if (foreign === undefined) continue;
      freed = this.book(foreign, report.process, { inFlight, ownTokens }) || freed;
    }
    for (const { chain, endpoint, fromChunk } of report.prefixes) {
      const row = table.row(endpoint);
      if (row < 0) continue;
      if (fromChunk === undefined) kernel.learn(chain, row, clock());
      else kernel.forget(chain, row, fromChunk);
    }
    for (const { tenant, session, endpoint } of report.pins) {
      sessions.pin(tenant, session, endpoint);
    }
    for (const { endpoint, on } of report.drains) this.host.drain(endpoint, on);
    if (freed) this.host.freed();
  }

  private gone(number: number): void {
    for (const foreign of this.foreign.values()) this.book(foreign, number, NOTHING);
    this.host.freed();
  }

  /** True: there is room where there was less. */
  private book({ record, total, byProcess }: Foreign, number: number, now: Share): boolean {
    const { table } = this.host;
    const { columns: c } = table;
    const { row } = record;
    const before = byProcess.get(number) ?? NOTHING;
    byProcess.set(number, now);
    const flights = now.inFlight - before.inFlight;
    const tokens = now.ownTokens - before.ownTokens;
    total.inFlight += flights;
    total.ownTokens += tokens;
    if (table.records[row] !== record) return false;
    if (tokens > 0 && c.ownTokens[row] === 0) {
      c.busySinceMs[row] = this.host.clock();
      c.busyTokens[row] = 0;
      record.busyMixed = false;
    }
    c.inFlight[row] = Math.max((c.inFlight[row] as number) + flights, 0);
    c.ownTokens[row] = Math.max((c.ownTokens[row] as number) + tokens, 0);
    if (tokens > 0) c.sentTokens[row] = (c.sentTokens[row] as number) + tokens;
    // It came through at that engine, whoever had sent it.
    else c.busyTokens[row] = (c.busyTokens[row] as number) - tokens;
    table.settle(row);
    return flights < 0 || tokens < 0;
  }
}

type News = Pick<ProcessReport, "prefixes" | "pins" | "drains">;

function emptyNews(): News {
  return { prefixes: [], pins: [], drains: [] };
}
