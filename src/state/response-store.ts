/**
 * Responses that may be continued: what was said up to and with each. A response knows the one it
 * continues, so a conversation is held once however long it grows. Bounded in bytes and in time;
 * each counts as if it shared nothing, so the bound holds whatever is dropped first.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../grid/effects.ts";
import type { Millis } from "../grid/units.ts";

export interface ResponseStoreOptions {
  /** Memory of all, in bytes. */
  bytes: number;
  /** A response is forgotten after so long without use. */
  ttlMs: Millis;
  clock: Clock;
}

export interface HeldResponse {
  id: string;
  previous: HeldResponse | undefined;
  /** Items that its request added, as JSON without brackets. */
  input: string;
  /** Items that it said, likewise. */
  output: string;
  /** The response itself, as JSON. */
  response: string;
  /** Ids of the output's items, by which a request may refer to them. */
  itemIds: readonly string[];
}

/** Beside the texts: objects and keys of one. */
const ENTRY_BYTES = 1_024;

interface Entry {
  held: HeldResponse;
  scope: string;
  bytes: number;
}

export class ResponseStore {
  private readonly cache: LRUCache<string, Entry>;
  private readonly items = new Map<string, HeldResponse>();

  constructor({ bytes, ttlMs, clock }: ResponseStoreOptions) {
    this.cache = new LRUCache({
      // 0 would mean no bound: with 1 nothing is small enough to be kept.
      maxSize: Math.max(bytes, 1),
      sizeCalculation: (entry) => entry.bytes,
      ttl: ttlMs,
      updateAgeOnGet: true,
      ttlResolution: 0,
      perf: { now: clock },
      dispose: (entry) => this.forgetItems(entry),
    });
  }

  get size(): number {
    return this.cache.size;
  }

  get bytes(): number {
    return this.cache.calculatedSize;
  }

  /** @param scope whose it is: a tenant, or one socket; nobody else finds it */
  put(scope: string, held: HeldResponse): void {
    const bytes = chainBytes(held);
    this.cache.set(keyOf(scope, held.id), { held, scope, bytes });
    // One that is larger than all the room is not kept.
    if (!this.cache.has(keyOf(scope, held.id))) return;
    for (const id of held.itemIds) this.items.set(keyOf(scope, id), held);
  }

  get(scope: string, id: string): HeldResponse | undefined {
    return this.cache.get(keyOf(scope, id))?.held;
  }

  drop(scope: string, id: string): boolean {
    return this.cache.delete(keyOf(scope, id));
  }

  /** The item of a held response by its own id, as JSON. */
  item(scope: string, id: string): string | undefined {
    const held = this.items.get(keyOf(scope, id));
    if (held === undefined || this.get(scope, held.id) === undefined) return undefined;
    const at = held.itemIds.indexOf(id);
    return JSON.stringify((JSON.parse(`[${held.output}]`) as unknown[])[at]);
  }

  private forgetItems({ held, scope }: Entry): void {
    for (const id of held.itemIds) {
      const key = keyOf(scope, id);
      if (this.items.get(key) === held) this.items.delete(key);
    }
  }
}

const keyOf = (scope: string, id: string): string => `${scope}\n${id}`;

/** Two bytes per letter at worst. */
function chainBytes(held: HeldResponse): number {
  let letters = 0;
  let entries = 0;
  for (let at: HeldResponse | undefined = held; at !== undefined; at = at.previous) {
    letters += at.input.length + at.output.length + at.response.length;
    entries++;
  }
  return 2 * letters + entries * ENTRY_BYTES;
}

/** All items of the conversation up to and with the response, as JSON without brackets. */
export function conversationOf(held: HeldResponse | undefined): string {
  const texts: string[] = [];
  for (let at = held; at !== undefined; at = at.previous) texts.push(at.output, at.input);
  return texts
    .reverse()
    .filter((text) => text !== "")
    .join(",");
}
