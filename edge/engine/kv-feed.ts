/**
 * From the step model's cache to published events: blocks of one prompt that became shareable in
 * one step go into one BlockStored, and what a step brought goes out as one batch. Losses on
 * command: a batch that never reaches the wire, with or without the replay having it.
 */
import { type CacheListener, keyAt, type Sequence } from "../../src/sim/engine.ts";
import type { Choice } from "./call.ts";
import { type KvEncoding, KvEventBatch, type KvHashes, type StoredBlocks } from "./kv-events.ts";
import { KvPublisher, type PublisherOptions } from "./kv-publisher.ts";
import { outputIds } from "./token-ids.ts";

export interface KvFeedOptions extends Omit<PublisherOptions, "topicInReplay"> {
  encoding: KvEncoding;
  hashes: KvHashes;
}

export class KvFeedOut implements CacheListener<Choice> {
  readonly publisher: KvPublisher;
  private readonly batch: KvEventBatch;
  private readonly blockTokens: number;
  /** Name of the base model; every other is published as an adapter of it. */
  private readonly base: string;
  private open: (StoredBlocks & { sequence: Sequence<Choice>; nextBlock: number }) | undefined;
  private lossUntilMs = 0;
  private lossIsFinal = false;
  private epoch: number;

  constructor(options: KvFeedOptions, blockTokens: number, base: string, epoch: number) {
    this.publisher = new KvPublisher({ ...options, topicInReplay: options.encoding === "maps" });
    this.batch = new KvEventBatch(options.encoding, options.hashes, blockTokens, epoch);
    this.blockTokens = blockTokens;
    this.base = base;
    this.epoch = epoch;
  }

  onStored(sequence: Sequence<Choice>, block: number): void {
    const key = keyAt(sequence.spec, block) as number;
    const { open } = this;
    if (open === undefined || open.sequence !== sequence || open.nextBlock !== block) {
      this.flush();
      const parent = block === 0 ? undefined : keyAt(sequence.spec, block - 1);
      const { model } = sequence.owner;
      const adapter = model === this.base ? undefined : model;
      this.open = { keys: [], parent, tokenIds: [], adapter, sequence, nextBlock: block };
    }
    const run = this.open as NonNullable<typeof this.open>;
    run.keys.push(key);
    for (const id of this.idsOf(sequence, block)) run.tokenIds.push(id);
    run.nextBlock = block + 1;
  }

  onRemoved(key: number): void {
    this.flush();
    this.batch.removed(key);
  }

  /** End of a step. */
  send(): void {
    this.flush();
    if (this.batch.isEmpty) return;
    const isLost = performance.now() < this.lossUntilMs;
    const payload = this.batch.take(Date.now() / 1000);
    this.publisher.publish(payload, !isLost, !(isLost && this.lossIsFinal));
  }

  /** Events of the next `ms` are lost; `isFinal`: for the replay too. */
  lose(ms: number, isFinal: boolean): void {
    this.lossUntilMs = performance.now() + ms;
    this.lossIsFinal = isFinal;
  }

  async restart(downMs: number): Promise<void> {
    this.open = undefined;
    this.batch.restart(++this.epoch);
    await this.publisher.restart(downMs);
  }

  private flush(): void {
    if (this.open !== undefined) this.batch.stored(this.open);
    this.open = undefined;
  }

  private idsOf(sequence: Sequence<Choice>, block: number): number[] {
    const from = block * this.blockTokens;
    const end = from + this.blockTokens;
    const { prompt, ids, output } = sequence.owner;
    const told = (ids ?? []).slice(from, end);
    if (end <= prompt.tokens) return told;
    return told.concat(outputIds(output, Math.max(from - prompt.tokens, 0), end - prompt.tokens));
  }
}
