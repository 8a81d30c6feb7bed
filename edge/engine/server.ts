/**
 * The emulated engine: the step model behind the HTTP interface of a vLLM server, with faults and a
 * share schedule on command. A black box on purpose: whoever uses it speaks to it over the wire.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { EngineModel, type Sequence } from "../../src/sim/engine.ts";
import type { EngineProfile } from "../../src/sim/profiles.ts";
import { createServer } from "../node-http.ts";
import { Call, type Choice, planChoice } from "./call.ts";
import { type Fault, Faults, parseFault } from "./faults.ts";
import { type PromptPiece, type ReadPrompt, readPrompt } from "./filler.ts";
import { METRICS_TYPE } from "./exposition.ts";
import {
  ApiError,
  badRequest,
  checkKey,
  listen,
  parseObject,
  pathOf,
  readBody,
  sendError,
  sendJson,
  sendText,
  sendThrown,
} from "./http.ts";
import { KvFeedOut, type KvFeedOptions } from "./kv-feed.ts";
import { EngineMetrics } from "./metrics.ts";
import {
  chatPieces,
  type Generation,
  modelsJson,
  readGeneration,
  readPrompts,
} from "./openai-api.ts";
import { Pages } from "./pages.ts";
import { embed, tokenize } from "./prompt-routes.ts";
import { Pump } from "./pump.ts";
import type { Route } from "./reply.ts";
import { readSaid } from "./said.ts";
import { type ShareStep, ShareSchedule, parseShare } from "./share.ts";
import { promptIds } from "./token-ids.ts";

export interface EmulatedEngineOptions {
  /** Its kvBlocks, maxSeqs and maxModelLen are what the engine has. */
  profile: EngineProfile;
  /** Model ids, at least one; all are served by the one engine and share nothing in its cache. */
  models: string[];
  host?: string;
  /** 0 = any free port. */
  port?: number;
  /** Time compression: step times are divided by it. Default 1. */
  speed?: number;
  seed?: number;
  apiKey?: string;
  /** Mean length of an answer that nothing else limits. Default 128 tokens. */
  outputTokens?: number;
  /** Most waiting requests before 503. Default 10,000. */
  maxQueue?: number;
  faults?: Fault[];
  shareSchedule?: ShareStep[];
  /** Publish KV events. */
  kvEvents?: KvFeedOptions | undefined;
  /** False: without vLLM's /tokenize, as some engines are. Default true. */
  tokenizer?: boolean;
  /** What the fault "exit" does; default: all connections are reset and the port is closed. */
  crash?: () => void;
}

export class EmulatedEngine {
  /** Base URL once started. */
  url = "";
  readonly metrics = new EngineMetrics();
  private readonly options: EmulatedEngineOptions;
  private readonly profile: EngineProfile;
  private readonly model: EngineModel<Choice>;
  private readonly pump: Pump<Choice>;
  private readonly faults = new Faults();
  private readonly calls = new Set<Call>();
  private readonly dirty: Call[] = [];
  private readonly pages: Pages;
  private readonly schedule: ShareSchedule;
  private readonly maxQueue: number;
  private readonly kv: KvFeedOut | undefined;
  private server: Server;
  private share = 1;
  private isDraining = false;

  constructor(options: EmulatedEngineOptions) {
    this.options = options;
    this.profile = options.profile;
    const { blockTokens } = options.profile;
    const [base] = options.models;
    this.kv = options.kvEvents && new KvFeedOut(options.kvEvents, blockTokens, base, process.pid);
    this.model = new EngineModel<Choice>(options.profile, options.seed ?? 1, this.kv);
    this.maxQueue = options.maxQueue ?? 10_000;
    this.pump = new Pump(this.model, options.speed ?? 1, this);
    this.pages = new Pages(this.model, this.metrics, options.models[0], () => this.calls.size);
    this.schedule = new ShareSchedule(options.shareSchedule ?? [], (share) => this.setShare(share));
    for (const fault of options.faults ?? []) this.arm(fault);
    this.server = this.createServer();
  }

  /** @throws Error when the port is taken. */
  async start(): Promise<this> {
    this.url = await listen(this.server, this.options.host ?? "127.0.0.1", this.options.port ?? 0);
    await this.kv?.publisher.start();
    this.schedule.start();
    return this;
  }

  /** tcp:// addresses of events and replay; undefined = none. */
  get kvUrls(): { url: string; replay: string | undefined } | undefined {
    const publisher = this.kv?.publisher;
    return publisher && { url: publisher.url, replay: publisher.replayUrl };
  }

  /** Ends at once: open requests are cut. */
  async close(): Promise<void> {
    this.schedule.stop();
    this.pump.stop();
    this.dropAll();
    await this.kv?.publisher.close();
    await this.closePort();
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

  crash(): void {
    if (this.options.crash !== undefined) this.options.crash();
    else void this.close();
  }

  onAdmit(sequence: Sequence<Choice>, nowMs: number): void {
    const choice = sequence.owner;
    if (choice.admittedAt !== 0) return;
    choice.admittedAt = nowMs;
    this.metrics.queueTime.observe((nowMs - choice.queuedAt) / 1000);
  }

  onToken(sequence: Sequence<Choice>, nowMs: number): void {
    const { call } = sequence.owner;
    call.token(sequence.owner, sequence.generated, sequence.state === "done", nowMs);
    if (call.isDirty) return;
    call.isDirty = true;
    this.dirty.push(call);
  }

  onStep(nowMs: number): void {
    for (const call of this.dirty) call.flush();
    this.dirty.length = 0;
    this.kv?.send();
    this.pages.sampleRate(nowMs);
  }

  private createServer(): Server {
    const settings = { keepAliveTimeout: 60_000, noDelay: true };
    const server = createServer(settings, (request, response) => {
      try {
        this.route(request, response);
      } catch (error) {
        sendThrown(response, error);
      }
    });
    server.on("clientError", (_error, socket) => socket.destroy());
    return server;
  }

  private route(request: IncomingMessage, response: ServerResponse): void {
    const path = pathOf(request);
    if (path.startsWith("/v1/")) checkKey(request, this.options.apiKey);
    if (request.method === "POST") {
      const take = this.posts[path];
      if (take === undefined) throw noRoute("POST", path);
      readBody(request, response, (text) => {
        try {
          take(parseObject(text), response);
        } catch (error) {
          sendThrown(response, error);
        }
      });
    } else if (request.method === "GET" || request.method === "HEAD") this.get(path, response);
    else if (request.method === "DELETE" && path === "/fault") {
      this.faults.clear();
      this.pages.thaw();
      sendJson(response, 200, this.faultsJson());
    } else {
      const message = `${request.method} is not allowed here`;
      throw new ApiError(405, "MethodNotAllowedError", message);
    }
  }

  private readonly posts: Record<string, (body: Body, response: ServerResponse) => void> = {
    "/v1/chat/completions": (body, response) => this.generate("chat", body, response),
    "/v1/completions": (body, response) => this.generate("completions", body, response),
    "/v1/embeddings": (body, response) => embed(body, response, this.options),
    "/tokenize": (body, response) => {
      if (this.options.tokenizer === false) throw noRoute("POST", "/tokenize");
      tokenize(body, response, this.options);
    },
    "/fault": (body, response) => {
      this.arm(parseFault(body));
      sendJson(response, 200, this.faultsJson());
    },
    "/share": (body, response) => {
      this.schedule.stop();
      this.setShare(parseShare(body.share));
      sendJson(response, 200, JSON.stringify({ share: this.share }));
    },
  };

  private get(path: string, response: ServerResponse): void {
    switch (path) {
      case "/health":
      case "/ping":
        return this.health(response);
      case "/v1/models": {
        const { maxModelLen } = this.profile;
        return sendJson(response, 200, modelsJson(this.options.models, "vllm", maxModelLen, true));
      }
      case "/version":
        return sendJson(response, 200, '{"version":"0.0.0-emulated"}');
      case "/metrics":
        return sendText(response, 200, this.pages.page(path), METRICS_TYPE);
      case "/v1/loads":
      case "/load":
        return sendJson(response, 200, this.pages.page(path));
      case "/fault":
        return sendJson(response, 200, this.faultsJson());
      case "/share":
        return sendJson(response, 200, JSON.stringify({ share: this.share }));
      default:
        throw noRoute("GET", path);
    }
  }

  private health(response: ServerResponse): void {
    const answer = (): void => sendText(response, this.isDraining ? 503 : 200, "");
    const fault = this.faults.forHealth();
    if (fault === undefined) answer();
    else setTimeout(answer, fault.ms);
  }

  private generate(route: Route, body: Body, response: ServerResponse): void {
    if (this.isDraining) {
      throw new ApiError(503, "ServiceUnavailableError", "the engine is draining");
    }
    const fault = this.faults.forRequest();
    if (fault?.kind === "status") return refuse(response, fault.status, fault.retryAfterS);
    if (fault?.kind !== "delay") return this.accept(route, body, response, fault);
    setTimeout(() => {
      try {
        if (!response.destroyed) this.accept(route, body, response, undefined);
      } catch (error) {
        sendThrown(response, error);
      }
    }, fault.ms);
  }

  private accept(
    route: Route,
    body: Body,
    response: ServerResponse,
    fault: Fault | undefined,
  ): void {
    const generation = readGeneration(body, this.options.models);
    if (body.echo === true) throw badRequest("echo is not emulated", "echo");
    const pieces = route === "chat" ? [chatPieces(body)] : readPrompts(body, "prompt").map(list);
    if (this.model.load().waiting + pieces.length * generation.n > this.maxQueue) {
      return refuse(response, 503, 1);
    }
    const created = Math.floor(Date.now() / 1000);
    const call = new Call(this, response, route, generation, readSaid(route, body), created, fault);
    for (const piece of pieces) this.planPrompt(call, piece, generation);
    response.once("close", () => this.left(call));
    call.open(this.profile.id !== "instant");
    this.calls.add(call);
    this.submit(call);
  }

  private planPrompt(call: Call, pieces: readonly PromptPiece[], generation: Generation): void {
    const prompt = this.read(pieces, generation.model);
    const room = this.profile.maxModelLen - prompt.tokens;
    const wanted = generation.maxTokens ?? 1;
    if (wanted > room) {
      throw badRequest(
        `This model's maximum context length is ${this.profile.maxModelLen} tokens. However, you ` +
          `requested ${wanted} output tokens and your prompt contains ${prompt.tokens} input ` +
          "tokens. Please reduce the length of the prompt or the number of output tokens.",
      );
    }
    const wantsIds = this.kv !== undefined || generation.returnTokenIds;
    const ids = wantsIds ? promptIds(pieces) : undefined;
    const settings = {
      room,
      meanTokens: this.options.outputTokens ?? 128,
      seed: this.options.seed ?? 1,
      blockTokens: this.profile.blockTokens,
    };
    for (let i = 0; i < generation.n; i++) {
      const index = call.choices.length;
      call.choices.push(planChoice(call, index, prompt, ids, generation, settings));
    }
  }

  private read(pieces: readonly PromptPiece[], seed: string): ReadPrompt {
    const prompt = readPrompt(pieces, seed, this.profile.blockTokens);
    if (prompt.tokens === 0) throw badRequest("the prompt is empty");
    return prompt;
  }

  private submit(call: Call): void {
    const nowMs = performance.now();
    for (const choice of call.choices) {
      choice.queuedAt = nowMs;
      const { tokens, keys } = choice.prompt;
      const spec = { promptTokens: tokens, maxTokens: choice.limit, keys, keyOf: choice.keyOf };
      choice.sequence = this.model.submit(spec, choice);
      this.metrics.promptTokens.observe(tokens);
      this.metrics.promptTotal += tokens;
    }
    this.pump.kick();
  }

  /** The response closed: finished, or the client left, which frees its slots at once. */
  private left(call: Call): void {
    this.calls.delete(call);
    call.close();
    for (const { sequence } of call.choices) {
      if (sequence === undefined || sequence.state === "done") continue;
      this.model.abort(sequence);
      this.metrics.finished.abort++;
    }
  }

  private setShare(share: number): void {
    this.share = share;
    this.model.setShare(share);
    if (!this.model.isIdle) this.pump.kick();
  }

  private arm(fault: Fault): void {
    if (fault.kind === "restart") void this.restart(fault.ms);
    else if (fault.kind === "lose-events") this.kv?.lose(fault.ms, false);
    else if (fault.kind === "erase-events") this.kv?.lose(fault.ms, true);
    else if (fault.kind === "restart-publisher") void this.kv?.restart(fault.ms);
    else if (fault.kind === "freeze-metrics") this.pages.freeze(fault.ms);
    else this.faults.arm(fault);
  }

  private async restart(downMs: number): Promise<void> {
    const port = Number(new URL(this.url).port);
    // The answer to the command itself must get out first.
    await new Promise((resolve) => setTimeout(resolve, 5));
    this.pump.stop();
    this.dropAll();
    this.model.restart();
    await this.closePort();
    await this.kv?.restart(0);
    if (downMs > 0) await new Promise((resolve) => setTimeout(resolve, downMs));
    this.server = this.createServer();
    this.url = await listen(this.server, this.options.host ?? "127.0.0.1", port);
  }

  private dropAll(): void {
    for (const call of this.calls) call.reset();
  }

  private closePort(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  private faultsJson(): string {
    return JSON.stringify({ faults: this.faults.list(), frozen: this.pages.isFrozen });
  }
}

type Body = Record<string, unknown>;

const list = (piece: PromptPiece): PromptPiece[] => [piece];

function noRoute(method: string, path: string): ApiError {
  return new ApiError(404, "NotFoundError", `no route for ${method} ${path}`);
}

function refuse(response: ServerResponse, status: number, retryAfterS: number): void {
  const type = status === 429 ? "RateLimitError" : "ServiceUnavailableError";
  const error = new ApiError(status, type, `the engine refuses with ${status}; try again later`);
  sendError(response, error, ["retry-after", String(retryAfterS)]);
}
