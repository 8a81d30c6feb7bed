/**
 * A loaded GGUF model as a small job engine: a bounded queue in front of the addon's parallel
 * sequences, prompts measured and matched against the prompt cache before they start, cancel that
 * frees the sequence soon. HTTP is not its business.
 */
import { ApiError, badRequest } from "./http.ts";
import type {
  CompletionOptions,
  CompletionResult,
  FormatOptions,
  FormattedChat,
  LlamaAddon,
  NativeContext,
} from "./llama-addon.ts";
import { type LlamaRequest, LlamaRequests } from "./llama-requests.ts";
import { type PrefixHit, PromptCache } from "./prompt-cache.ts";
import { StopScanner } from "./stop-scanner.ts";

export interface ModelOptions {
  gguf: string;
  threads: number;
  gpuLayers: number;
  /** Sequences decoded together. */
  parallel: number;
  /** Context tokens per sequence. */
  contextTokens: number;
  maxQueue: number;
  promptCacheBytes: number;
}

export interface JobEnd {
  finish: "stop" | "length";
  promptTokens: number;
  cachedTokens: number;
  outputTokens: number;
}

export interface JobListener {
  onText(text: string): void;
  onEnd(end: JobEnd): void;
  onError(error: ApiError): void;
}

/** One generation. Read by `/slots`. */
export interface Job {
  readonly id: number;
  readonly tokens: Int32Array;
  readonly params: CompletionOptions;
  readonly listener: JobListener;
  readonly scanner: StopScanner;
  state: "queued" | "running" | "over";
  slot: number;
  request: LlamaRequest | undefined;
  outputTokens: number;
  cachedTokens: number;
  hit: PrefixHit | undefined;
  savePath: string | undefined;
}

export interface LlamaCounters {
  promptTokens: number;
  cachedTokens: number;
  promptMs: number;
  predictedTokens: number;
  predictedMs: number;
}

const BATCH = 512;
const EMBEDDING_CONTEXT = 2048;

export class LlamaModel {
  readonly contextTokens: number;
  readonly slots: (Job | undefined)[];
  readonly counters: LlamaCounters = {
    promptTokens: 0,
    cachedTokens: 0,
    promptMs: 0,
    predictedTokens: 0,
    predictedMs: 0,
  };
  readonly info: ReturnType<NativeContext["getModelInfo"]>;
  private readonly addon: LlamaAddon;
  private readonly options: ModelOptions;
  private readonly context: NativeContext;
  private readonly requests: LlamaRequests;
  private readonly cache: PromptCache;
  private readonly queue: Job[] = [];
  private embedder: NativeContext | undefined;
  private embedding: Promise<unknown> = Promise.resolve();
  private serial = 0;

  /** Loads the model; blocks until it is there. @throws Error when llama.cpp refuses the file. */
  constructor(addon: LlamaAddon, options: ModelOptions) {
    this.addon = addon;
    this.options = options;
    this.contextTokens = options.contextTokens;
    const total = options.contextTokens * options.parallel;
    this.context = this.create(total, BATCH, options.parallel, false);
    this.info = this.context.getModelInfo();
    this.slots = new Array<Job | undefined>(options.parallel).fill(undefined);
    if (!this.context.enableParallelMode({ n_parallel: options.parallel, n_batch: BATCH })) {
      throw new Error(`llama.cpp refuses ${options.parallel} parallel sequences`);
    }
    this.requests = new LlamaRequests(this.context);
    this.cache = new PromptCache(options.promptCacheBytes);
  }

  get queued(): number {
    return this.queue.length;
  }

  get running(): number {
    return this.slots.reduce((sum, job) => sum + (job === undefined ? 0 : 1), 0);
  }

  /** Messages through the model's own chat template; a plain form when it has none. */
  format(messages: { role: string; content: string }[], options: FormatOptions): FormattedChat {
    const { llamaChat, jinja } = this.info.chatTemplates;
    if (!llamaChat && !jinja.default) return { prompt: plainChat(messages, options) };
    const formatted = this.context.getFormattedChat(messages, undefined, {
      ...options,
      jinja: jinja.default,
    });
    return typeof formatted === "string" ? { prompt: formatted } : formatted;
  }

  async tokenize(text: string): Promise<Int32Array> {
    return (await this.context.tokenize(text)).tokens;
  }

  /** @throws ApiError 400 when it does not fit the context, 503 when the queue is full. */
  async submit(
    params: CompletionOptions,
    stops: readonly string[],
    listener: JobListener,
    isGone: () => boolean,
  ): Promise<Job | undefined> {
    const tokens = await this.tokenize(params.prompt);
    if (isGone()) return undefined;
    const room = this.contextTokens - tokens.length;
    if (tokens.length === 0) throw badRequest("the prompt is empty");
    if (room < 1) throw tooLong(tokens.length, this.contextTokens);
    if (this.queue.length >= this.options.maxQueue && this.running === this.slots.length) {
      throw new ApiError(503, "unavailable_error", "no slot available and the queue is full");
    }
    const wanted = params.n_predict < 0 ? room : Math.min(params.n_predict, room);
    const job: Job = {
      id: this.serial++,
      tokens,
      params: { ...params, n_predict: wanted, stop: [...stops] },
      listener,
      scanner: new StopScanner(stops),
      state: "queued",
      slot: -1,
      request: undefined,
      outputTokens: 0,
      cachedTokens: 0,
      hit: undefined,
      savePath: undefined,
    };
    this.queue.push(job);
    this.startQueued();
    return job;
  }

  /** Frees its place in the queue, or soon its slot; nothing more is called back. */
  cancel(job: Job): void {
    const { state, request } = job;
    job.state = "over";
    if (state === "queued") this.queue.splice(this.queue.indexOf(job), 1);
    else if (state === "running" && request !== undefined) {
      this.requests.cancel(request, () => this.free(job));
    }
  }

  /** Mean-pooled (or the model's own pooling) unit vector. @throws ApiError 400 when too long. */
  async embed(text: string): Promise<{ vector: Float32Array; tokens: number }> {
    const { tokens } = await this.context.tokenize(text);
    const limit = Math.min(this.contextTokens, EMBEDDING_CONTEXT);
    if (tokens.length === 0) throw badRequest("the input is empty", "input");
    if (tokens.length > limit) throw tooLong(tokens.length, limit);
    const embedder = this.embedderOf(limit);
    const next = this.embedding.then(() => embedOne(embedder, text));
    this.embedding = next.catch(() => undefined);
    return { vector: await next, tokens: tokens.length };
  }

  close(): void {
    this.requests.close();
    this.embedder?.disableParallelMode();
    this.cache.close();
  }

  /** `contextTokens` of all its sequences together. */
  private create(
    contextTokens: number,
    batch: number,
    parallel: number,
    embedding: boolean,
  ): NativeContext {
    const { gguf, threads, gpuLayers } = this.options;
    const hasPooling = embedding && Object.keys(this.info.metadata).some(isPoolingKey);
    try {
      return new this.addon.LlamaContext({
        model: gguf,
        n_ctx: contextTokens,
        n_batch: batch,
        n_ubatch: batch,
        n_parallel: parallel,
        n_threads: threads,
        n_gpu_layers: gpuLayers,
        ctx_shift: false,
        embedding,
        pooling_type: hasPooling || !embedding ? "" : "mean",
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const message = `llama.cpp cannot load ${gguf}: ${why}; --verbose shows its log`;
      throw new Error(message, { cause: error });
    }
  }

  /** A second context, made when first asked for: completions are slower with embeddings on. */
  private embedderOf(limit: number): NativeContext {
    if (this.embedder === undefined) {
      this.embedder = this.create(limit, limit, 1, true);
      this.embedder.enableParallelMode({ n_parallel: 1, n_batch: limit });
    }
    return this.embedder;
  }

  private startQueued(): void {
    while (this.queue.length > 0) {
      const slot = this.slots.indexOf(undefined);
      if (slot < 0) return;
      const job = this.queue.shift() as Job;
      job.slot = slot;
      this.slots[slot] = job;
      job.state = "running";
      this.start(job, true);
    }
  }

  private start(job: Job, useCache: boolean): void {
    job.hit = useCache ? this.cache.find(job.tokens) : undefined;
    job.savePath = this.cache.reserve(job.tokens);
    const state: Partial<CompletionOptions> = {};
    if (job.hit !== undefined) {
      state.load_state_path = job.hit.path;
      state.load_state_size = job.hit.tokens;
    }
    if (job.savePath !== undefined) state.save_state_path = job.savePath;
    job.request = this.requests.start({ ...job.params, ...state }, (error, result) => {
      if (job.state === "over") return;
      if (error !== null && error !== undefined) this.fail(job, String(error));
      else if (result.token !== undefined) this.onToken(job, result.token);
      else this.onEnd(job, result);
    });
  }

  private onToken(job: Job, token: string): void {
    this.releaseHit(job);
    // The native side knows the stop strings too and ends by itself, which saves the state. Only
    // when it goes on although we have seen one is it cut off.
    if (!job.scanner.isStopped) {
      job.outputTokens++;
      const text = job.scanner.push(token);
      if (text !== "") job.listener.onText(text);
      return;
    }
    this.cancel(job);
    this.counters.predictedTokens += job.outputTokens;
    // The native side tells no timings of a cancelled request; its prefix hit is what we asked for.
    this.tellEnd(job, "stop", job.cachedTokens);
  }

  private onEnd(job: Job, result: CompletionResult): void {
    const timings = result.timings;
    const isEmpty = (timings?.prompt_n ?? 0) + (timings?.cache_n ?? 0) === 0;
    if (isEmpty && job.hit !== undefined) {
      this.releaseHit(job);
      return this.start(job, false);
    }
    if (isEmpty || timings === undefined) return this.fail(job, "llama.cpp gave no result");
    this.releaseHit(job);
    this.counters.promptTokens += timings.prompt_n;
    this.counters.cachedTokens += timings.cache_n;
    this.counters.promptMs += timings.prompt_ms;
    this.counters.predictedTokens += timings.predicted_n;
    this.counters.predictedMs += timings.predicted_ms;
    if (job.savePath !== undefined) this.cache.add(job.savePath);
    const rest = job.scanner.end();
    if (rest !== "") job.listener.onText(rest);
    const isWord = result.stopped_word === true || job.scanner.isStopped;
    const isStop = result.stopped_eos === true || isWord;
    this.finish(job, isStop ? "stop" : "length", timings.cache_n);
  }

  private finish(job: Job, finish: "stop" | "length", cachedTokens: number): void {
    this.free(job);
    this.tellEnd(job, finish, cachedTokens);
  }

  private tellEnd(job: Job, finish: "stop" | "length", cachedTokens: number): void {
    job.cachedTokens = cachedTokens;
    const promptTokens = job.tokens.length;
    job.listener.onEnd({ finish, promptTokens, cachedTokens, outputTokens: job.outputTokens });
  }

  private fail(job: Job, why: string): void {
    this.free(job);
    job.listener.onError(new ApiError(500, "server_error", why));
  }

  private free(job: Job): void {
    this.releaseHit(job);
    job.state = "over";
    this.slots[job.slot] = undefined;
    this.startQueued();
  }

  private releaseHit(job: Job): void {
    if (job.hit === undefined) return;
    job.cachedTokens = Math.min(job.hit.tokens, job.tokens.length - 1);
    job.hit.release();
    job.hit = undefined;
  }
}

function isPoolingKey(key: string): boolean {
  return key.endsWith(".pooling_type");
}

function embedOne(context: NativeContext, text: string): Promise<Float32Array> {
  return new Promise((resolve, reject) => {
    context.queueEmbedding(text, { embd_normalize: 2 }, (error, result) => {
      if (error === null || error === undefined) resolve(Float32Array.from(result.embedding));
      else reject(new ApiError(500, "server_error", String(error)));
    });
  });
}

function tooLong(tokens: number, limit: number): ApiError {
  const message = `the request exceeds the available context size: ${tokens} tokens, ${limit} fit`;
  return new ApiError(400, "exceed_context_size_error", message);
}

function plainChat(messages: { role: string; content: string }[], options: FormatOptions): string {
  const turns = messages.map(({ role, content }) => `${role}: ${content}\n`).join("");
  return options.add_generation_prompt ? `${turns}assistant:` : turns.trimEnd();
}
