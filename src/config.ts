/**
 * Every knob of a PoP: unit, bound, default and the reason, at the line that declares it. Messages
 * and `gridpoint check` follow from it. `parseConfig` reports every problem at once and never
 * guesses: a key that nobody reads is an error, since a misspelt bound that silently stays at its
 * default is how outages begin. Numbers carry their unit last in the name.
 */
import * as v from "valibot";
import { crossProblems } from "./config-checks.ts";
import {
  completeEndpoint,
  Endpoint,
  isModel,
  isName,
  MODEL,
  NAME,
  ORIGIN_FORM,
  originOf,
  region,
} from "./config-endpoint.ts";
import { Gossip, type GossipConfig } from "./config-gossip.ts";
import { ResponsesSection, SocketsSection } from "./config-sockets.ts";
import type { ResponsesConfig, SocketsConfig } from "./config-sockets.ts";
import { type Environment, fillFromEnvironment, type Problem } from "./environment.ts";
import type { LogLevel } from "./grid/effects.ts";
import { type EndpointSpec, type Tier, TIERS } from "./grid/endpoint.ts";
import type { KernelOptions, Weights } from "./kernel/kernel.ts";
import { DEFAULT_WEIGHTS } from "./kernel/weights.ts";
import * as knob from "./knob.ts";

export interface PopConfig {
  pop: { id: string; tier: Tier; region: string };
  /** `tls`: names of PEM files; the door speaks https and gossip wss then. */
  listen: { host: string; port: number; tls?: { cert: string; key: string } | undefined };
  endpoints: EndpointSpec[];
  models: {
    /** One name for a chain of models, the first choice first. */
    aliases: Record<string, string[]>;
  };
  /** No keys at all = open to everybody who can reach the port. */
  auth: {
    keys: { sha256: string; tenant: string; models: string[] }[];
    adminKeys: { sha256: string }[];
  };
  limits: {
    bodyBytes: number;
    bodiesBytes: number;
    bodyTimeoutMs: number;
    headerTimeoutMs: number;
    connections: number;
    binding: "late" | "early";
    queueLength: number;
    queueBytes: number;
    queueWaitMs: number;
    queueBatchWaitMs: number;
    queueAgeMs: number;
    heldBytes: number;
    eventBytes: number;
    responseBytes: number;
    sessions: number;
    sessionTtlMs: number;
    retries: number;
  };
  timeouts: {
    connectMs: number;
    firstTokenMs: number;
    idleMs: number;
    totalMs: number;
    keepAliveCommentMs: number;
    drainNoticeMs: number;
    drainMs: number;
  };
  sockets: SocketsConfig;
  responses: ResponsesConfig;
  slo: { ttftMs: number; itlMs: number };
  kernel: KernelOptions;
  weights: Weights;
  poll: {
    intervalMs: number;
    jitter: number;
    timeoutMs: number;
    failuresToDown: number;
    successesToUp: number;
    reprobeMs: number;
  };
  peers: {
    /** Shared by the PoPs of a grid; shown by whoever hands a request over. */
    key?: string | undefined;
    open: boolean;
    url?: string | undefined;
    /** A file of PEM certificates. */
    ca?: string | undefined;
    inFlight: number;
    freshMs: number;
    endpoints: number;
  };
  /** Undefined: a PoP alone. */
  gossip?: GossipConfig | undefined;
  implementation: "wasm" | "reference";
  log: { level: LogLevel; format: "text" | "json" };
}

export type ParsedConfig = { ok: true; config: PopConfig } | { ok: false; problems: Problem[] };

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const isFile = (x: string) => /^[^\p{Cc}]{1,1024}$/u.test(x);
const SHA256 = 'the SHA-256 of the key as 64 hex digits (printf %s "$KEY" | sha256sum)';
const sha256 = v.pipe(
  knob.secret(SHA256, (x) => /^[0-9a-fA-F]{64}$/.test(x)),
  v.transform((x) => x.toLowerCase()),
);

const Auth = knob.sectionOr({
  // Only hashes stand in the file: reading it gives nobody a key.
  keys: knob.listOrNone(
    knob.section({
      sha256,
      tenant: knob.text(`a tenant, ${NAME}`, isName),
      // Empty: every model.
      models: knob.listOrNone(knob.text(MODEL, isModel)),
    }),
  ),
  // For /metrics and all below /grid. None: a key of `keys` will do, and without those, none.
  adminKeys: knob.listOrNone(knob.section({ sha256 })),
});

const Limits = knob.sectionOr({
  // A 1M-token prompt is about 4 MiB; 32 leaves room for images. Below: 413. Above: memory.
  bodyBytes: knob.count("bytes", KIB, KIB * MIB, 32 * MIB),
  // All that are read or run, but for small ones: beyond, 429. In each of several processes.
  bodiesBytes: knob.count("bytes", KIB, 1024 * KIB * MIB, KIB * MIB),
  // A body that drips in holds memory: 408 when it is not whole by then.
  bodyTimeoutMs: knob.count("ms", 1, HOUR, 30 * SECOND),
  headerTimeoutMs: knob.count("ms", 1, HOUR, 10 * SECOND),
  // Open client sockets; the next one is refused. Keep below the process's file limit / 2.
  connections: knob.count("connections", 1, 1_000_000, 16_384),
  // late: a request waits here, where it can still move, until an engine can start it. early: it
  // is sent to the cheapest engine at once and waits there, in that engine's order.
  binding: knob.choice(["late", "early"], "late"),
  // Requests of one class that wait for an engine. Fewer: 429 earlier. More: they wait longer than
  // they live, and each wake looks at all of them, about 20 ns each.
  queueLength: knob.count("requests", 0, 65_536, 1_024),
  // Bodies of all that wait: what a queue of long prompts may hold of the memory.
  queueBytes: knob.count("bytes", 0, 64 * KIB * MIB, 256 * MIB),
  queueWaitMs: knob.count("ms", 0, HOUR, 30 * SECOND),
  // Of priority batch: as long as common clients wait for an answer at all.
  queueBatchWaitMs: knob.count("ms", 0, 24 * HOUR, 10 * MINUTE),
  // Who has waited so long goes up one class. Longer: batch may starve for longer under a constant
  // overload of others. Shorter: it takes part in a burst that it could sit out.
  queueAgeMs: knob.count("ms", 1, 24 * HOUR, 30 * SECOND),
  // What a stream may send before its first content and still be retried elsewhere unseen.
  heldBytes: knob.count("bytes", KIB, 64 * MIB, 256 * KIB),
  // One SSE event; 1 MiB holds the largest tool call or log-probability event seen.
  eventBytes: knob.count("bytes", KIB, 64 * MIB, MIB),
  // One answer that is not streamed (large embedding batches).
  responseBytes: knob.count("bytes", KIB, KIB * MIB, 64 * MIB),
  // Conversations remembered, about 200 bytes each; the least recently used is dropped.
  sessions: knob.count("sessions", 1, 10_000_000, 100_000),
  // An engine has evicted an idle conversation's KV cache long before half an hour.
  sessionTtlMs: knob.count("ms", 1, 7 * 24 * HOUR, 30 * MINUTE),
  // Other endpoints tried before the first content.
  retries: knob.count("retries", 0, 8, 3),
});

const Timeouts = knob.sectionOr({
  // A listening engine accepts within one round trip: 2 s is a dead host, try another.
  connectMs: knob.count("ms", 1, 10 * MINUTE, 2 * SECOND),
  // From sending to the first content: queue and prefill of a very long prompt.
  firstTokenMs: knob.count("ms", 1, 24 * HOUR, 120 * SECOND),
  // Between two events of a stream: an engine silent for a minute has stalled.
  idleMs: knob.count("ms", 1, 24 * HOUR, 60 * SECOND),
  // Everything: ends what would run for ever.
  totalMs: knob.count("ms", 1, 24 * HOUR, 30 * MINUTE),
  // SSE comments while nothing comes; most load balancers cut at 30 to 60 s. 0 = none.
  keepAliveCommentMs: knob.count("ms", 0, HOUR, 15 * SECOND),
  // After SIGTERM it goes on serving so long while /readyz says 503, until balancers have seen it:
  // two of their checks, or new requests meet a closed port. 0 = none, for a PoP without balancer.
  drainNoticeMs: knob.count("ms", 0, HOUR, 0),
  // After that running streams may end; below the 30 s that Kubernetes waits by default.
  drainMs: knob.count("ms", 0, 24 * HOUR, 30 * SECOND),
});

const Slo = knob.sectionOr({
  // Among endpoints predicted to meet it the cheapest wins. Callers: x-grid-slo-ttft-ms.
  ttftMs: knob.amount("ms", 1, 24 * HOUR, 2 * SECOND),
  // 100 ms per token reads faster than people do.
  itlMs: knob.amount("ms", 1, MINUTE, 100),
});

const Kernel = knob.sectionOr({
  // Capacity of the endpoint table, fixed at start: it sets the kernel's memory.
  rows: knob.choice([256, 1024, 4096], 256),
  // 512 B are about 128 tokens. Smaller: finer matches, more hashes and index entries.
  chunkBytes: knob.choice([64, 128, 256, 512, 1024, 2048, 4096], 512),
  // Hard cap of the prefix index; the oldest chunks go first.
  indexBytes: knob.count("bytes", MIB, KIB * MIB, 64 * MIB),
  // Longest prompt that is hashed (1M tokens); the rest counts as not cached.
  promptBytesMax: knob.count("bytes", 4 * KIB, 64 * MIB, 4 * MIB),
  // What other PoPs' caches hold: 16 MiB is about a million chunks; 0 = do not listen to it.
  digestBytes: knob.count("bytes", 0, 256 * MIB, 16 * MIB),
});

/** Reasons and sources of the defaults stand in `kernel/weights.ts`. */
const initial = DEFAULT_WEIGHTS;
const WeightsSection = knob.sectionOr({
  lambda: knob.amount("times", 0, 10, initial.lambda),
  kvWaitMs: knob.amount("ms", 0, MINUTE, initial.kvWaitMs),
  sessionMarginTokens: knob.amount("tokens", 0, 10_000_000, initial.sessionMarginTokens),
  sessionMarginPressure: knob.amount("times", 1, 100, initial.sessionMarginPressure),
  priceTie: knob.amount("(share)", 0, 1, initial.priceTie),
  socialTie: knob.amount("(share)", 0, 1, initial.socialTie),
  socialTieMs: knob.amount("ms", 0, MINUTE, initial.socialTieMs),
  stalePenaltyMs: knob.amount("ms", 0, HOUR, initial.stalePenaltyMs),
  staleAfterMs: knob.amount("ms", 1, HOUR, initial.staleAfterMs),
});

const Poll = knob.sectionOr({
  // Load older than this costs TTFT: 1 s instead of 250 ms made the mean 1.2 times longer.
  intervalMs: knob.count("ms", 10, MINUTE, 250),
  // Share of the interval, drawn per poll, so that polls of many endpoints do not beat together.
  jitter: knob.amount("(share)", 0, 0.9, 0.2),
  timeoutMs: knob.count("ms", 10, MINUTE, SECOND),
  // Hysteresis: one lost poll is no failure, one good answer no recovery.
  failuresToDown: knob.count("polls", 1, 100, 3),
  successesToUp: knob.count("polls", 1, 100, 2),
  // Full probe of models and capabilities, to see what changed without a restart.
  reprobeMs: knob.count("ms", 100, 24 * HOUR, MINUTE),
});

const Peers = knob.sectionOr({
  // From the environment: key: ${GRID_KEY}. It lets its holder name any tenant.
  key: v.optional(
    knob.secret("text of 16 to 256 printable characters", (x) => /^[\x21-\x7e]{16,256}$/.test(x)),
  ),
  // true: whoever reaches the port may hand requests over. For networks of PoPs alone.
  open: knob.flag(false),
  // Where other PoPs reach this door; left out: the address that it listens on.
  url: v.optional(
    v.pipe(
      knob.text(ORIGIN_FORM, (x) => originOf(x) !== undefined),
      v.transform((x) => originOf(x) as string),
    ),
  ),
  // Authorities trusted beside the system's, wherever this PoP dials: doors, gossip, engines.
  ca: v.optional(knob.text("the name of a file of PEM certificates", isFile)),
  // Requests of ours at one other PoP at once: what is lost when it dies, and its protection.
  inFlight: knob.count("requests", 1, 100_000, 512),
  // How long its last load counts: two lost publications of the once a second that idle PoPs send.
  freshMs: knob.count("ms", 100, HOUR, 3 * SECOND),
  // Above so many endpoints a PoP publishes those that are alike as one row per tier.
  endpoints: knob.count("endpoints", 1, 64, 16),
});

const Config = knob.section({
  pop: knob.sectionOr({
    // Unique in the grid; the default is for a PoP that stands alone.
    id: knob.textOr(NAME, isName, "pop-1"),
    tier: knob.choice(TIERS, "edge"),
    region: v.optional(region, "local"),
  }),
  listen: knob.sectionOr({
    // Loopback, so that nothing is open to a network by accident. 0.0.0.0 or :: for all.
    host: knob.textOr("a host name or address", (x) => /^[^\s/]{1,255}$/.test(x), "127.0.0.1"),
    // 0 takes a free port, which the log then names.
    port: knob.count("(port number)", 0, 65_535, 8_801),
    // Left out: plain http and ws, for loopback, a private network or a proxy that ends TLS.
    tls: v.optional(
      knob.section({
        cert: knob.text("the name of a PEM file: certificate, then its chain", isFile),
        key: knob.text("the name of a PEM file: its private key", isFile),
      }),
    ),
  }),
  endpoints: knob.listOrNone(Endpoint),
  models: knob.sectionOr({
    // small: [llama-8b, qwen-7b, gpt-x]. The next is for when the one before is down or full.
    aliases: knob.listMap(MODEL, isModel, knob.text(MODEL, isModel)),
  }),
  auth: Auth,
  limits: Limits,
  timeouts: Timeouts,
  sockets: SocketsSection,
  responses: ResponsesSection,
  slo: Slo,
  kernel: Kernel,
  weights: WeightsSection,
  poll: Poll,
  peers: Peers,
  gossip: Gossip,
  // The twin is the oracle: switch to it to rule the WebAssembly kernel out of a fault.
  implementation: knob.choice(["wasm", "reference"], "wasm"),
  log: knob.sectionOr({
    level: knob.choice(["debug", "info", "warn", "error"], "info"),
    format: knob.choice(["text", "json"], "text"),
  }),
});

/**
 * Reads a config as it came out of a YAML or JSON file, or was written in code.
 *
 * @param raw Sections and keys as in `PopConfig`; everything but endpoints' `id` and `url` may be
 *   left out. Texts may hold `${NAME}`.
 * @param environment Where `${NAME}` is looked up.
 * @returns The whole config with defaults filled in, or every problem with its path.
 */
export function parseConfig(raw: unknown, environment: Environment = {}): ParsedConfig {
  const filled = fillFromEnvironment(raw ?? {}, environment);
  let result = v.safeParse(Config, filled.value);
  if (readNumbers(result.issues ?? [], filled.whole)) result = v.safeParse(Config, filled.value);
  const problems = new Map<string, Problem>();
  const shape = (result.issues ?? []).map((issue) => ({
    path: knob.pathOf(issue),
    message: issue.message,
  }));
  // One problem per path: a variable that is not set is the cause of what its value then lacks.
  for (const problem of [...filled.problems, ...shape, ...crossProblems(result.output)]) {
    if (!problems.has(problem.path)) problems.set(problem.path, problem);
  }
  if (problems.size > 0) return { ok: false, problems: [...problems.values()] };
  return { ok: true, config: complete(result.output as v.InferOutput<typeof Config>) };
}

/** `port: ${PORT}` is text until here: where a number was wanted, it becomes one. */
function readNumbers(issues: readonly v.BaseIssue<unknown>[], whole: Set<string>): boolean {
  let changed = false;
  for (const issue of issues) {
    const last = issue.path?.at(-1);
    if (last === undefined || typeof issue.input !== "string") continue;
    if (!whole.has(knob.pathOf(issue)) || !/^-?\d+(\.\d+)?$/.test(issue.input)) continue;
    (last.input as Record<string, unknown>)[last.key as string] = Number(issue.input);
    changed = true;
  }
  return changed;
}

function complete(parsed: v.InferOutput<typeof Config>): PopConfig {
  const endpoints = parsed.endpoints.map((one) => completeEndpoint(one, parsed.pop.region));
  return { ...parsed, endpoints };
}
