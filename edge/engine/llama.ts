/**
 * The real engine: a GGUF model in llama.cpp behind the OpenAI API, with the load and metrics pages
 * of llama.cpp's own server, so that the proxy treats both alike. One process, one thread by
 * default. Native logging goes to file descriptors 1 and 2 and cannot be turned off, so unless
 * --verbose asks for it the process replaces itself once with both pointing at /dev/null and its
 * own lines on two other descriptors.
 */
import { existsSync, writeSync } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { basename } from "node:path";
import { createServer } from "../node-http.ts";
import { labelValue, METRICS_TYPE, sample } from "./exposition.ts";
import {
  ApiError,
  badRequest,
  checkKey,
  listen,
  parseObject,
  pathOf,
  readBody,
  sendJson,
  sendText,
  sendThrown,
} from "./http.ts";
import { type LlamaBackend, loadAddon } from "./llama-addon.ts";
import { readLlamaPrompts } from "./llama-api.ts";
import { LlamaCall } from "./llama-call.ts";
import { LlamaModel } from "./llama-model.ts";
import {
  embeddingsJson,
  modelsJson,
  readGeneration,
  readModel,
  readPrompts,
  wantsBase64,
} from "./openai-api.ts";
import type { Route } from "./reply.ts";

export interface LlamaOptions {
  gguf: string;
  /** Model ids; empty = the file's name without its ending. */
  models: string[];
  host: string;
  /** 0 = any free port. */
  port: number;
  apiKey: string | undefined;
  backend: LlamaBackend;
  /** Undefined = none on cpu, else all. */
  gpuLayers: number | undefined;
  threads: number;
  parallel: number;
  /** Per sequence; undefined = the model's, at most 4096. */
  contextTokens: number | undefined;
  maxQueue: number;
  promptCacheBytes: number;
}

type Body = Record<string, unknown>;
type Post = (body: Body, response: ServerResponse) => Promise<void>;

const DEFAULT_CONTEXT = 4096;
const ALL_LAYERS = 9999;
/** Large keys of the file that we do not need. */
const SKIPPED_KEYS = ["tokens", "token_type", "merges", "scores"].map((k) => `tokenizer.ggml.${k}`);

export class LlamaEngine {
  url = "";
  readonly models: readonly string[];
  private readonly options: LlamaOptions;
  private readonly model: LlamaModel;
  private readonly server: Server;
  private readonly calls = new Set<LlamaCall>();
  private isDraining = false;

  private constructor(options: LlamaOptions, model: LlamaModel) {
    this.options = options;
    this.model = model;
    this.models =
      options.models.length > 0 ? options.models : [basename(options.gguf).replace(/\.gguf$/, "")];
    this.server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      try {
        this.route(request, response);
      } catch (error) {
        sendThrown(response, error);
      }
    });
    this.server.on("clientError", (_error, socket) => socket.destroy());
  }

  /** Loads the model and listens. @throws Error that says what to change. */
  static async start(options: LlamaOptions): Promise<LlamaEngine> {
    if (!existsSync(options.gguf)) throw new Error(`--gguf ${options.gguf}: no such file`);
    const addon = loadAddon(options.backend);
    const info = await addon.LlamaContext.loadModelInfo(options.gguf, SKIPPED_KEYS);
    const trained = Number(info[`${info["general.architecture"]}.context_length`]);
    const known = trained > 0 ? Math.min(trained, DEFAULT_CONTEXT) : DEFAULT_CONTEXT;
    const model = new LlamaModel(addon, {
      gguf: options.gguf,
      threads: options.threads,
      gpuLayers: options.gpuLayers ?? (options.backend === "cpu" ? 0 : ALL_LAYERS),
      parallel: options.parallel,
      contextTokens: options.contextTokens ?? known,
      maxQueue: options.maxQueue,
      promptCacheBytes: options.promptCacheBytes,
    });
    const engine = new LlamaEngine(options, model);
    engine.url = await listen(engine.server, options.host, options.port);
    return engine;
  }

  /** Takes nothing new, lets open requests finish for at most `limitMs`, then closes. */
  async drain(limitMs: number): Promise<void> {
    this.isDraining = true;
    const end = performance.now() + limitMs;
    while (this.calls.size > 0 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await this.close();
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
    this.model.close();
  }

  private route(request: IncomingMessage, response: ServerResponse): void {
    const path = pathOf(request);
    if (path.startsWith("/v1/")) checkKey(request, this.options.apiKey);
    if (request.method === "GET" || request.method === "HEAD") return this.get(path, response);
    const take = request.method === "POST" ? this.posts[path] : undefined;
    if (take === undefined) {
      throw new ApiError(404, "not_found_error", `no route for ${request.method} ${path}`);
    }
    if (this.isDraining) throw new ApiError(503, "unavailable_error", "the engine is draining");
    readBody(request, response, (text) => {
      Promise.resolve()
        .then(() => take(parseObject(text), response))
        .catch((error: unknown) => sendThrown(response, error));
    });
  }

  private readonly posts: Record<string, Post> = {
    "/v1/chat/completions": (body, response) => this.generate("chat", body, response),
    "/v1/completions": (body, response) => this.generate("completions", body, response),
    "/v1/embeddings": (body, response) => this.embed(body, response),
    "/tokenize": async (body, response) => {
      if (typeof body.content !== "string") throw badRequest("content must be a string", "content");
      const tokens = Array.from(await this.model.tokenize(body.content));
      sendJson(response, 200, JSON.stringify({ tokens }));
    },
  };

  private get(path: string, response: ServerResponse): void {
    switch (path) {
      case "/health":
      case "/v1/health":
        if (!this.isDraining) return sendJson(response, 200, '{"status":"ok"}');
        throw new ApiError(503, "unavailable_error", "the engine is draining");
      case "/v1/models": {
        const { contextTokens } = this.model;
        return sendJson(response, 200, modelsJson(this.models, "llamacpp", contextTokens));
      }
      case "/metrics":
        return sendText(response, 200, this.metrics(), METRICS_TYPE);
      case "/slots":
        return sendJson(response, 200, JSON.stringify(this.slots()));
      case "/props":
        return sendJson(response, 200, JSON.stringify(this.props()));
      default:
        throw new ApiError(404, "not_found_error", `no route for GET ${path}`);
    }
  }

  private async generate(route: Route, body: Body, response: ServerResponse): Promise<void> {
    const generation = readGeneration(body, this.models);
    if (body.echo === true) throw badRequest("echo is not supported by this engine", "echo");
    const prompts = readLlamaPrompts(route, body, generation, this.model);
    const call = new LlamaCall(this.model, response, route, generation);
    this.calls.add(call);
    response.once("close", () => {
      this.calls.delete(call);
      call.close();
    });
    try {
      await call.start(prompts);
    } catch (error) {
      call.close();
      throw error;
    }
  }

  private async embed(body: Body, response: ServerResponse): Promise<void> {
    const model = readModel(body, this.models);
    const isBase64 = wantsBase64(body);
    const vectors: Float32Array[] = [];
    let tokens = 0;
    for (const input of readPrompts(body, "input")) {
      if (response.destroyed) return;
      if (typeof input !== "string") throw badRequest("input must be text, not token ids", "input");
      const embedded = await this.model.embed(input);
      vectors.push(embedded.vector);
      tokens += embedded.tokens;
    }
    sendJson(response, 200, embeddingsJson(model, vectors, tokens, isBase64));
  }

  private slots(): unknown[] {
    return this.model.slots.map((job, id) => ({
      id,
      n_ctx: this.model.contextTokens,
      is_processing: job !== undefined,
      id_task: job?.id ?? -1,
      n_prompt_tokens: job?.tokens.length ?? 0,
      n_prompt_tokens_cache: job?.cachedTokens ?? 0,
      next_token: [{ n_decoded: job?.outputTokens ?? 0 }],
    }));
  }

  private props(): unknown {
    const { info, contextTokens, slots } = this.model;
    return {
      default_generation_settings: { n_ctx: contextTokens },
      total_slots: slots.length,
      model_path: this.options.gguf,
      model_alias: this.models[0],
      chat_template: info.metadata["tokenizer.chat_template"] ?? "",
      build_info: info.desc,
    };
  }

  private metrics(): string {
    const { counters } = this.model;
    const perS = (tokens: number, ms: number): number => (ms > 0 ? (tokens / ms) * 1000 : 0);
    const promptRate = perS(counters.promptTokens, counters.promptMs);
    const outputRate = perS(counters.predictedTokens, counters.predictedMs);
    const rows: ["counter" | "gauge", string, string, number][] = [
      ["counter", "prompt_tokens_total", "Prompt tokens computed.", counters.promptTokens],
      ["counter", "prompt_tokens_cached_total", "Prompt tokens reused.", counters.cachedTokens],
      ["counter", "prompt_seconds_total", "Prompt processing time.", counters.promptMs / 1000],
      ["counter", "tokens_predicted_total", "Tokens generated.", counters.predictedTokens],
      ["counter", "tokens_predicted_seconds_total", "Generation.", counters.predictedMs / 1000],
      ["gauge", "prompt_tokens_seconds", "Prompt rate.", promptRate],
      ["gauge", "predicted_tokens_seconds", "Output rate.", outputRate],
      ["gauge", "requests_processing", "Requests in a slot.", this.model.running],
      ["gauge", "requests_deferred", "Requests waiting.", this.model.queued],
    ];
    const labels = `model="${labelValue(this.models[0])}"`;
    return rows
      .map(([type, name, help, value]) => {
        return sample(type, `llamacpp:${name}`, help, labels, value);
      })
      .join("");
  }
}

/** Set in the replaced process: our own lines go to descriptors 8 (output) and 9 (errors). */
const QUIET_MARK = "GRIDPOINT_ENGINE_QUIET";
const QUIET_SHELL = 'exec "$0" "$@" 8>&1 9>&2 >/dev/null 2>/dev/null';

/**
 * Starts the engine of this process's own command line and hands it to `serve` with a way to say
 * something. Replaces the process (same pid) unless `isVerbose` or the platform cannot.
 */
export async function runLlama(
  options: LlamaOptions,
  isVerbose: boolean,
  serve: (engine: LlamaEngine, say: (line: string) => void) => Promise<number>,
): Promise<number> {
  const isQuiet = process.env[QUIET_MARK] === "1";
  const { execve } = process;
  if (!isQuiet && !isVerbose && execve !== undefined && existsSync("/bin/sh")) {
    const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    const env = { ...process.env, [QUIET_MARK]: "1" };
    execve("/bin/sh", ["sh", "-c", QUIET_SHELL, ...command], env);
  }
  delete process.env[QUIET_MARK];
  const complain = (error: unknown): number => {
    const text = error instanceof Error ? (error.message ?? error) : String(error);
    writeSync(isQuiet ? 9 : 2, `gridpoint engine: ${text}\n`);
    return 1;
  };
  process.on("uncaughtException", (error) => process.exit(complain(error)));
  try {
    const engine = await LlamaEngine.start(options);
    return await serve(engine, (line) => void writeSync(isQuiet ? 8 : 1, line));
  } catch (error) {
    return complain(error);
  }
}
