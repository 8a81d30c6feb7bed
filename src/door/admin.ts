/**
 * `/grid/drain`: an administrator takes this PoP, or one endpoint of it, out of new work and back
 * in. POST drains (`?state=active` undoes it), DELETE undoes it, GET tells how far it is.
 */
import { GridError } from "../grid/errors.ts";
import type { Exchange } from "../grid/exchange.ts";

/** How far a drain is; goes out as JSON. */
export interface DrainReport {
  pop: string;
  draining: boolean;
  /** Requests that still run here or wait to. */
  running: number;
  queued: number;
  endpoints: { id: string; admission: string; inFlight: number }[];
}

export interface DrainHouse {
  drainReport(): DrainReport;
  /** Whole PoP when no endpoint is named. False: it has no such endpoint. */
  drain(endpoint: string | undefined, on: boolean): boolean;
}

const STATES = ["draining", "active"];

/** @throws GridError invalid_request, not_found */
export function answerDrain(house: DrainHouse, exchange: Exchange): DrainReport {
  const query = new URLSearchParams(exchange.query);
  for (const name of query.keys()) {
    if (name !== "endpoint" && name !== "state") throw wrong(name, "is not known here");
  }
  if (exchange.method === "GET" || exchange.method === "HEAD") return house.drainReport();
  const state = query.get("state") ?? (exchange.method === "DELETE" ? "active" : "draining");
  if (!STATES.includes(state)) throw wrong("state", `must be one of ${STATES.join(", ")}`);
  const endpoint = query.get("endpoint") ?? undefined;
  if (!house.drain(endpoint, state === "draining")) {
    const name = (endpoint ?? "").slice(0, 64);
    throw new GridError("not_found", `This PoP has no endpoint '${name}'. See GET /grid/state.`);
  }
  return house.drainReport();
}

function wrong(name: string, rule: string): GridError {
  return new GridError("invalid_request", `Query parameter ${name} ${rule}.`, { param: name });
}
