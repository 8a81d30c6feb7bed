/**
 * Sorted sets of 24-bit numbers, as Golomb-Rice coded gaps: 4,096 of them take about 7 KB instead
 * of 12. First the count and the Rice parameter, then one code per gap, bits from the high end.
 *
 *     count 3 B | parameter 1 B | gap: quotient in unary (1..10), then `parameter` bits | ...
 */
import { SchemaError } from "./codec.ts";

const RANGE = 0x100_0000;
const HEADER = 4;

/** `values` ascending, distinct, 0..2^24-1. */
export function encodeSet(values: readonly number[]): Uint8Array {
  const mean = values.length === 0 ? 1 : RANGE / values.length;
  const parameter = Math.min(23, Math.max(0, Math.floor(Math.log2(mean * Math.LN2))));
  const bytes: number[] = [
    values.length >>> 16,
    (values.length >>> 8) & 0xff,
    values.length & 0xff,
    parameter,
  ];
  let bits = 0;
  let held = 0;
  const push = (bit: number) => {
    held = (held << 1) | bit;
    if (++bits < 8) return;
    bytes.push(held);
    held = 0;
    bits = 0;
  };
  let last = -1;
  for (const value of values) {
    const gap = value - last - 1;
    last = value;
    for (let quotient = gap >>> parameter; quotient > 0; quotient--) push(1);
    push(0);
    for (let i = parameter - 1; i >= 0; i--) push((gap >>> i) & 1);
  }
  while (bits !== 0) push(0);
  return Uint8Array.from(bytes);
}

/** @throws SchemaError unless the bytes are a set of at most `max` numbers. */
export function decodeSet(bytes: Uint8Array, max: number): number[] {
  if (bytes.length < HEADER) throw new SchemaError("a set has a header of 4 bytes");
  const count = (bytes[0] << 16) | (bytes[1] << 8) | bytes[2];
  const parameter = bytes[3];
  // Every gap takes a bit at least, so the count is bounded by what came.
  if (count > max || parameter > 23 || count > (bytes.length - HEADER) * 8) {
    throw new SchemaError(`set of at most ${max} numbers expected`);
  }
  let at = HEADER * 8;
  const bit = () => {
    if (at >= bytes.length * 8) throw new SchemaError("set ends early");
    const value = (bytes[at >> 3] >> (7 - (at & 7))) & 1;
    at++;
    return value;
  };
  const values: number[] = [];
  let last = -1;
  while (values.length < count) {
    let gap = 0;
    while (bit() === 1) if (++gap > RANGE >>> parameter) throw new SchemaError("gap out of range");
    for (let i = 0; i < parameter; i++) gap = (gap << 1) | bit();
    last += gap + 1;
    if (last >= RANGE) throw new SchemaError("number over 24 bits");
    values.push(last);
  }
  return values;
}
