/**
 * Sets of chunk hashes as bytes. A member is 32 bits: the endpoint that holds it in the high 8, 24
 * bits of hash below. Each endpoint's hashes are Golomb-Rice coded gaps: 4,096 of them take about
 * 7 KB instead of 12. First the count, the Rice parameter and the first hash, then one code per
 * gap, bits from the high end.
 *
 *     endpoint 1 B | count 3 B | parameter 1 B | first 3 B
 *                  | gap: quotient in unary (1..10), then `parameter` bits | ...      per endpoint
 */
import { SchemaError } from "./codec.ts";

const HASHES = 0x100_0000;
const HEADER = 8;
/** A longer quotient means that the parameter does not fit the data. */
const MAX_QUOTIENT = 4096;

/** `values` ascending, distinct, 0..2^32-1. */
export function encodeSet(values: readonly number[]): Uint8Array {
  const bytes: number[] = [];
  for (let from = 0; from < values.length; ) {
    const endpoint = Math.floor(values[from] / HASHES);
    let to = from + 1;
    while (to < values.length && Math.floor(values[to] / HASHES) === endpoint) to++;
    encodeHashes(
      bytes,
      endpoint,
      values.slice(from, to).map((value) => value % HASHES),
    );
    from = to;
  }
  return Uint8Array.from(bytes);
}

function encodeHashes(bytes: number[], endpoint: number, hashes: readonly number[]): void {
  const parameter = riceParameter(hashes);
  const [count, first] = [hashes.length, hashes[0]];
  bytes.push(endpoint, count >>> 16, (count >>> 8) & 0xff, count & 0xff, parameter);
  bytes.push(first >>> 16, (first >>> 8) & 0xff, first & 0xff);
  let bits = 0;
  let held = 0;
  const push = (bit: number) => {
    held = (held << 1) | bit;
    if (++bits < 8) return;
    bytes.push(held);
    held = 0;
    bits = 0;
  };
  for (let i = 1; i < count; i++) {
    const gap = hashes[i] - hashes[i - 1] - 1;
    for (let quotient = gap >>> parameter; quotient > 0; quotient--) push(1);
    push(0);
    for (let bit = parameter - 1; bit >= 0; bit--) push((gap >>> bit) & 1);
  }
  while (bits !== 0) push(0);
}

/** The best for evenly spread hashes, or more where one gap would be too long to be taken. */
function riceParameter(hashes: readonly number[]): number {
  const range = hashes[hashes.length - 1] - hashes[0];
  const mean = range / Math.max(1, hashes.length - 1);
  let parameter = Math.min(23, Math.max(0, Math.floor(Math.log2(mean * Math.LN2 || 1))));
  let widest = 0;
  for (let i = 1; i < hashes.length; i++) widest = Math.max(widest, hashes[i] - hashes[i - 1]);
  while (widest >>> parameter >= MAX_QUOTIENT) parameter++;
  return parameter;
}

/** @throws SchemaError unless the bytes are a set of at most `max` members, in order. */
export function decodeSet(bytes: Uint8Array, max: number): number[] {
  const values: number[] = [];
  let at = 0;
  let last = -1;
  while (at < bytes.length) {
    const endpoint = bytes[at];
    if (endpoint <= last) throw new SchemaError("endpoints of a set out of order");
    last = endpoint;
    at = decodeHashes(bytes, at, max, values);
  }
  return values;
}

/** Reads one endpoint's hashes from `start`; returns where they end. */
function decodeHashes(bytes: Uint8Array, start: number, max: number, values: number[]): number {
  if (bytes.length - start < HEADER) throw new SchemaError("a set has a header of 8 bytes");
  const [endpoint, c2, c1, c0, parameter, f2, f1, f0] = bytes.subarray(start, start + HEADER);
  const count = (c2 << 16) | (c1 << 8) | c0;
  let at = (start + HEADER) * 8;
  // Every gap takes a bit at least, so the count is bounded by what came.
  const possible = count > 0 && count - 1 <= bytes.length * 8 - at;
  if (!possible || values.length + count > max || parameter > 23) {
    throw new SchemaError(`set of at most ${max} members expected`);
  }
  const bit = () => {
    if (at >= bytes.length * 8) throw new SchemaError("set ends early");
    const value = (bytes[at >> 3] >> (7 - (at & 7))) & 1;
    at++;
    return value;
  };
  let hash = (f2 << 16) | (f1 << 8) | f0;
  values.push(endpoint * HASHES + hash);
  for (let left = count - 1; left > 0; left--) {
    let gap = 0;
    while (bit() === 1) if (++gap > MAX_QUOTIENT) throw new SchemaError("gap out of range");
    for (let i = 0; i < parameter; i++) gap = gap * 2 + bit();
    hash += gap + 1;
    if (hash >= HASHES) throw new SchemaError("hash over 24 bits");
    values.push(endpoint * HASHES + hash);
  }
  return Math.ceil(at / 8);
}
