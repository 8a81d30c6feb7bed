/**
 * One row per endpoint, as struct of arrays. The columns live in the kernel's memory (WASM linear
 * memory or plain arrays for the twin): `pop.ts` asks the kernel for them and hands them over, so
 * writing a column is all it takes for the next decision to see it. Nothing is ever copied.
 */
import { ADMISSION_STATES, type EndpointSpec, type Phase, TIERS } from "../grid/endpoint.ts";
import type { Millis, Row, Tokens } from "../grid/units.ts";

/** Views of length = row capacity. Only rows with `inUse = 1` count. */
export interface EndpointColumns {
  readonly capacity: number;
  /** 1 = the row is an endpoint. */
  inUse: Uint8Array;
  /** 0 edge, 1 regional, 2 core (index in TIERS). */
  tier: Uint8Array;
  /** Index in ADMISSION_STATES. */
  admission: Uint8Array;
  /** 0 = may be used, 1 = health check or breaker says down. */
  down: Uint8Array;
  /** Interned region, 0..255. */
  region: Uint8Array;
  /** CAPABILITY bits. */
  capabilities: Uint32Array;
  /** Tenant bits; 0xffffffff = all. */
  tenants: Uint32Array;
  /** Context window in tokens; 0xffffffff = unknown. */
  contextTokens: Uint32Array;
  inFlight: Uint32Array;
  inFlightCap: Uint32Array;
  /** Uncached prefill tokens the engine reported as queued, at `sampleAtMs`. */
  queuedTokens: Float64Array;
  /** Uncached tokens sent there since `sampleAtMs` (the credit between polls). */
  sentTokens: Float64Array;
  /** Uncached tokens of our own requests there that have no first token yet: a sure floor. */
  ownTokens: Float64Array;
  /** Since when the engine works on them without a break, as seen from here. */
  busySinceMs: Float64Array;
  /** Tokens of ours that came through since then. */
  busyTokens: Float64Array;
  /** Uncached tokens of requests that wait in this PoP's queue for this endpoint. */
  waitingTokens: Float64Array;
  sampleAtMs: Float64Array;
  /** Knowledge of the row counts until then; +Infinity for endpoints of this PoP. */
  freshUntilMs: Float64Array;
  /** 0..1; 0.5 where the engine does not say: unknown is never zero. */
  kvUsage: Float64Array;
  /** Uncached prefill tokens per millisecond, learned. */
  prefillRate: Float64Array;
  rttMs: Float64Array;
  jitterMs: Float64Array;
  /** USD per token. */
  priceIn: Float64Array;
  priceCached: Float64Array;
  priceOut: Float64Array;
  /** 0..1: share of predicted prefix hits that came true, learned from `cached_tokens`. */
  trust: Float64Array;
  /**
   * 0..1: share of a hit that is expected to be worth nothing: for other PoPs from age and churn of
   * their digest, for own endpoints from the slower media that part of it lies in.
   */
  digestDiscount: Float64Array;
}

/** Everything about an endpoint that is not a column of the decision. */
export interface EndpointRecord {
  spec: EndpointSpec;
  readonly row: Row;
  /** Id of the PoP that it belongs to; undefined = an endpoint of this one. */
  readonly pop: string | undefined;
  /** Endpoints that the row stands for: of what is sent there each gets its part. */
  replicas: number;
  phase: Phase;
  /** Why it is not ready, for people. */
  detail: string;
  /** Models it serves now: as configured, else as it said. */
  models: string[];
  /** Those of the models that are adapters (LoRA) of another. */
  adapters: readonly string[];
  contextTokens: Tokens | undefined;
  version: string | undefined;
  /** Size of its KV cache and of a block of it, as configured, else as it said. */
  kvTokens: Tokens | undefined;
  blockTokens: Tokens | undefined;
  itlMs: Millis;
  running: number | undefined;
  waiting: number | undefined;
  loadSource: string;
  loadErrors: number;
  requests: number;
  /** Requests of ours that have no first token yet: those of `ownTokens`. */
  prefills: number;
  failures: number;
  /** How often its prefill rate was seen. */
  rateSamples: number;
  /** In this busy period a prefill ended unseen (a plain answer, one given up): no rate from it. */
  busyMixed: boolean;
  /** Predicted against observed, as exponentially weighted means. */
  ttftErrorMs: Millis;
  /** How much of its KV cache seems to serve prefixes, as `cached_tokens` shows; 1 = all. */
  mirrorScale: number;
  /** Row is to be freed as soon as nothing runs there. */
  retired: boolean;
}

export const UNKNOWN_CONTEXT = 0xffffffff;

export class EndpointTable {
  readonly columns: EndpointColumns;
  readonly records: (EndpointRecord | undefined)[] = [];
  private readonly rowOfId = new Map<string, Row>();
  private readonly ownRecords = new Set<EndpointRecord>();

  constructor(columns: EndpointColumns) {
    this.columns = columns;
  }

  get size(): number {
    return this.rowOfId.size;
  }

  row(id: string): Row {
    return this.rowOfId.get(id) ?? -1;
  }

  *live(): IterableIterator<EndpointRecord> {
    for (const row of this.rowOfId.values()) yield this.records[row] as EndpointRecord;
  }

  /** The endpoints of this PoP. */
  own(): Iterable<EndpointRecord> {
    return this.ownRecords;
  }

  /** A new row with the operator's starting values. Undefined when the table is full. */
  add(
    spec: EndpointSpec,
    region: number,
    tenants: number,
    nowMs: Millis,
    pop?: string,
  ): EndpointRecord | undefined {
    const row = this.freeRow();
    if (row < 0 || this.rowOfId.has(spec.id)) return undefined;
    const record: EndpointRecord = {
      spec,
      row,
      pop,
      replicas: 1,
      phase: "unknown",
      detail: "not probed yet",
      models: spec.models,
      adapters: [],
      contextTokens: spec.contextTokens,
      version: undefined,
      kvTokens: spec.kvTokens,
      blockTokens: undefined,
      itlMs: spec.itlMs,
      running: undefined,
      waiting: undefined,
      loadSource: "none",
      loadErrors: 0,
      requests: 0,
      prefills: 0,
      failures: 0,
      rateSamples: 0,
      busyMixed: false,
      ttftErrorMs: 0,
      mirrorScale: 1,
      retired: false,
    };
    this.records[row] = record;
    this.rowOfId.set(spec.id, row);
    if (pop === undefined) this.ownRecords.add(record);
    this.reset(row, spec, nowMs);
    this.declare(record, spec, region, tenants);
    return record;
  }

  /** Writes what the operator declares; what was learned stays. */
  declare(record: EndpointRecord, spec: EndpointSpec, region: number, tenants: number): void {
    const c = this.columns;
    const row = record.row;
    record.spec = spec;
    c.tier[row] = TIERS.indexOf(spec.tier);
    c.admission[row] = ADMISSION_STATES.indexOf(spec.admission);
    c.region[row] = region;
    c.tenants[row] = tenants;
    c.contextTokens[row] = spec.contextTokens ?? record.contextTokens ?? UNKNOWN_CONTEXT;
    c.inFlightCap[row] = spec.maxInFlight;
    c.priceIn[row] = spec.priceIn / 1e6;
    c.priceCached[row] = spec.priceCached / 1e6;
    c.priceOut[row] = spec.priceOut / 1e6;
    c.rttMs[row] = spec.rttMs;
  }

  /** Takes the endpoint out of every decision; its row is free once nothing runs there. */
  remove(id: string): EndpointRecord | undefined {
    const row = this.row(id);
    const record = this.records[row];
    if (record === undefined) return undefined;
    this.rowOfId.delete(id);
    this.ownRecords.delete(record);
    this.columns.inUse[row] = 0;
    record.retired = true;
    this.settle(row);
    return record;
  }

  /** Frees a retired row when its last request has ended. */
  settle(row: Row): void {
    if (this.records[row]?.retired && this.columns.inFlight[row] === 0) {
      this.records[row] = undefined;
    }
  }

  private freeRow(): Row {
    for (let row = 0; row < this.columns.capacity; row++) {
      if (this.records[row] === undefined) return row;
    }
    return -1;
  }

  private reset(row: Row, spec: EndpointSpec, nowMs: Millis): void {
    const c = this.columns;
    c.inUse[row] = 1;
    c.down[row] = 1; // unroutable until the first probe answers
    c.capabilities[row] = 0;
    c.inFlight[row] = 0;
    c.queuedTokens[row] = 0;
    c.sentTokens[row] = 0;
    c.ownTokens[row] = 0;
    c.busySinceMs[row] = nowMs;
    c.busyTokens[row] = 0;
    c.waitingTokens[row] = 0;
    // Never polled: until the engine says something, our own counts are all there is.
    c.sampleAtMs[row] = Number.NEGATIVE_INFINITY;
    c.freshUntilMs[row] = Number.POSITIVE_INFINITY;
    c.kvUsage[row] = 0.5;
    c.prefillRate[row] = spec.prefillTokensPerS / 1000;
    c.jitterMs[row] = 0;
    c.trust[row] = 1;
    c.digestDiscount[row] = 0;
  }
}
