/**
 * From a parsed body and the request's headers to a Task. Headers are the caller's own wishes
 * (`x-grid-*`); a malformed one is an error that names it, never silently ignored.
 */
import { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import type { Handover } from "../grid/handover.ts";
import type { Millis } from "../grid/units.ts";
import { DIALECT_HEADERS, DOORS } from "./route.ts";
import { type ParsedBody, PRIORITIES, type Priority, type Task } from "./task.ts";

export interface TaskContext {
  id: string;
  tenant: string;
  nowMs: Millis;
  sloTtftMs: Millis;
  sloItlMs: Millis;
  handover?: Handover | undefined;
  /** Path and query at the door. */
  path: string;
  via?: string | undefined;
}

const SESSION_BYTES_MAX = 512;
const REGION = /^[a-z0-9-]{1,32}$/;
const TOKEN = /^[\w.:-]{1,128}$/;
const NO_CHAIN = new Uint32Array(0);
const NONE_TRIED: readonly number[] = [];
const NO_HEADERS: Headers = {};

/**
 * Token estimates and the chain are filled in by the proxy, which has the learned values. One
 * literal with every field: fields that are added to an object one by one make it grow in steps.
 */
export function toTask(body: ParsedBody, headers: Headers, context: TaskContext): Task {
  return {
    route: body.route,
    model: body.model,
    stream: body.stream,
    body: body.body,
    fields: body.fields,
    prompt: body.prompt,
    needs: body.needs,
    maxTokens: body.maxTokens,
    choices: body.choices,
    usageAdded: body.usageAdded,
    usageShown: body.usageShown,
    cacheKey: body.cacheKey,
    serviceTier: body.serviceTier,
    schema: body.schema,
    region: body.region,
    id: context.id,
    tenant: context.tenant,
    session: sessionOf(body, headers),
    models: undefined,
    resultRetried: false,
    sentTo: undefined,
    failure: undefined,
    path: context.path,
    via: context.via,
    dialectHeaders: dialectHeaders(body, headers),
    regions: regionsOf(body, headers),
    priority: priorityOf(body, headers),
    sloTtftMs: numberHeader(headers, "x-grid-slo-ttft-ms") ?? context.sloTtftMs,
    sloItlMs: numberHeader(headers, "x-grid-slo-itl-ms") ?? context.sloItlMs,
    maxCostUsd: numberHeader(headers, "x-grid-max-cost") ?? Number.POSITIVE_INFINITY,
    slice: tokenHeader(headers, "x-grid-slice"),
    handover: context.handover,
    arrivedMs: context.nowMs,
    queuedSinceMs: 0,
    promisedTtftMs: undefined,
    tried: NONE_TRIED,
    promptBytes: 0,
    promptTokens: 0,
    tokensPerChunk: 0,
    expectedOutTokens: 0,
    chain: NO_CHAIN,
  };
}

/** The caller's request id when it is a sane token, else undefined. */
export function requestIdOf(headers: Headers): string | undefined {
  const given = headers["x-request-id"];
  return given !== undefined && TOKEN.test(given) ? given : undefined;
}

/** Most requests have none: they share one empty object. */
function dialectHeaders(body: ParsedBody, headers: Headers): Headers {
  let kept = NO_HEADERS;
  for (const name of DIALECT_HEADERS[DOORS[body.route].dialect]) {
    const value = headers[name];
    if (value === undefined) continue;
    if (kept === NO_HEADERS) kept = {};
    kept[name] = value;
  }
  return kept;
}

function sessionOf(body: ParsedBody, headers: Headers): string | undefined {
  const given = headers["x-grid-session"];
  if (given === undefined) return body.cacheKey;
  if (given.length === 0 || given.length > SESSION_BYTES_MAX) {
    throw bad("x-grid-session", `must have 1 to ${SESSION_BYTES_MAX} characters`);
  }
  return given;
}

function regionsOf(body: ParsedBody, headers: Headers): string[] {
  const given = headers["x-grid-region"] ?? body.region;
  if (given === undefined) return [];
  const regions = given.split(",").map((region) => region.trim().toLowerCase());
  for (const region of regions) {
    if (!REGION.test(region)) {
      throw bad("x-grid-region", "must be a comma-separated list of regions like 'eu' or 'eu-de'");
    }
  }
  return regions;
}

function priorityOf(body: ParsedBody, headers: Headers): Priority {
  const given = headers["x-grid-priority"];
  if (given === undefined) return body.serviceTier === "flex" ? "batch" : "default";
  if (!(PRIORITIES as readonly string[]).includes(given)) {
    throw bad("x-grid-priority", `must be one of ${PRIORITIES.join(", ")}`);
  }
  return given as Priority;
}

function numberHeader(headers: Headers, name: string): number | undefined {
  const given = headers[name];
  if (given === undefined) return undefined;
  const value = given.trim() === "" ? Number.NaN : Number(given);
  if (!Number.isFinite(value) || value <= 0) throw bad(name, "must be a number greater than 0");
  return value;
}

function tokenHeader(headers: Headers, name: string): string | undefined {
  const given = headers[name];
  if (given === undefined) return undefined;
  if (!TOKEN.test(given)) throw bad(name, "must be 1 to 128 letters, digits, or any of _ . : -");
  return given;
}

function bad(name: string, rule: string): GridError {
  return new GridError("invalid_request", `Header ${name} ${rule}.`, { param: name });
}
