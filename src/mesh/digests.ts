/**
 * Digests of prefix caches between two forms: by endpoint, as decisions have them, and as one set
 * of numbers per PoP (endpoint x 2^24 + hash), as gossip carries them.
 */
import type { PrefixView } from "../gossip/prefix.ts";
import type { DigestChange } from "../grid/fleet.ts";
import type { Millis } from "../grid/units.ts";

const HASHES = 0x100_0000;

interface Members {
  added: number[];
  removed: number[];
}

export class Digests {
  /** What this PoP said, by endpoint: a snapshot replaces it. */
  private readonly own = new Map<number, Set<number>>();
  private waiting: Members = { added: [], removed: [] };

  /** What a change of an own endpoint is in members. */
  publish(change: Omit<DigestChange, "pop" | "discount">): Members {
    const { endpoint, snapshot } = change;
    const held = this.own.get(endpoint) ?? new Set<number>();
    const base = endpoint * HASHES;
    const members = (hashes: Uint32Array) => Array.from(hashes, (hash) => base + (hash % HASHES));
    const added = members(change.added);
    const fresh = new Set(added);
    const removed = snapshot
      ? [...held].filter((member) => !fresh.has(member))
      : members(change.removed);
    for (const member of removed) held.delete(member);
    for (const member of added) held.add(member);
    this.own.set(endpoint, held);
    return { added, removed };
  }

  /** Keeps changes until gossip runs. In order: what came and went again is gone. */
  pend(added: number[], removed: number[]): void {
    const { waiting } = this;
    if (waiting.added.length + waiting.removed.length === 0) this.waiting = { added, removed };
    else this.waiting = { added: this.all(), removed: [] };
  }

  taken(): Members {
    const { waiting } = this;
    this.waiting = { added: [], removed: [] };
    return waiting;
  }

  /** Changes by endpoint; of a snapshot one for each of `endpoints`, empty ones too. */
  changes(endpoints: number, added: readonly number[], removed: readonly number[]) {
    const byEndpoint = new Map<number, Members>();
    const at = (member: number): Members => {
      const endpoint = Math.floor(member / HASHES);
      const held = byEndpoint.get(endpoint) ?? { added: [], removed: [] };
      byEndpoint.set(endpoint, held);
      return held;
    };
    for (let i = 0; i < endpoints; i++) at(i * HASHES);
    for (const member of added) at(member).added.push(member % HASHES);
    for (const member of removed) at(member).removed.push(member % HASHES);
    return [...byEndpoint].map(([endpoint, members]) => ({
      endpoint,
      added: Uint32Array.from(members.added),
      removed: Uint32Array.from(members.removed),
    }));
  }

  private all(): number[] {
    return [...this.own.values()].flatMap((held) => [...held]);
  }
}

/** Share of a digest of that age that is expected to be gone, 0..1. */
export function expectedLoss({ churnPerS, count }: PrefixView, ageMs: Millis): number {
  if (count === 0) return 0;
  return 1 - Math.exp((-Math.max(0, ageMs) * churnPerS) / (1000 * count));
}
