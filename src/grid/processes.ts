/**
 * Several processes that are one PoP: each decides by itself, with its own copy of what is known,
 * and tells the others what it has in flight and what it learned. How reports travel is the
 * runtime's business; they are plain values.
 */
import type { Tokens } from "./units.ts";

/** What one process itself has running at an endpoint, in all, not as a change. */
export interface ProcessShare {
  endpoint: string;
  inFlight: number;
  /** Uncached tokens of its requests there that have no first token yet. */
  ownTokens: Tokens;
}

export interface ProcessReport {
  process: number;
  /** Endpoints whose share changed since the last report. */
  shares: ProcessShare[];
  /** Prefixes that an endpoint came to hold; with `fromChunk`, lost from there on. */
  prefixes: { chain: Uint32Array; endpoint: string; fromChunk?: number }[];
  pins: { tenant: string; session: string; endpoint: string }[];
  /** Endpoints, or the whole PoP, that an administrator took out of service or brought back. */
  drains: { endpoint: string | undefined; on: boolean }[];
}

/** A response that one process does not hold, and another may. */
export interface HeldQuestion {
  tenant: string;
  id: string;
  /** It is to be forgotten. */
  drop: boolean;
}

export interface ProcessPort {
  /** This process' number, 0 for the one that speaks for the PoP in the grid. */
  readonly process: number;
  /** Random; the same in all processes of this run of the PoP. */
  readonly run: string;
  send(report: ProcessReport): void;
  /** `onGone`: that process ended, and what it had in flight with it. */
  listen(onReport: (report: ProcessReport) => void, onGone: (process: number) => void): void;
  /** The metrics of all processes, as one page. */
  metrics(own: string): Promise<string>;
  /** Asks all others; what the one that holds it says, "" when none does. */
  held(question: HeldQuestion): Promise<string>;
}
