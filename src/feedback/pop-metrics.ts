/**
 * The metrics of a PoP: every name of `GET /metrics` stands here. What changes per request is a
 * handle resolved once; what the tables know already is read when the page is asked for.
 */
import { type Decision, CHOICES } from "../grid/decision.ts";
import type { GridError } from "../grid/errors.ts";
import type { Millis } from "../grid/units.ts";
import type { EndpointRecord, EndpointTable } from "../state/endpoint-table.ts";
import { ROUTES, type Route, type Task } from "../task/task.ts";
import {
  type Counter,
  DURATION_BUCKETS_S,
  type Family,
  type Histogram,
  MetricsRegistry,
  TOKEN_BUCKETS_S,
  WORK_BUCKETS_S,
} from "./metrics.ts";
import type { Flight, Usage } from "./observe.ts";

/** What is read from the kernel's index. */
interface IndexReading {
  stats(): { entries: number; capacity: number; bytes: number; evicted: number; held: number };
}

/** The end of an attempt, as far as it is counted. */
interface Ended {
  kind: string;
  meter: { itlMs: Millis | undefined; jitterMs: Millis | undefined };
}

type EndpointColumn = [name: string, help: string, read: (record: EndpointRecord) => number];

export class PopMetrics {
  private readonly registry = new MetricsRegistry();
  private readonly table: EndpointTable;
  private readonly requests: Family<Counter>;
  private readonly attempts: Family<Counter>;
  private readonly refusals: Family<Counter>;
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

  constructor(table: EndpointTable, index: IndexReading, queueLength: () => number) {
    this.table = table;
    const r = this.registry;
    const seconds = (name: string, help: string, bounds: readonly number[]): Histogram =>
      r.histogram({ name, help }, bounds).labels();
    this.requests = r.counter({
      name: "gridpoint_requests_total",
      help: "Requests by route, how they ended, and error code.",
      labels: ["route", "ending", "code"],
    });
    this.attempts = r.counter({
      name: "gridpoint_attempts_total",
      help: "Attempts at an endpoint and how they ended; failed ones were tried elsewhere.",
      labels: ["endpoint", "ending"],
    });
    this.refusals = r.counter({
      name: "gridpoint_refused_total",
      help: "Requests refused before they became a task, by error code.",
      labels: ["code"],
    });
    const durations = r.histogram(
      {
        name: "gridpoint_request_duration_seconds",
        help: "From the whole request body to the end of the answer.",
        labels: ["route"],
      },
      DURATION_BUCKETS_S,
    );
    this.duration = new Map(ROUTES.map((route) => [route, durations.labels(route)]));
    this.decision = seconds(
      "gridpoint_decision_seconds",
      "Match, filter, score and pick of one request.",
      WORK_BUCKETS_S,
    );
    const choices = r.counter({
      name: "gridpoint_decisions_total",
      help: "Decisions by why the endpoint was chosen.",
      labels: ["reason"],
    });
    this.choices = new Map(CHOICES.map((choice) => [choice, choices.labels(choice)]));
    this.queueWait = seconds(
      "gridpoint_queue_wait_seconds",
      "Time in the wait queue of the PoP, of requests that had to wait.",
      DURATION_BUCKETS_S,
    );
    this.overhead = seconds(
      "gridpoint_overhead_seconds",
      "From the whole request body to sending it on, without the wait in the queue.",
      [...WORK_BUCKETS_S, ...DURATION_BUCKETS_S.filter((bound) => bound > 0.01)],
    );
    this.ttft = r.histogram(
      {
        name: "gridpoint_time_to_first_token_seconds",
        help: "Streams: from the whole request body to the first content token.",
        labels: ["tier"],
      },
      DURATION_BUCKETS_S,
    );
    this.ttftError = seconds(
      "gridpoint_ttft_prediction_error_seconds",
      "Absolute difference of predicted and observed time to first token at the endpoint.",
      DURATION_BUCKETS_S,
    );
    this.itl = seconds("gridpoint_inter_token_latency_seconds", "Mean per stream.", TOKEN_BUCKETS_S);
    this.jitter = seconds(
      "gridpoint_inter_token_jitter_seconds",
      "Mean absolute deviation of the gaps between tokens, per stream.",
      TOKEN_BUCKETS_S,
    );
    const tokens = r.counter({
      name: "gridpoint_tokens_total",
      help: "Tokens as the engines report them.",
      labels: ["kind"],
    });
    this.tokens = {
      prompt: tokens.labels("prompt"),
      cached: tokens.labels("cached"),
      completion: tokens.labels("completion"),
    };
    const prefix = r.counter({
      name: "gridpoint_prefix_hit_tokens_total",
      help: "Prompt tokens expected in, and reported from, the KV cache of the chosen endpoint.",
      labels: ["kind"],
    });
    this.prefix = { predicted: prefix.labels("predicted"), observed: prefix.labels("observed") };
    this.readings(index, queueLength);
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
  }

  usage(flight: Flight, usage: Usage): void {
    this.tokens.prompt.add(usage.promptTokens);
    this.tokens.completion.add(usage.completionTokens);
    if (usage.cachedTokens === undefined) return;
    this.tokens.cached.add(usage.cachedTokens);
    this.prefix.predicted.add(flight.matchedTokens);
    this.prefix.observed.add(usage.cachedTokens);
  }

  ended(flight: Flight, end: Ended): void {
    this.attempts.labels(flight.endpointId, end.kind).inc();
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
    this.requests.labels(route, ending, error?.code ?? "").inc();
    if (task !== undefined) this.duration.get(route)?.observe((nowMs - task.arrivedMs) / 1000);
  }

  refused(error: GridError): void {
    this.refusals.labels(error.code).inc();
  }

  render(): string {
    return this.registry.render();
  }

  private readings(index: IndexReading, queueLength: () => number): void {
    const gauge = (name: string, help: string, read: () => number): void => {
      this.registry.collect("gauge", { name, help }, (report) => report(read()));
    };
    gauge("gridpoint_queue_length", "Requests that wait in the PoP's queue.", queueLength);
    gauge("gridpoint_prefix_index_entries", "Chunks known.", () => index.stats().entries);
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

  private endpointColumns(): EndpointColumn[] {
    const c = this.table.columns;
    return [
      ["up", "1 = may be used.", ({ row }) => 1 - c.down[row]],
      ["in_flight", "Requests of this PoP that run there.", ({ row }) => c.inFlight[row]],
      ["own_tokens", "Uncached tokens of ours in prefill there.", ({ row }) => c.ownTokens[row]],
      ["queued_tokens", "Uncached tokens it reports as queued.", ({ row }) => c.queuedTokens[row]],
      ["waiting_tokens", "Uncached tokens that wait for it here.", ({ row }) => c.waitingTokens[row]],
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
