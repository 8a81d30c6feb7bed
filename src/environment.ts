/**
 * `${NAME}` and `${NAME:-default}` in the string values of a config, so that secrets stay out of
 * the file. `$${` is a literal `${`. A name without a value and without a default is a problem
 * with its path, never an empty string: an API key that is silently empty opens a door.
 */

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Problem {
  /** Where in the config: `endpoints[0].url`; empty for the whole. */
  path: string;
  message: string;
}

export interface Filled {
  /** A copy of the input with every reference replaced. */
  value: unknown;
  problems: Problem[];
  /** Paths of values that were one reference and nothing else: a number may stand there. */
  whole: Set<string>;
}

/** Deeper nesting than any config has; also ends a cycle of YAML aliases. */
const DEPTH_MAX = 32;
const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}|\$\{[^}]*\}?/g;
const ONE_REFERENCE = /^\$\{[^{}]*\}$/;

export function childPath(parent: string, key: string | number): string {
  if (typeof key === "number") return `${parent}[${key}]`;
  return parent === "" ? key : `${parent}.${key}`;
}

export function fillFromEnvironment(raw: unknown, environment: Environment): Filled {
  const filled: Filled = { value: undefined, problems: [], whole: new Set() };
  filled.value = fill(raw, "", 0, environment, filled);
  return filled;
}

function fill(raw: unknown, path: string, depth: number, from: Environment, out: Filled): unknown {
  if (typeof raw === "string") return fillText(raw, path, from, out);
  if (raw === null || typeof raw !== "object") return raw;
  if (depth >= DEPTH_MAX) {
    out.problems.push({ path, message: `is nested deeper than ${DEPTH_MAX} levels` });
    return undefined;
  }
  if (Array.isArray(raw)) {
    return raw.map((item, index) => fill(item, childPath(path, index), depth + 1, from, out));
  }
  // Bytes, a date, a set: not what a section is; the schema says so.
  const prototype = Object.getPrototypeOf(raw);
  if (prototype !== Object.prototype && prototype !== null) return raw;
  const entries = Object.entries(raw).map(([key, value]) => [
    key,
    fill(value, childPath(path, key), depth + 1, from, out),
  ]);
  return Object.fromEntries(entries);
}

function fillText(raw: string, path: string, from: Environment, out: Filled): string {
  if (!raw.includes("${")) return raw;
  if (ONE_REFERENCE.test(raw)) out.whole.add(path);
  return raw.replace(REFERENCE, (match: string, name?: string, fallback?: string) => {
    if (match === "$${") return "${";
    if (name === undefined) {
      const message = `has "${match}": write \${NAME} or \${NAME:-default}, or $\${ for a literal`;
      out.problems.push({ path, message });
      return "";
    }
    // As in a shell, ":-" also replaces a variable that is set and empty.
    const value = fallback === undefined ? from[name] : from[name] || fallback;
    if (value !== undefined) return value;
    const hint = `set it, or write \${${name}:-default}`;
    const message = `needs the environment variable ${name}, which is not set: ${hint}`;
    out.problems.push({ path, message });
    return "";
  });
}
