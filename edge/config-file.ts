/**
 * A config from a YAML or JSON file: every problem with file, line and path, so that it can be
 * clicked in a terminal. Watching follows the directory, not the file: editors and Kubernetes
 * replace files, and a watch on the old inode would hear nothing. A bad new file never replaces a
 * good old config; the caller is told what is wrong and keeps what it has.
 */
import { createHash } from "node:crypto";
import { watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { isMap, isScalar, LineCounter, type Pair, parseDocument, type YAMLError } from "yaml";
import type { PopConfig } from "../src/config.ts";
import { parseConfig } from "../src/config.ts";
import type { Environment } from "../src/environment.ts";

export interface FileProblem {
  file: string;
  /** 1-based; undefined when the problem has no place in the file. */
  line?: number;
  path: string;
  message: string;
}

export type LoadedConfig =
  | { ok: true; config: PopConfig; hash: string }
  | { ok: false; problems: FileProblem[]; hash: string };

/** Far above any real config; a log given as config by mistake is refused before it is parsed. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
/** Editors write in several steps; Kubernetes swaps two links. */
const SETTLE_MS = 100;

/** `file:line: path message`, the form that editors and terminals make a link of. */
export function problemText(problem: FileProblem): string {
  const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}`;
  return `${place}: ${problem.path === "" ? "" : `${problem.path} `}${problem.message}`;
}

/** Reads, parses and checks a file. Never throws: what is wrong is in `problems`. */
export async function loadConfig(file: string, environment: Environment): Promise<LoadedConfig> {
  try {
    const bytes = await readFile(file);
    const hash = createHash("sha256").update(bytes).digest("hex");
    if (bytes.length > FILE_BYTES_MAX) {
      const message = `is ${bytes.length} bytes; a config may have ${FILE_BYTES_MAX}`;
      return { ok: false, problems: [{ file, path: "", message }], hash };
    }
    return { ...parseConfigText(bytes.toString("utf8"), file, environment), hash };
  } catch (error) {
    const message = `cannot be read: ${(error as Error).message}`;
    return { ok: false, problems: [{ file, path: "", message }], hash: "" };
  }
}

type ParsedText = { ok: true; config: PopConfig } | { ok: false; problems: FileProblem[] };

/** The text of a config; `file` names it in problems, its `.json` ending asks for JSON's values. */
export function parseConfigText(
  source: string,
  file: string,
  environment: Environment,
): ParsedText {
  const lineCounter = new LineCounter();
  const schema = file.endsWith(".json") ? "json" : "core";
  const document = parseDocument(source, { lineCounter, schema, prettyErrors: false });
  // What the parser finds behind its first fault is mostly that fault again.
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault !== undefined) {
    const { line } = lineCounter.linePos(fault.pos[0]);
    const message = faultText(fault, source.split("\n")[line - 1] ?? "");
    return { ok: false, problems: [{ file, line, path: "", message }] };
  }
  // A disk that was full, a template that failed: no wish for a PoP without engines and keys.
  if (document.contents === null) {
    const message = "is empty; {} stands for a config of defaults";
    return { ok: false, problems: [{ file, path: "", message }] };
  }
  const raw = plainValue(document);
  if (raw.error !== undefined) {
    return { ok: false, problems: [{ file, path: "", message: raw.error }] };
  }
  const parsed = parseConfig(raw.value, environment);
  if (parsed.ok) return parsed;
  const problems = parsed.problems.map((problem) => {
    const offset = offsetOf(document.contents, pathKeys(problem.path));
    const line = offset === undefined ? undefined : lineCounter.linePos(offset).line;
    return { file, line, ...problem };
  });
  problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  return { ok: false, problems };
}

function faultText({ code, message }: YAMLError, line: string): string {
  if (code === "MULTIPLE_DOCS") return "begins a second document (---); a config is one";
  // `{ apiKey: ${KEY} }` is the beginning of another map to YAML.
  const reference = /[^"'$](\$\{[^}]*\})/.exec(line)?.[1];
  const hint = reference === undefined ? "" : `; inside { } or [ ] write "${reference}" in quotes`;
  return `${message}${hint}`;
}

/** Aliases that multiply without end are refused by the parser here, not before. */
function plainValue(document: ReturnType<typeof parseDocument>) {
  try {
    return { value: document.toJS() as unknown };
  } catch (error) {
    return { value: undefined, error: (error as Error).message };
  }
}

/** `endpoints[0].url` as ["endpoints", 0, "url"]. */
function pathKeys(path: string): (string | number)[] {
  const parts = path.match(/[^.[\]]+|\[\d+\]/g) ?? [];
  return parts.map((part) => (part.startsWith("[") ? Number(part.slice(1, -1)) : part));
}

/** Where a key stands; for one that is missing, where the section does that lacks it. */
function offsetOf(root: unknown, keys: (string | number)[]): number | undefined {
  let node = root;
  let offset: number | undefined;
  for (const key of keys) {
    if (isMap(node)) {
      const pair = node.items.find((item: Pair) => isScalar(item.key) && item.key.value === key);
      if (pair === undefined) break;
      offset = (pair.key as { range?: number[] }).range?.[0] ?? offset;
      node = pair.value;
    } else {
      const items = (node as { items?: { range?: number[] }[] } | null)?.items;
      if (items === undefined || typeof key !== "number" || items[key] === undefined) break;
      node = items[key];
      offset = items[key].range?.[0] ?? offset;
    }
  }
  return offset;
}

export interface ConfigWatch {
  /** Reads the file now, and tells even when nothing changed (SIGHUP). */
  force(): void;
  close(): void;
}

/**
 * Tells of every change of the file's content, good or bad. Environment variables are those that
 * the process was started with.
 *
 * @param knownHash `hash` of what is loaded already.
 */
export function watchConfig(
  file: string,
  environment: Environment,
  knownHash: string,
  onChange: (loaded: LoadedConfig) => void,
): ConfigWatch {
  let hash = knownHash;
  let settle: NodeJS.Timeout | undefined;
  let closed = false;
  const read = async (forced: boolean) => {
    const loaded = await loadConfig(file, environment);
    // Between an editor's unlink and its write the file is missing: the next event comes.
    const vanished = loaded.hash === "" && !forced;
    if (closed || vanished || (loaded.hash === hash && !forced)) return;
    hash = loaded.hash;
    onChange(loaded);
  };
  const soon = () => {
    clearTimeout(settle);
    settle = setTimeout(() => void read(false), SETTLE_MS);
  };
  const watcher = watchDirectory(dirname(resolve(file)), soon);
  return {
    force: () => void read(true),
    close: () => {
      closed = true;
      clearTimeout(settle);
      watcher?.close();
    },
  };
}

/** Any event may be ours (a link two steps away was swapped): the content's hash decides. */
function watchDirectory(directory: string, onEvent: () => void) {
  try {
    const watcher = watch(directory, { persistent: false }, onEvent);
    // Out of inotify handles, or the directory went away: SIGHUP still works.
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
