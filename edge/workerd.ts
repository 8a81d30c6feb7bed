/**
 * Gridpoint on workerd, Cloudflare's or your own. Every request goes to one Durable Object, which
 * is the PoP: its tables, its timers and its gossip sockets live there. The worker in front holds
 * a request until the object has answered: when the object is replaced meanwhile, the next one
 * gets it. The config is JSON in the binding GRIDPOINT_CONFIG; `${NAME}` and the names under
 * `gossip` are bindings, too.
 */
import { type Log, parseConfig, type PopConfig } from "../src/index.ts";
import { assemblePop, type AssembledPop } from "./assemble.ts";
import { OpenSockets } from "./door-socket.ts";
import { createLog } from "./log.ts";
import { noLinksNow, webWays } from "./mesh-web.ts";
import { answer, WebExchange } from "./web.ts";
import { acceptWorkerd, dialWorkerd, takeSocket } from "./workerd-socket.ts";
import { bindingStore, type Bindings, type ObjectState } from "./workerd-state.ts";

interface PopNamespace {
  idFromName(name: string): unknown;
  get(id: unknown): { fetch(request: Request): Promise<Response> };
}

interface WorkerBindings extends Bindings {
  POP: PopNamespace;
}

/** Bodies up to here are kept for a second try, while they are read and no longer. */
const REPLAY_BYTES_MAX = 4 * 1024 * 1024;
const FIRST_PROBES_MS = 2_000;
/** As on Node; workerd takes far more. */
const HEADER_BYTES_MAX = 16_384;
/** After an eviction or a restart, the object is back in its grid this soon. */
const ALARM_MS = 15_000;

export default {
  async fetch(request: Request, env: WorkerBindings): Promise<Response> {
    const pop = () => env.POP.get(env.POP.idFromName("pop"));
    const spare = spareOf(request);
    try {
      const response = await pop().fetch(request);
      void spare?.body?.cancel();
      return response;
    } catch (error) {
      if (spare === undefined || request.signal.aborted || !objectIsGone(error)) throw error;
      return await pop().fetch(spare);
    }
  },
};

/** The same request once more; undefined: it can be sent only once. */
function spareOf(request: Request): Request | undefined {
  const { body, headers } = request;
  const bytes = body === null ? 0 : Number(headers.get("content-length") ?? Number.NaN);
  if (headers.has("upgrade") || !(bytes <= REPLAY_BYTES_MAX)) return undefined;
  return request.clone();
}

/** It was replaced, or its machine went away, before it answered. */
function objectIsGone(error: unknown): boolean {
  const { retryable, durableObjectReset } = error as Record<string, unknown>;
  return retryable === true || durableObjectReset === true;
}

export class GridpointPop {
  protected readonly state: ObjectState;
  private readonly env: Bindings;
  protected readonly sockets = new OpenSockets();
  private assembled: AssembledPop | undefined;
  private fault = "";

  constructor(state: ObjectState, env: Bindings) {
    this.state = state;
    this.env = env;
    void state.blockConcurrencyWhile(async () => {
      try {
        this.assembled = await this.begin();
      } catch (error) {
        this.fault = (error as Error).message;
        console.log(`gridpoint: ${this.fault}`);
      }
    });
  }

  async fetch(request: Request): Promise<Response> {
    const { assembled } = this;
    if (assembled === undefined) return new Response(`${this.fault}\n`, { status: 503 });
    const exchange = new WebExchange(request, {
      takeSocket: takeSocket(this.sockets),
      heartbeatMs: Number(this.env["GRIDPOINT_HEARTBEAT_MS"] ?? 0),
      headerBytesMax: HEADER_BYTES_MAX,
    });
    if (exchange.path === assembled.gossip?.path && exchange.upgrade) return this.link(assembled);
    return answer(assembled.pop, exchange);
  }

  /** An object without requests is evicted: the alarm brings it back, and into its grid. */
  async alarm(): Promise<void> {
    await this.state.storage.setAlarm(Date.now() + ALARM_MS);
  }

  private async begin(): Promise<AssembledPop> {
    const config = configOf(this.env);
    const log: Log = createLog(config.log, (line) => console.log(line.trimEnd()));
    const store = await bindingStore(this.env, this.state.storage);
    const assembled = assemblePop(config, { log, store }, webWays(config, dialWorkerd));
    if (config.gossip !== undefined && config.peers.url === undefined) {
      throw new Error("peers.url is missing: other PoPs cannot guess where a worker is reached");
    }
    assembled.listening(config.peers.url ?? "http://worker");
    if (config.gossip !== undefined) await this.alarm();
    await this.firstProbes(assembled);
    return assembled;
  }

  /** Requests wait for a new object: without a look at its engines it could only refuse them. */
  private async firstProbes({ pop }: AssembledPop): Promise<void> {
    const endMs = Date.now() + FIRST_PROBES_MS;
    const unknown = () =>
      (pop.state() as { endpoints: { phase: string }[] }).endpoints.some(
        ({ phase }) => phase === "unknown",
      );
    while (unknown() && Date.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  private link({ gossip }: AssembledPop): Response {
    if (gossip?.started !== true) return noLinksNow();
    const { socket, response } = acceptWorkerd();
    gossip.accept(socket);
    return response;
  }
}

/** @throws Error naming every problem of the config */
function configOf(env: Bindings): PopConfig {
  const raw = env["GRIDPOINT_CONFIG"];
  if (raw === undefined) throw new Error("the binding GRIDPOINT_CONFIG is missing: JSON");
  const texts = Object.entries(env).filter(([, value]) => typeof value === "string");
  const value: unknown = typeof raw === "string" ? JSON.parse(raw) : raw;
  const parsed = parseConfig(value, Object.fromEntries(texts) as Record<string, string>);
  if (parsed.ok) return parsed.config;
  const problems = parsed.problems.map(({ path, message }) => `${path} ${message}`);
  throw new Error(`GRIDPOINT_CONFIG: ${problems.join("; ")}`);
}
