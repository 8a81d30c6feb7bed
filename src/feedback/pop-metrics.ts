/**
 * The metrics of a PoP: every name of `GET /metrics` stands here. What changes per request is a
 * handle resolved once; what the tables know already is read when the page is asked for.
 */
import { type Decision, CHOICES } from "../grid/decision.ts";
import type { GridError } from "../grid/errors.ts";
import type { Millis } from "../grid/units.ts";
import type { EndpointRecord, EndpointTable } from "../state/endpoint-table.ts";
import { DOORS, type Route, ROUTES } from "../task/route.ts";
import type { Task } from "../task/task.ts";
import {
  type Counter,
  DURATION_BUCKETS_S,
  type Family,
  type Histogram,
  MetricsRegistry,
  SERIES_MAX,
  TOKEN_BUCKETS_S,
  WORK_BUCKETS_S,
} from "./metrics.ts";
import type { Flight, Usage } from "./observe.ts";

interface IndexStats {
  entries: number;
  bytes: number;
  evicted: number;
  digestHeld: number;
  digestRefused: number;
}

/** What is read from the kernel's index. */
interface IndexReading {
  stats(): IndexStats;
}

/** What is followed of an endpoint's KV events; times in ms of the PoP's clock. */
interface CacheReport {
  trust: string;
  blocks: number;
  received: number;
  missed: number;
  gaps: number;
  replays: number;
  replayed: number;
  replayFailures: number;
  resets: number;
  badEvents: number;
  orphans: number;
  lastEventMs: Millis | undefined;
}

/** What is read of the engines' caches; undefined = not followed. */
interface CacheReading {
  report(row: number): CacheReport | undefined;
  nowMs(): Millis;
}

/** What is read of the door's WebSockets, of the responses that it holds, and of the grid. */
interface DoorReading {
  sockets(): readonly { door: string; open: number; opened: number }[];
  held(): { responses: number; bytes: number };
  /** Other PoPs by state. */
  pops(): Record<string, number>;
  certificates(): readonly { name: string; notAfterMs: Millis }[];
}

/** The end of an attempt, as far as it is counted. */
interface Ended {
  kind: string;
  faults?: readonly string[];
  meter: { itlMs: Millis | undefined; jitterMs: Millis | undefined };
}

type EndpointColumn = [name: string, help: string, read: (record: EndpointRecord) => number];

const ATTEMPTS = "Attempts at an endpoint, by how they ended; failed ones were tried elsewhere.";
const FAULTS = "Answers that came whole but were not as they should be, by what was wrong.";
const HANDOVERS = "Requests that other PoPs handed over to this one, by how they ended here.";
const QUEUE_WAIT = "Time in the wait queue of the PoP, of requests that had to wait.";
const OVERHEAD = "From the whole request body to sending it on, without the wait in the queue.";
const TTFT = "Streams: from the whole request body to the first content token.";
const TTFT_ERROR = "Absolute difference of predicted and observed time to first token.";
const JITTER = "Mean absolute deviation of the gaps between tokens, per stream.";
const TTFT_SUM =
  "Streams: from the choice of an endpoint to the first content token, predicted and observed.";
const PREFIX_ERROR = "Absolute difference of the two, summed over requests.";
const PREFIX = "Prompt tokens expected in, and reported from, the chosen endpoint's KV cache.";

export class PopMetrics {
  private readonly registry = new MetricsRegistry();
  private readonly table: EndpointTable;
  private readonly requests: Family<Counter>;
  /** Handles of `requests` without an error, resolved once: the common end. By ending, route. */
  private readonly endings: Record<string, Map<Route, Counter> | undefined>;
  private readonly attempts: Family<Counter>;
  /** Handles of those that ended well, by endpoint. */
  private readonly doneAttempts = new Map<string, Counter>();
  private readonly refusals: Family<Counter>;
  private readonly handovers: Family<Counter>;
  private readonly faults: Family<Counter>;
  private readonly duration: Map<Route, Histogram>;
  private readonly decision: Histogram;
  private readonly choices: Map<string, Counter>;
  private readonly queueWait: Histogram;
  private readonly overhead: Histogram;
  private readonly ttft: Family<Histogram>;
  private readonly ttftError: Histogram;
  private readonly itl: Histogram;
  private readonly jitter: Histogram;
  private readonly tokens: Record<"prompt" | "cached" | "completion", Counter>;
  private readonly prefix: Record<"predicted" | "observed", Counter>;
  private readonly prefixError: Counter;
  private readonly firstTokens: Record<"predicted" | "observed", Counter>;

  constructor(
    table: EndpointTable,
    index: IndexReading,
    queueLength: () => number,
    cache?: CacheReading,
    door?: DoorReading,
  ) {
    this.table = table;
    const seconds = (name: string, help: string, bounds: readonly number[]): Histogram =>
      this.registry.histogram({ name: `gridpoint_${name}_seconds`, help }, bounds).labels();
    const byLabel = (name: string, help: string, ...labels: string[]): Family<Counter> =>
      this.registry.counter({ name: `gridpoint_${name}_total`, help, labels });
    this.requests = byLabel("requests", "Requests, by how they ended.", "route", "ending", "code");
    this.attempts = byLabel("attempts", ATTEMPTS, "endpoint", "ending");
    this.faults = byLabel("result_faults", FAULTS, "dialect", "fault");
    this.refusals = byLabel("refused", "Requests refused before they became a task.", "code");
    this.handovers = byLabel("handovers_received", HANDOVERS, "ending");
    const handles = (ending: string): Map<Route, Counter> =>
      new Map(ROUTES.map((route) => [route, this.requests.labels(route, ending, "")]));
    this.endings = { done: handles("done"), gone: handles("gone") };
    this.duration = this.durations();
    this.decision = seconds("decision", "Match, filter, score and pick.", WORK_BUCKETS_S);
    const choices = byLabel("decisions", "Decisions, by why the endpoint was chosen.", "reason");
    this.choices = new Map(CHOICES.map((choice) => [choice, choices.labels(choice)]));
    this.queueWait = seconds("queue_wait", QUEUE_WAIT, DURATION_BUCKETS_S);
    const longer = DURATION_BUCKETS_S.filter((bound) => bound > 0.01);
    this.overhead = seconds("overhead", OVERHEAD, [...WORK_BUCKETS_S, ...longer]);
    this.ttft = this.registry.histogram(
      { name: "gridpoint_time_to_first_token_seconds", help: TTFT, labels: ["tier"] },
      DURATION_BUCKETS_S,
    );
    this.ttftError = seconds("ttft_prediction_error", TTFT_ERROR, DURATION_BUCKETS_S);
    this.itl = seconds("inter_token_latency", "Mean gap, per stream.", TOKEN_BUCKETS_S);
    this.jitter = seconds("inter_token_jitter", JITTER, TOKEN_BUCKETS_S);
    const tokens = byLabel("tokens", "Tokens, as the engines report them.", "kind");
    this.tokens = {
      prompt: tokens.labels("prompt"),
      cached: tokens.labels("cached"),
      completion: tokens.labels("completion"),
    };
    const prefix = byLabel("prefix_hit_tokens", PREFIX, "kind");
    this.prefix = { predicted: prefix.labels("predicted"), observed: prefix.labels("observed") };
    this.prefixError = byLabel("prefix_hit_error_tokens", PREFIX_ERROR).labels();
    const firsts = byLabel("choice_to_first_token_seconds", TTFT_SUM, "kind");
    this.firstTokens = {
      predicted: firsts.labels("predicted"),
      observed: firsts.labels("observed"),
    };
    this.readings(index, queueLength);
    if (cache !== undefined) this.cacheReadings(cache);
    if (door !== undefined) this.doorReadings(door);
  }

  decided(decision: Decision, tookS: number): void {
    this.decision.observe(tookS);
    this.choices.get(decision.choice)?.inc();
  }

  started(flight: Flight): void {
    const { task, sentMs } = flight;
    const queuedMs = task.queuedSinceMs > 0 ? sentMs - task.queuedSinceMs : 0;
    if (task.queuedSinceMs > 0) this.queueWait.observe(queuedMs / 1000);
    this.overhead.observe((sentMs - task.arrivedMs - queuedMs) / 1000);
  }

  firstContent(flight: Flight, nowMs: Millis): void {
    if (!flight.task.stream) return;
    const tier = this.table.records[flight.row]?.spec.tier ?? "edge";
    this.ttft.labels(tier).observe((nowMs - flight.task.arrivedMs) / 1000);
    const error = nowMs - flight.sentMs - flight.predictedTtftMs;
    this.ttftError.observe(Math.abs(error) / 1000);
    this.firstTokens.predicted.add(flight.predictedTtftMs / 1000);
    this.firstTokens.observed.add((nowMs - flight.sentMs) / 1000);
  }

  usage(flight: Flight, usage: Usage): void {
    this.tokens.prompt.add(usage.promptTokens);
    this.tokens.completion.add(usage.completionTokens);
    if (usage.cachedTokens === undefined) return;
    this.tokens.cached.add(usage.cachedTokens);
    this.prefix.predicted.add(flight.matchedTokens);
    this.prefix.observed.add(usage.cachedTokens);
    this.prefixError.add(Math.abs(flight.matchedTokens - usage.cachedTokens));
  }

  ended(flight: Flight, end: Ended): void {
    if (end.kind === "done") this.doneAt(flight.endpointId).inc();
    else this.attempts.labels(flight.endpointId, end.kind).inc();
    const { dialect } = DOORS[flight.task.route];
    for (const fault of end.faults ?? []) this.faults.labels(dialect, fault).inc();
    const { itlMs, jitterMs } = end.meter;
    if (itlMs !== undefined) this.itl.observe(itlMs / 1000);
    if (jitterMs !== undefined) this.jitter.observe(jitterMs / 1000);
  }

  finished(
    route: Route,
    ending: string,
    error: GridError | undefined,
    task: Task | undefined,
    nowMs: Millis,
  ): void {
    if (error === undefined) this.endings[ending]?.get(route)?.inc();
    else this.requests.labels(route, ending, error.code).inc();
    if (task?.handover !== undefined) this.handovers.labels(ending).inc();
    if (task !== undefined) this.duration.get(route)?.observe((nowMs - task.arrivedMs) / 1000);
  }

  /** A handle that is kept costs no text per request. */
  private doneAt(endpoint: string): Counter {
    const known = this.doneAttempts.get(endpoint);
    if (known !== undefined) return known;
    // Endpoints come and go with the configuration.
    if (this.doneAttempts.size >= SERIES_MAX) this.doneAttempts.clear();
    const counter = this.attempts.labels(endpoint, "done");
    this.doneAttempts.set(endpoint, counter);
    return counter;
  }

  refused(error: GridError): void {
    this.refusals.labels(error.code).inc();
  }

  render(): string {
    return this.registry.render();
  }

  private durations(): Map<Route, Histogram> {
    const options = {
      name: "gridpoint_request_duration_seconds",
      help: "From the whole request body to the end of the answer.",
      labels: ["route"],
    };
    const family = this.registry.histogram(options, DURATION_BUCKETS_S);
    return new Map(ROUTES.map((route) => [route, family.labels(route)]));
  }

  private readings(index: IndexReading, queueLength: () => number): void {
    const gauge = (name: string, help: string, read: () => number): void => {
      this.registry.collect("gauge", { name, help }, (report) => report(read()));
    };
    gauge("gridpoint_queue_length", "Requests that wait in the PoP's queue.", queueLength);
    gauge("gridpoint_prefix_index_entries", "Chunks known.", () => index.stats().entries);
    const held = "Chunks believed at other PoPs.";
    gauge("gridpoint_digest_chunks", held, () => index.stats().digestHeld);
    const refused = "Chunks of other PoPs that found no room.";
    gauge("gridpoint_digest_refused", refused, () => index.stats().digestRefused);
    gauge("gridpoint_prefix_index_bytes", "Memory of the index.", () => index.stats().bytes);
    this.registry.collect(
      "counter",
      { name: "gridpoint_prefix_index_evicted_total", help: "Chunks dropped for room." },
      (report) => report(index.stats().evicted),
    );
    for (const [name, help, read] of this.endpointColumns()) {
      const options = { name: `gridpoint_endpoint_${name}`, help, labels: ["endpoint"] };
      const type = name.endsWith("_total") ? "counter" : "gauge";
      this.registry.collect(type, options, (report) => {
        for (const record of this.table.live()) report(read(record), record.spec.id);
      });
    }
  }

  private doorReadings(door: DoorReading): void {
    const { registry } = this;
    const labels = ["door"];
    const open = { name: "gridpoint_sockets", help: "WebSockets of clients, now.", labels };
    registry.collect("gauge", open, (report) => {
      for (const one of door.sockets()) report(one.open, one.door);
    });
    const opened = { name: "gridpoint_sockets_opened_total", help: "Since the start.", labels };
    registry.collect("counter", opened, (report) => {
      for (const one of door.sockets()) report(one.opened, one.door);
    });
    const pops = { name: "gridpoint_pops", help: "Other PoPs by state.", labels: ["state"] };
    registry.collect("gauge", pops, (report) => {
      for (const [state, count] of Object.entries(door.pops())) report(count, state);
    });
    const ends = {
      name: "gridpoint_certificate_expiry_timestamp_seconds",
      help: "When the PoP's certificate runs out, in Unix time.",
      labels: ["certificate"],
    };
    registry.collect("gauge", ends, (report) => {
      for (const { name, notAfterMs } of door.certificates()) report(notAfterMs / 1_000, name);
    });
    const help = "Responses held to be continued.";
    registry.collect("gauge", { name: "gridpoint_held_responses", help }, (report) =>
      report(door.held().responses),
    );
    const bytes = "What they count against responses.bytes.";
    registry.collect("gauge", { name: "gridpoint_held_responses_bytes", help: bytes }, (report) =>
      report(door.held().bytes),
    );
  }

  private cacheReadings(cache: CacheReading): void {
    const trusted = "1 = every event since its start was applied; 0.5 = in order, but not all.";
    const ofTrust = ({ trust }: CacheReport) =>
      trust === "whole" ? 1 : trust === "partial" ? 0.5 : 0;
    const columns: [string, string, (report: CacheReport) => number][] = [
      ["trusted", trusted, ofTrust],
      ["blocks", "KV blocks that its events say it holds.", ({ blocks }) => blocks],
      ["events_received_total", "Batches of events.", ({ received }) => received],
      ["events_missed_total", "Batches that were missing in the order.", ({ missed }) => missed],
      ["event_gaps_total", "Holes in the order of batches.", ({ gaps }) => gaps],
      ["events_replayed_total", "Batches that came by a replay.", ({ replayed }) => replayed],
      ["replays_total", "Replays asked for.", ({ replays }) => replays],
      ["replay_failures_total", "Replays without a good end.", (one) => one.replayFailures],
      ["resets_total", "Times that all was forgotten.", ({ resets }) => resets],
      ["bad_events_total", "Events that could not be read.", ({ badEvents }) => badEvents],
      ["orphans_total", "Blocks whose parent is unknown.", ({ orphans }) => orphans],
      [
        "last_event_age_seconds",
        "Since the last batch came; Inf = none yet.",
        ({ lastEventMs: atMs }) =>
          atMs === undefined ? Number.POSITIVE_INFINITY : (cache.nowMs() - atMs) / 1000,
      ],
    ];
    for (const [name, help, read] of columns) {
      const options = { name: `gridpoint_kv_${name}`, help, labels: ["endpoint"] };
      const type = name.endsWith("_total") ? "counter" : "gauge";
      this.registry.collect(type, options, (report) => {
        for (const record of this.table.own()) {
          const one = cache.report(record.row);
          if (one !== undefined) report(read(one), record.spec.id);
        }
      });
    }
  }

  private endpointColumns(): EndpointColumn[] {
    const c = this.table.columns;
    return [
      ["up", "1 = may be used.", ({ row }) => 1 - c.down[row]],
      ["in_flight", "Requests of this PoP that run there.", ({ row }) => c.inFlight[row]],
      ["own_tokens", "Uncached tokens of ours in prefill there.", ({ row }) => c.ownTokens[row]],
      ["queued_tokens", "Uncached tokens it reports as queued.", ({ row }) => c.queuedTokens[row]],
      [
        "waiting_tokens",
        "Uncached tokens that wait for it here.",
        ({ row }) => c.waitingTokens[row],
      ],
      ["kv_usage", "Used share of its KV cache, 0 to 1.", ({ row }) => c.kvUsage[row]],
      ["prefill_tokens_per_second", "Learned.", ({ row }) => c.prefillRate[row] * 1000],
      ["prefix_trust", "Share of predicted hits that came true.", ({ row }) => c.trust[row]],
      ["inter_token_latency_seconds", "Learned.", (record) => record.itlMs / 1000],
      ["requests_total", "Attempts sent there.", (record) => record.requests],
      ["failures_total", "Attempts that failed there.", (record) => record.failures],
      ["load_errors_total", "Reads of its load that failed.", (record) => record.loadErrors],
    ];
  }
}
