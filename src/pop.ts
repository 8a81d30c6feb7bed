/**
 * One PoP assembled: kernel, state, endpoints, stages and door, with the one tick that moves
 * everything that depends on time. What needs the runtime comes in as `Runtime`.
 */
import type { PopConfig } from "./config.ts";
import { createDoor, type Door, type DoorEnv, type House } from "./door/app.ts";
export { malformed } from "./door/malformed.ts";
import { Authenticator } from "./door/auth.ts";
import { SOCKET_DOORS, Sockets } from "./door/sockets.ts";
import type { ServedModel } from "./door/models.ts";
import { PeerGate } from "./door/peer.ts";
import { PopMetrics } from "./feedback/pop-metrics.ts";
import type { Clock, Log, Rng } from "./grid/effects.ts";
import { GridError } from "./grid/errors.ts";
import type { Exchange, Transport } from "./grid/exchange.ts";
import type { Fleet } from "./grid/fleet.ts";
import type { HeldQuestion, ProcessPort } from "./grid/processes.ts";
import type { Dial } from "./grid/tcp.ts";
import type { Millis } from "./grid/units.ts";
import type { Kernel } from "./kernel/kernel.ts";
import { createReferenceKernel } from "./kernel/reference.ts";
import { createWasmKernel, type KernelExports } from "./kernel/wasm.ts";
import { lambdaAt } from "./kernel/weights.ts";
import { heldHere, PeersHeld } from "./pop-held.ts";
import { RequestIds } from "./pop-ids.ts";
import { KvWatch } from "./pop-kv.ts";
import { PeerRoster } from "./pop-peers.ts";
import { ProcessBooks } from "./pop-processes.ts";
import { Publisher } from "./pop-publish.ts";
import { PopStages } from "./pop-stages.ts";
import { Roster, type RosterHost } from "./pop-roster.ts";
import { explained } from "./pop-explain.ts";
import { drainReport, notReady, popState, type ViewParts } from "./pop-view.ts";
import { type Caller, serve } from "./proxy.ts";
import { EndpointTable, UNKNOWN_CONTEXT } from "./state/endpoint-table.ts";
import { ResponseStore } from "./state/response-store.ts";
import { SessionTable } from "./state/session-table.ts";
import { TokenEstimator } from "./task/estimate.ts";
import type { Route } from "./task/route.ts";
export { HOT_PATHS } from "./task/route.ts";

/** What the runtime adapter hands in. */
export interface Runtime {
  clock: Clock;
  rng: Rng;
  log: Log;
  transport: Transport;
  /** Exports of a fresh instance of `wasm/kernel.wasm`. */
  kernelExports(): KernelExports;
  /** TCP, for engines' KV events; undefined = this runtime has none. */
  dial?: Dial | undefined;
  /** The other PoPs; undefined = this one stands alone. It is left when the PoP closes. */
  fleet?: Fleet | undefined;
  /** Other processes that are this PoP, too. */
  processes?: ProcessPort | undefined;
  /** The certificates that it shows, with when they run out, in Unix milliseconds. */
  certificates?(): readonly { name: string; notAfterMs: Millis }[];
}

export interface ReloadReport {
  /** Ids of endpoints and names of sections that changed. */
  changed: string[];
  /** Sections that only a restart applies. */
  needsRestart: string[];
}

export interface Pop {
  /** Hono's entry: the request's method and path, and the Exchange that answers it. */
  fetch(request: Request, env: DoorEnv["Bindings"]): Response | Promise<Response>;
  reload(config: PopConfig): ReloadReport;
  /** Where its door can be reached, once it listens: told to the other PoPs. */
  announce(url: string): void;
  /**
   * Says that it leaves; after `timeouts.drainNoticeMs` takes nothing new, and resolves when
   * nothing runs any more, or after `timeouts.drainMs`.
   */
  drain(): Promise<void>;
  close(): Promise<void>;
  state(): unknown;
  /** Prometheus text of this process alone. */
  metrics(): string;
  /** A held response of this process, for another process of the PoP; "" = it holds none such. */
  held(question: HeldQuestion): string;
}

/** Deadlines are looked at this often: their grain. */
const TICK_MS = 20;
/** Every how many ticks waiting requests are looked at and slow values are computed. */
const QUEUE_TICKS = 5;
/** Every how many ticks the loads that came from other PoPs are taken. */
const SETTLE_TICKS = 2;
const SURVEY_TICKS = 10;
const DRAIN_POLL_MS = 20;
/** Limits that the listening server or a table takes at its start. */
const FIXED_LIMITS = ["connections", "headerTimeoutMs", "sessions", "sessionTtlMs"] as const;
/** Parts of the config that are built once. */
const FIXED = [
  ...(["pop", "listen", "kernel", "implementation", "poll", "gossip", "peers"] as const),
  "responses" as const,
];

export function createPop(config: PopConfig, runtime: Runtime): Pop {
  return new RunningPop(config, runtime);
}

class RunningPop implements Pop {
  private config: PopConfig;
  private readonly runtime: Runtime;
  private readonly kernel: Kernel;
  private readonly table: EndpointTable;
  private readonly sessions: SessionTable;
  private readonly counters: PopMetrics;
  private readonly roster: Roster;
  private readonly kv: KvWatch;
  private readonly peers: PeerRoster;
  private readonly publisher: Publisher | undefined;
  private readonly gate: PeerGate;
  private readonly books: ProcessBooks | undefined;
  private readonly stages: PopStages;
  private readonly auth: Authenticator;
  private readonly sockets: Sockets;
  private readonly responses: ResponseStore;
  private readonly app: Door;
  private readonly timer: ReturnType<typeof setInterval>;
  private ticks = 0;

  constructor(config: PopConfig, runtime: Runtime) {
    const { clock, rng, log, transport } = runtime;
    this.config = config;
    this.runtime = runtime;
    this.kernel = kernelFor(config, runtime);
    this.kernel.setWeights(config.weights);
    this.table = new EndpointTable(this.kernel.columns);
    const { sessions: max, sessionTtlMs: ttlMs } = config.limits;
    this.sessions = new SessionTable({ max, ttlMs, clock });
    const cache = { report: (row: number) => this.kv.report(row), nowMs: clock };
    const queued = () => this.stages.queue.length;
    this.counters = new PopMetrics(this.table, this.kernel, queued, cache, this.doorReading());
    this.auth = new Authenticator(config.auth);
    this.sockets = new Sockets(() => this.config.sockets, clock, `sock_${rng().toString(36)}_`);
    this.responses = new ResponseStore({ ...config.responses, clock });
    this.gate = new PeerGate(config);
    const { kernel, table, sessions, counters: metrics } = this;
    const ids = new RequestIds(rng, log, runtime.processes?.run);
    const { via } = ids;
    const shared = { config, clock, rng, log, transport, kernel, table };
    const rows = {
      onPhase: (row) => this.phaseSaid(row),
      onNew: (row) => {
        this.stages.health.forget(row);
        this.kv.restarted(row);
      },
      onDown: (row, detail) => this.stages.endpointDown(row, detail),
    } satisfies Partial<RosterHost>;
    const { poll, timeouts } = config;
    this.kv = new KvWatch({
      ...shared,
      dial: runtime.dial,
      worker: (row) => this.roster.worker(row),
      onRestart: (row) => this.roster.clear(row),
    });
    const { kv } = this;
    const { connectMs } = timeouts;
    this.roster = new Roster({ ...shared, ...rows, cache: kv, poll, connectMs, via });
    const { roster } = this;
    this.peers = new PeerRoster({ ...shared, ...rows, roster, via });
    const estimator = new TokenEstimator();
    const publisher = () => this.publisher;
    this.books = this.keepBooks(runtime.processes);
    const { books, peers } = this;
    const known = { roster, peers, publisher, sessions, books, estimator, metrics, kv, ids };
    const parts = { ...shared, ...known };
    this.stages = new PopStages(parts);
    this.publisher = this.join(runtime.fleet);
    this.app = createDoor(this.house());
    this.roster.apply(config.endpoints);
    runtime.fleet?.listen(this.peers);
    for (const pop of runtime.fleet?.pops() ?? []) this.peers.onPop(pop);
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  fetch(request: Request, env: DoorEnv["Bindings"]): Response | Promise<Response> {
    return this.app.fetch(request, env);
  }

  announce(url: string): void {
    this.publisher?.announce(url);
    this.publisher?.tick(this.runtime.clock());
  }

  reload(config: PopConfig): ReloadReport {
    const before = this.config;
    const needsRestart = [
      ...FIXED.filter((key) => !same(before[key], config[key])),
      ...FIXED_LIMITS.filter((key) => before.limits[key] !== config.limits[key]).map(
        (key) => `limits.${key}`,
      ),
    ];
    const kept = Object.fromEntries(FIXED.map((key) => [key, before[key]]));
    const next = { ...config, ...kept } as PopConfig;
    const sections = (Object.keys(next) as (keyof PopConfig)[]).filter(
      (key) => key !== "endpoints" && !same(before[key], next[key]),
    );
    this.config = next;
    this.auth.configure(next.auth);
    if (sections.includes("auth")) void this.sockets.recheck((given) => this.auth.caller(given));
    this.gate.configure(next);
    this.kernel.setWeights(next.weights);
    this.stages.configure(next);
    return { changed: [...sections, ...this.roster.apply(next.endpoints)], needsRestart };
  }

  async drain(): Promise<void> {
    const { drainNoticeMs, drainMs } = this.config.timeouts;
    this.stages.leaving = true;
    this.publisher?.tick(this.runtime.clock());
    if (drainNoticeMs > 0) await new Promise((resolve) => setTimeout(resolve, drainNoticeMs));
    this.stages.draining = true;
    this.sockets.drain(true);
    const untilMs = this.runtime.clock() + drainMs;
    while (this.stages.running + this.stages.queue.length > 0) {
      if (this.runtime.clock() >= untilMs) return;
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
  }

  async close(): Promise<void> {
    this.stages.leaving = true;
    this.stages.draining = true;
    this.stages.queue.close(new GridError("draining", "This PoP is shutting down."));
    clearInterval(this.timer);
    this.roster.close();
    this.kv.close();
    await this.runtime.fleet?.leave();
  }

  metrics(): string {
    return this.counters.render();
  }

  held(question: HeldQuestion): string {
    return heldHere(this.responses, question);
  }

  state(): unknown {
    this.runtime.fleet?.settle?.();
    return popState(this.view(), this.runtime.clock());
  }

  private view(): ViewParts {
    const { config, kernel, table, sessions, stages, peers, kv } = this;
    const { fleet } = this.runtime;
    return { config, kernel, table, sessions, stages, peers, kv, fleet };
  }

  private join(fleet: Fleet | undefined): Publisher | undefined {
    if (fleet === undefined) return undefined;
    const { config, kernel, table, stages } = this;
    const draining = () => stages.leaving || stages.standby;
    return new Publisher({ config, fleet, kernel, table, queue: stages.queue, draining });
  }

  private keepBooks(port: ProcessPort | undefined): ProcessBooks | undefined {
    if (port === undefined) return undefined;
    const { table, kernel, sessions } = this;
    const { clock } = this.runtime;
    const freed = () => this.stages.queue.wake(clock());
    const drain = (endpoint: string | undefined, on: boolean) => void this.drainHere(endpoint, on);
    return new ProcessBooks({ port, clock, table, kernel, sessions, freed, drain });
  }

  /** All processes of this PoP are to hear it. */
  private drainFor(endpoint: string | undefined, on: boolean): boolean {
    const known = this.drainHere(endpoint, on);
    if (known) this.books?.drained(endpoint, on);
    return known;
  }

  /** One endpoint, or the whole PoP: clients that still come are served by other PoPs. */
  private drainHere(endpoint: string | undefined, on: boolean): boolean {
    if (endpoint !== undefined && !this.roster.drain(endpoint, on)) return false;
    if (endpoint === undefined) this.stages.standby = on;
    if (endpoint === undefined) this.sockets.drain(on);
    this.runtime.log("info", on ? "draining" : "active again", { endpoint: endpoint ?? "all" });
    this.publisher?.tick(this.runtime.clock());
    return true;
  }

  private tick(): void {
    const nowMs = this.runtime.clock();
    this.ticks++;
    this.stages.sweep(nowMs);
    this.books?.tick();
    this.kv.tick(nowMs);
    if (this.ticks % SETTLE_TICKS === 0) this.runtime.fleet?.settle?.();
    if (this.ticks % QUEUE_TICKS === 0) {
      this.stages.health.sweep(nowMs);
      this.stages.queue.expire(nowMs);
      this.stages.queue.wake(nowMs);
      this.publisher?.tick(nowMs);
    }
    if (this.ticks % SURVEY_TICKS === 0) {
      const busy = this.stages.survey();
      this.sockets.tick(nowMs);
      // The operator's lambda is the one at half load; it rises with utilisation.
      const lambda = this.config.weights.lambda * lambdaAt(busy);
      this.kernel.setWeights({ ...this.config.weights, lambda });
    }
  }

  private phaseSaid(row: number): void {
    const nowMs = this.runtime.clock();
    if (this.stages.health.refresh(row, nowMs)) this.stages.queue.wake(nowMs);
  }

  private doorReading() {
    return {
      sockets: () => SOCKET_DOORS.map((door) => ({ door, ...this.sockets.count(door) })),
      held: () => ({ responses: this.responses.size, bytes: this.responses.bytes }),
      pops: () => this.peers.pops.states(),
      certificates: () => this.runtime.certificates?.() ?? [],
    };
  }

  private heldAbroad(): PeersHeld | undefined {
    const { fleet, transport, processes } = this.runtime;
    if (fleet === undefined && processes === undefined) return undefined;
    const { config, peers } = this;
    const { pops } = peers;
    const limits = () => this.config.limits;
    return new PeersHeld({ config, transport, pops, processes, limits });
  }

  private house(): House {
    return {
      auth: this.auth,
      peers: this.gate,
      sockets: this.sockets,
      responses: this.responses,
      abroad: this.heldAbroad(),
      bodyRoom: this.stages.bodyRoom,
      limits: () => this.config.limits,
      drain: (endpoint, on) => this.drainFor(endpoint, on),
      drainReport: () => drainReport(this.view()),
      serve: (exchange, route, caller) => serve(this.stages, exchange, route, caller),
      models: () => this.models(),
      notReady: () => notReady(this.view()),
      metrics: () => {
        const own = this.counters.render();
        return this.runtime.processes?.metrics(own) ?? own;
      },
      state: () => this.state(),
      explain: (exchange, route, caller) => this.explain(exchange, route, caller),
      requestId: (headers) => this.stages.requestId(headers),
      refused: (error) => this.counters.refused(error),
    };
  }

  /** Union of what the endpoints serve; the owner is whoever runs the endpoint. */
  private models(): ServedModel[] {
    const { aliases } = this.stages;
    const served = this.roster.models.names().map((id) => this.served(id));
    const named = aliases.names().filter((id) => !this.roster.models.has(id));
    const under = (id: string) => this.served(aliases.servedBy(id)[0]);
    return [...served, ...named.map((id) => ({ ...under(id), id, ownedBy: "gridpoint" }))];
  }

  private served(id: string): ServedModel {
    const rows = [...this.roster.models.rowsOf(id)];
    const windows = rows.map((row) => this.table.columns.contextTokens[row] as number);
    const widest = Math.max(0, ...windows.filter((tokens) => tokens !== UNKNOWN_CONTEXT));
    const ownedBy = this.table.records[rows[0]]?.spec.engine ?? "gridpoint";
    return { id, ownedBy, contextTokens: widest > 0 ? widest : undefined };
  }

  /** The candidate table of a request that is not forwarded: every term, every exclusion. */
  private async explain(exchange: Exchange, route: Route, caller: Caller): Promise<unknown> {
    const { bodyBytes, bodyTimeoutMs } = this.config.limits;
    const bytes = await exchange.body(bodyBytes, bodyTimeoutMs, this.stages.bodyRoom);
    const task = this.stages.read(route, bytes, exchange, caller);
    this.stages.admit(task, caller);
    const ask = this.stages.ask(task, []);
    const nowMs = this.runtime.clock();
    const { kernel, table, stages } = this;
    const parts = { kernel, table, task, ask, canStart: stages.canStart.bind(stages) };
    return explained(parts, nowMs);
  }
}

function kernelFor(config: PopConfig, runtime: Runtime): Kernel {
  const encoder = new TextEncoder();
  const encodeInto = (text: string, target: Uint8Array) => encoder.encodeInto(text, target);
  return config.implementation === "reference"
    ? createReferenceKernel(config.kernel, encodeInto)
    : createWasmKernel(config.kernel, runtime.kernelExports(), encodeInto);
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
