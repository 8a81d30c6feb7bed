/**
 * How long a step takes and how much KV cache there is, per GPU and model size.
 *
 * A roofline, not a table of measurements: a step costs a fixed overhead plus the longer of reading
 * memory (weights once, KV of every context token) and computing (two operations per parameter and
 * token, attention over the context). Data-sheet figures (dense BF16, NVIDIA): RTX PRO 6000
 * Blackwell Server 96 GB, 1,597 GB/s, 500 TFLOPS; L40S 48 GB, 864, 362; H100 SXM 80 GB, 3,350, 989;
 * B200 180 GB, 7,700, 2,250. Reached share: 65 % of the bandwidth, 45 % of the operations, 85 % of
 * both with tensor parallelism. It lands where llm-d-inference-sim's latency tables do for
 * inter-token latency (8B: H100 10-15 ms, L40S 25-35 ms). Models: Llama 3.2 3B and 3.1 8B in BF16,
 * 3.3 70B in FP8.
 */
import type { Millis, Tokens } from "../grid/units.ts";

/** Cost of one step; all in milliseconds. */
export interface StepCosts {
  /** Scheduling, launches, sampling: paid by every step. */
  overheadMs: Millis;
  /** Reading all weights once. */
  weightsMs: Millis;
  /** Reading the KV cache of one context token. */
  contextTokenMs: Millis;
  /** Computing one token, prefill or decode. */
  tokenMs: Millis;
  /** Attention of one new token over one context token. */
  attentionMs: Millis;
  /** Standard deviation of the step time as a share of it, 0..0.3. */
  jitter: number;
}

export interface EngineProfile {
  id: string;
  /** For people. */
  description: string;
  costs: StepCosts;
  /** KV blocks of `blockTokens` tokens. */
  kvBlocks: number;
  blockTokens: Tokens;
  /** Most sequences in a step. */
  maxSeqs: number;
  /** Most tokens in a step, prefill and decode together (vLLM's max_num_batched_tokens). */
  tokenBudget: Tokens;
  /** Context length of the model. */
  maxModelLen: Tokens;
}

interface Gpu {
  name: string;
  memoryGb: number;
  bandwidthGbps: number;
  tflops: number;
}

interface ModelSize {
  name: string;
  parametersG: number;
  weightsGb: number;
  layers: number;
  width: number;
  kvBytesPerToken: number;
  maxModelLen: Tokens;
}

const GPUS: Record<string, Gpu> = {
  rtxpro6000: { name: "RTX PRO 6000", memoryGb: 96, bandwidthGbps: 1597, tflops: 500 },
  l40s: { name: "L40S", memoryGb: 48, bandwidthGbps: 864, tflops: 362 },
  h100: { name: "H100", memoryGb: 80, bandwidthGbps: 3350, tflops: 989 },
  b200: { name: "B200", memoryGb: 180, bandwidthGbps: 7700, tflops: 2250 },
};

/** KV bytes per token: 2 x layers x KV heads x head width x 2 bytes (published configurations). */
const MODELS: Record<string, ModelSize> = {
  "3b": {
    name: "1-3B",
    parametersG: 3.2,
    weightsGb: 6.4,
    layers: 28,
    width: 3072,
    kvBytesPerToken: 2 * 28 * 8 * 128 * 2,
    maxModelLen: 32_768,
  },
  "8b": {
    name: "7-8B",
    parametersG: 8,
    weightsGb: 16,
    layers: 32,
    width: 4096,
    kvBytesPerToken: 2 * 32 * 8 * 128 * 2,
    maxModelLen: 32_768,
  },
  "70b": {
    name: "70B",
    parametersG: 70.6,
    weightsGb: 70.6,
    layers: 80,
    width: 8192,
    kvBytesPerToken: 2 * 80 * 8 * 128 * 2,
    maxModelLen: 32_768,
  },
};

const BLOCK_TOKENS = 16;
const BANDWIDTH_SHARE = 0.65;
const COMPUTE_SHARE = 0.45;
const PARALLEL_SHARE = 0.85;
/** GPU memory that the engine takes (vLLM's gpu_memory_utilization default), and its workspace. */
const MEMORY_SHARE = 0.9;
const WORKSPACE_GB = 2;

/** Fewest GPUs (a power of two) that leave a fifth of the engine's memory for KV cache. */
function gpuCount(gpu: Gpu, model: ModelSize): number {
  let count = 1;
  while (model.weightsGb > 0.8 * count * (gpu.memoryGb * MEMORY_SHARE - WORKSPACE_GB)) count *= 2;
  return count;
}

function profileOf(gpuId: string, gpu: Gpu, modelId: string, model: ModelSize): EngineProfile {
  const count = gpuCount(gpu, model);
  const scale = count === 1 ? 1 : count * PARALLEL_SHARE;
  const bytesPerMs = gpu.bandwidthGbps * 1e6 * BANDWIDTH_SHARE * scale;
  const flopsPerMs = gpu.tflops * 1e9 * COMPUTE_SHARE * scale;
  const kvGb = count * (gpu.memoryGb * MEMORY_SHARE - WORKSPACE_GB) - model.weightsGb;
  return {
    id: `${gpuId}-${modelId}`,
    description: `${count} x ${gpu.name}, ${model.name} model`,
    costs: {
      overheadMs: 2,
      weightsMs: (model.weightsGb * 1e9) / bytesPerMs,
      contextTokenMs: model.kvBytesPerToken / bytesPerMs,
      tokenMs: (2 * model.parametersG * 1e9) / flopsPerMs,
      attentionMs: (4 * model.layers * model.width) / flopsPerMs,
      jitter: 0.05,
    },
    kvBlocks: Math.floor((kvGb * 1e9) / (model.kvBytesPerToken * BLOCK_TOKENS)),
    blockTokens: BLOCK_TOKENS,
    maxSeqs: 256,
    tokenBudget: 8192,
    maxModelLen: model.maxModelLen,
  };
}

/** Steps take no time: the target of load tests, where only the wire is to be measured. */
const INSTANT: EngineProfile = {
  id: "instant",
  description: "steps take no time",
  costs: {
    overheadMs: 0,
    weightsMs: 0,
    contextTokenMs: 0,
    tokenMs: 0,
    attentionMs: 0,
    jitter: 0,
  },
  kvBlocks: 65_536,
  blockTokens: BLOCK_TOKENS,
  maxSeqs: 4096,
  tokenBudget: 1_048_576,
  maxModelLen: 131_072,
};

/** All profiles by id: `{rtxpro6000,l40s,h100,b200}-{3b,8b,70b}` and `instant`. */
export const PROFILES: ReadonlyMap<string, EngineProfile> = new Map(
  [
    ...Object.entries(GPUS).flatMap(([gpuId, gpu]) =>
      Object.entries(MODELS).map(([modelId, model]) => profileOf(gpuId, gpu, modelId, model)),
    ),
    INSTANT,
  ].map((profile) => [profile.id, profile]),
);

/** @throws RangeError naming the known profiles. */
export function profileNamed(id: string): EngineProfile {
  const profile = PROFILES.get(id);
  if (profile === undefined) {
    throw new RangeError(`unknown profile "${id}"; known: ${[...PROFILES.keys()].join(", ")}`);
  }
  return profile;
}
