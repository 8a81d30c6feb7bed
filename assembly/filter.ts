/**
 * Who may take the task at all. The rows that serve the model are one set; each of them is asked
 * the other questions in the order of `EXCLUSIONS` (src/grid/decision.ts), whose index is the
 * code, and the first "no" is its reason. Rows that pass become the candidates.
 */
import {
  ASK_ANYWHERE, ASK_CHUNKS, ASK_CONTEXT_NEED, ASK_MAY_WAIT, ASK_MODEL, ASK_NEEDS, ASK_NOW,
  ASK_SESSION_ROW, ASK_TENANT, ASK_TIER_CEILING, ASK_TRIED, RESULT_EXCLUDED, active, admission,
  askNumbers, askWords, candidates, capabilities, codes, contextTokens, down, freshUntilMs,
  inFlight, inFlightCap, inUse, models, region, regionSet, resultWords, tenants, tier, triedRows,
  words,
} from "./columns";

const CODES: u32 = 13;
const MODELS_MAX: u32 = 256;
const EXISTING_ONLY: u32 = 1;
const UNKNOWN_CONTEXT: u32 = 0xffffffff;

const MODEL: u32 = 1;
const CAPABILITY: u32 = 2;
const REGION: u32 = 3;
const TENANT: u32 = 4;
const TIER: u32 = 5;
const DOWN: u32 = 6;
const ADMISSION: u32 = 7;
const STALE: u32 = 8;
const CONTEXT: u32 = 9;
const TRIED: u32 = 10;
const SATURATED: u32 = 11;
export const COST: u32 = 12;

/** Rows that passed. */
export let count: u32 = 0;

export function setModelRow(model: u32, row: u32, serves: bool): void {
  const at = models + ((<usize>model * words + (row >> 6)) << 3);
  const bit = (<u64>1) << (row & 63);
  const before = load<u64>(at);
  store<u64>(at, serves ? before | bit : before & ~bit);
}

function servesModel(word: u32): u64 {
  const model = load<u32>(askWords, ASK_MODEL);
  if (model >= MODELS_MAX) return 0;
  return load<u64>(models + ((<usize>model * words + word) << 3));
}

/** 64 rows' `inUse` bytes as one word. */
// @ts-ignore: decorator
@inline
function usedRows(word: u32): u64 {
  const zero = i8x16.splat(0);
  const at = inUse + (<usize>word << 6);
  const a = <u64>i8x16.bitmask(i8x16.ne(v128.load(at), zero));
  const b = <u64>i8x16.bitmask(i8x16.ne(v128.load(at, 16), zero));
  const c = <u64>i8x16.bitmask(i8x16.ne(v128.load(at, 32), zero));
  const d = <u64>i8x16.bitmask(i8x16.ne(v128.load(at, 48), zero));
  return a | (b << 16) | (c << 32) | (d << 48);
}

/** Sets `active` to the rows in use that serve the model, and counts the others. */
export function startFromModel(): void {
  memory.fill(resultWords + RESULT_EXCLUDED, 0, CODES << 2);
  let others: u32 = 0;
  for (let word: u32 = 0; word < words; ++word) {
    const used = usedRows(word);
    const able = used & servesModel(word);
    others += <u32>popcnt(used ^ able);
    store<u64>(active + (<usize>word << 3), able);
  }
  store<u32>(resultWords + RESULT_EXCLUDED + (MODEL << 2), others);
}

export function countExclusion(row: u32, code: u32): void {
  store<u8>(codes + row, <u8>code);
  const at = resultWords + RESULT_EXCLUDED + (<usize>code << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/** Asks every row of `active`; fills `candidates`. */
export function filter(): void {
  count = 0;
  const simple = ask(ASK_TRIED) === 0 && ask(ASK_ANYWHERE) !== 0 && ask(ASK_MAY_WAIT) !== 0;
  const groups = words << 2;
  for (let group: u32 = 0; group < groups; ++group) {
    const set = <u32>load<u16>(active + (<usize>group << 1));
    if (set === 0) continue;
    const row = group << 4;
    if (simple && allPass(row)) accept(row, set);
    else askEach(row, set);
  }
}

function askEach(first: u32, set: u32): void {
  for (let bits = set; bits !== 0; bits &= bits - 1) {
    const row = first + <u32>ctz(bits);
    const code = exclusion(row);
    if (code === 0) accept(row, 1);
    else countExclusion(row, code);
  }
}

// @ts-ignore: decorator
@inline
function accept(first: u32, set: u32): void {
  let end = count;
  for (let bits = set; bits !== 0; bits &= bits - 1) {
    const row = first + <u32>ctz(bits);
    store<u8>(codes + row, 0);
    store<u32>(candidates + (<usize>end << 2), row);
    ++end;
  }
  count = end;
}

/** One look at sixteen rows: true when none of them, in use or not, would be excluded. */
function allPass(row: u32): bool {
  const busy = v128.or(v128.load(down + row), v128.load(admission + row));
  const ceiling = <i8>min<u32>(ask(ASK_TIER_CEILING), 255);
  const high = i8x16.gt_u(v128.load(tier + row), i8x16.splat(ceiling));
  if (v128.any_true(v128.or(busy, high))) return false;
  return allServe(row) && allFresh(row);
}

/** Capabilities, tenants and context window, four rows at a time. */
// @ts-ignore: decorator
@inline
function allServe(row: u32): bool {
  const need = <u32>ceil<f64>(load<f64>(askNumbers, ASK_CONTEXT_NEED));
  const needs = i32x4.splat(ask(ASK_NEEDS));
  const tenant = i32x4.splat(ask(ASK_TENANT));
  const tokens = i32x4.splat(need);
  const zero = i32x4.splat(0);
  let bad = zero;
  for (let at = <usize>row << 2; at < (<usize>row << 2) + 64; at += 16) {
    bad = v128.or(bad, v128.andnot(needs, v128.load(capabilities + at)));
    bad = v128.or(bad, i32x4.eq(v128.and(tenant, v128.load(tenants + at)), zero));
    bad = v128.or(bad, i32x4.gt_u(tokens, v128.load(contextTokens + at)));
  }
  return !v128.any_true(bad);
}

// @ts-ignore: decorator
@inline
function allFresh(row: u32): bool {
  const now = f64x2.splat(load<f64>(askNumbers, ASK_NOW));
  let late = i64x2.splat(0);
  for (let at = <usize>row << 3; at < (<usize>row << 3) + 128; at += 32) {
    late = v128.or(late, f64x2.gt(now, v128.load(freshUntilMs + at)));
    late = v128.or(late, f64x2.gt(now, v128.load(freshUntilMs + at, 16)));
  }
  return !v128.any_true(late);
}

export function setCount(left: u32): void {
  count = left;
}

// @ts-ignore: decorator
@inline
function word(column: usize, row: u32): u32 {
  return load<u32>(column + (<usize>row << 2));
}

// @ts-ignore: decorator
@inline
function ask(field: usize): u32 {
  return load<u32>(askWords + field);
}

// @ts-ignore: decorator
@inline
function exclusion(row: u32): u32 {
  const needs = ask(ASK_NEEDS);
  if ((word(capabilities, row) & needs) !== needs) return CAPABILITY;
  if (ask(ASK_ANYWHERE) === 0 && !regionAllowed(load<u8>(region + row))) return REGION;
  if ((word(tenants, row) & ask(ASK_TENANT)) === 0) return TENANT;
  if (load<u8>(tier + row) > ask(ASK_TIER_CEILING)) return TIER;
  if (load<u8>(down + row) !== 0) return DOWN;
  const state = load<u8>(admission + row);
  if (state !== 0 && (state !== EXISTING_ONLY || row !== ask(ASK_SESSION_ROW))) return ADMISSION;
  if (load<f64>(askNumbers, ASK_NOW) > load<f64>(freshUntilMs + (<usize>row << 3))) return STALE;
  const room = word(contextTokens, row);
  if (room !== UNKNOWN_CONTEXT && load<f64>(askNumbers, ASK_CONTEXT_NEED) > <f64>room) {
    return CONTEXT;
  }
  if (ask(ASK_TRIED) !== 0 && wasTried(row)) return TRIED;
  if (ask(ASK_MAY_WAIT) === 0 && word(inFlight, row) >= word(inFlightCap, row)) return SATURATED;
  return 0;
}

function regionAllowed(id: u32): bool {
  return ((load<u32>(regionSet + ((id >> 5) << 2)) >> (id & 31)) & 1) !== 0;
}

function wasTried(row: u32): bool {
  const end = ask(ASK_TRIED);
  for (let index: u32 = 0; index < end; ++index) {
    if (load<u32>(triedRows + (<usize>index << 2)) === row) return true;
  }
  return false;
}

/** Chunks of the ask's chain, written by the host. */
export function askedChunks(): u32 {
  return ask(ASK_CHUNKS);
}

/** Reason of one row after a decision, whether or not it serves the model. */
export function codeOf(row: u32): u32 {
  const able = (servesModel(row >> 6) >> (row & 63)) & 1;
  return able === 0 ? MODEL : load<u8>(codes + row);
}
