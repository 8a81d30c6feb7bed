/**
 * What `gridpoint top` and the demo show of a grid: read from one PoP's `/grid/state` and
 * `/metrics`, put into one shape, and drawn as plain lines. Reads whatever is there: a PoP without
 * gossip is a grid of one, and a column that a version does not tell is a dash.
 */

export interface EndpointLine {
  id: string;
  tier: string;
  phase: string;
  models: string[];
  /** Requests that run there, from all PoPs, where the engine says so; else this PoP's own. */
  running: number | undefined;
  queuedTokens: number | undefined;
  /** Predicted time until a new prompt's prefill begins. */
  waitMs: number | undefined;
  /** 0..1 */
  kvUsage: number | undefined;
  itlMs: number | undefined;
  /** Sent there by the PoP that is asked, and its part of all that it sent. */
  requests: number;
  share: number | undefined;
  ageMs: number | undefined;
}

export interface PopLine {
  id: string;
  tier: string;
  region: string;
  /** `here` for the PoP that is asked; else alive, suspect, down, unreachable, draining. */
  state: string;
  rttMs: number | undefined;
  ageMs: number | undefined;
  endpoints: EndpointLine[];
}

export interface GridView {
  pop: string;
  running: number;
  queued: number;
  /** Mean time to first token by tier, of the streams since the view before; else since start. */
  ttftMs: Record<string, number>;
  /** Prompt tokens that the engines took from their caches, 0..1. */
  hitRatio: number | undefined;
  pops: PopLine[];
}

/** Counters by name and labels, as on `/metrics`. */
export type Counters = ReadonlyMap<string, number>;

type Json = Record<string, unknown>;

const isObject = (x: unknown): x is Json => typeof x === "object" && x !== null;
const objects = (x: unknown): Json[] => (Array.isArray(x) ? x.filter(isObject) : []);
const section = (x: unknown): Json => (isObject(x) ? x : {});
const number = (x: unknown) => (typeof x === "number" && Number.isFinite(x) ? x : undefined);
/** Texts come from other machines: no control characters reach the terminal. */
const text = (x: unknown, otherwise = "?"): string =>
  typeof x === "string" && x !== "" ? x.replace(/[^\x20-\x7e]/g, "?").slice(0, 64) : otherwise;

/** Reads the samples of a Prometheus page. */
export function readCounters(page: string): Counters {
  const counters = new Map<string, number>();
  for (const line of page.split("\n")) {
    const found = /^([A-Za-z_:][\w:]*(?:\{[^}]*\})?) (\S+)/.exec(line);
    if (found !== null) counters.set(found[1], Number(found[2]));
  }
  return counters;
}

/**
 * @param state The body of `/grid/state`.
 * @param now Counters with it; empty where `/metrics` could not be read.
 * @param before Counters of the view before: rates are of the time between.
 */
export function gridView(state: unknown, now: Counters, before: Counters = new Map()): GridView {
  const root = section(state);
  const own = section(root.pop);
  const total = [root, ...objects(root.pops)]
    .flatMap((pop) => objects(pop.endpoints))
    .reduce((sum, endpoint) => sum + (number(endpoint.requests) ?? 0), 0);
  const here: PopLine = {
    id: text(own.id),
    tier: text(own.tier),
    region: text(own.region),
    state: root.draining === true ? "draining" : "here",
    rttMs: 0,
    ageMs: 0,
    endpoints: objects(root.endpoints).map((one) => endpointLine(one, total)),
  };
  return {
    pop: here.id,
    running: number(root.running) ?? 0,
    queued: number(section(root.queue).length) ?? 0,
    ttftMs: meanTtft(now, before),
    hitRatio: hitRatio(now, before),
    pops: [here, ...objects(root.pops).map((pop) => popLine(pop, total))],
  };
}

function popLine(pop: Json, total: number): PopLine {
  const state = text(pop.state);
  const unreachable = pop.reachable === false && state !== "down" && state !== "left";
  const draining = pop.draining === true && state === "alive";
  return {
    id: text(pop.id),
    tier: text(pop.tier),
    region: text(pop.region),
    state: unreachable ? "unreachable" : draining ? "draining" : state,
    rttMs: number(pop.rttMs),
    ageMs: number(pop.loadAgeMs),
    endpoints: objects(pop.endpoints).map((one) => endpointLine(one, total)),
  };
}

function endpointLine(endpoint: Json, total: number): EndpointLine {
  const learned = section(endpoint.learned);
  const tokensPerS = number(learned.prefillTokensPerS) ?? 0;
  const told = number(endpoint.queuedTokens) ?? 0;
  const queued = Math.max(told, number(endpoint.ownTokens) ?? 0);
  const waiting = number(endpoint.waitingTokens) ?? 0;
  const requests = number(endpoint.requests) ?? 0;
  const models = Array.isArray(endpoint.models) ? endpoint.models : [];
  return {
    id: text(endpoint.id),
    tier: text(endpoint.tier),
    phase: text(endpoint.phase),
    models: models.map((model) => text(model)),
    running: number(endpoint.running) ?? number(endpoint.inFlight),
    queuedTokens: number(endpoint.queuedTokens) === undefined ? undefined : queued + waiting,
    waitMs: tokensPerS > 0 ? ((queued + waiting) * 1000) / tokensPerS : undefined,
    kvUsage: number(endpoint.kvUsage),
    itlMs: number(learned.itlMs),
    requests,
    share: total > 0 ? requests / total : undefined,
    ageMs: number(section(endpoint.load).ageMs),
  };
}

function meanTtft(now: Counters, before: Counters): Record<string, number> {
  const means: Record<string, number> = {};
  for (const name of now.keys()) {
    const found = /^gridpoint_time_to_first_token_seconds_count\{tier="(\w+)"\}$/.exec(name);
    if (found === null) continue;
    const sumName = name.replace("_count{", "_sum{");
    const count = grown(name, now, before);
    // Between two views without a stream the last mean stays.
    const since = count > 0 ? before : new Map();
    const streams = grown(name, now, since);
    if (streams > 0) means[found[1]] = (grown(sumName, now, since) * 1000) / streams;
  }
  return means;
}

function hitRatio(now: Counters, before: Counters): number | undefined {
  const prompt = 'gridpoint_tokens_total{kind="prompt"}';
  const since = grown(prompt, now, before) > 0 ? before : new Map();
  const asked = grown(prompt, now, since);
  return asked > 0 ? grown(prompt.replace("prompt", "cached"), now, since) / asked : undefined;
}

/** A counter that fell was started anew. */
function grown(name: string, now: Counters, before: ReadonlyMap<string, number>): number {
  const value = now.get(name) ?? 0;
  const earlier = before.get(name) ?? 0;
  return value >= earlier ? value - earlier : value;
}

const HEAD = ["POP", "ENDPOINT", "TIER", "STATE", "RUN", "QUEUE", "WAIT", "KV", "ITL", "SHARE"];
const LAST = ["RTT", "AGE"];

/** The view as lines without control characters; at most `rows` endpoints. */
export function drawGrid(view: GridView, rows = Number.POSITIVE_INFINITY): string[] {
  const cells = view.pops.flatMap(popCells);
  const shown = cells.slice(0, rows);
  const table = [[...HEAD, ...LAST], ...shown];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const lines = table.map((row) =>
    row
      .map((x, i) => pad(x, widths[i], i))
      .join("  ")
      .trimEnd(),
  );
  const more = cells.length - shown.length;
  if (more > 0) lines.push(`... and ${more} more`);
  return [summary(view), "", ...lines];
}

const WORD_COLUMNS = 4;
const pad = (cell: string, width: number, column: number) =>
  column < WORD_COLUMNS ? cell.padEnd(width) : cell.padStart(width);

function summary(view: GridView): string {
  const tiers = Object.entries(view.ttftMs).map(([tier, ms]) => `${tier} ${millis(ms)}`);
  const up = view.pops.filter(({ state }) => state === "here" || state === "alive").length;
  return [
    `grid as ${view.pop} sees it: ${up} of ${view.pops.length} PoPs`,
    `running ${view.running}`,
    `waiting ${view.queued}`,
    `TTFT ${tiers.join(", ") || "-"}`,
    `hits ${percent(view.hitRatio)}`,
  ].join(" | ");
}

function popCells(pop: PopLine): string[][] {
  const far = [millis(pop.rttMs)];
  if (pop.endpoints.length === 0) {
    const none = ["-", pop.tier, pop.state, "-", "-", "-", "-", "-", "-"];
    return [[pop.id, ...none, ...far, millis(pop.ageMs)]];
  }
  return pop.endpoints.map((one) => [
    pop.id,
    // Of another PoP's endpoint the table has "pop/endpoint".
    one.id.startsWith(`${pop.id}/`) ? one.id.slice(pop.id.length + 1) : one.id,
    one.tier,
    ["here", "alive"].includes(pop.state) ? one.phase : pop.state,
    one.running === undefined ? "-" : String(one.running),
    one.queuedTokens === undefined ? "-" : short(one.queuedTokens),
    millis(one.waitMs),
    percent(one.kvUsage),
    millis(one.itlMs),
    percent(one.share),
    ...far,
    millis(one.ageMs),
  ]);
}

function millis(ms: number | undefined): string {
  if (ms === undefined) return "-";
  if (ms >= 9_950) return `${Math.round(ms / 1000)} s`;
  if (ms >= 1_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms > 0 && ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

const percent = (share: number | undefined) =>
  share === undefined ? "-" : `${Math.round(share * 100)}%`;

function short(tokens: number): string {
  if (tokens >= 9_950_000) return `${Math.round(tokens / 1e6)}M`;
  return tokens >= 9_950 ? `${Math.round(tokens / 1e3)}k` : String(Math.round(tokens));
}
