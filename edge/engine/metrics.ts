/** What the emulated engine counts, under vLLM's metric names (v0.32) and SGLang's load report. */
import type { EngineCounters, EngineLoad } from "../../src/sim/engine.ts";
import type { EngineProfile } from "../../src/sim/profiles.ts";
import { Histogram, head, labelValue, sample } from "./exposition.ts";

const TTFT_S = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
  160, 640, 2560,
];
const ITL_S = [
  0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
];
const REQUEST_S = [
  0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
];
const TOKENS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000,
];

export type FinishReason = "stop" | "length" | "abort";

export class EngineMetrics {
  readonly timeToFirstToken = new Histogram(TTFT_S);
  readonly interTokenLatency = new Histogram(ITL_S);
  readonly endToEnd = new Histogram(REQUEST_S);
  readonly queueTime = new Histogram(REQUEST_S);
  readonly prefillTime = new Histogram(REQUEST_S);
  readonly decodeTime = new Histogram(REQUEST_S);
  readonly promptTokens = new Histogram(TOKENS);
  readonly generationTokens = new Histogram(TOKENS);
  readonly finished: Record<FinishReason, number> = { stop: 0, length: 0, abort: 0 };
  promptTotal = 0;
}

/** The page of `/metrics`. */
export function renderMetrics(
  metrics: EngineMetrics,
  load: EngineLoad,
  counters: EngineCounters,
  profile: EngineProfile,
  model: string,
): string {
  const labels = `engine="0",model_name="${labelValue(model)}"`;
  const gauge = (name: string, help: string, value: number): string =>
    sample("gauge", `vllm:${name}`, help, labels, value);
  const counter = (name: string, help: string, value: number): string =>
    sample("counter", `vllm:${name}_total`, help, labels, value);
  return [
    gauge("num_requests_running", "Requests in the batch.", load.running),
    gauge("num_requests_waiting", "Requests waiting for admission.", load.waiting),
    gauge("kv_cache_usage_perc", "KV cache in use, 0 to 1.", load.usedBlocks / load.totalBlocks),
    counter("prefix_cache_queries", "Tokens looked up in the cache.", counters.queriedTokens),
    counter("prefix_cache_hits", "Tokens found in the cache.", counters.hitTokens),
    counter("num_preemptions", "Preemptions by recomputation.", counters.preemptions),
    counter("prompt_tokens", "Prompt tokens taken in.", metrics.promptTotal),
    counter("generation_tokens", "Tokens generated.", counters.generatedTokens),
    renderFinished(metrics, labels),
    renderHistograms(metrics, labels),
    head("vllm:cache_config_info", "KV cache configuration.", "gauge"),
    `vllm:cache_config_info{block_size="${profile.blockTokens}",cache_dtype="auto",` +
      `enable_prefix_caching="True",engine="0",num_gpu_blocks="${profile.kvBlocks}"} 1\n`,
  ].join("");
}

function renderFinished(metrics: EngineMetrics, labels: string): string {
  const name = "vllm:request_success_total";
  const lines = Object.entries(metrics.finished).map(
    ([reason, count]) => `${name}{${labels},finished_reason="${reason}"} ${count}\n`,
  );
  return head(name, "Finished requests.", "counter") + lines.join("");
}

function renderHistograms(metrics: EngineMetrics, labels: string): string {
  const rows: [string, Histogram, string][] = [
    ["time_to_first_token_seconds", metrics.timeToFirstToken, "Time to first token."],
    ["inter_token_latency_seconds", metrics.interTokenLatency, "Time between tokens."],
    ["e2e_request_latency_seconds", metrics.endToEnd, "Whole request."],
    ["request_queue_time_seconds", metrics.queueTime, "Waiting for admission."],
    ["request_prefill_time_seconds", metrics.prefillTime, "Admission to first token."],
    ["request_decode_time_seconds", metrics.decodeTime, "First token to last."],
    ["request_prompt_tokens", metrics.promptTokens, "Prompt tokens of a request."],
    ["request_generation_tokens", metrics.generationTokens, "Generated tokens of a request."],
  ];
  const render = ([name, histogram, help]: (typeof rows)[number]): string =>
    histogram.render(`vllm:${name}`, help, labels);
  return rows.map(render).join("");
}

/** SGLang's `GET /v1/loads` (core section). */
export function renderLoads(
  load: EngineLoad,
  counters: EngineCounters,
  profile: EngineProfile,
  tokensPerS: number,
  timestamp: string,
): string {
  const queried = counters.queriedTokens;
  return JSON.stringify({
    timestamp,
    version: "emulated",
    dp_rank_count: 1,
    loads: [
      {
        dp_rank: 0,
        num_running_reqs: load.running,
        num_waiting_reqs: load.waiting,
        num_waiting_uncached_tokens: load.waitingUncachedTokens,
        num_used_tokens: load.usedBlocks * profile.blockTokens,
        max_total_num_tokens: load.totalBlocks * profile.blockTokens,
        max_running_requests: load.maxRunning,
        token_usage: load.usedBlocks / load.totalBlocks,
        gen_throughput: tokensPerS,
        cache_hit_rate: queried === 0 ? 0 : counters.hitTokens / queried,
      },
    ],
  });
}
