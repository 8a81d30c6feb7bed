/**
 * What a PoP knows of its engines' KV caches: the followed publishers, the ids of prompts, and the
 * kernel's index kept in step with both. Part of `pop.ts`; how it works stands in `kv/`.
 */
import type { Flight, Usage } from "./feedback/observe.ts";
import type { Worker } from "./forward/worker.ts";
import type { Clock, Log, Rng } from "./grid/effects.ts";
import type { KvEventsSpec } from "./grid/endpoint.ts";
import type { Dial } from "./grid/tcp.ts";
import type { Millis, Row } from "./grid/units.ts";
import type { Kernel } from "./kernel/kernel.ts";
import type { ResetWhy } from "./kv/feed.ts";
import { KvKnowledge, type PromptPlace } from "./kv/knowledge.ts";
import { KvSource, type SourceAddress } from "./kv/source.ts";
import type { TokenIdMode } from "./stream/token-id-reader.ts";
import type { EndpointRecord, EndpointTable } from "./state/endpoint-table.ts";
import { cacheSalt, returnsTokenIds } from "./task/cache-fields.ts";
import type { Task } from "./task/task.ts";

export interface KvHost {
  clock: Clock;
  rng: Rng;
  log: Log;
  kernel: Kernel;
  table: EndpointTable;
  /** Undefined: this runtime has no TCP, and nobody is followed. */
  dial: Dial | undefined;
  worker(row: Row): Worker;
  /** The engine's cache is another one: its row begins anew. */
  onRestart(row: Row): void;
}

/** Of one endpoint, its ranks together: for /metrics and /grid/state. */
export interface KvReport {
  trust: string;
  blocks: number;
  received: number;
  missed: number;
  gaps: number;
  replays: number;
  replayed: number;
  replayFailures: number;
  survived: number;
  resets: number;
  badEvents: number;
  orphans: number;
  lastEventMs: Millis | undefined;
}

/** Chunks whose place in tokens is remembered, about 64 bytes each: 33 million tokens of text. */
const CHUNKS_MAX = 1 << 18;
/** Events of a request have come this long after its end. */
const SETTLE_MS = 300;
/** Requests that wait to be settled; the oldest is settled early. */
const SETTLE_MAX = 4_096;
/** Prompts that are tokenised at once, that wait for it, and their bytes. */
const TOKENIZE_ACTIVE = 8;
const TOKENIZE_WAITING = 256;
const TOKENIZE_BYTES = 32 * 1024 * 1024;
/** Longest prompt whose ids may come with its answer: they delay the first event. */
const ANSWERED_IDS_MAX = 16_384;
const TRUSTS = ["connecting", "syncing", "partial", "whole"] as const;

interface Settlement {
  row: Row;
  endpointId: string;
  chain: Uint32Array;
  atMs: Millis;
}

export class KvWatch {
  readonly knowledge: KvKnowledge;
  tokenized = 0;
  tokenizeFailures = 0;
  tokenizeDropped = 0;
  private readonly host: KvHost;
  private readonly sources: (KvSource[] | undefined)[] = [];
  private readonly settlements: Settlement[] = [];
  private readonly waiting: Flight[] = [];
  private waitingBytes = 0;
  private active = 0;
  /** One chunk, as the kernel takes it. */
  private readonly one = new Uint32Array(2);

  constructor(host: KvHost) {
    this.host = host;
    const index = {
      hold: (low: number, high: number, row: Row) => {
        host.kernel.learn(this.chunk(low, high), row, host.clock());
      },
      drop: (low: number, high: number, row: Row) => {
        host.kernel.forget(this.chunk(low, high), row, 0);
      },
    };
    this.knowledge = new KvKnowledge(index, host.kernel.options.chunkBytes, CHUNKS_MAX);
  }

  /** Follows the endpoint's publishers as its spec says, and no others. */
  follow(record: EndpointRecord, spec: KvEventsSpec | undefined): void {
    const { row } = record;
    this.unfollow(row);
    if (spec === undefined) return;
    const { dial, rng, clock, log } = this.host;
    if (dial === undefined) {
      const hint = "this runtime cannot open TCP connections: its cache is estimated";
      log("warn", "KV events not followed", { endpoint: record.spec.id, hint });
      return;
    }
    const listener = {
      onReset: (_: Row, why: ResetWhy) => this.reset(record, why),
      onNews: (_: Row, event: string, detail: string) =>
        log("info", event, { endpoint: record.spec.id, detail }),
    };
    this.sources[row] = addressesOf(spec).map((address) => {
      const table = this.knowledge.addTable(row);
      return new KvSource(row, address, table, { dial, rng, clock }, listener);
    });
  }

  unfollow(row: Row): void {
    for (const source of this.sources[row] ?? []) {
      source.close();
      this.knowledge.removeTable(source.table);
    }
    this.sources[row] = undefined;
  }

  close(): void {
    for (let row = 0; row < this.sources.length; row++) this.unfollow(row);
    this.waiting.length = 0;
  }

  /** The engine says how large its blocks are, before any event does. */
  blockSize(row: Row, tokens: number | undefined): void {
    if (tokens === undefined) return;
    for (const { table } of this.sources[row] ?? []) table.expect(tokens);
  }

  /**
   * The row was emptied since the engine's process is another one. A publisher that is followed
   * says so itself, sooner or later: what it has told is told again. One that is not is void.
   */
  restarted(row: Row): void {
    for (const { feed, table } of this.sources[row] ?? []) {
      if (feed.isConnected) table.retell();
      else table.clear(true);
    }
  }

  /** Every publisher of the row is followed without a hole. */
  isWhole(row: Row): boolean {
    const sources = this.sources[row];
    return sources?.every((source) => source.trust === "whole") ?? false;
  }

  place(task: Task): PromptPlace | undefined {
    return this.knowledge.place(task.chain);
  }

  /** A hit in a slower medium counts less: the rows' discounts for this prompt. */
  weigh(chain: Uint32Array): void {
    const { digestDiscount } = this.host.table.columns;
    this.knowledge.discounts(chain, (row, discount) => {
      digestDiscount[row] = discount;
    });
  }

  /** A request was sent: its token ids are asked for where the engine has a tokenizer. */
  started(flight: Flight): void {
    const { task } = flight;
    if (!this.isUnknown(flight) || !this.tokenizes(flight)) return;
    const bytes = task.body.length;
    if (this.waiting.length >= TOKENIZE_WAITING || this.waitingBytes + bytes > TOKENIZE_BYTES) {
      this.tokenizeDropped++;
      return;
    }
    this.waiting.push(flight);
    this.waitingBytes += bytes;
    this.tokenizeNext();
  }

  /** Whether the answer should tell the ids; `strip`: the caller did not ask for them. */
  wantsIds(flight: Flight): TokenIdMode | undefined {
    if (!this.isUnknown(flight)) return undefined;
    const { task, row } = flight;
    const worker = this.host.worker(row);
    const wanted = returnsTokenIds(task.fields);
    if (wanted === true) return "read";
    if (this.tokenizes(flight) || worker.returnsTokenIds !== true) return undefined;
    if (worker.dialect(task) !== "chat") return undefined;
    const isSmall = task.promptTokens <= ANSWERED_IDS_MAX && task.choices === 1;
    return isSmall && wanted === undefined ? "strip" : undefined;
  }

  /** It is over: what its answer says of the cache counts now, what events say a little later. */
  ended(flight: Flight, usage: Usage | undefined, promptIds: ArrayLike<number> | undefined): void {
    const { task, row } = flight;
    const sources = this.sources[row];
    if (sources === undefined || task.chain.length === 0) return;
    if (promptIds !== undefined) this.learn(task, row, promptIds);
    const cached = usage?.cachedTokens;
    if (cached !== undefined) {
      const matched = Math.round(flight.matchedTokens / task.tokensPerChunk);
      const isLive = sources.some((source) => source.isLive);
      const knewLess = this.knowledge.confirm(row, task.chain, matched, cached, isLive);
      if (knewLess) for (const source of sources) source.contradicted();
    }
    const atMs = this.host.clock() + SETTLE_MS;
    this.settlements.push({ row, endpointId: flight.endpointId, chain: task.chain, atMs });
    if (this.settlements.length > SETTLE_MAX) this.settle(this.settlements.shift());
  }

  tick(nowMs: Millis): void {
    for (const sources of this.sources) for (const source of sources ?? []) source.tick(nowMs);
    let due = 0;
    while (due < this.settlements.length && this.settlements[due].atMs <= nowMs) due++;
    for (const settlement of this.settlements.splice(0, due)) this.settle(settlement);
  }

  /** Undefined: the row's publishers are not followed. */
  report(row: Row): KvReport | undefined {
    const sources = this.sources[row];
    if (sources === undefined) return undefined;
    const sum = (read: (source: KvSource) => number) =>
      sources.reduce((total, source) => total + read(source), 0);
    const worst = Math.min(...sources.map((source) => TRUSTS.indexOf(source.trust)));
    const times = sources.flatMap(({ feed }) => feed.lastEventMs ?? []);
    return {
      trust: TRUSTS[worst],
      blocks: sum(({ table }) => table.blocks),
      received: sum(({ feed }) => feed.counters.received),
      missed: sum(({ feed }) => feed.counters.missed),
      gaps: sum(({ feed }) => feed.counters.gaps),
      replays: sum(({ feed }) => feed.counters.replays),
      replayed: sum(({ feed }) => feed.counters.replayed),
      replayFailures: sum(({ feed }) => feed.counters.replayFailures),
      survived: sum(({ feed }) => feed.counters.survived),
      resets: sum(({ feed }) => feed.counters.resets),
      badEvents: sum(({ badEvents, badBatches }) => badEvents + badBatches),
      orphans: sum(({ table }) => table.orphans),
      lastEventMs: times.length === 0 ? undefined : Math.max(...times),
    };
  }

  /** The row is followed, and part of the prompt is not known in tokens. */
  private isUnknown({ task, row }: Flight): boolean {
    if (this.sources[row] === undefined || task.chain.length === 0) return false;
    if (this.knowledge.blockTokensOf(row) === 0) return false;
    return this.knowledge.knownFor(row, task.chain) * 2 < task.chain.length;
  }

  private tokenizes({ task, row }: Flight): boolean {
    return this.host.worker(row).tokenizes?.(task.route) ?? false;
  }

  private chunk(low: number, high: number): Uint32Array {
    this.one[0] = low;
    this.one[1] = high;
    return this.one;
  }

  private reset(record: EndpointRecord, why: ResetWhy): void {
    this.host.log("warn", "KV events reset", { endpoint: record.spec.id, why });
    // Trust was learned about an index that is gone.
    this.host.table.columns.trust[record.row] = 1;
    if (why === "restart") this.host.onRestart(record.row);
  }

  private settle(settlement: Settlement | undefined): void {
    if (settlement === undefined) return;
    const { row, endpointId, chain } = settlement;
    if (this.host.table.records[row]?.spec.id !== endpointId) return;
    this.knowledge.settle(row, chain, this.isWhole(row));
  }

  private tokenizeNext(): void {
    while (this.active < TOKENIZE_ACTIVE) {
      const flight = this.waiting.shift();
      if (flight === undefined) return;
      this.waitingBytes -= flight.task.body.length;
      this.active++;
      void this.tokenize(flight).finally(() => {
        this.active--;
        this.tokenizeNext();
      });
    }
  }

  private async tokenize({ task, row, endpointId }: Flight): Promise<void> {
    const isThere = () => this.host.table.records[row]?.spec.id === endpointId;
    if (!isThere()) return;
    try {
      const ids = await this.host.worker(row).tokenize?.(task);
      if (ids === undefined || !isThere()) return;
      this.tokenized++;
      this.learn(task, row, ids);
    } catch {
      this.tokenizeFailures++;
    }
  }

  private learn(task: Task, row: Row, tokenIds: ArrayLike<number>): void {
    const { chain, promptBytes: bytes, model } = task;
    const isAdapter = this.host.table.records[row]?.adapters.includes(model) ?? false;
    const adapter = isAdapter ? model : "";
    this.knowledge.learnPrompt({ chain, bytes, tokenIds, adapter, salt: cacheSalt(task.fields) });
  }
}

/** Ranks stand on ports that follow one another, for events as for replay (vLLM's rule). */
function addressesOf({ url, replay, topic, ranks }: KvEventsSpec): SourceAddress[] {
  const place = (text: string, rank: number) => {
    const { hostname, port } = new URL(text);
    return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) + rank };
  };
  return Array.from({ length: ranks }, (_, rank) => ({
    events: place(url, rank),
    replay: replay === undefined ? undefined : place(replay, rank),
    topic,
  }));
}
