/**
 * The engine families as data: where each says that it is alive, what it serves and how loaded it
 * is. A new family is one row here, no code. Names from the engines' own documentation and the
 * Gateway API Inference Extension's model server protocol; a quirk names its version or issue.
 */
import type { Capability, EngineFamily } from "../grid/endpoint.ts";
import type { Headers } from "../grid/exchange.ts";
import type { Millis } from "../grid/units.ts";
import type { Combine, Metric } from "./prometheus.ts";
import type { LoadSource } from "./worker.ts";

/** What a metrics page is asked for; in each list the first name that has a sample counts. */
export interface MetricNames {
  running?: readonly Metric[];
  waiting?: readonly Metric[];
  queuedTokens?: readonly Metric[];
  /** 0..1 */
  kvUsage?: readonly Metric[];
  kvTokens?: readonly Metric[];
  /** Tokens per block and number of blocks, where `kvTokens` is not said directly. */
  blockTokens?: readonly Metric[];
  blocks?: readonly Metric[];
  /** 0 = the engine sleeps (its weights are out of the GPU). */
  awake?: readonly Metric[];
  /** Unix seconds of the process's start: another value means a restart. */
  startedAt?: readonly Metric[];
  /** Grows only: a smaller value means a restart. */
  counter?: readonly Metric[];
}

export interface LoadRead {
  source: Exclude<LoadSource, "none">;
  path: string;
  /** The page stands on this port of the same host instead. */
  port?: number;
  /** For `metrics`. */
  names?: MetricNames;
}

export interface Family {
  /** Tried in order until one is not 404 or 405. */
  health: readonly string[];
  models: string;
  /** JSON with `version`, `release` or `build_info`. */
  version?: string;
  /** In order of preference; a later one is asked only for what the earlier left open. */
  loads: readonly LoadRead[];
  /** Before `/chat/completions`, `/completions`, `/embeddings`. */
  routePrefix: string;
  /** What the family can do unless probing says otherwise. */
  capabilities: readonly Capability[];
  /** Serves a FastAPI schema whose paths are the routes that exist. */
  openapi?: string;
  /** JSON with `modalities.vision` (llama.cpp). */
  props?: string;
  /** A POST of `{}` here answers 404 or 501 when embeddings are off, and cannot generate. */
  embeddingsProbe?: string;
  /** Where the key goes; left out: `Authorization: Bearer`. */
  keyHeader?: string;
  /** Pause between two looks at it, at least, and longest wait for one: somebody else's cloud. */
  poll?: { intervalMs: Millis; timeoutMs: Millis };
  /** Tells its rate limits in its answers. */
  rateLimits?: boolean;
  /** Headers of requests that callers of other dialects sent; the config's go before them. */
  translated?: Headers;
  quirks: {
    /** Refuses what is not of its own API: `max_tokens`, `top_k` and other engines' additions. */
    strict?: boolean;
    /** Takes `stream_options.include_usage`. */
    streamUsage: boolean;
    /** Takes `return_token_ids`: the prompt's ids come with the answer. */
    returnTokenIds?: boolean;
    /** The running gauge counts the waiting ones too. */
    runningIncludesWaiting?: boolean;
    notes: readonly string[];
  };
}

const sum = (name: string, more?: Partial<Metric>): Metric => metric(name, "sum", more);
const max = (name: string, more?: Partial<Metric>): Metric => metric(name, "max", more);
function metric(name: string, combine: Combine, more: Partial<Metric> = {}): Metric {
  return { name, combine, ...more };
}

/** Nobody's health check should look like traffic to a vendor. */
const CLOUD_POLL = { intervalMs: 15_000, timeoutMs: 5_000 };
const TEXT: readonly Capability[] = ["chat", "completions", "tools", "jsonSchema", "logprobs"];
const ALL: readonly Capability[] = [...TEXT, "embeddings", "vision"];
const STARTED_AT = [max("process_start_time_seconds")];

// vLLM labels samples with `engine` (data-parallel rank): requests add up, use is the fullest rank.
const VLLM: MetricNames = {
  running: [sum("vllm:num_requests_running")],
  waiting: [sum("vllm:num_requests_waiting")],
  kvUsage: [max("vllm:kv_cache_usage_perc"), max("vllm:gpu_cache_usage_perc")],
  // Since 0.32; models with several kinds of cache hold less than blocks times their size.
  kvTokens: [sum("vllm:cache_config_info", { valueLabel: "kv_cache_size_tokens" })],
  blockTokens: [max("vllm:cache_config_info", { valueLabel: "block_size" })],
  blocks: [sum("vllm:cache_config_info", { valueLabel: "num_gpu_blocks" })],
  awake: [max("vllm:engine_sleep_state", { match: { sleep_state: "awake" } })],
  startedAt: STARTED_AT,
  counter: [sum("vllm:prompt_tokens_total"), sum("vllm:prompt_tokens")],
};

const SGLANG: MetricNames = {
  running: [sum("sglang:num_running_reqs")],
  waiting: [sum("sglang:num_queue_reqs")],
  kvUsage: [max("sglang:token_usage")],
  kvTokens: [sum("sglang:max_total_num_tokens")],
  blockTokens: [max("sglang:cache_config_info", { valueLabel: "page_size" })],
  blocks: [sum("sglang:cache_config_info", { valueLabel: "num_pages" })],
  startedAt: STARTED_AT,
  counter: [sum("sglang:prompt_tokens_total")],
};

const TENSORRT_LLM: MetricNames = {
  running: [sum("trtllm_num_requests_running"), sum("trtllm:num_requests_running")],
  waiting: [sum("trtllm_num_requests_waiting"), sum("trtllm:num_requests_waiting")],
  kvUsage: [max("trtllm_kv_cache_utilization"), max("trtllm:kv_cache_utilization")],
  blockTokens: [max("trtllm_kv_cache_tokens_per_block")],
  blocks: [sum("trtllm_kv_cache_max_blocks")],
  startedAt: STARTED_AT,
  counter: [sum("trtllm_request_success_total"), sum("trtllm:request_success_total")],
};

const request = (type: string) => ({ match: { request_type: type } });
const block = (type: string) => ({ match: { kv_cache_block_type: type } });
const TRITON: MetricNames = {
  // `nv_inference_exec_count` counts executions ever made: it is no gauge of running requests.
  running: [sum("nv_trt_llm_request_metrics", request("scheduled")), ...(VLLM.running ?? [])],
  waiting: [
    sum("nv_trt_llm_request_metrics", request("waiting")),
    ...(VLLM.waiting ?? []),
    sum("nv_inference_pending_request_count"),
  ],
  kvUsage: [max("nv_trt_llm_kv_cache_block_metrics", block("fraction")), ...(VLLM.kvUsage ?? [])],
  blockTokens: [max("nv_trt_llm_kv_cache_block_metrics", block("tokens_per"))],
  blocks: [sum("nv_trt_llm_kv_cache_block_metrics", block("max"))],
  counter: [sum("nv_inference_request_success")],
};

const LLAMA_CPP: MetricNames = {
  running: [sum("llamacpp:requests_processing")],
  waiting: [sum("llamacpp:requests_deferred")],
  kvUsage: [max("llamacpp:kv_cache_usage_ratio")],
  counter: [sum("llamacpp:n_decode_total")],
};

// NIM 1.x drops vLLM's prefix, NIM 2.x is vLLM behind a proxy.
const NIM: MetricNames = {
  ...VLLM,
  running: [...(VLLM.running ?? []), sum("num_requests_running")],
  waiting: [...(VLLM.waiting ?? []), sum("num_requests_waiting")],
  kvUsage: [...(VLLM.kvUsage ?? []), max("gpu_cache_usage_perc")],
};

const DYNAMO: MetricNames = {
  running: [sum("dynamo_frontend_inflight_requests")],
  waiting: [sum("dynamo_frontend_queued_requests")],
  kvUsage: [max("dynamo_component_kvstats_gpu_cache_usage_percent")],
  startedAt: STARTED_AT,
  counter: [sum("dynamo_frontend_requests_total")],
};

export const FAMILIES: Readonly<Record<EngineFamily, Family>> = {
  vllm: {
    health: ["/health", "/ping"],
    models: "/v1/models",
    version: "/version",
    loads: [{ source: "metrics", path: "/metrics", names: VLLM }],
    routePrefix: "/v1",
    capabilities: ALL,
    openapi: "/openapi.json",
    quirks: {
      streamUsage: true,
      returnTokenIds: true,
      notes: [
        "kv_cache_usage_perc was gpu_cache_usage_perc before V1 (0.8).",
        "num_gpu_blocks may be the text None: then the cache size stays unknown.",
        "A sleeping engine still answers /health and shows no load: engine_sleep_state tells.",
      ],
    },
  },
  sglang: {
    // /health last: by default it runs a one-token generation (health_generate), every time.
    health: ["/v1/loads?include=core", "/get_model_info", "/health"],
    models: "/v1/models",
    version: "/server_info",
    loads: [
      { source: "loads", path: "/v1/loads?include=core" },
      { source: "metrics", path: "/metrics", names: SGLANG },
    ],
    routePrefix: "/v1",
    capabilities: ALL,
    openapi: "/openapi.json",
    quirks: {
      streamUsage: true,
      returnTokenIds: true,
      notes: [
        "/v1/loads came with PR 16976; older images answer 404, then /metrics serves.",
        "/metrics exists only with --enable-metrics.",
        "utilization is -1 when idle: it is not read.",
      ],
    },
  },
  "tensorrt-llm": {
    health: ["/health"],
    models: "/v1/models",
    version: "/version",
    // Never /metrics: it empties the iteration queue that others read (openai_server.py).
    loads: [{ source: "metrics", path: "/prometheus/metrics", names: TENSORRT_LLM }],
    routePrefix: "/v1",
    capabilities: [...TEXT, "vision"],
    openapi: "/openapi.json",
    quirks: {
      streamUsage: true,
      notes: ["/prometheus/metrics exists only with return_perf_metrics."],
    },
  },
  "llama.cpp": {
    health: ["/health", "/v1/health"],
    models: "/v1/models",
    version: "/props",
    loads: [
      { source: "slots", path: "/slots" },
      { source: "metrics", path: "/metrics", names: LLAMA_CPP },
    ],
    routePrefix: "/v1",
    capabilities: TEXT,
    props: "/props",
    embeddingsProbe: "/v1/embeddings",
    quirks: {
      streamUsage: true,
      notes: [
        "/metrics exists only with --metrics; /slots can be switched off with --no-slots.",
        "kv_cache_usage_ratio left in 2025: use comes from the slots.",
        "Sends SSE comments every 30 s (--sse-ping-interval).",
      ],
    },
  },
  nim: {
    health: ["/v1/health/ready"],
    models: "/v1/models",
    version: "/v1/version",
    loads: [{ source: "metrics", path: "/v1/metrics", names: NIM }],
    routePrefix: "/v1",
    capabilities: ALL,
    openapi: "/openapi.json",
    quirks: {
      streamUsage: true,
      returnTokenIds: true,
      notes: ["1.x serves bare metric names, 2.x vLLM's."],
    },
  },
  triton: {
    // The OpenAI frontend has /health/ready, the KServe one /v2/health/ready.
    health: ["/health/ready", "/v2/health/ready"],
    models: "/v1/models",
    version: "/v2",
    loads: [
      { source: "metrics", path: "/metrics", names: TRITON },
      { source: "metrics", path: "/metrics", port: 8002, names: TRITON },
    ],
    routePrefix: "/v1",
    capabilities: ["chat", "completions", "embeddings", "tools"],
    openapi: "/openapi.json",
    quirks: {
      streamUsage: false,
      notes: ["tritonserver's own metrics stand on port 8002, the OpenAI frontend's on its own."],
    },
  },
  ollama: {
    health: ["/api/version", "/"],
    models: "/v1/models",
    version: "/api/version",
    loads: [{ source: "api-ps", path: "/api/ps" }],
    routePrefix: "/v1",
    capabilities: ["chat", "completions", "embeddings", "tools", "vision", "jsonSchema"],
    quirks: {
      streamUsage: true,
      notes: [
        "stream_options since 0.5.2.",
        "/api/ps tells which models are loaded, never how many requests run.",
        "Unloads a model after 5 minutes: the next request pays for the load.",
      ],
    },
  },
  dynamo: {
    health: ["/health", "/live"],
    models: "/v1/models",
    loads: [{ source: "metrics", path: "/metrics", names: DYNAMO }],
    routePrefix: "/v1",
    capabilities: ALL,
    openapi: "/openapi.json",
    quirks: {
      streamUsage: true,
      runningIncludesWaiting: true,
      notes: [
        "A whole cluster behind one URL counts as one endpoint.",
        "queued_requests counts requests without a first token, inflight_requests all.",
        "model_total_kv_blocks is per worker, of an unknown number of workers: not read.",
      ],
    },
  },
  "openai-compatible": {
    health: ["/health", "/v1/models"],
    models: "/v1/models",
    loads: [],
    routePrefix: "/v1",
    capabilities: ALL,
    quirks: { streamUsage: false, notes: ["Load is only what we sent there ourselves."] },
    rateLimits: true,
  },
  // Listing models costs no tokens and shows that the key is good.
  openai: {
    health: ["/v1/models"],
    models: "/v1/models",
    loads: [],
    routePrefix: "/v1",
    capabilities: ALL,
    poll: CLOUD_POLL,
    rateLimits: true,
    quirks: {
      streamUsage: true,
      strict: true,
      notes: ["max_tokens is refused by reasoning models: max_completion_tokens is sent."],
    },
  },
  anthropic: {
    health: ["/v1/models?limit=1"],
    models: "/v1/models?limit=1000",
    loads: [],
    routePrefix: "/v1",
    capabilities: ["chat", "tools", "vision", "jsonSchema"],
    keyHeader: "x-api-key",
    poll: CLOUD_POLL,
    rateLimits: true,
    // The version before does not tell reasoning tokens apart, which other dialects do.
    translated: { "anthropic-version": "2026-10-21" },
    quirks: {
      streamUsage: true,
      strict: true,
      notes: ["529 is its word for overloaded.", "Bearer is taken too since API 2026-10-21."],
    },
  },
  gemini: {
    health: ["/v1beta/models?pageSize=1"],
    models: "/v1beta/models?pageSize=1000",
    loads: [],
    // v1 lacks what models learned since: system instructions, tools, thinking.
    routePrefix: "/v1beta",
    capabilities: ["chat", "tools", "vision", "jsonSchema", "embeddings"],
    keyHeader: "x-goog-api-key",
    poll: CLOUD_POLL,
    rateLimits: true,
    quirks: {
      streamUsage: true,
      strict: true,
      notes: ["Its limits stand in no header: only a 429 tells, with when to come back."],
    },
  },
};
