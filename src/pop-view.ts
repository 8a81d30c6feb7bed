/** What `GET /grid/state` shows: the tables as they stand, with units in the names. */
import type { PopConfig } from "./config.ts";
import type { DrainReport } from "./door/admin.ts";
import { ADMISSION_STATES } from "./grid/endpoint.ts";
import type { Fleet } from "./grid/fleet.ts";
import type { Millis } from "./grid/units.ts";
import type { Kernel } from "./kernel/kernel.ts";
import type { KvReport, KvWatch } from "./pop-kv.ts";
import type { PeerRoster } from "./pop-peers.ts";
import type { PopStages } from "./pop-stages.ts";
import type { EndpointRecord, EndpointTable } from "./state/endpoint-table.ts";
import type { KnownPop } from "./state/pop-table.ts";
import type { SessionTable } from "./state/session-table.ts";

export interface ViewParts {
  config: PopConfig;
  kernel: Kernel;
  table: EndpointTable;
  sessions: SessionTable;
  stages: PopStages;
  peers: PeerRoster;
  kv: KvWatch;
  fleet?: Fleet | undefined;
}

export function popState(parts: ViewParts, nowMs: Millis): unknown {
  const { config, kernel, table, sessions, stages, peers } = parts;
  return {
    pop: config.pop,
    draining: stages.leaving || stages.standby,
    running: stages.running,
    queue: { length: stages.queue.length, limit: config.limits.queueLength },
    sessions: { count: sessions.size, limit: config.limits.sessions },
    kernel: { name: kernel.name, abi: kernel.abi, rows: kernel.options.rows },
    prefixIndex: kernel.stats(),
    kvKnowledge: knowledgeState(parts.kv),
    endpoints: [...table.own()].map((record) => ({
      ...endpointState(record, table, nowMs),
      kvEvents: eventsState(parts.kv.report(record.row), nowMs),
    })),
    pops: [...peers.pops.all()].map((known) => peerState(known, parts, nowMs)),
    gossip: parts.fleet?.stats?.(),
  };
}

/** Another PoP as this one knows it. */
function peerState(known: KnownPop, { table, peers }: ViewParts, nowMs: Millis): unknown {
  const { card, rttMs, jitterMs, state, reachable } = known.pop;
  return {
    ...{ id: known.id, url: card.url, tier: card.tier, region: card.region, zone: card.zone },
    ...{ state, reachable, routable: known.routable, draining: card.draining, rttMs, jitterMs },
    loadAgeMs: known.load === undefined ? null : Math.round(nowMs - known.load.atMs),
    loadSeq: known.load?.seq ?? null,
    inFlight: peers.inFlight(known),
    refusals: known.refusals,
    endpoints: known.rows.flatMap((peer) => {
      const record = peer === undefined ? undefined : table.records[peer.row];
      return record === undefined ? [] : [endpointState(record, table, nowMs)];
    }),
  };
}

/** Undefined = the PoP can serve; else why not. */
export function notReady({ table, stages }: ViewParts): string | undefined {
  if (stages.leaving || stages.standby) return "draining";
  if (table.size === 0) return "no endpoints are configured";
  for (const { row } of table.live()) {
    if (table.columns.down[row] === 0) return undefined;
  }
  return "no endpoint is ready";
}

export function drainReport({ config, table, stages }: ViewParts): DrainReport {
  const { columns } = table;
  return {
    pop: config.pop.id,
    draining: stages.leaving || stages.standby,
    running: stages.running,
    queued: stages.queue.length,
    endpoints: [...table.own()].map(({ spec, row }) => ({
      id: spec.id,
      admission: ADMISSION_STATES[columns.admission[row] as number] ?? "none",
      inFlight: columns.inFlight[row] as number,
    })),
  };
}

/** What is known of prompts in tokens. */
function knowledgeState(kv: KvWatch): unknown {
  const { knowledge, tokenized, tokenizeFailures, tokenizeDropped } = kv;
  return { chunks: knowledge.prompts.size, tokenized, tokenizeFailures, tokenizeDropped };
}

/** Null = its KV events are not followed. */
function eventsState(report: KvReport | undefined, nowMs: Millis): unknown {
  if (report === undefined) return null;
  const { lastEventMs, ...told } = report;
  return { ...told, lastEventAgeMs: lastEventMs === undefined ? null : ageOf(lastEventMs, nowMs) };
}

function endpointState(record: EndpointRecord, table: EndpointTable, nowMs: Millis) {
  const { spec, row } = record;
  const c = table.columns;
  return {
    id: spec.id,
    url: spec.url,
    engine: spec.engine,
    version: record.version,
    tier: spec.tier,
    region: spec.region,
    phase: record.phase,
    detail: record.detail,
    admission: ADMISSION_STATES[c.admission[row] as number],
    models: record.models,
    contextTokens: record.contextTokens,
    kvTokens: record.kvTokens,
    blockTokens: record.blockTokens,
    inFlight: c.inFlight[row],
    inFlightCap: c.inFlightCap[row],
    running: record.running,
    waiting: record.waiting,
    queuedTokens: c.queuedTokens[row],
    ownTokens: c.ownTokens[row],
    waitingTokens: c.waitingTokens[row],
    kvUsage: c.kvUsage[row],
    load: {
      source: record.loadSource,
      ageMs: ageOf(c.sampleAtMs[row], nowMs),
      errors: record.loadErrors,
    },
    learned: {
      prefillTokensPerS: Math.round((c.prefillRate[row] as number) * 1000),
      itlMs: record.itlMs,
      rttMs: c.rttMs[row],
      prefixTrust: c.trust[row],
      mirrorScale: record.mirrorScale,
      ttftErrorMs: record.ttftErrorMs,
    },
    requests: record.requests,
    failures: record.failures,
  };
}

/** Null = never said anything. */
function ageOf(atMs: Millis, nowMs: Millis): Millis | null {
  return Number.isFinite(atMs) ? Math.round(nowMs - atMs) : null;
}
