/**
 * Token usage as the engine reports it: the ground truth of every request. A plain answer can be
 * large (embeddings, long texts), so its usage is found by bytes, at the end where OpenAI and vLLM
 * put it or at the start where llama.cpp puts it for embeddings, and only that object is parsed.
 * A quotation mark inside a JSON string is always escaped, so bytes that read `,"usage":{` or
 * `{"usage":{` are a key and never text of the model.
 */
import type { Tokens } from "../grid/units.ts";
import { BackwardSearch, codes, startsWith } from "./bytes.ts";

export interface Usage {
  promptTokens: Tokens;
  completionTokens: Tokens;
  /** Of the prompt, read from a cache; undefined when the engine does not say. */
  cachedTokens?: Tokens;
  /** Of the prompt, written to a cache at a price. */
  cacheWriteTokens?: Tokens;
  /** Of the completion, spent on reasoning. */
  reasoningTokens?: Tokens;
}

/** How far from either end the object is looked for by bytes. */
const WINDOW_BYTES = 4096;
/** The usage object itself is no longer than this. */
const USAGE_BYTES_MAX = 4096;
/** Largest answer that is parsed whole when the bytes did not show the object. */
const PARSE_BYTES_MAX = 256 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const decoder = new TextDecoder();

function tokensOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** Reads a parsed `usage` object of the OpenAI API; undefined when it is none. */
export function usageOf(value: unknown): Usage | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  const promptTokens = tokensOf(fields.prompt_tokens);
  if (promptTokens === undefined) return undefined;
  // An embeddings answer has no completion tokens.
  const usage: Usage = { promptTokens, completionTokens: tokensOf(fields.completion_tokens) ?? 0 };
  const prompt = detailOf(fields.prompt_tokens_details, "cached_tokens");
  if (prompt !== undefined) usage.cachedTokens = Math.min(prompt, promptTokens);
  const written = detailOf(fields.prompt_tokens_details, "cache_write_tokens");
  if (written !== undefined) usage.cacheWriteTokens = Math.min(written, promptTokens);
  const reasoning = detailOf(fields.completion_tokens_details, "reasoning_tokens");
  if (reasoning !== undefined) usage.reasoningTokens = reasoning;
  return usage;
}

function detailOf(details: unknown, name: string): number | undefined {
  if (typeof details !== "object" || details === null) return undefined;
  return tokensOf((details as Record<string, unknown>)[name]);
}

/** Reads a parsed usage object of one dialect. */
export type UsageOf = (value: unknown) => Usage | undefined;

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Offset behind the brace that closes the one at `from`; -1 when it is not within the bound. */
function closingBrace(bytes: Uint8Array, from: number): number {
  const last = Math.min(bytes.length, from + USAGE_BYTES_MAX);
  let depth = 0;
  let inString = false;
  for (let at = from; at < last; at++) {
    const byte = bytes[at];
    if (inString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === OPEN) depth++;
    else if (byte === CLOSE && --depth === 0) return at + 1;
  }
  return -1;
}

/** The usage object whose key starts at `at`, if there is one. */
function usageAt(bytes: Uint8Array, at: number, key: Uint8Array, read: UsageOf): Usage | undefined {
  if (!startsWith(bytes, at, key)) return undefined;
  let before = at - 1;
  while (before >= 0 && isSpace(bytes[before])) before--;
  if (before < 0 || (bytes[before] !== COMMA && bytes[before] !== OPEN)) return undefined;
  let after = at + key.length;
  while (isSpace(bytes[after])) after++;
  if (bytes[after++] !== COLON) return undefined;
  while (isSpace(bytes[after])) after++;
  if (bytes[after] !== OPEN) return undefined;
  const end = closingBrace(bytes, after);
  if (end < 0) return undefined;
  try {
    // A copy: a view of so few bytes costs more than they do, on Bun four times as much.
    return read(JSON.parse(decoder.decode(bytes.slice(after, end))));
  } catch {
    return undefined;
  }
}

function usageByParse(bytes: Uint8Array, name: string, read: UsageOf): Usage | undefined {
  try {
    const body: unknown = JSON.parse(decoder.decode(bytes));
    if (typeof body !== "object" || body === null) return undefined;
    return read((body as Record<string, unknown>)[name]);
  } catch {
    return undefined;
  }
}

interface Key {
  bytes: Uint8Array;
  search: BackwardSearch;
}

/** One or two names, on the way of every plain answer. */
const keys = new Map<string, Key>();

function keyOf(name: string): Key {
  const known = keys.get(name);
  if (known !== undefined) return known;
  const bytes = codes(`"${name}"`);
  const key = { bytes, search: new BackwardSearch(bytes) };
  keys.set(name, key);
  return key;
}

/**
 * Usage of a whole answer that was not streamed.
 * @param bytes the JSON body of an answer
 * @param read reads the usage object of its dialect
 * @param name its key
 * @param parseBytesMax largest body that may be parsed whole when the quick search finds nothing
 * @returns undefined when the answer has no usage, or it cannot be found at bounded cost
 */
export function usageOfBody(
  bytes: Uint8Array,
  read: UsageOf = usageOf,
  name = "usage",
  parseBytesMax: number = PARSE_BYTES_MAX,
): Usage | undefined {
  const { bytes: key, search } = keyOf(name);
  const tail = Math.max(0, bytes.length - WINDOW_BYTES);
  for (let at = search.last(bytes, tail, bytes.length); at >= 0; ) {
    const usage = usageAt(bytes, at, key, read);
    if (usage !== undefined) return usage;
    at = search.last(bytes, tail, at);
  }
  const head = Math.min(tail, WINDOW_BYTES);
  for (let at = 0; at < head; at++) {
    if (bytes[at] !== QUOTE || bytes[at + 1] !== key[1]) continue;
    const usage = usageAt(bytes, at, key, read);
    if (usage !== undefined) return usage;
  }
  return bytes.length > WINDOW_BYTES && bytes.length <= parseBytesMax
    ? usageByParse(bytes, name, read)
    : undefined;
}
