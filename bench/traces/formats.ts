/**
 * The public trace formats: Mooncake (one request per line, ids of 512-token blocks), agentic
 * (one session per line, ids of 64-token blocks, no absolute times), Azure (CSV, no ids).
 */
import { createReadStream, type ReadStream } from "node:fs";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { createBrotliDecompress, createGunzip } from "node:zlib";
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

function plainBytes(file: string): NodeJS.ReadableStream {
  const bytes: ReadStream = createReadStream(file);
  if (!/\.(gz|br)$/.test(file)) return bytes;
  const plain = file.endsWith(".br") ? createBrotliDecompress() : createGunzip();
  bytes.on("error", (error) => plain.destroy(error));
  return bytes.pipe(plain);
}

/** @throws TraceError naming the file and the line */
export async function readTrace(file: string, options: ReadOptions): Promise<Trace> {
  let format = options.format;
  let reader: ((line: string) => void) | undefined;
  const raw: RawRequest[] = [];
  const sessions: AgenticSession[] = [];
  let number = 0;
  for await (const line of createInterface({ input: plainBytes(file) })) {
    number++;
    if (line.trim() === "") continue;
    format ??= formatOf(line);
    reader ??= readerOf(format, raw, sessions);
    try {
      reader(line);
    } catch (error) {
      throw new TraceError(`${file}, line ${number}: not ${format}: ${(error as Error).message}`);
    }
  }
  if (sessions.length > 0) raw.push(...placed(sessions, options));
  return toTrace(basename(file), raw);
}

function formatOf(line: string): Format {
  if (!line.startsWith("{")) return "azure";
  const first = JSON.parse(line) as Record<string, unknown>;
  if (Array.isArray(first.requests)) return "agentic";
  if (Array.isArray(first.hash_ids)) return "mooncake";
  throw new TraceError("the format is not clear: say --format mooncake, agentic or azure");
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

function countOf(value: unknown, name: string): number {
  const count = Number(value);
  if (value === undefined || !Number.isFinite(count) || count < 0) {
    throw new TypeError(`${name} must be a number from 0 on, not ${JSON.stringify(value)}`);
  }
  return count;
}

function idsOf(value: unknown): (number | string)[] {
  if (!Array.isArray(value)) throw new TypeError("hash_ids must be a list");
  return value;
}

function mooncakeRequest(line: string): RawRequest {
  const row = JSON.parse(line) as Record<string, unknown>;
  return {
    atMs: countOf(row.timestamp, "timestamp"),
    inputTokens: Math.max(countOf(row.input_length, "input_length"), 1),
    outputTokens: Math.max(countOf(row.output_length, "output_length"), 1),
    ids: idsOf(row.hash_ids),
    session: undefined,
  };
}

const AZURE_COLUMNS = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"];

function azureHeader(line: string): string[] {
  const names = line.trim().split(",");
  const missing = AZURE_COLUMNS.find((name) => !names.includes(name));
  if (missing !== undefined) throw new TypeError(`the header has no column ${missing}`);
  return names;
}

function azureRequest(line: string, header: string[]): RawRequest {
  const cells = line.trim().split(",");
  const [time, input, output] = AZURE_COLUMNS.map((name) => cells[header.indexOf(name)]);
  // Hundreds of nanoseconds: more digits than Date.parse is bound to take.
  const [seconds, fraction] = time.split(".");
  const atMs = Date.parse(`${seconds.replace(" ", "T")}Z`) + Number(`0.${fraction ?? "0"}`) * 1000;
  return {
    atMs: countOf(atMs, "TIMESTAMP"),
    inputTokens: Math.max(countOf(input, "ContextTokens"), 1),
    outputTokens: Math.max(countOf(output, "GeneratedTokens"), 1),
    ids: undefined,
    session: undefined,
  };
}

interface AgenticRequest {
  atS: number;
  inputTokens: number;
  outputTokens: number;
  ids: string[];
}
type AgenticSession = AgenticRequest[];

function agenticSession(line: string, number: number): AgenticSession {
  const session = JSON.parse(line) as Record<string, unknown>;
  const blockTokens = countOf(session.block_size, "block_size");
  const every = BLOCK_TOKENS / blockTokens;
  if (!Number.isInteger(every)) throw new TypeError(`block_size ${blockTokens} is no part of 512`);
  const found: AgenticSession = [];
  const take = (rows: unknown, startS: number) => {
    if (!Array.isArray(rows)) throw new TypeError("requests must be a list");
    for (const row of rows as Record<string, unknown>[]) {
      const atS = startS + countOf(row.t, "t");
      if (row.type === "subagent") {
        take(row.requests, atS);
        continue;
      }
      found.push({
        atS,
        inputTokens: Math.max(countOf(row.in, "in"), 1),
        outputTokens: Math.max(countOf(row.out, "out"), 1),
        ids: coarse(idsOf(row.hash_ids), every, number),
      });
    }
  };
  take(session.requests, 0);
  return found.sort((a, b) => a.atS - b.atS);
}

/** The last fine id of each coarse block: it names the whole chain to there. */
function coarse(ids: (number | string)[], every: number, session: number): string[] {
  const kept: string[] = [];
  for (let at = every - 1; at < ids.length; at += every) kept.push(`${session}/${ids[at]}`);
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
