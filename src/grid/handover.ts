/**
 * A request on its way between two PoPs: what the first tells the second beside the body. The
 * names of the headers stand here because one side writes them and the other reads them.
 */
import type { Millis } from "./units.ts";

/** A request changes PoP at most once: the second decides among its own endpoints. */
export const HOPS_MAX = 1;

export const HANDOVER_HEADER = {
  /** How many PoPs handed it on: 1. Its presence makes a request a hand-over. */
  hops: "x-grid-hops",
  /** Ids of those PoPs, comma-separated, the client's own first. */
  forwardedBy: "x-grid-forwarded-by",
  /** Time left of the caller's total time-out, whole ms: clocks are never compared. */
  deadline: "x-grid-deadline-ms",
  /** The endpoint that the sender has in mind, by its card. A hint. */
  endpoint: "x-grid-endpoint",
  tenant: "x-grid-tenant",
  /** What the sender predicts, and beyond which it has a better place: see `Handover`. */
  expectedTtft: "x-grid-expected-ttft-ms",
  elsewhereTtft: "x-grid-elsewhere-ttft-ms",
  /** Shared key of the grid's PoPs. */
  key: "x-grid-peer-key",
} as const;

/** Headers of an answer between PoPs. */
export const PEER_ANSWER_HEADER = {
  /** Code of the refusal: the sender goes elsewhere, the client does not see it. */
  refusal: "x-grid-refusal",
  /** Load of the answering PoP at that moment; see `state/pop-load.ts`. */
  load: "x-grid-load",
} as const;

export interface Handover {
  hops: number;
  forwardedBy: readonly string[];
  tenant: string;
  leftMs: Millis;
  endpoint: string | undefined;
  /** Time to first token that made the sender choose this PoP; undefined = not said. */
  expectedTtftMs: Millis | undefined;
  /** If it took longer than this the sender had better send it elsewhere; undefined = nowhere. */
  elsewhereTtftMs: Millis | undefined;
}

/**
 * The PoPs that sent a request to an engine, in order, each by a name that only it says. Beside
 * `via`, which says that a proxy stands in front.
 */
export const VIA_HEADER = "x-grid-via";
