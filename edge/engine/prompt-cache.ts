/**
 * KV of earlier prompts, kept as llama.cpp sequence state files, because the addon's slots do not
 * reuse each other's. A new prompt loads the longest common prefix of any of them and computes only
 * the rest: 1,800 tokens of the tiny test model take 2 ms instead of 200. The files live in a
 * temporary folder, within a byte budget, oldest use out first, and go with the process.
 */
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Shorter prompts are computed faster than a file is written. */
const LEAST_TOKENS = 48;
const MAX_ENTRIES = 256;
/** "ggsq" as a little-endian number, and the version of llama_state_seq_save_file that we read. */
const STATE_MAGIC = 0x67677371;
const STATE_VERSION = 2;
const STATE_HEADER = 12;
const FOLDER_NAME = "gridpoint-kv-";
const FOLDER_PREFIX = join(tmpdir(), FOLDER_NAME);

interface Entry {
  path: string;
  tokens: Int32Array;
  bytes: number;
  readers: number;
  isGone: boolean;
}

/** A prefix that can be loaded. `release` it once the engine has read the file. */
export interface PrefixHit {
  path: string;
  tokens: number;
  release(): void;
}

export class PromptCache {
  private readonly budget: number;
  private readonly folder: string;
  /** Least recently used first. */
  private entries: Entry[] = [];
  private serial = 0;

  /** `budgetBytes` 0 = keeps nothing. */
  constructor(budgetBytes: number) {
    this.budget = budgetBytes;
    if (budgetBytes > 0) removeLeftovers();
    this.folder = budgetBytes > 0 ? mkdtempSync(`${FOLDER_PREFIX}${process.pid}-`) : "";
  }

  /** Longest known prefix of these tokens, if long enough to be worth a load. */
  find(tokens: Int32Array): PrefixHit | undefined {
    let best: Entry | undefined;
    let length = LEAST_TOKENS - 1;
    for (const entry of this.entries) {
      const common = commonPrefix(entry.tokens, tokens);
      if (common > length) {
        best = entry;
        length = common;
      }
    }
    if (best === undefined) return undefined;
    const entry = best;
    this.entries = [...this.entries.filter((other) => other !== entry), entry];
    entry.readers++;
    const release = (): void => {
      entry.readers--;
      if (entry.isGone && entry.readers === 0) rmSync(entry.path, { force: true });
    };
    return { path: entry.path, tokens: length, release };
  }

  /** Where the engine shall save a sequence of this prompt; undefined when it is not worth it. */
  reserve(tokens: Int32Array): string | undefined {
    if (this.budget === 0 || tokens.length < LEAST_TOKENS) return undefined;
    return join(this.folder, `${this.serial++}.state`);
  }

  /** Takes in a file that the engine has written; a missing or foreign one is ignored. */
  add(path: string): void {
    const tokens = readTokens(path);
    if (tokens === undefined) return rmSync(path, { force: true });
    const bytes = statSync(path).size;
    for (const entry of this.entries.slice()) {
      if (commonPrefix(entry.tokens, tokens) === entry.tokens.length) this.drop(entry);
    }
    this.entries.push({ path, tokens, bytes, readers: 0, isGone: false });
    while (this.entries.length > MAX_ENTRIES || this.bytes > this.budget) {
      this.drop(this.entries[0]);
    }
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.entries.reduce((sum, entry) => sum + entry.bytes, 0);
  }

  close(): void {
    if (this.folder !== "") rmSync(this.folder, { recursive: true, force: true });
  }

  private drop(entry: Entry): void {
    this.entries = this.entries.filter((other) => other !== entry);
    entry.isGone = true;
    if (entry.readers === 0) rmSync(entry.path, { force: true });
  }
}

/** Folders of engines that were killed: their name carries a process id that is no more. */
function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(FOLDER_NAME)) continue;
    const pid = Number.parseInt(name.slice(FOLDER_NAME.length), 10);
    if (pid > 0 && !isAlive(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Someone else's process answers EPERM.
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

function commonPrefix(a: Int32Array, b: Int32Array): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at++;
  return at;
}

/** The token ids at the head of a state file: magic, version, count, ids; all 32-bit. */
function readTokens(path: string): Int32Array | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return undefined;
  }
  try {
    const head = Buffer.alloc(STATE_HEADER);
    if (readSync(file, head) < STATE_HEADER) return undefined;
    if (head.readUInt32LE(0) !== STATE_MAGIC || head.readUInt32LE(4) !== STATE_VERSION) {
      return undefined;
    }
    const count = head.readUInt32LE(8);
    if (count === 0 || STATE_HEADER + count * 4 > statSync(path).size) return undefined;
    const ids = Buffer.alloc(count * 4);
    readSync(file, ids, 0, ids.length, STATE_HEADER);
    return Int32Array.from({ length: count }, (_, i) => ids.readInt32LE(i * 4));
  } finally {
    closeSync(file);
  }
}
