/**
 * The load of a PoP as one header of an answer between PoPs, so that whoever is refused decides
 * again with the truth. JSON of numbers, by position, bounded; what does not fit its form is no
 * load at all, since a guess would be worse than the last that gossip brought.
 */
import { type EndpointLoad, type PopLoad, QUEUE_CLASSES } from "../grid/fleet.ts";

export type LoadNow = Omit<PopLoad, "atMs" | "seq">;

/** Endpoints in a header: it stays far below the 16 KiB that parsers allow for all of them. */
export const LOAD_ENDPOINTS_MAX = 64;
const LOAD_TEXT_MAX = 8 * 1024;
const FIELDS = 6;
const NUMBER_MAX = 1e12;

/** Undefined where the PoP has more endpoints than fit. */
export function loadText(load: LoadNow): string | undefined {
  if (load.endpoints.length > LOAD_ENDPOINTS_MAX) return undefined;
  const endpoints = load.endpoints.map((one) => [
    one.up ? 1 : 0,
    Math.round(one.queuedTokens),
    one.inFlight,
    rounded(one.kvUsage),
    rounded(one.prefillRate),
    rounded(one.itlMs),
  ]);
  return JSON.stringify([load.revision, endpoints, load.queueClasses.map(Math.round)]);
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

export function readLoadText(text: string): LoadNow | undefined {
  if (text.length > LOAD_TEXT_MAX) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const [revision, endpoints, classes] = value as unknown[];
  if (!isNumber(revision) || !isNumbers(classes, QUEUE_CLASSES)) return undefined;
  if (!Array.isArray(endpoints) || endpoints.length > LOAD_ENDPOINTS_MAX) return undefined;
  if (!endpoints.every((one) => isNumbers(one, FIELDS))) return undefined;
  return { revision, endpoints: (endpoints as number[][]).map(endpointOf), queueClasses: classes };
}

function endpointOf(fields: number[]): EndpointLoad {
  const [up, queuedTokens, inFlight, kvUsage, prefillRate, itlMs] = fields as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { up: up === 1, queuedTokens, inFlight, kvUsage, prefillRate, itlMs };
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= NUMBER_MAX;
}

function isNumbers(value: unknown, count: number): value is number[] {
  return Array.isArray(value) && value.length === count && value.every(isNumber);
}
