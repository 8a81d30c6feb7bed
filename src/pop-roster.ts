/**
 * The endpoints of a PoP: rows, workers and watchers, kept in step with the config and with what
 * the endpoints say of themselves. Part of `pop.ts`.
 */
import type { PopConfig } from "./config.ts";
import { ADMISSION_STATES, type EndpointSpec, type KvEventsSpec, PLACE } from "./grid/endpoint.ts";
import type { Clock, Log, Rng } from "./grid/effects.ts";
import type { Transport } from "./grid/exchange.ts";
import type { Millis, Row } from "./grid/units.ts";
import { MODELS_MAX, type Kernel } from "./kernel/kernel.ts";
import { defaultCapabilities, inDialects } from "./forward/abilities.ts";
import { FAMILIES } from "./forward/families.ts";
import { type Watch, watchEndpoint } from "./forward/watch.ts";
import type { LoadSample, Probe, Worker } from "./forward/worker.ts";
import { HttpWorker } from "./forward/workers/http-worker.ts";
import type { EndpointRecord, EndpointTable } from "./state/endpoint-table.ts";
import { ModelTable } from "./state/model-table.ts";
import { Places } from "./state/places.ts";

/** KV use assumed where an engine does not say: unknown is never zero. */
const UNKNOWN_KV_USAGE = 0.2;
/** Uncached tokens assumed per queued request where an engine counts requests only. */
const TOKENS_PER_QUEUED = 512;
/** Tokens in a chunk before anything is learned: 4 bytes per token. */
const BYTES_PER_TOKEN = 4;
/** Twice what fits: where events tell, an engine's own order of eviction counts, not ours. */
const WHOLE_SCALE = 2;

/** Told of the endpoints whose caches can be followed. */
export interface CacheWatch {
  /** Followed as the spec says from now on, or no more. */
  follow(record: EndpointRecord, spec: KvEventsSpec | undefined): void;
  /** Tokens in a block, as the engine says. */
  blockSize(row: Row, tokens: number | undefined): void;
  /** All that the row holds is known by events: nothing need be forgotten by age. */
  isWhole(row: Row): boolean;
}

export interface RosterHost {
  clock: Clock;
  rng: Rng;
  log: Log;
  transport: Transport;
  kernel: Kernel;
  table: EndpointTable;
  poll: PopConfig["poll"];
  connectMs: Millis;
  /** What this PoP says of itself in `x-grid-via`. */
  via: string;
  /** The phase of the row was said anew: may it be used? */
  onPhase(row: Row): void;
  /** A new endpoint stands in the row, or the old one restarted: forget its marks. */
  onNew(row: Row): void;
  /** What is known of the engines' caches beyond what was sent; undefined = nothing. */
  cache?: CacheWatch;
  /** The row went down: what it has not begun to answer should go elsewhere. */
  onDown(row: Row, detail: string): void;
}

export class Roster {
  readonly models: ModelTable;
  readonly places = new Places();
  private readonly host: RosterHost;
  private readonly workers: (Worker | undefined)[] = [];
  private readonly watches: (Watch | undefined)[] = [];
  /** Chunks that the kernel believes each row's KV cache can hold. */
  private readonly mirrored: (number | undefined)[] = [];
  /** Endpoints that an administrator drains, by id: stronger than what the config says. */
  private readonly drained = new Set<string>();

  constructor(host: RosterHost) {
    this.host = host;
    this.models = new ModelTable(MODELS_MAX, (model, row, serves) => {
      host.kernel.setModelRow(model, row, serves);
    });
  }

  worker(row: Row): Worker {
    return this.workers[row] as Worker;
  }

  /** The request path saw a failure there: look now. */
  nudge(row: Row): void {
    this.watches[row]?.nudge();
  }

  /** Adds, changes and removes endpoints until they are as given. Returns the ids it touched. */
  apply(specs: readonly EndpointSpec[]): string[] {
    const changed: string[] = [];
    const wanted = new Map(specs.map((spec) => [spec.id, spec]));
    for (const record of [...this.host.table.own()]) {
      if (!wanted.has(record.spec.id)) {
        this.remove(record);
        changed.push(record.spec.id);
      }
    }
    for (const spec of specs) {
      const record = this.host.table.records[this.host.table.row(spec.id)];
      if (record !== undefined && JSON.stringify(record.spec) === JSON.stringify(spec)) continue;
      changed.push(spec.id);
      if (record === undefined) this.add(spec);
      else if (sameConnection(record.spec, spec)) this.redeclare(record, spec);
      else {
        this.remove(record);
        this.add(spec);
      }
    }
    return changed;
  }

  close(): void {
    for (const watch of this.watches) watch?.stop();
  }

  /**
   * Takes an endpoint out of new decisions, or back in; what runs there ends by itself.
   * @returns false when no endpoint of this PoP has that id
   */
  drain(id: string, on: boolean): boolean {
    const record = this.host.table.records[this.host.table.row(id)];
    if (record === undefined || record.pop !== undefined) return false;
    if (on) this.drained.add(id);
    else this.drained.delete(id);
    this.admission(record);
    this.host.onPhase(record.row);
    return true;
  }

  private admission({ row, spec }: EndpointRecord): void {
    const state = this.drained.has(spec.id) ? "none" : spec.admission;
    this.host.table.columns.admission[row] = ADMISSION_STATES.indexOf(state);
  }

  private add(spec: EndpointSpec): void {
    const { table, clock, log } = this.host;
    const region = this.places.regionId(spec.region);
    const tenants = this.places.tenantMask(spec.tenants);
    const record =
      region < 0 || tenants === undefined ? undefined : table.add(spec, region, tenants, clock());
    if (record === undefined) {
      log("error", "endpoint not added: a table of the kernel is full", { endpoint: spec.id });
      return;
    }
    const { row } = record;
    this.admission(record);
    this.host.onNew(row);
    this.serveModels(record, spec.models);
    this.connect(record, spec);
    this.host.cache?.follow(record, spec.kvEvents);
  }

  /** A worker for the endpoint as it is declared now, and its watcher. */
  private connect(record: EndpointRecord, spec: EndpointSpec): void {
    const { transport, clock, poll, connectMs, via } = this.host;
    const worker = new HttpWorker(spec, {
      ...{ transport, clock, via },
      connectTimeoutMs: connectMs,
      readTimeoutMs: Math.max(poll.timeoutMs, FAMILIES[spec.engine].poll?.timeoutMs ?? 0),
    });
    this.workers[record.row] = worker;
    this.watches[record.row] = this.watch(record, worker);
  }

  private watch(record: EndpointRecord, worker: Worker): Watch {
    const { poll, clock, rng } = this.host;
    const slow = FAMILIES[record.spec.engine].poll;
    const options = {
      pollMs: Math.max(poll.intervalMs, slow?.intervalMs ?? 0),
      jitter: poll.jitter,
      timeoutMs: Math.max(poll.timeoutMs, slow?.timeoutMs ?? 0),
      failuresToDown: poll.failuresToDown,
      successesToUp: poll.successesToUp,
      reprobeMs: poll.reprobeMs,
    };
    const listener = {
      onPhase: (probe: Probe) => this.onPhase(record, probe),
      onLoad: (sample: LoadSample) => this.onLoad(record, sample),
      onLoadError: () => {
        record.loadErrors++;
      },
    };
    return watchEndpoint(worker, options, listener, clock, rng, { setTimeout, clearTimeout });
  }

  private redeclare(record: EndpointRecord, spec: EndpointSpec): void {
    const region = this.places.regionId(spec.region);
    const tenants = this.places.tenantMask(spec.tenants);
    if (region < 0 || tenants === undefined) {
      this.host.log("error", "endpoint not changed: too many regions or tenants", {
        endpoint: spec.id,
      });
      return;
    }
    const followed = JSON.stringify(record.spec.kvEvents);
    this.host.table.declare(record, spec, region, tenants);
    this.admission(record);
    if (JSON.stringify(spec.kvEvents) !== followed) this.host.cache?.follow(record, spec.kvEvents);
    if (spec.models.length > 0) this.serveModels(record, spec.models);
    this.watches[record.row]?.stop();
    this.connect(record, spec);
    this.host.onPhase(record.row);
  }

  private remove(record: EndpointRecord): void {
    const { row, spec } = record;
    this.watches[row]?.stop();
    this.host.cache?.follow(record, undefined);
    this.models.setRow(row, []);
    this.mirrored[row] = undefined;
    this.host.kernel.clearRow(row);
    this.host.table.remove(spec.id);
    const origin = new URL(spec.url).origin;
    const shared = [...this.host.table.live()].some((r) => new URL(r.spec.url).origin === origin);
    if (!shared) this.host.transport.forget(origin);
  }

  /** The row serves exactly these from now on; a model that finds no number is logged. */
  serveModels(record: EndpointRecord, models: readonly string[]): void {
    record.models = [...models];
    for (const model of this.models.setRow(record.row, models)) {
      this.host.log("error", `model not served: more than ${MODELS_MAX} models`, {
        endpoint: record.spec.id,
        model,
      });
    }
  }

  private onPhase(record: EndpointRecord, probe: Probe): void {
    const { row, spec } = record;
    const { columns } = this.host.table;
    const before = record.phase;
    record.phase = probe.phase;
    record.detail = probe.detail ?? "";
    const up = probe.phase === "ready";
    if (probe.restarted) this.restarted(row);
    if (probe.models !== undefined) this.learnModels(record, probe);
    const declared = spec.capabilities !== undefined;
    const probed = declared ? undefined : probe.capabilities;
    const able =
      probed === undefined ? defaultCapabilities(spec) : inDialects(probed, spec.dialects);
    columns.capabilities[row] = able | PLACE.own;
    if (probe.version !== undefined) record.version = probe.version;
    this.learnCache(record, probe);
    this.bound(row, spec, probe.slots);
    if (before !== probe.phase) {
      this.host.log(up ? "info" : "warn", `endpoint is ${probe.phase}`, {
        endpoint: spec.id,
        detail: record.detail,
      });
    }
    this.host.onPhase(row);
    if (!up && before === "ready") this.host.onDown(row, record.detail || probe.phase);
  }

  private learnModels(record: EndpointRecord, probe: Probe): void {
    const { row, spec } = record;
    const models = probe.models ?? [];
    if (spec.models.length === 0)
      this.serveModels(
        record,
        models.map((model) => model.id),
      );
    const windows = models.flatMap((m) => (m.contextTokens === undefined ? [] : [m.contextTokens]));
    record.adapters = models.flatMap((m) => (m.adapterOf === undefined ? [] : [m.id]));
    if (windows.length > 0) record.contextTokens = Math.max(...windows);
    const context = spec.contextTokens ?? record.contextTokens;
    if (context !== undefined) this.host.table.columns.contextTokens[row] = context;
  }

  private onLoad(record: EndpointRecord, sample: LoadSample): void {
    const { columns } = this.host.table;
    const { row } = record;
    record.running = sample.running;
    record.waiting = sample.waiting;
    record.loadSource = sample.source;
    if (sample.restarted) this.restarted(row);
    // An engine without any load page: its row goes by our own counts alone.
    if (sample.source === "none") return;
    columns.queuedTokens[row] = sample.queuedTokens ?? (sample.waiting ?? 0) * TOKENS_PER_QUEUED;
    columns.sentTokens[row] = 0;
    columns.sampleAtMs[row] = sample.atMs;
    columns.kvUsage[row] = sample.kvUsage ?? UNKNOWN_KV_USAGE;
    this.learnCache(record, sample);
    this.bound(row, record.spec, sample.slots);
  }

  private learnCache(record: EndpointRecord, said: Pick<Probe, "kvTokens" | "blockTokens">): void {
    const { spec, row } = record;
    record.kvTokens = spec.kvTokens ?? said.kvTokens ?? record.kvTokens;
    record.blockTokens = said.blockTokens ?? record.blockTokens;
    this.mirror(record, spec.kvTokens ?? said.kvTokens);
    this.host.cache?.blockSize(row, said.blockTokens);
  }

  /** More than it has slots for would wait inside it, where nothing can be moved any more. */
  private bound(row: Row, spec: EndpointSpec, slots: number | undefined): void {
    if (slots === undefined) return;
    this.host.table.columns.inFlightCap[row] = Math.min(spec.maxInFlight, Math.max(slots, 1));
  }

  /**
   * Tells the kernel how many chunks the engine's cache can hold, so that it forgets alike. Where
   * events tell what is evicted the bound only keeps what nobody could name from staying for ever.
   */
  private mirror({ row, mirrorScale }: EndpointRecord, kvTokens: number | undefined): void {
    if (kvTokens === undefined) return;
    const { chunkBytes } = this.host.kernel.options;
    const isWhole = this.host.cache?.isWhole(row) ?? false;
    const scale = isWhole ? WHOLE_SCALE : Math.round(mirrorScale * 32) / 32;
    const chunks = Math.max(Math.floor((kvTokens * BYTES_PER_TOKEN * scale) / chunkBytes), 1);
    // Setting it sweeps the index: only when it is news.
    if (this.mirrored[row] === chunks) return;
    this.mirrored[row] = chunks;
    this.host.kernel.setRowChunks(row, chunks);
  }

  /** The engine began anew: its cache is empty, and old marks are not about it. */
  private restarted(row: Row): void {
    this.clear(row);
    this.host.onNew(row);
  }

  /** Its cache is empty, or nothing is known of it any more. */
  clear(row: Row): void {
    this.host.kernel.clearRow(row);
    const chunks = this.mirrored[row];
    if (chunks !== undefined) this.host.kernel.setRowChunks(row, chunks);
  }
}

/** Two specs that need no new connection, worker history or probe. */
function sameConnection(a: EndpointSpec, b: EndpointSpec): boolean {
  const same = a.url === b.url && a.engine === b.engine && a.apiKey === b.apiKey;
  return same && JSON.stringify(a.dialects) === JSON.stringify(b.dialects);
}
