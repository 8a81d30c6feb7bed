/**
 * The stages of `proxy.ts` over one PoP's state: how a body becomes a task, a task a question to
 * the kernel, a decision a flight, and the end of a flight knowledge. Part of `pop.ts`.
 */
import { admit, refuse } from "./admission/admit.ts";
import { BoundedRoom } from "./admission/body-room.ts";
import { type QueueHost, WaitQueue } from "./admission/queue.ts";
import { hasPrefillRoom } from "./admission/room.ts";
import type { PopConfig } from "./config.ts";
import { errorBody, errorEvent } from "./door/error-forms.ts";
import { HealthMarks } from "./feedback/health.ts";
import { Feedback, type Flight } from "./feedback/observe.ts";
import type { PrefixKnowledge, SessionPins } from "./feedback/observe.ts";
import type { PopMetrics } from "./feedback/pop-metrics.ts";
import { type Deadline, Deadlines } from "./forward/deadlines.ts";
import { Attempt, type AttemptEnd, type ForwardContext } from "./forward/forward.ts";
import type { Decision } from "./grid/decision.ts";
import type { Clock, Log, Rng } from "./grid/effects.ts";
import { GridError } from "./grid/errors.ts";
import type { Exchange, Headers, Transport } from "./grid/exchange.ts";
import type { Millis, Row, Tokens } from "./grid/units.ts";
import type { Ask, Kernel } from "./kernel/kernel.ts";
import { addGridHeaders, answerError } from "./pop-answer.ts";
import { Aliases } from "./pop-aliases.ts";
import { countHere } from "./pop-count.ts";
import type { RequestIds } from "./pop-ids.ts";
import type { KvWatch } from "./pop-kv.ts";
import { declined, handoverOf, lookElsewhere } from "./pop-handover.ts";
import type { PeerRoster } from "./pop-peers.ts";
import type { Publisher } from "./pop-publish.ts";
import { readTask } from "./pop-read.ts";
import type { Roster } from "./pop-roster.ts";
import { surveyOf } from "./pop-survey.ts";
import type { Caller, Ending, Leave, Stages } from "./proxy.ts";
import type { EndpointTable } from "./state/endpoint-table.ts";
import type { SessionTable } from "./state/session-table.ts";
import type { TokenEstimator } from "./task/estimate.ts";
import { DOORS, type Route } from "./task/route.ts";
import type { Task } from "./task/task.ts";

export interface PopParts {
  config: PopConfig;
  clock: Clock;
  rng: Rng;
  log: Log;
  transport: Transport;
  kernel: Kernel;
  table: EndpointTable;
  roster: Roster;
  peers: PeerRoster;
  /** Undefined: this PoP is in no fleet. */
  publisher(): Publisher | undefined;
  sessions: SessionTable;
  /** Who is told what was learned, where several processes are one PoP. */
  books: (PrefixKnowledge & SessionPins) | undefined;
  estimator: TokenEstimator;
  metrics: PopMetrics;
  kv: KvWatch;
  ids: RequestIds;
}

const TIER_CEILING = 2;
const UNREACHABLE: readonly string[] = ["connect_failed", "connect_timeout"];
const DRAINING = "This PoP is being drained and no other can take the request. Retry elsewhere.";

export class PopStages implements Stages, QueueHost<Flight> {
  readonly clock: Clock;
  readonly queue: WaitQueue<Flight>;
  readonly health: HealthMarks;
  readonly aliases: Aliases;
  readonly bodyRoom = new BoundedRoom(() => this.parts.config.limits.bodiesBytes);
  /** It shuts down, and says so; what comes all the same is served until `draining`. */
  leaving = false;
  /** Nothing new enters. */
  draining = false;
  /** An administrator drains it: what enters goes to other PoPs. */
  standby = false;
  private readonly parts: PopParts;
  private readonly feedback: Feedback;
  private context: ForwardContext;
  private readonly attempts = new Deadlines<Attempt>();
  private readonly assumptions = new Deadlines();
  private retryAfter = 1;
  private readonly ids: RequestIds;

  constructor(parts: PopParts) {
    this.parts = parts;
    this.clock = parts.clock;
    this.feedback = new Feedback(
      parts.table,
      parts.books ?? parts.kernel,
      parts.books ?? parts.sessions,
    );
    this.ids = parts.ids;
    this.health = new HealthMarks(parts.table);
    this.aliases = new Aliases(parts, this);
    this.queue = new WaitQueue(this, parts.config.limits);
    this.context = this.forwardContext();
  }

  get bodyBytes(): number {
    return this.parts.config.limits.bodyBytes;
  }

  get bodyTimeoutMs(): Millis {
    return this.parts.config.limits.bodyTimeoutMs;
  }

  get retries(): number {
    return this.parts.config.limits.retries;
  }

  get running(): number {
    return this.attempts.size;
  }

  configure(config: PopConfig): void {
    this.parts.config = config;
    this.queue.setLimits(config.limits);
    this.context = this.forwardContext();
  }

  read(route: Route, bytes: Uint8Array, exchange: Exchange, caller: Caller): Task {
    const id = this.requestId(exchange.headers);
    const via = this.ids.passed(exchange.headers, id);
    const context = { id, caller, nowMs: this.clock(), standby: this.standby, via };
    return readTask(this.parts, route, bytes, exchange, context);
  }

  requestId(headers: Headers): string {
    return this.ids.of(headers);
  }

  admit(task: Task, caller: Caller): void {
    const { models } = this.parts.roster;
    const { aliases } = this;
    admit(task, {
      draining: this.draining || (this.standby && task.handover !== undefined),
      hasModel: (model) => models.has(model) || aliases.servedBy(model).length > 0,
      models: () => [...models.names(), ...aliases.names()],
      allowedModels: caller.models,
    });
    aliases.enter(task);
  }

  answersHere(task: Task, exchange: Exchange): boolean {
    return countHere(this.parts, task, exchange);
  }

  turn(
    task: Task,
    tried: readonly Row[],
    onWait: (leave: Leave) => void,
  ): Flight | Promise<Flight> {
    const nowMs = this.clock();
    task.tried = tried;
    task.promisedTtftMs = undefined;
    this.aliases.pick(task, tried);
    const turn = this.queue.turn(task, tried, nowMs, onWait);
    if (turn instanceof Promise) task.queuedSinceMs = nowMs;
    return turn;
  }

  fallsBack(task: Task, error: GridError): boolean {
    return this.aliases.leaves(task, error);
  }

  ask(task: Task, tried: readonly Row[]): Ask {
    const { roster, table, rng, peers } = this.parts;
    const ask: Ask = {
      model: roster.models.idOf(task.model),
      needs: task.needs,
      regions: roster.places.regionSet(task.regions),
      tenant: roster.places.tenantBit(task.tenant),
      tierCeiling: TIER_CEILING,
      promptTokens: task.promptTokens,
      tokensPerChunk: task.tokensPerChunk,
      outTokens: task.expectedOutTokens,
      contextNeed: task.promptTokens + (task.maxTokens ?? 0),
      sloTtftMs: task.sloTtftMs,
      maxCostUsd: task.maxCostUsd,
      chain: task.chain,
      sessionRow: table.row(this.homeOf(task) ?? ""),
      tried: peers.withSiblings(tried),
      mayWait: true,
      random: rng(),
    };
    peers.sizeQueues(ask);
    this.parts.kv.weigh(task.chain);
    return ask;
  }

  /** Endpoint that holds the session; a peer that hands it over may know where it was. */
  private homeOf(task: Task): string | undefined {
    if (task.session === undefined) return undefined;
    const { sessions } = this.parts;
    return sessions.endpointOf(task.tenant, task.session) ?? task.handover?.endpoint;
  }

  decide(task: Task, tried: readonly Row[]): Decision {
    const startMs = this.clock();
    const decision = this.parts.kernel.decide(this.ask(task, tried), startMs);
    this.parts.metrics.decided(decision, (this.clock() - startMs) / 1000);
    return decision;
  }

  canStart(row: Row, tokens: Tokens): boolean {
    const { config, peers, table } = this.parts;
    const record = table.records[row];
    if (record === undefined || (record.pop !== undefined && !peers.hasRoom(row))) return false;
    const isEarly = config.limits.binding === "early";
    const least = isEarly ? Number.POSITIVE_INFINITY : record.spec.prefillBudgetTokens;
    return hasPrefillRoom(table.columns, record, least, tokens);
  }

  start(task: Task, decision: Decision): Flight {
    const nowMs = this.clock();
    const flight = this.feedback.started(task, decision, nowMs);
    this.parts.metrics.started(flight);
    this.health.started(flight.row, nowMs);
    this.parts.peers.sent(flight.row, flight.loadTokens, nowMs);
    this.parts.kv.started(flight);
    flight.others = this.othersThan(flight.row, decision.candidates);
    lookElsewhere(this.parts, flight, decision, (tried) => this.ask(task, tried), nowMs);
    if (!task.stream) this.assumePrefilledAfter(flight, nowMs + decision.ttftMs);
    return flight;
  }

  /** A plain answer never shows its first token: its prefill ends at the predicted time. */
  private assumePrefilledAfter(flight: Flight, atMs: Millis): void {
    const deadline: Deadline = {
      atMs,
      slot: -1,
      due: () => {
        this.assumptions.remove(deadline);
        this.feedback.assumePrefilled(flight);
        this.queue.wake(this.clock());
      },
    };
    flight.assumption = deadline;
    this.assumptions.add(deadline);
  }

  waiting(row: Row, tokens: number): void {
    const { waitingTokens } = this.parts.table.columns;
    const left = (waitingTokens[row] as number) + tokens;
    waitingTokens[row] = left > 1e-6 ? left : 0;
  }

  clearWaiting(): void {
    this.parts.table.columns.waitingTokens.fill(0);
  }

  refuse(task: Task, decision: Decision): GridError {
    if (this.standby) return new GridError("draining", DRAINING, { retryAfterS: this.retryAfter });
    const rest = this.health.restOf(this.parts.roster.models.rowsOf(task.model), this.clock());
    return refuse(task, decision, this.retryAfter, rest);
  }

  declines({ handover }: Task, { ttftMs }: Decision): GridError | undefined {
    return declined(handover, ttftMs, this.retryAfter);
  }

  /** Seconds until the work that waits or runs is predicted to be through, 1 to 60. */
  retryAfterS(): number {
    return this.retryAfter;
  }

  /** Recomputes what changes slowly: predicted drain for Retry-After. Returns busy share, 0..1. */
  survey(): number {
    const { busy, retryAfterS } = surveyOf(this.parts.table);
    this.retryAfter = retryAfterS;
    return busy;
  }

  attempt(flight: Flight, exchange: Exchange, retries: number): Attempt {
    const { config, table, roster, peers } = this.parts;
    const record = table.records[flight.row];
    const away = record?.pop !== undefined;
    const { dialect } = DOORS[flight.task.route];
    return new Attempt(this.context, {
      task: flight.task,
      row: flight.row,
      worker: (away ? peers : roster).worker(flight.row),
      handover: away ? handoverOf(this.parts, flight, this.clock()) : undefined,
      exchange,
      addGridHeaders: (headers, engine) =>
        addGridHeaders(headers, config.pop.id, flight, record, engine, this.clock()),
      errorEvent: (error) => errorEvent(dialect, error, flight.task.id),
      errorBody: (error) => errorBody(dialect, error, flight.task.id),
      tokenIds: away ? undefined : this.parts.kv.wantsIds(flight),
      // What comes from another PoP was checked there.
      retriable: retries > 0 && flight.others > 0 && !away,
      limited: (forMs) => this.health.limited(flight.row, forMs, this.clock()),
      firstContent: (nowMs) => {
        this.feedback.firstContent(flight, nowMs);
        this.parts.metrics.firstContent(flight, nowMs);
        this.queue.firstContent(flight.task, nowMs);
        this.queue.wake(nowMs);
      },
    });
  }

  /** Candidates of a decision that stand elsewhere than the chosen PoP's door. */
  private othersThan(row: Row, candidates: number): number {
    return Math.max(candidates - Math.max(this.parts.peers.siblings(row).length, 1), 0);
  }

  observe(flight: Flight, end: AttemptEnd): void {
    const { estimator, metrics } = this.parts;
    const nowMs = this.clock();
    if (flight.assumption !== undefined) this.assumptions.remove(flight.assumption as Deadline);
    if (end.kind === "failed") {
      this.feedback.failed(flight, end.error);
      this.markFailure(flight, end.error);
    } else {
      this.feedback.ended(flight, end.usage, end.meter.itlMs);
      if (end.kind === "broken") this.markFailure(flight, end.error);
      else if (end.kind === "done") this.health.succeeded(flight.row, nowMs);
      else this.health.abandoned(flight.row, nowMs);
      if (end.usage !== undefined) metrics.usage(flight, end.usage);
      if (end.usage !== undefined && end.kind === "done") estimator.observe(flight.task, end.usage);
    }
    this.parts.kv.ended(flight, end.kind === "failed" ? undefined : end.usage, end.promptIds);
    metrics.ended(flight, end);
    this.queue.wake(nowMs);
  }

  /** The endpoint failed a request: counted against it, looked at now, told to the operator. */
  private markFailure(flight: Flight, error: GridError): void {
    // A connection that went stale while idle says nothing of the engine's health.
    if (error.retry === "same" || error.source === "client")
      return this.health.abandoned(flight.row, this.clock());
    this.health.failed(flight.row, error, this.clock());
    // A door that is not there is not there for any endpoint behind it.
    for (const row of this.parts.peers.siblings(flight.row)) {
      if (row !== flight.row && UNREACHABLE.includes(error.code)) {
        this.health.failed(row, error, this.clock());
      }
    }
    this.parts.roster.nudge(flight.row);
    this.parts.log("warn", "attempt failed", {
      request: flight.task.id,
      endpoint: flight.endpointId,
      code: error.code,
      message: error.message,
    });
  }

  finished(route: Route, task: Task | undefined, ending: Ending, error?: GridError): void {
    this.parts.metrics.finished(route, ending, error, task, this.clock());
    if (error !== undefined && error.code === "internal") {
      const cause = error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : "";
      this.parts.log("error", "internal error", { request: task?.id, message: cause });
    }
  }

  rescue(
    exchange: Exchange,
    route: Route,
    error: GridError,
    task: Task | undefined,
    attempts: number,
  ): void {
    answerError(exchange, route, error, task, {
      popId: this.parts.config.pop.id,
      requestId: task?.id ?? this.requestId(exchange.headers),
      attempts,
      load: () => this.parts.publisher()?.loadNow(this.clock()),
    });
  }

  /** Time-outs of whatever is in flight. */
  sweep(nowMs: Millis): void {
    this.attempts.sweep(nowMs);
    this.assumptions.sweep(nowMs);
  }

  endpointDown(row: Row, detail: string): void {
    for (const attempt of this.attempts.all()) {
      if (attempt.row === row) attempt.endpointDown(detail);
    }
  }

  private forwardContext(): ForwardContext {
    const { transport, config } = this.parts;
    const { heldBytes, eventBytes, responseBytes } = config.limits;
    return {
      transport,
      deadlines: this.attempts,
      clock: this.clock,
      timeouts: config.timeouts,
      limits: { heldBytes, eventBytes, responseBytes },
    };
  }
}
