/**
 * Faults on command, so that every way in which an engine fails can be asked for in a test. Each
 * is armed with `POST /fault` or `--fault`, hits the next `count` requests, and is then spent.
 */
import { badRequest } from "./http.ts";

export const FAULT_KINDS = {
  exit: "the process ends after `afterTokens` tokens of the request",
  reset: "the connection is reset after `afterTokens` tokens",
  truncate: "the stream ends cleanly after `afterTokens` tokens, without finish reason or [DONE]",
  stall: "nothing more is sent after `afterTokens` tokens; the connection stays open",
  drip: "every event waits until `ms` after the one before",
  status: "answered with `status` (default 503) and Retry-After `retryAfterS`",
  delay: "nothing happens, not even headers, for `ms`",
  "freeze-metrics": "/metrics, /v1/loads, /load repeat themselves for `ms` (0 = until cleared)",
  "slow-health": "/health waits `ms`",
  "lose-events": "KV events of the next `ms` are not sent; the replay has them",
  "erase-events": "KV events of the next `ms` are not sent and not replayed",
  "restart-publisher": "now: KV events start again at 0, nothing to replay, ports close for `ms`",
  restart: "now: connections are reset, the KV cache is lost, the port closes for `ms`",
} as const;
export type FaultKind = keyof typeof FAULT_KINDS;

export interface Fault {
  kind: FaultKind;
  /** Tokens that still get out. Default 0. */
  afterTokens: number;
  /** Requests that it hits; 0 = all until cleared. Default 1. */
  count: number;
  /** Milliseconds, meaning by kind. Default 0. */
  ms: number;
  status: number;
  retryAfterS: number;
}

const REQUEST_KINDS: readonly FaultKind[] = [
  "exit",
  "reset",
  "truncate",
  "stall",
  "drip",
  "status",
  "delay",
];

/** Upper bound of each number that a fault may carry. */
const LIMITS = {
  afterTokens: 1_000_000,
  count: 1_000_000,
  ms: 3_600_000,
  status: 599,
  retryAfterS: 86_400,
} as const;

/** @throws ApiError 400 naming the field and what it may be. */
export function parseFault(body: Record<string, unknown>): Fault {
  const kind = body.kind;
  if (typeof kind !== "string" || !Object.hasOwn(FAULT_KINDS, kind)) {
    throw badRequest(`kind must be one of ${Object.keys(FAULT_KINDS).join(", ")}`, "kind");
  }
  const fault: Fault = {
    kind: kind as FaultKind,
    afterTokens: 0,
    count: 1,
    ms: 0,
    status: 503,
    retryAfterS: 1,
  };
  for (const [field, value] of Object.entries(body)) {
    if (field === "kind") continue;
    if (!Object.hasOwn(LIMITS, field)) {
      throw badRequest(`unknown field "${field}"; known: ${Object.keys(LIMITS).join(", ")}`, field);
    }
    const name = field as keyof typeof LIMITS;
    if (typeof value !== "number" || !(value >= 0 && value <= LIMITS[name])) {
      throw badRequest(`${field} must be a number from 0 to ${LIMITS[name]}`, field);
    }
    fault[name] = Math.floor(value);
  }
  if (fault.status < 400) throw badRequest("status must be from 400 to 599", "status");
  return fault;
}

/** The faults that are armed, at most 64. */
export class Faults {
  private armed: Fault[] = [];

  /** @throws ApiError 400 when too many are armed. */
  arm(fault: Fault): void {
    if (this.armed.length >= 64) throw badRequest("64 faults are armed; DELETE /fault first");
    this.armed.push({ ...fault });
  }

  clear(): void {
    this.armed = [];
  }

  list(): readonly Fault[] {
    return this.armed;
  }

  /** The fault that hits the request arriving now, if any. */
  forRequest(): Fault | undefined {
    return this.armed.length === 0 ? undefined : this.spend((kind) => REQUEST_KINDS.includes(kind));
  }

  forHealth(): Fault | undefined {
    return this.spend((kind) => kind === "slow-health");
  }

  private spend(wanted: (kind: FaultKind) => boolean): Fault | undefined {
    const at = this.armed.findIndex((fault) => wanted(fault.kind));
    if (at < 0) return undefined;
    const fault = this.armed[at];
    if (fault.count === 1) this.armed.splice(at, 1);
    else if (fault.count > 1) fault.count--;
    return fault;
  }
}
