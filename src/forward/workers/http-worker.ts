/**
 * The worker of every engine that speaks HTTP, driven by its row in families.ts. `outbound` is on
 * the way of every request: origin, paths and headers are made once, per call there is one small
 * header object. Everything else is the poller's business and may take its time, within bounds.
 */
import type { Dialect } from "../../grid/dialect.ts";
import type { Clock } from "../../grid/effects.ts";
import type { EndpointSpec } from "../../grid/endpoint.ts";
import { GridError } from "../../grid/errors.ts";
import type { Headers, OutRequest, SmallResponse, Transport } from "../../grid/exchange.ts";
import { VIA_HEADER } from "../../grid/handover.ts";
import type { Millis } from "../../grid/units.ts";
import { tokenIdsOf } from "../../stream/token-ids.ts";
import { translateBody } from "../../task/dialects/table.ts";
import { DOORS, pathOf, type Route, translatedRoute } from "../../task/route.ts";
import type { Task } from "../../task/task.ts";
import { capabilityMask } from "../abilities.ts";
import { FAMILIES, type Family, type LoadRead } from "../families.ts";
import { inboundHeaders, outboundHeaders } from "../header-policy.ts";
import {
  type LoadFacts,
  type MetricPlan,
  mergeFacts,
  planMetrics,
  readApiPs,
  readLoads,
  readMetrics,
  readSlots,
} from "../load-read.ts";
import {
  jsonOf,
  probeCapabilities,
  probeModels,
  probePhase,
  probeVersion,
  refusedKey,
} from "../probe.ts";
import { limitedMs } from "../rate-limits.ts";
import { requestSmall } from "../small-request.ts";
import type { Timers } from "../timers.ts";
import { TOKENIZERS } from "../tokenizers.ts";
import type { LoadSample, ModelInfo, Probe, Worker } from "../worker.ts";

export interface HttpWorkerOptions {
  transport: Transport;
  clock: Clock;
  /** Connect time-out of requests and probes, ms; 0 = the transport's default. */
  connectTimeoutMs?: Millis;
  /** One read of health or load, whole, ms. Default 1,000: a sick engine must not hold polls. */
  readTimeoutMs?: Millis;
  /** One read of a full probe, whole, ms. Default 5,000: /openapi.json can be slow at first. */
  probeTimeoutMs?: Millis;
  /** Largest answer to a poll or probe, bytes. Default 8 MiB. */
  bodyBytesMax?: number;
  timers?: Timers;
  /** Says in `x-grid-via` that a request came by this PoP, should it come back. */
  via?: string;
}

interface Source {
  read: LoadRead;
  origin: string;
  path: string;
  plan: MetricPlan | undefined;
}

const encoder = new TextEncoder();
/**
 * What Anthropic's API must be told; a caller's own version goes before it. Callers that name none
 * are taken for those of the first, and what imitates the API may know no other.
 */
const MESSAGES_VERSION: Headers = { "anthropic-version": "2023-06-01" };

export class HttpWorker implements Worker {
  readonly spec: EndpointSpec;
  private readonly family: Family;
  private readonly transport: Transport;
  private readonly clock: Clock;
  private readonly connectTimeoutMs: Millis;
  private readonly readTimeoutMs: Millis;
  private readonly probeTimeoutMs: Millis;
  private readonly bodyBytesMax: number;
  private readonly timers: Timers | undefined;
  private readonly origin: string;
  private readonly prefix: string;
  private readonly routePrefix: string;
  private readonly postHeaders: Headers;
  private readonly getHeaders: Headers;
  private readonly translatedHeaders: Headers;
  private readonly sources: Source[];
  /** Sources that this engine does not have (404); asked again by every full probe. */
  private readonly absent = new Set<Source>();
  private last: LoadFacts = {};
  private version: string | undefined;
  /** Tokenizer routes that this engine does not have, until it is another process. */
  private readonly absentTokenizers = new Set<string>();
  /** Nobody listened on the port since the last full probe: that process is gone. */
  private refused = false;

  /** @throws GridError internal when the URL is none of ours to use; config should have said so */
  constructor(spec: EndpointSpec, options: HttpWorkerOptions) {
    const base = baseOf(spec);
    this.spec = spec;
    this.family = FAMILIES[spec.engine];
    this.transport = options.transport;
    this.clock = options.clock;
    this.connectTimeoutMs = options.connectTimeoutMs ?? 0;
    this.readTimeoutMs = options.readTimeoutMs ?? 1_000;
    this.probeTimeoutMs = options.probeTimeoutMs ?? 5_000;
    this.bodyBytesMax = options.bodyBytesMax ?? 8 * 1024 * 1024;
    this.timers = options.timers;
    this.origin = base.origin;
    this.prefix = base.prefix;
    this.routePrefix = base.prefix + this.family.routePrefix;
    this.getHeaders = commonHeaders(spec);
    this.postHeaders = { ...this.getHeaders, "content-type": "application/json" };
    if (options.via !== undefined) this.postHeaders[VIA_HEADER] = options.via;
    this.translatedHeaders = { ...this.family.translated, ...outboundHeaders(spec.headers) };
    this.sources = this.family.loads.map((read) => ({
      read,
      origin: read.port === undefined ? base.origin : withPort(base.url, read.port),
      path: read.port === undefined ? base.prefix + read.path : read.path,
      plan: read.names === undefined ? undefined : planMetrics(read.names),
    }));
  }

  dialect(task: Task): Dialect {
    const { dialects } = this.spec;
    const own = DOORS[task.route].dialect;
    return dialects.includes(own) ? own : dialects[0];
  }

  outbound(task: Task): OutRequest {
    const dialect = this.dialect(task);
    const own = dialect === DOORS[task.route].dialect;
    const route = own ? task.route : translatedRoute(task.route, dialect);
    const path = pathOf(route, task.model, task.stream);
    const headers: Headers = {
      ...this.postHeaders,
      ...(own ? task.dialectHeaders : this.translatedHeaders),
      "x-request-id": task.id,
    };
    if (task.via !== undefined) headers[VIA_HEADER] = `${task.via}, ${headers[VIA_HEADER]}`;
    return {
      origin: this.origin,
      method: "POST",
      path: this.routePrefix + path,
      headers,
      body: own
        ? task.body
        : encoder.encode(translateBody(task, dialect, this.family.quirks.strict)),
      connectTimeoutMs: this.connectTimeoutMs,
    };
  }

  inboundHeaders(headers: Headers): Headers {
    return inboundHeaders(headers);
  }

  limitedMs(status: number, headers: Headers): Millis {
    return this.family.rateLimits === true ? limitedMs(status, headers) : 0;
  }

  async phase(): Promise<Probe> {
    try {
      const probe = await probePhase(this.asker(this.readTimeoutMs), this.family);
      // A sleeping vLLM goes on answering /health with 200; only its metrics tell.
      if (probe.phase === "ready" && this.last.awake === false) {
        return { phase: "sleeping", detail: "the engine's weights are out of the GPU" };
      }
      return probe;
    } catch (error) {
      const detail = (error as Error).message;
      if (/refused/i.test(detail)) this.refused = true;
      return { phase: "down", detail };
    }
  }

  async probe(): Promise<Probe> {
    this.absent.clear();
    const ask = this.asker(this.probeTimeoutMs);
    const before = this.last;
    const versionBefore = this.version;
    const [health, list, version, capabilities, facts] = await Promise.all([
      this.phase(),
      probeModels(ask, this.family),
      probeVersion(ask, this.family),
      this.capabilities(),
      this.readSources().catch((): LoadFacts => ({})),
    ]);
    if (health.phase === "down") return health;
    if (list.status === 401 || list.status === 403) {
      return refusedKey(list.status, this.family.models);
    }
    this.last = mergeFacts(facts, this.last);
    this.version = version ?? facts.version ?? this.version;
    const asleep = facts.awake === false && health.phase === "ready";
    const refused = this.refused;
    this.refused = false;
    const restarted = refused || restartedSince(before, facts, versionBefore, this.version);
    if (restarted === true) this.absentTokenizers.clear();
    return {
      phase: asleep ? "sleeping" : health.phase,
      detail: asleep ? "the engine's weights are out of the GPU" : health.detail,
      models: list.models?.map((model) => boundContext(model, facts.slotTokens)),
      capabilities,
      version: this.version,
      kvTokens: facts.kvTokens,
      blockTokens: facts.blockTokens,
      slots: facts.slots,
      restarted,
    };
  }

  async load(): Promise<LoadSample> {
    const before = this.last;
    const facts = await this.readSources();
    this.last = mergeFacts(facts, before);
    const { running, waiting, queuedTokens, kvUsage, kvTokens, blockTokens, slots } = facts;
    return {
      atMs: this.clock(),
      source: facts.source ?? "none",
      running,
      waiting,
      queuedTokens,
      kvUsage,
      kvTokens,
      blockTokens,
      slots,
      restarted: restartedSince(before, facts, undefined, undefined),
    };
  }

  get returnsTokenIds(): boolean {
    return this.family.quirks.returnTokenIds === true;
  }

  tokenizes(route: Route): boolean {
    return this.tokenizersOf(route).some((path) => !this.absentTokenizers.has(path));
  }

  async tokenize(task: Task): Promise<number[] | undefined> {
    // Tokenizers take OpenAI's bodies; a conversation in another dialect can be said in it.
    const isChat = DOORS[task.route].dialect === "chat";
    const body = isChat ? task.body : encoder.encode(translateBody(task, "chat"));
    for (const path of this.tokenizersOf(task.route)) {
      if (this.absentTokenizers.has(path)) continue;
      const { origin, prefix, probeTimeoutMs: timeoutMs } = this;
      const response = await this.small("POST", origin, prefix + path, timeoutMs, body);
      const { status } = response;
      // vLLM answers 403 to /render where it was not switched on (0.32).
      if ([403, 404, 405, 501].includes(status)) {
        this.absentTokenizers.add(path);
        continue;
      }
      const ids = status === 200 ? tokenIdsOf(jsonOf(response)) : undefined;
      if (ids !== undefined) return ids;
      throw new GridError("bad_response", `POST ${path}: status ${status}, no token ids`);
    }
    return undefined;
  }

  private tokenizersOf(route: Route): readonly string[] {
    return TOKENIZERS[this.spec.engine]?.[DOORS[route].operation] ?? [];
  }

  private async capabilities(): Promise<number | undefined> {
    // The operator's word needs no probing.
    if (this.spec.capabilities !== undefined) return capabilityMask(this.spec.capabilities);
    const ask = this.asker(this.probeTimeoutMs);
    return probeCapabilities(ask, this.family, capabilityMask(this.family.capabilities));
  }

  /** Asks the sources in order until running and waiting are known. */
  private async readSources(): Promise<LoadFacts & { source?: LoadSample["source"] }> {
    let facts: LoadFacts = {};
    let source: LoadSample["source"] | undefined;
    let failure: unknown;
    for (const candidate of this.sources) {
      if (this.absent.has(candidate)) continue;
      try {
        const found = await this.readSource(candidate);
        if (found === undefined) continue;
        source ??= candidate.read.source;
        facts = mergeFacts(facts, found);
        if (facts.running !== undefined && facts.waiting !== undefined) break;
      } catch (error) {
        failure = error;
      }
    }
    // Every source is absent: the engine is alive and silent, which is a fact and no failure.
    if (source === undefined && failure !== undefined) throw failure;
    return { ...facts, source };
  }

  /** Undefined: this engine has no such source. */
  private async readSource(source: Source): Promise<LoadFacts | undefined> {
    const { origin, path } = source;
    const response = await this.small("GET", origin, path, this.readTimeoutMs);
    const { status } = response;
    if (status === 404 || status === 405 || status === 501) {
      this.absent.add(source);
      return undefined;
    }
    const facts = status === 200 ? this.factsOf(source, response) : undefined;
    if (facts !== undefined) return facts;
    const why = status === 200 ? "not in the expected format" : `status ${status}`;
    throw new GridError("bad_response", `GET ${origin}${path}: ${why}`);
  }

  private factsOf(source: Source, response: SmallResponse): LoadFacts | undefined {
    switch (source.read.source) {
      case "metrics": {
        const inclusive = this.family.quirks.runningIncludesWaiting === true;
        return readMetrics(response.body, source.plan as MetricPlan, inclusive);
      }
      case "loads":
        return readLoads(jsonOf(response));
      case "slots":
        return readSlots(jsonOf(response));
      case "api-ps":
        return readApiPs(jsonOf(response));
    }
  }

  private asker(timeoutMs: Millis) {
    return (method: "GET" | "POST", path: string, body?: string) =>
      this.small(method, this.origin, this.prefix + path, timeoutMs, body);
  }

  private small(
    method: "GET" | "POST",
    origin: string,
    path: string,
    timeoutMs: Millis,
    body?: string | Uint8Array,
  ): Promise<SmallResponse> {
    const request: OutRequest = {
      origin,
      method,
      path,
      headers: method === "GET" ? this.getHeaders : this.postHeaders,
      body: typeof body === "string" ? encoder.encode(body) : body,
      connectTimeoutMs: this.connectTimeoutMs,
    };
    const { bodyBytesMax: limitBytes, timers } = this;
    return requestSmall(this.transport, request, { timeoutMs, limitBytes, timers });
  }
}

/** Origin and path prefix; a trailing `/v1` is a common slip and means the same. */
function baseOf(spec: EndpointSpec): { url: URL; origin: string; prefix: string } {
  const url = URL.canParse(spec.url) ? new URL(spec.url) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "") {
    const wanted = "http://host:port or https://host:port, without user name";
    throw new GridError("internal", `endpoint ${spec.id}: url must be ${wanted}`);
  }
  return { url, origin: url.origin, prefix: url.pathname.replace(/(\/v1)?\/*$/, "") };
}

const withPort = (url: URL, port: number) => `${url.protocol}//${url.hostname}:${port}`;

function commonHeaders(spec: EndpointSpec): Headers {
  const headers: Headers = {
    ...(spec.dialects.includes("messages") ? MESSAGES_VERSION : undefined),
    ...outboundHeaders(spec.headers),
    // Encoded streams could not be tapped for usage, and would be buffered by the encoder.
    "accept-encoding": "identity",
    "user-agent": "gridpoint",
  };
  const { keyHeader } = FAMILIES[spec.engine];
  if (spec.apiKey === undefined) return headers;
  if (keyHeader === undefined) headers.authorization = `Bearer ${spec.apiKey}`;
  else headers[keyHeader] = spec.apiKey;
  return headers;
}

function boundContext(model: ModelInfo, slotTokens: number | undefined): ModelInfo {
  if (slotTokens === undefined || (model.contextTokens ?? Infinity) <= slotTokens) return model;
  return { ...model, contextTokens: slotTokens };
}

/** True or false where the engine gives a sign, undefined where it gives none. */
function restartedSince(
  before: LoadFacts,
  after: LoadFacts,
  versionBefore: string | undefined,
  version: string | undefined,
): boolean | undefined {
  if (versionBefore !== undefined && version !== versionBefore) return true;
  if (before.startedAt !== undefined && after.startedAt !== undefined) {
    return before.startedAt !== after.startedAt;
  }
  if (before.counter !== undefined && after.counter !== undefined) {
    return after.counter < before.counter;
  }
  return undefined;
}
