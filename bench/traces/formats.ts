/**
 * The public trace formats: Mooncake (one request per line, ids of 512-token blocks), agentic
 * (one session per line, ids of 64-token blocks, no absolute times), Azure (CSV, no ids).
 */
import { basename } from "node:path";
import { linesOf } from "./lines.ts";
import { randomBelow, randomShare, randomWords } from "./random.ts";
import { BLOCK_TOKENS, type RawRequest, type Trace, toTrace } from "./trace.ts";

export const FORMATS = ["mooncake", "agentic", "azure"] as const;
export type Format = (typeof FORMATS)[number];

export interface ReadOptions {
  format: Format | undefined;
  /** Of sessions without absolute times: how many take part (0 = all), and in which window. */
  sessions: number;
  windowMs: number;
  /** Longest pause within a session. */
  gapMs: number;
  seed: number;
}

export class TraceError extends Error {}

/** @throws TraceError naming the file, and the line where there is one */
export async function readTrace(file: string, options: ReadOptions): Promise<Trace> {
  let format = options.format;
  let reader: ((line: string) => void) | undefined;
  const raw: RawRequest[] = [];
  const sessions: AgenticSession[] = [];
  let number = 0;
  try {
    for await (const line of linesOf(file)) {
      number++;
      if (line.trim() === "") continue;
      format ??= formatOf(line);
      reader ??= readerOf(format, raw, sessions);
      reader(line);
    }
    number = 0;
    for (const request of placed(sessions, options)) raw.push(request);
    return toTrace(basename(file), raw);
  } catch (error) {
    const where = number > 0 && reader !== undefined ? `, line ${number}: not ${format}` : "";
    throw new TraceError(`${file}${where}: ${(error as Error).message}`);
  }
}

function formatOf(line: string): Format {
  if (!line.trimStart().startsWith("{")) return "azure";
  const first = JSON.parse(line) as Record<string, unknown>;
  if (Array.isArray(first.requests)) return "agentic";
  if ("hash_ids" in first || "input_length" in first) return "mooncake";
  throw new TypeError("the format is not clear: say --format mooncake, agentic or azure");
}

function readerOf(
  format: Format,
  raw: RawRequest[],
  sessions: AgenticSession[],
): (line: string) => void {
  if (format === "mooncake") return (line) => raw.push(mooncakeRequest(line));
  if (format === "agentic") return (line) => sessions.push(agenticSession(line, sessions.length));
  let header: string[] | undefined;
  return (line) => {
    if (header === undefined) header = azureHeader(line);
    else raw.push(azureRequest(line, header));
  };
}

/** Tokens of one prompt or answer; more is a fault of the file. */
const TOKENS_MAX = 1e8;

function numberOf(value: unknown, name: string, most = Number.MAX_SAFE_INTEGER): number {
  const isNumber = typeof value === "number" || (typeof value === "string" && value.trim() !== "");
  const number = isNumber ? Number(value) : Number.NaN;
  if (number >= 0 && number <= most) return number;
  throw new TypeError(`${name} must be a number from 0 to ${most}, not ${JSON.stringify(value)}`);
}

/** An empty prompt or answer still is one token to an engine. */
function tokensOf(value: unknown, name: string): number {
  return Math.max(Math.round(numberOf(value, name, TOKENS_MAX)), 1);
}

function idsOf(value: unknown): (number | string)[] {
  const isId = (id: unknown) => typeof id === "number" || typeof id === "string";
  if (Array.isArray(value) && value.every(isId)) return value;
  throw new TypeError("hash_ids must be a list of numbers or strings");
}

/** Ids of 64 bits are beyond what a number holds: two of them must not become one. */
const LONG_NUMBER = /\d{16}/;

function parsed(line: string): Record<string, unknown> {
  if (!LONG_NUMBER.test(line)) return objectOf(JSON.parse(line));
  const exact = (_key: string, value: unknown, { source }: { source?: string }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && LONG_NUMBER.test(source ?? "")
      ? source
      : value;
  // The third argument is younger than the compiler's library.
  const parse = JSON.parse as (text: string, reviver: typeof exact) => unknown;
  return objectOf(parse(line, exact));
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new TypeError("each line must be a JSON object");
}

function mooncakeRequest(line: string): RawRequest {
  const row = parsed(line);
  return {
    atMs: numberOf(row.timestamp, "timestamp"),
    inputTokens: tokensOf(row.input_length, "input_length"),
    outputTokens: tokensOf(row.output_length, "output_length"),
    ids: idsOf(row.hash_ids),
    session: undefined,
  };
}

const AZURE_COLUMNS = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"];

function azureHeader(line: string): string[] {
  const names = line.split(",").map((name) => name.trim());
  const missing = AZURE_COLUMNS.find((name) => !names.includes(name));
  if (missing === undefined) return names;
  throw new TypeError(`the header must have the columns ${AZURE_COLUMNS}: no ${missing} in it`);
}

function azureRequest(line: string, header: string[]): RawRequest {
  const cells = line.split(",").map((cell) => cell.trim());
  const [time, input, output] = AZURE_COLUMNS.map((name) => cells[header.indexOf(name)]);
  return {
    atMs: timeOf(time),
    inputTokens: tokensOf(input, "ContextTokens"),
    outputTokens: tokensOf(output, "GeneratedTokens"),
    ids: undefined,
    session: undefined,
  };
}

const DATE_TIME = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$/;

/** Hundreds of nanoseconds are more digits than Date.parse is bound to take. */
function timeOf(text: string | undefined): number {
  const found = DATE_TIME.exec(text ?? "");
  const [, day, time, fraction = "0", zone = "Z"] = found ?? [];
  const atMs = Date.parse(`${day}T${time}${zone}`) + Number(fraction) * 1000;
  if (found !== null && atMs >= 0) return atMs;
  throw new TypeError(`TIMESTAMP must be like 2023-11-16 18:15:46.68059, not "${text}"`);
}

interface AgenticRequest {
  atS: number;
  inputTokens: number;
  outputTokens: number;
  ids: string[];
}
type AgenticSession = AgenticRequest[];

function agenticSession(line: string, number: number): AgenticSession {
  const session = parsed(line);
  const blockTokens = numberOf(session.block_size, "block_size");
  const every = BLOCK_TOKENS / blockTokens;
  if (!Number.isInteger(every)) throw new TypeError(`block_size ${blockTokens} is no part of 512`);
  // Ids of another scope name the same blocks in every session.
  const scope = (session.hash_id_scope ?? "local") === "local" ? `${number}/` : "";
  const found: AgenticSession = [];
  const take = (rows: unknown, startS: number) => {
    if (!Array.isArray(rows)) throw new TypeError("requests must be a list");
    for (const row of rows.map(objectOf)) {
      const atS = startS + numberOf(row.t, "t");
      if (row.type === "subagent") {
        take(row.requests, atS);
        continue;
      }
      found.push({
        atS,
        inputTokens: tokensOf(row.in, "in"),
        outputTokens: tokensOf(row.out, "out"),
        ids: coarse(idsOf(row.hash_ids), every, scope),
      });
    }
  };
  take(session.requests, 0);
  return found.sort((a, b) => a.atS - b.atS);
}

/** The last fine id of each coarse block: it names the whole chain to there. */
function coarse(ids: (number | string)[], every: number, scope: string): string[] {
  const kept: string[] = [];
  for (let at = every - 1; at < ids.length; at += every) kept.push(`${scope}${ids[at]}`);
  return kept;
}

/** Gives sessions a start within the window; what comes after the window's end is left out. */
function placed(sessions: AgenticSession[], options: ReadOptions): RawRequest[] {
  const words = randomWords(options.seed ^ 0x5e551025);
  const order = sessions.map((_, index) => index);
  for (let at = order.length - 1; at > 0; at--) {
    const other = randomBelow(words, at + 1);
    [order[at], order[other]] = [order[other], order[at]];
  }
  const wanted = options.sessions === 0 ? order.length : Math.min(options.sessions, order.length);
  const raw: RawRequest[] = [];
  for (const session of order.slice(0, wanted)) {
    let atMs = randomShare(words) * options.windowMs;
    let previousS = sessions[session][0]?.atS ?? 0;
    for (const request of sessions[session]) {
      atMs += Math.min((request.atS - previousS) * 1000, options.gapMs);
      previousS = request.atS;
      if (atMs > options.windowMs) break;
      raw.push({ ...withOwnTail(request, `tail/${session}/${raw.length}`), atMs, session });
    }
  }
  return raw;
}

/** The partial last block has no id of its own here: it is nobody else's. */
function withOwnTail(
  request: AgenticRequest,
  name: string,
): Pick<RawRequest, "inputTokens" | "outputTokens" | "ids"> {
  const { inputTokens, outputTokens } = request;
  const ids = [...request.ids];
  while (ids.length * BLOCK_TOKENS < inputTokens) ids.push(`${name}/${ids.length}`);
  return { inputTokens, outputTokens, ids };
}
