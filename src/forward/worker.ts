/**
 * The adapter that talks to one endpoint. Capabilities are probed, never assumed from the family;
 * what an engine does not say is `undefined`, never a made-up zero. One poller per worker, since
 * some engines' load reads are destructive (TensorRT-LLM drains a queue).
 */
import type { Dialect } from "../grid/dialect.ts";
import type { EndpointSpec, Phase } from "../grid/endpoint.ts";
import type { Headers, OutRequest } from "../grid/exchange.ts";
import type { GridError } from "../grid/errors.ts";
import type { Handover } from "../grid/handover.ts";
import type { Millis, Tokens } from "../grid/units.ts";
import type { Route } from "../task/route.ts";
import type { Task } from "../task/task.ts";

export type LoadSource = "loads" | "slots" | "metrics" | "api-ps" | "none";

export interface LoadSample {
  atMs: Millis;
  source: LoadSource;
  running?: number;
  waiting?: number;
  /** Uncached prefill tokens queued, when the engine says so. */
  queuedTokens?: Tokens;
  /** 0..1 */
  kvUsage?: number;
  /** Whole KV cache, in tokens. */
  kvTokens?: Tokens;
  /** Tokens in one block of the KV cache. */
  blockTokens?: Tokens;
  slots?: number;
  /** True once after the engine's process was replaced: what it held is gone. */
  restarted?: boolean;
}

export interface ModelInfo {
  id: string;
  contextTokens?: Tokens;
  /** The model that it adapts (LoRA). */
  adapterOf?: string;
}

/** What an endpoint said of itself. */
export interface Probe {
  phase: Phase;
  /** Why it is not ready, for people. */
  detail?: string;
  models?: ModelInfo[];
  /** CAPABILITY mask; undefined = could not be found out. */
  capabilities?: number;
  version?: string;
  kvTokens?: Tokens;
  /** Tokens in one block of the KV cache. */
  blockTokens?: Tokens;
  slots?: number;
  /** True: another process than at the last probe. Undefined: the engine gives no sign of it. */
  restarted?: boolean;
}

/** The way of a request to an endpoint: what one attempt needs. */
export interface Sender {
  /** What the engine is spoken to for this task: the caller's own dialect where it knows it. */
  dialect(task: Task): Dialect;
  /**
   * The request for the engine. Synchronous, and no copies where the engine speaks the caller's
   * dialect: it is on the way of every request.
   * @throws GridError invalid_request for what the engine's dialect cannot say
   */
  outbound(task: Task, handover: Handover | undefined): OutRequest;
  /** Response headers of the engine that may reach the client. */
  inboundHeaders(headers: Headers): Headers;
  /** How long the endpoint will take nothing more, by what its answer says; 0 = it will. */
  limitedMs?(status: number, headers: Headers): Millis;
  /** What an answer that is no success means; undefined = what its status says. */
  refusal?(status: number, headers: Headers): GridError | undefined;
}

export interface Worker extends Sender {
  readonly spec: EndpointSpec;
  /** Cheap health check. Never throws: a dead endpoint is `{phase: "down"}`. */
  phase(): Promise<Probe>;
  /** Full probe: phase, models, capabilities. Never throws. */
  probe(): Promise<Probe>;
  /** @throws GridError when no source answered. */
  load(): Promise<LoadSample>;
  /**
   * Token ids of a request's prompt, without generating. Undefined: the engine has no such route.
   * @throws GridError when it has and did not answer well
   */
  tokenize?(task: Task): Promise<number[] | undefined>;
  /** It has such a route, as far as is known. */
  tokenizes?(route: Route): boolean;
  /** It takes `return_token_ids`. */
  readonly returnsTokenIds?: boolean;
}

/** Told by `watch.ts`; `state` and `feedback` listen. */
export interface WatchListener {
  /** Phase after hysteresis; with what the last full probe said. */
  onPhase(probe: Probe): void;
  onLoad(sample: LoadSample): void;
  /** A read of the load failed: knowledge ages, dispatch goes on. */
  onLoadError(message: string): void;
}
