/**
 * The kernel's memory: laid out once by `init`, never grown again, so that the host's typed
 * arrays over it never detach. Every block starts at a multiple of 64 (one cache line).
 *
 *     ┌─ blocks of one decision ────────────────────────────────────────────────────────────┐
 *     │ ask u32[16] │ ask f64[8] │ regions u32[8] │ tried i32[64] │ weights f64[16]         │
 *     │ result u32[32] │ result f64[8]                                                      │
 *     ├─ columns: one array per fact, one element per endpoint row ─────────────────────────┤
 *     │ inUse u8[rows] │ tier u8[rows] │ … │ capabilities u32[rows] │ … │ trust f64[rows]   │
 *     ├─ sets of rows: one bit per row, `words` u64 words each ─────────────────────────────┤
 *     │ models [256][words] │ active, lost, nobody, told, fed [words]                       │
 *     ├─ scores ────────────────────────────────────────────────────────────────────────────┤
 *     │ code u8[rows] │ matched u32[rows] │ candidate u32[rows] │ tie u32[rows]             │
 *     │ ttft f64[rows] │ social f64[rows] │ price f64[rows]        (by candidate, not row)  │
 *     ├─ prompt ────────────────────────────────────────────────────────────────────────────┤
 *     │ window u8[65536]: text on its way through the hash │ chain u64[chunkLimit]          │
 *     ├─ prefix index, at most `indexBytes` (drawn in prefix.ts and mirror.ts) ─────────────┤
 *     │ row records [rows] │ buckets [buckets] │ segments [buckets]                         │
 *     ├─ digests, at most `digestBytes` (drawn in digest.ts and feed.ts) ───────────────────┤
 *     │ row records [rows] │ slots [slots] │ masks [masks][words] │ segments [segments]     │
 *     └─────────────────────────────────────────────────────────────────────────────────────┘
 *
 * A column starts one cache line further than its size asks: columns a power of two apart would
 * all fall into the same cache sets.
 */

/** Raised with every change of layout, order of columns, codes or hash. */
export const ABI: u32 = 3;
export const WINDOW_BYTES: u32 = 65536;
/** Room after the window, so that a word may be read across its end. */
const WINDOW_SLACK: u32 = 64;
const MODELS_MAX: u32 = 256;
const BYTE_COLUMNS: i32 = 5;
const WORD_COLUMNS: i32 = 5;
const NUMBER_COLUMNS: i32 = 17;
const PAGE: usize = 65536;

export let rows: u32 = 0;
/** u64 words in a set of rows. */
export let words: u32 = 0;
export let chunkBytes: u32 = 0;
/** Most chunks of one prompt that are hashed and matched. */
export let chunkLimit: u32 = 0;

export let askWords: usize = 0;
export let askNumbers: usize = 0;
export let regionSet: usize = 0;
export let triedRows: usize = 0;
export let weights: usize = 0;
export let resultWords: usize = 0;
export let resultNumbers: usize = 0;

export let inUse: usize = 0;
export let tier: usize = 0;
export let admission: usize = 0;
export let down: usize = 0;
export let region: usize = 0;
export let capabilities: usize = 0;
export let tenants: usize = 0;
export let contextTokens: usize = 0;
export let inFlight: usize = 0;
export let inFlightCap: usize = 0;
export let queuedTokens: usize = 0;
export let sentTokens: usize = 0;
export let ownTokens: usize = 0;
export let busySinceMs: usize = 0;
export let busyTokens: usize = 0;
export let waitingTokens: usize = 0;
export let sampleAtMs: usize = 0;
export let freshUntilMs: usize = 0;
export let kvUsage: usize = 0;
export let prefillRate: usize = 0;
export let rttMs: usize = 0;
export let jitterMs: usize = 0;
export let priceIn: usize = 0;
export let priceCached: usize = 0;
export let priceOut: usize = 0;
export let trust: usize = 0;
export let digestDiscount: usize = 0;

export let models: usize = 0;
export let active: usize = 0;
/** Rows that the chunk just looked at has lost. */
export let lost: usize = 0;
/** The empty set. */
export let nobody: usize = 0;
/** Rows that have a digest (digest.ts). */
export let told: usize = 0;
/** Rows whose changes are logged (feed.ts). */
export let fed: usize = 0;
export let codes: usize = 0;
export let matched: usize = 0;
export let candidates: usize = 0;
export let ties: usize = 0;
export let ttfts: usize = 0;
export let socials: usize = 0;
export let prices: usize = 0;
export let textWindow: usize = 0;
export let chain: usize = 0;

/** First free byte; `prefix.ts` goes on from here. */
let top: usize = 0;

export function place(bytes: usize): usize {
  const at = top;
  top += (bytes + 63) & ~63;
  return at;
}

/** Makes the memory as large as everything placed so far needs. False: the host refused. */
export function grow(): bool {
  const pages = <i32>((top + PAGE - 1) / PAGE) - memory.size();
  return pages <= 0 || memory.grow(pages) >= 0;
}

export function layout(rowCount: u32, bytesPerChunk: u32, chunks: u32): void {
  top = (__heap_base + 63) & ~63;
  rows = rowCount;
  words = rowCount >> 6;
  chunkBytes = bytesPerChunk;
  chunkLimit = chunks;
  askWords = place(16 * 4);
  askNumbers = place(8 * 8);
  regionSet = place(8 * 4);
  triedRows = place(64 * 4);
  weights = place(16 * 8);
  resultWords = place(32 * 4);
  resultNumbers = place(8 * 8);
  placeColumns();
  placeScores();
  textWindow = place(WINDOW_BYTES + WINDOW_SLACK);
  chain = place(<usize>chunks << 3);
}

function column(bytesPerRow: u32): usize {
  return place(<usize>rows * bytesPerRow + 64);
}

function placeColumns(): void {
  inUse = column(1);
  tier = column(1);
  admission = column(1);
  down = column(1);
  region = column(1);
  capabilities = column(4);
  tenants = column(4);
  contextTokens = column(4);
  inFlight = column(4);
  inFlightCap = column(4);
  queuedTokens = column(8);
  sentTokens = column(8);
  ownTokens = column(8);
  busySinceMs = column(8);
  busyTokens = column(8);
  waitingTokens = column(8);
  sampleAtMs = column(8);
  freshUntilMs = column(8);
  kvUsage = column(8);
  prefillRate = column(8);
  rttMs = column(8);
  jitterMs = column(8);
  priceIn = column(8);
  priceCached = column(8);
  priceOut = column(8);
  trust = column(8);
  digestDiscount = column(8);
}

function placeScores(): void {
  models = place(<usize>MODELS_MAX * words * 8);
  active = place(words * 8);
  lost = place(words * 8);
  nobody = place(words * 8);
  told = place(words * 8);
  fed = place(words * 8);
  codes = column(1);
  matched = column(4);
  candidates = column(4);
  ties = column(4);
  ttfts = column(8);
  socials = column(8);
  prices = column(8);
}

/** Address of a column by its index in the host's `COLUMNS`; 0 when there is none. */
export function columnAt(index: i32): usize {
  const bytesEnd = BYTE_COLUMNS;
  const wordsEnd = bytesEnd + WORD_COLUMNS;
  const strideOf8 = tier - inUse;
  const strideOf32 = tenants - capabilities;
  const strideOf64 = sentTokens - queuedTokens;
  if (index < 0) return 0;
  if (index < bytesEnd) return inUse + <usize>index * strideOf8;
  if (index < wordsEnd) return capabilities + <usize>(index - bytesEnd) * strideOf32;
  if (index < wordsEnd + NUMBER_COLUMNS) {
    return queuedTokens + <usize>(index - wordsEnd) * strideOf64;
  }
  return 0;
}

/** Address of a block by its index in the host's `BLOCKS`; 0 when there is none. */
export function blockAt(index: i32): usize {
  switch (index) {
    case 0: return askWords;
    case 1: return askNumbers;
    case 2: return regionSet;
    case 3: return triedRows;
    case 4: return weights;
    case 5: return resultWords;
    case 6: return resultNumbers;
    case 7: return textWindow;
    case 8: return chain;
    default: return 0;
  }
}

// The ask, word by word; the host writes the same order (`ASK_WORDS`, `ASK_NUMBERS` in abi.ts).
export const ASK_MODEL: usize = 0;
export const ASK_NEEDS: usize = 4;
export const ASK_TENANT: usize = 8;
export const ASK_TIER_CEILING: usize = 12;
export const ASK_CHUNKS: usize = 16;
export const ASK_SESSION_ROW: usize = 20;
export const ASK_TRIED: usize = 24;
export const ASK_MAY_WAIT: usize = 28;
export const ASK_RANDOM: usize = 32;
export const ASK_ANYWHERE: usize = 36;

export const ASK_PROMPT_TOKENS: usize = 0;
export const ASK_TOKENS_PER_CHUNK: usize = 8;
export const ASK_OUT_TOKENS: usize = 16;
export const ASK_CONTEXT_NEED: usize = 24;
export const ASK_SLO: usize = 32;
export const ASK_MAX_COST: usize = 40;
export const ASK_NOW: usize = 48;

// The weights, in the order of the host's `WEIGHTS`.
export const WEIGHT_LAMBDA: usize = 0;
export const WEIGHT_KV_WAIT: usize = 8;
export const WEIGHT_MARGIN_TOKENS: usize = 16;
export const WEIGHT_MARGIN_PRESSURE: usize = 24;
export const WEIGHT_PRICE_TIE: usize = 32;
export const WEIGHT_SOCIAL_TIE: usize = 40;
export const WEIGHT_SOCIAL_TIE_MS: usize = 48;
export const WEIGHT_STALE_PENALTY: usize = 56;
export const WEIGHT_STALE_AFTER: usize = 64;

// The result: words 0..3, then the counts per exclusion code from word 4 on; numbers apart.
export const RESULT_ROW: usize = 0;
export const RESULT_CHOICE: usize = 4;
export const RESULT_CANDIDATES: usize = 8;
export const RESULT_CODE: usize = 12;
export const RESULT_EXCLUDED: usize = 16;
