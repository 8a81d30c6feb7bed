/**
 * KV events as engines publish them, decoded: vLLM's msgspec batches, whose events were positional
 * arrays up to 0.23 and are maps since PR 42892; SGLang's (arrays, maps, `BlockStoredWithMetadata`,
 * `attn_dp_rank`) and TensorRT-LLM's, which follow vLLM's names. Unknown events and fields are
 * passed over, and one bad event never costs its siblings: it is counted.
 *
 *     batch  = [ts, events, rank?]  or  {ts, events, data_parallel_rank | attn_dp_rank}
 *     stored = [tag, block_hashes, parent_block_hash, token_ids, block_size, lora_id, medium,
 *               lora_name, extra_keys, group_idx, kv_cache_spec_kind, sliding_window]
 *
 * Hashes are integers (signed or not, beyond 2^53) or bytes, of which the last eight count, as in
 * vLLM's own integers. They are opaque: keys for parents and removals, never recomputed.
 */
import { decode } from "@msgpack/msgpack";

/** Where a block lies, as a set: the faster tiers have the lower bits. */
export const MEDIUM = { device: 1, host: 2, disk: 4, fabric: 8 } as const;
export type Medium = keyof typeof MEDIUM;

export interface StoredEvent {
  kind: "stored";
  /** (low, high) per block. */
  hashes: Uint32Array;
  /** (low, high), or undefined for blocks that start a prompt. */
  parent: Uint32Array | undefined;
  tokenIds: ArrayLike<number>;
  blockTokens: number;
  medium: number;
  adapter: string;
  /** Per block what beside the tokens tells it apart (salt, images), "" for nothing. */
  extras: string[] | undefined;
  group: number;
  /** False: blocks of a window or of a state, which do not tell whether a prefix is held. */
  isFull: boolean;
}

export interface RemovedEvent {
  kind: "removed";
  hashes: Uint32Array;
  /** 0 = wherever it lies. */
  medium: number;
  group: number;
}

export type KvEvent = StoredEvent | RemovedEvent | { kind: "cleared" };

export interface KvBatch {
  events: KvEvent[];
  /** Events that could not be read. */
  bad: number;
  /** Events of a kind that is not known here. */
  unknown: number;
}

type Fields = Record<string, unknown>;

const EVENTS_MAX = 65_536;
const HASHES_MAX = 65_536;
const BLOCK_TOKENS_MAX = 65_536;
const DECODE = {
  useBigInt64: true,
  maxStrLength: 65_536,
  maxBinLength: 65_536,
  maxArrayLength: 4_194_304,
  maxMapLength: 4_096,
  maxExtLength: 4_096,
};

const STORED = [
  "type",
  "block_hashes",
  "parent_block_hash",
  "token_ids",
  "block_size",
  "lora_id",
  "medium",
  "lora_name",
  "extra_keys",
  "group_idx",
  "kv_cache_spec_kind",
];
const ORDER: Record<string, readonly string[]> = {
  BlockStored: STORED,
  BlockStoredWithMetadata: STORED,
  BlockRemoved: ["type", "block_hashes", "medium", "group_idx"],
  AllBlocksCleared: ["type"],
};

/** @throws Error when the payload is no batch at all */
export function decodeBatch(payload: Uint8Array): KvBatch {
  const outer = decode(payload, DECODE);
  const events = Array.isArray(outer) ? outer[1] : (outer as Fields | null)?.events;
  if (!Array.isArray(events)) throw new Error("the payload is no batch of KV events");
  const batch: KvBatch = { events: [], bad: Math.max(events.length - EVENTS_MAX, 0), unknown: 0 };
  for (const raw of events.slice(0, EVENTS_MAX) as unknown[]) {
    const fields = fieldsOf(raw);
    const type = String(fields?.type);
    const read = Object.hasOwn(READERS, type) ? READERS[type] : undefined;
    if (fields === undefined) batch.bad++;
    else if (read === undefined) batch.unknown++;
    else {
      const event = read(fields);
      if (event === undefined) batch.bad++;
      else batch.events.push(event);
    }
  }
  return batch;
}

/** Both encodings as named fields; undefined when it is neither. */
function fieldsOf(raw: unknown): Fields | undefined {
  if (!Array.isArray(raw)) return isFields(raw) ? raw : undefined;
  const tag = String(raw[0]);
  const order = Object.hasOwn(ORDER, tag) ? ORDER[tag] : ["type"];
  const fields: Fields = {};
  for (let at = 0; at < order.length; at++) fields[order[at]] = raw[at];
  // SGLang: the metadata is a map at the end, where vLLM has further fields.
  if (tag === "BlockStoredWithMetadata") {
    fields.lora_name = undefined;
    Object.assign(fields, raw.slice(6).find(isFields), { type: tag });
  }
  return fields;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value);
}

const READERS: Record<string, ((fields: Fields) => KvEvent | undefined) | undefined> = {
  BlockStored: readStored,
  BlockStoredWithMetadata: readStored,
  BlockRemoved: readRemoved,
  AllBlocksCleared: () => ({ kind: "cleared" }),
};

function readStored(fields: Fields): StoredEvent | undefined {
  const hashes = hashesOf(fields.block_hashes);
  const blockTokens = numberOf(fields.block_size);
  const tokenIds = idsOf(fields.token_ids);
  if (hashes === undefined || blockTokens === undefined || tokenIds === undefined) return undefined;
  const blocks = hashes.length / 2;
  if (blockTokens < 1 || blockTokens > BLOCK_TOKENS_MAX) return undefined;
  if (tokenIds.length < blocks * blockTokens) return undefined;
  const { parent_block_hash: parent } = fields;
  const isRoot = parent === undefined || parent === null;
  const parentHash = isRoot ? undefined : hashesOf([parent]);
  if (!isRoot && parentHash === undefined) return undefined;
  const adapter = typeof fields.lora_name === "string" ? fields.lora_name : "";
  return {
    kind: "stored",
    hashes,
    parent: parentHash,
    tokenIds,
    blockTokens,
    medium: mediumOf(fields.medium) || MEDIUM.device,
    adapter,
    extras: extrasOf(fields, adapter, blocks, isRoot),
    group: numberOf(fields.group_idx) ?? 0,
    isFull: isFullKind(fields.kv_cache_spec_kind),
  };
}

function readRemoved(fields: Fields): RemovedEvent | undefined {
  const hashes = hashesOf(fields.block_hashes);
  if (hashes === undefined) return undefined;
  const group = numberOf(fields.group_idx) ?? 0;
  return { kind: "removed", hashes, medium: mediumOf(fields.medium), group };
}

/** Not said, or a kind whose blocks all stay: `full_attention`, `mla`, `sink_full_attention`. */
function isFullKind(kind: unknown): boolean {
  return typeof kind !== "string" || /full|mla/i.test(kind);
}

function numberOf(value: unknown): number | undefined {
  const number = typeof value === "bigint" ? Number(value) : value;
  return Number.isSafeInteger(number) ? (number as number) : undefined;
}

/** Token ids are below 2^32; what is not (pairs of a draft model) makes the event unreadable. */
function idsOf(value: unknown): ArrayLike<number> | undefined {
  if (!Array.isArray(value)) return undefined;
  for (const id of value) if (typeof id !== "number") return undefined;
  return value as number[];
}

function hashesOf(value: unknown): Uint32Array | undefined {
  if (!Array.isArray(value) || value.length > HASHES_MAX) return undefined;
  const pairs = new Uint32Array(value.length * 2);
  for (let at = 0; at < value.length; at++) {
    if (!writeHash(value[at], pairs, at * 2)) return undefined;
  }
  return pairs;
}

/** The low 64 bits of a hash in whatever form; 0 becomes 1, since 0 is nobody's key. */
function writeHash(value: unknown, pairs: Uint32Array, at: number): boolean {
  if (typeof value === "bigint") {
    const whole = BigInt.asUintN(64, value);
    pairs[at] = Number(whole & 0xffffffffn);
    pairs[at + 1] = Number(whole >> 32n);
  } else if (typeof value === "number" && Number.isSafeInteger(value)) {
    pairs[at] = value;
    pairs[at + 1] = Math.floor(value / 0x1_0000_0000);
  } else if (ArrayBuffer.isView(value) && value.byteLength >= 8) {
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    pairs[at] = view.getUint32(value.byteLength - 4);
    pairs[at + 1] = view.getUint32(value.byteLength - 8);
  } else return false;
  if ((pairs[at] | pairs[at + 1]) === 0) pairs[at] = 1;
  return true;
}

/** vLLM: GPU, CPU; SGLang: GPU, CPU_PINNED, DISK, EXTERNAL. 0 = not said. */
function mediumOf(value: unknown): number {
  if (typeof value !== "string" || value === "") return 0;
  if (/gpu|device|hbm|cuda/i.test(value)) return MEDIUM.device;
  if (/cpu|host|dram|pinned/i.test(value)) return MEDIUM.host;
  return /disk|ssd|nvme|file|storage/i.test(value) ? MEDIUM.disk : MEDIUM.fabric;
}

/** vLLM lists the adapter among the extra keys of every block: it is told already. */
function extrasOf(
  fields: Fields,
  adapter: string,
  blocks: number,
  isRoot: boolean,
): string[] | undefined {
  const keys = Array.isArray(fields.extra_keys) ? fields.extra_keys : [];
  const extras = Array.from({ length: blocks }, (_, block) => extraOf(keys[block], adapter));
  const { cache_salt: salt } = fields;
  if (isRoot && blocks > 0 && typeof salt === "string" && salt !== "") extras[0] = salt;
  return extras.every((extra) => extra === "") ? undefined : extras;
}

function extraOf(value: unknown, adapter: string): string {
  const keys = (Array.isArray(value) ? value : [value]).filter(
    (key) => key !== undefined && key !== null && key !== adapter,
  );
  return keys.map((key) => (typeof key === "string" ? key : plain(key))).join("\n");
}

function plain(key: unknown): string {
  return JSON.stringify(key, (_, value) => (typeof value === "bigint" ? `${value}` : value)) ?? "";
}
