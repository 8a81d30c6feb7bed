/**
 * Why a PoP is not in the grid, for the operator's log, on both sides of a link that did not come
 * to be. The other dials again and again: each reason is said once a minute per PoP, and strangers
 * who make up names are not worth more than a few lines.
 */
import type { Clock, Log } from "../grid/effects.ts";
import type { Millis } from "../grid/units.ts";

/** Reasons that a person has to see to. Others are the ways of a grid, or of an attacker. */
const HINTS: Readonly<Record<string, string>> = {
  certificate: "the certificate is not signed by a root of this grid: gossip.roots on both sides",
  expired: "the certificate ran out, or a clock is wrong: gridpoint ca issue renews it",
  "other-grid": "gossip.grid is another on the two sides",
  version: "the two speak different versions of gossip: upgrade the older one",
  "own-id": "the two have the same pop.id",
  "future-epoch": "the clock of the one that came is, or was, more than a day ahead",
  auth: "the key does not belong to the certificate",
  banned: "frames of it could not be read, or were forged: the same version on both sides?",
};
const AGAIN_MS = 60_000;
const KEPT_MAX = 64;

export class Refusals {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly saidMs = new Map<string, Millis>();

  constructor(clock: Clock, log: Log) {
    this.clock = clock;
    this.log = log;
  }

  /** @param facts who it was */
  say(event: string, reason: string, facts: Record<string, string | undefined>): void {
    const hint = HINTS[reason];
    if (hint === undefined) return this.log("debug", event, { reason, ...facts });
    if (this.isNews(`${event} ${reason} ${Object.values(facts).join(" ")}`)) {
      this.log("warn", event, { reason, ...facts, hint });
    }
  }

  private isNews(what: string): boolean {
    const nowMs = this.clock();
    for (const [known, atMs] of this.saidMs) {
      if (nowMs - atMs < AGAIN_MS) break;
      this.saidMs.delete(known);
    }
    if (this.saidMs.has(what) || this.saidMs.size >= KEPT_MAX) return false;
    this.saidMs.set(what, nowMs);
    return true;
  }
}
