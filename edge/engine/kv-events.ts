/**
 * KV events of the emulated engine in vLLM's two encodings: positional arrays with vLLM 0.23's
 * fields, or maps as since PR 42892; hashes as integers or as 32 bytes. One batch per step, as
 * vLLM publishes. Hashes are salted with the process's epoch: after a restart the same content has
 * another hash, as with vLLM's random NONE_HASH.
 */
import { createHash } from "node:crypto";
import { encode } from "@msgpack/msgpack";

export const KV_ENCODINGS = ["maps", "arrays"] as const;
export type KvEncoding = (typeof KV_ENCODINGS)[number];
export const KV_HASHES = ["bytes", "int"] as const;
export type KvHashes = (typeof KV_HASHES)[number];

export interface StoredBlocks {
  /** Content keys of blocks that follow one another. */
  keys: number[];
  /** Key of the block before them; undefined = they start a prompt. */
  parent: number | undefined;
  tokenIds: number[];
  /** Name of the adapter, undefined for the base model. */
  adapter: string | undefined;
}

type Event = unknown[] | Record<string, unknown>;

export class KvEventBatch {
  private readonly encoding: KvEncoding;
  private readonly hashes: KvHashes;
  private readonly blockTokens: number;
  private epoch: number;
  private events: Event[] = [];

  constructor(encoding: KvEncoding, hashes: KvHashes, blockTokens: number, epoch: number) {
    this.encoding = encoding;
    this.hashes = hashes;
    this.blockTokens = blockTokens;
    this.epoch = epoch;
  }

  get isEmpty(): boolean {
    return this.events.length === 0;
  }

  stored({ keys, parent, tokenIds, adapter }: StoredBlocks): void {
    const fields = {
      block_hashes: keys.map((key) => this.hashOf(key)),
      parent_block_hash: parent === undefined ? null : this.hashOf(parent),
      token_ids: tokenIds,
      block_size: this.blockTokens,
      lora_id: adapter === undefined ? null : 1,
      medium: "GPU",
      lora_name: adapter ?? null,
      extra_keys: keys.map(() => (adapter === undefined ? null : [adapter])),
    };
    const more = { group_idx: 0, kv_cache_spec_kind: "full_attention" };
    this.add("BlockStored", this.encoding === "maps" ? { ...fields, ...more } : fields);
  }

  removed(key: number): void {
    const fields = { block_hashes: [this.hashOf(key)], medium: "GPU" };
    this.add("BlockRemoved", this.encoding === "maps" ? { ...fields, group_idx: 0 } : fields);
  }

  cleared(): void {
    this.add("AllBlocksCleared", {});
  }

  /** The payload of what was collected; the batch is empty after it. */
  take(timeS: number): Uint8Array {
    const payload = encode([timeS, this.events, 0], { useBigInt64: true });
    this.events = [];
    return payload;
  }

  /** Another process: hashes change, what was not sent is lost. */
  restart(epoch: number): void {
    this.epoch = epoch;
    this.events = [];
  }

  private add(type: string, fields: Record<string, unknown>): void {
    this.events.push(
      this.encoding === "maps" ? { type, ...fields } : [type, ...Object.values(fields)],
    );
  }

  private hashOf(key: number): Uint8Array | bigint {
    if (this.hashes === "int") {
      return BigInt.asUintN(64, BigInt(key + this.epoch + 1) * 0x9e3779b97f4a7c15n);
    }
    return createHash("sha256").update(`${this.epoch}:${key}`).digest();
  }
}
