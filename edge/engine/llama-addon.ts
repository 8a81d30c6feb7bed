/**
 * llama.cpp as a native addon, loaded from its platform package alone: the wrapper package around
 * it would pull in every GPU build. Types cover what we call, as observed in 1.7.15. Known there:
 * sequences never share KV by themselves (hence `prompt-cache.ts`), a cancelled request is never
 * called back, cancelling takes no lock (hence `llama-requests.ts`), `logit_bias` in the queue
 * crashes the process, an embedding input longer than the batch is never answered, and a failed
 * state load ends in an empty result without an error.
 */
import { createRequire } from "node:module";

export type LlamaBackend = "cpu" | "cuda" | "vulkan";

export interface ContextOptions {
  model: string;
  /** KV cache tokens of all sequences together. */
  n_ctx: number;
  n_batch: number;
  n_ubatch: number;
  n_parallel: number;
  n_threads: number;
  n_gpu_layers: number;
  ctx_shift: boolean;
  embedding?: boolean;
  pooling_type?: "" | "mean";
}

export interface CompletionOptions {
  prompt: string;
  n_predict: number;
  temperature?: number;
  top_k?: number;
  top_p?: number;
  min_p?: number;
  penalty_freq?: number;
  penalty_present?: number;
  penalty_repeat?: number;
  seed?: number;
  ignore_eos?: boolean;
  stop?: string[];
  grammar?: string;
  load_state_path?: string;
  load_state_size?: number;
  save_state_path?: string;
}

export interface CompletionResult {
  requestId: number;
  /** Present on a token, absent on the end. */
  token?: string;
  text?: string;
  stopped_eos?: boolean;
  stopped_limit?: boolean;
  stopped_word?: boolean;
  context_full?: boolean;
  tokens_predicted?: number;
  timings?: {
    cache_n: number;
    prompt_n: number;
    prompt_ms: number;
    predicted_n: number;
    predicted_ms: number;
  };
}

export interface FormattedChat {
  prompt: string;
  grammar?: string;
  additional_stops?: string[];
}

export interface FormatOptions {
  jinja: boolean;
  add_generation_prompt: boolean;
  response_format?: unknown;
  chat_template_kwargs?: Record<string, string>;
}

export interface NativeContext {
  getModelInfo(): {
    desc: string;
    nEmbd: number;
    nParams: number;
    size: number;
    chatTemplates: { llamaChat: boolean; jinja: { default: boolean } };
    metadata: Record<string, string>;
  };
  getFormattedChat(
    messages: { role: string; content: string }[],
    template: string | undefined,
    options: FormatOptions,
  ): FormattedChat | string;
  tokenize(text: string): Promise<{ tokens: Int32Array }>;
  enableParallelMode(options: { n_parallel: number; n_batch: number }): boolean;
  disableParallelMode(): void;
  queueCompletion(
    options: CompletionOptions,
    onResult: (error: unknown, result: CompletionResult) => void,
  ): { requestId: number };
  queueEmbedding(
    text: string,
    options: { embd_normalize: number },
    onResult: (error: unknown, result: { embedding: Float32Array | number[] }) => void,
  ): { requestId: number };
  /** Takes no lock: see `llama-requests.ts`. */
  cancelRequest(requestId: number): void;
  /** Requests in slots, without those that have just ended; consistent, under the lock. */
  getParallelStatus(): {
    queued_requests: number;
    requests: { request_id: number; state: "processing_prompt" | "generating" }[];
  };
}

export interface LlamaAddon {
  LlamaContext: {
    new (options: ContextOptions): NativeContext;
    /** Metadata of the file, without the keys to skip. */
    loadModelInfo(path: string, skip: string[]): Promise<Record<string, unknown>>;
  };
}

/** @throws Error saying which package is missing and how to get it. */
export function loadAddon(backend: LlamaBackend): LlamaAddon {
  const variant = backend === "cpu" ? "" : `-${backend}`;
  const name = `@fugood/node-llama-${process.platform}-${process.arch}${variant}`;
  const require = createRequire(import.meta.url);
  try {
    return require(name) as LlamaAddon;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === "MODULE_NOT_FOUND"
        ? `the package ${name} is not installed; run: npm install ${name}`
        : `${name} does not load: ${(error as Error).message}`;
    throw new Error(why, { cause: error });
  }
}
