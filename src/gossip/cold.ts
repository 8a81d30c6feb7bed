/**
 * The cold state of one PoP: signed keys with one writer. The newest seq of a key wins; a tombstone
 * is a record like any other. When tombstones pile up the author writes its live keys anew and then
 * a floor: whatever lies below it is void for ever, so forgetting tombstones brings nothing back,
 * whatever order records arrive in. The digest is order-free, so that two holders compare equal
 * exactly when they hold the same records.
 */
import type { ColdRecord } from "./statement.ts";

/** The key of the floor record. */
export const FLOOR_KEY = "";

/** 32-bit FNV-1a over a string and one safe integer. */
export function hash32(text: string, number = 0): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (number >>> 0), 0x01000193);
  hash = Math.imul(hash ^ Math.floor(number / 0x1_0000_0000), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

export class ColdMap {
  readonly records = new Map<string, ColdRecord>();
  /** Keys and values held, bytes. */
  bytes = 0;
  tombstones = 0;
  digest = 0;

  get floorSeq(): number {
    return this.records.get(FLOOR_KEY)?.seq ?? 0;
  }

  /** Whether `record` is newer than what is held. Nothing changes. */
  isNews(record: ColdRecord): boolean {
    if (record.seq < this.floorSeq) return false;
    return record.seq > (this.records.get(record.key)?.seq ?? 0);
  }

  /** Whether holding `record` too would stay within the bounds. */
  fits(record: ColdRecord, maxKeys: number, maxBytes: number): boolean {
    const held = this.records.get(record.key);
    const bytes = this.bytes + sizeOf(record) - (held === undefined ? 0 : sizeOf(held));
    return bytes <= maxBytes && (held !== undefined || this.records.size < maxKeys);
  }

  put(record: ColdRecord): void {
    const held = this.records.get(record.key);
    if (held !== undefined) this.drop(held);
    this.records.set(record.key, record);
    this.bytes += sizeOf(record);
    this.digest = (this.digest ^ hash32(record.key, record.seq)) >>> 0;
    if (record.value === null && record.key !== FLOOR_KEY) this.tombstones++;
    if (record.key === FLOOR_KEY) this.dropBelow(record.seq);
  }

  private dropBelow(seq: number): void {
    for (const record of this.records.values()) if (record.seq < seq) this.drop(record);
  }

  private drop(record: ColdRecord): void {
    this.records.delete(record.key);
    this.bytes -= sizeOf(record);
    this.digest = (this.digest ^ hash32(record.key, record.seq)) >>> 0;
    if (record.value === null && record.key !== FLOOR_KEY) this.tombstones--;
  }
}

function sizeOf(record: ColdRecord): number {
  return record.key.length + (record.value?.length ?? 0);
}
