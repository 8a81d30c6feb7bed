/**
 * What host and kernel agree on: the ABI number, the order of columns, blocks and fields, and the
 * bounds of the options. `assembly/columns.ts` states the same from the other side; a wrong order
 * shows in the property test against the twin.
 */
import type { EndpointColumns } from "../state/endpoint-table.ts";
import type { KernelOptions, Weights } from "./kernel.ts";

/** Raised with every change of layout, order, codes or hash. */
export const KERNEL_ABI = 3;

/** The columns that are arrays, in the kernel's order: bytes, then words, then numbers. */
export const BYTE_COLUMNS = ["inUse", "tier", "admission", "down", "region"] as const;
export const WORD_COLUMNS = [
  "capabilities",
  "tenants",
  "contextTokens",
  "inFlight",
  "inFlightCap",
] as const;
export const NUMBER_COLUMNS = [
  "queuedTokens",
  "sentTokens",
  "ownTokens",
  "busySinceMs",
  "busyTokens",
  "waitingTokens",
  "sampleAtMs",
  "freshUntilMs",
  "kvUsage",
  "prefillRate",
  "rttMs",
  "jitterMs",
  "priceIn",
  "priceCached",
  "priceOut",
  "trust",
  "digestDiscount",
] as const satisfies readonly (keyof EndpointColumns)[];

/** Index of a block for the kernel's `blockAt`. */
export const BLOCK = {
  askWords: 0,
  askNumbers: 1,
  regions: 2,
  tried: 3,
  weights: 4,
  resultWords: 5,
  resultNumbers: 6,
  window: 7,
  chain: 8,
} as const;

/** Order of the weights in the kernel's memory. */
export const WEIGHTS = [
  "lambda",
  "kvWaitMs",
  "sessionMarginTokens",
  "sessionMarginPressure",
  "priceTie",
  "socialTie",
  "socialTieMs",
  "stalePenaltyMs",
  "staleAfterMs",
] as const satisfies readonly (keyof Weights)[];

const ROWS = [256, 1024, 4096];
const CHUNK_BYTES_MIN = 64;
const CHUNK_BYTES_MAX = 4096;
const PROMPT_BYTES_MAX = 64 * 1024 * 1024;
const INDEX_BYTES_MAX = 1024 * 1024 * 1024;
const DIGEST_BYTES_MAX = 256 * 1024 * 1024;
/** Room for 980,000 chunks, a quarter of it for one endpoint. */
const DIGEST_BYTES = 16 * 1024 * 1024;

/** The option or its default. */
export function digestBytesOf(options: KernelOptions): number {
  return options.digestBytes ?? DIGEST_BYTES;
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

/** @throws RangeError naming the option, its value and its bounds. */
export function checkOptions(options: KernelOptions): void {
  const { rows, chunkBytes, promptBytesMax, indexBytes } = options;
  if (!ROWS.includes(rows)) {
    throw new RangeError(`rows is ${rows}: it must be 256, 1024 or 4096`);
  }
  const isPower =
    isWhole(chunkBytes, CHUNK_BYTES_MIN, CHUNK_BYTES_MAX) && (chunkBytes & (chunkBytes - 1)) === 0;
  if (!isPower) {
    throw new RangeError(`chunkBytes is ${chunkBytes}: it must be a power of two in 64..4096`);
  }
  if (!isWhole(promptBytesMax, chunkBytes, PROMPT_BYTES_MAX)) {
    throw new RangeError(
      `promptBytesMax is ${promptBytesMax}: it must be whole, chunkBytes..${PROMPT_BYTES_MAX}`,
    );
  }
  if (!isWhole(indexBytes, 1, INDEX_BYTES_MAX)) {
    throw new RangeError(`indexBytes is ${indexBytes}: it must be whole, 1..${INDEX_BYTES_MAX}`);
  }
  const digestBytes = digestBytesOf(options);
  if (!isWhole(digestBytes, 0, DIGEST_BYTES_MAX)) {
    throw new RangeError(
      `digestBytes is ${digestBytes}: it must be whole, 0..${DIGEST_BYTES_MAX}; 0 = no digests`,
    );
  }
}

/** @throws RangeError saying how to make room for the index. */
export function indexTooSmall(options: KernelOptions): RangeError {
  return new RangeError(
    `indexBytes is ${options.indexBytes}: too small for ${options.rows} rows; raise it`,
  );
}

/** @throws RangeError saying how to make room for digests. */
export function digestsTooSmall(options: KernelOptions): RangeError {
  const { digestBytes, rows } = options;
  return new RangeError(
    `digestBytes is ${digestBytes}: too small for ${rows} rows; raise it, or 0 for no digests`,
  );
}

/** @throws RangeError when a row or model is outside the table. */
export function checkIndex(what: string, value: number, end: number): void {
  if (!isWhole(value, 0, end - 1)) {
    throw new RangeError(`${what} is ${value}: it must be whole, 0..${end - 1}`);
  }
}

/** Most chunks of a row's mirror: an index never has more entries. */
export const ROW_CHUNKS_MAX = 1 << 24;

/** A count as the kernel takes it: whole, not negative, at most `most`; NaN is 0. */
export function toCount(value: number, most: number): number {
  if (!(value > 0)) return 0;
  return value < most ? Math.floor(value) : most;
}
