/** What `GET /grid/state` shows: the tables as they stand, with units in the names. */
import type { PopConfig } from "./config.ts";
import { ADMISSION_STATES } from "./grid/endpoint.ts";
import type { Millis } from "./grid/units.ts";
import type { Kernel } from "./kernel/kernel.ts";
import type { PopStages } from "./pop-stages.ts";
import type { EndpointRecord, EndpointTable } from "./state/endpoint-table.ts";
import type { SessionTable } from "./state/session-table.ts";

export interface ViewParts {
  config: PopConfig;
  kernel: Kernel;
  table: EndpointTable;
  sessions: SessionTable;
  stages: PopStages;
}

export function popState(parts: ViewParts, nowMs: Millis): unknown {
  const { config, kernel, table, sessions, stages } = parts;
  return {
    pop: config.pop,
    draining: stages.draining,
    running: stages.running,
    queue: { length: stages.queue.length, limit: config.limits.queueLength },
    sessions: { count: sessions.size, limit: config.limits.sessions },
    kernel: { name: kernel.name, abi: kernel.abi, rows: kernel.options.rows },
    prefixIndex: kernel.stats(),
    endpoints: [...table.live()].map((record) => endpointState(record, table, nowMs)),
  };
}

function endpointState(record: EndpointRecord, table: EndpointTable, nowMs: Millis): unknown {
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
