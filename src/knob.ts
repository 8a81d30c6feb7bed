/**
 * What `config.ts` is written in: one builder per kind of knob. Each carries its expectation (unit,
 * bounds, allowed values, default) in words, so that every problem says what would be right, and
 * each leaf gives one problem at most.
 */
import * as v from "valibot";
import { childPath } from "./environment.ts";

type Entries = Record<string, v.GenericSchema>;

/** One leaf: a check and the words for what it wants. */
function leaf<T>(expects: string, accepts: (input: unknown) => boolean) {
  const message = (issue: v.BaseIssue<unknown>) => `expected ${expects}, got ${shown(issue.input)}`;
  return v.pipe(v.custom<T>(accepts, message), v.description(expects));
}

/** A value as a message may quote it: short, and never a whole secret. */
function shown(input: unknown): string {
  if (input === null) return "nothing (the value is empty)";
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object") return "a section";
  if (typeof input !== "string") return String(input);
  const plain = input.replace(/\/\/[^/@]*@/, "//***@");
  return JSON.stringify(plain.length > 40 ? `${plain.slice(0, 37)}...` : plain);
}

function between(unit: string, min: number, max: number): string {
  return `${unit} from ${min} to ${max}`;
}

/** Whole number of `unit` in `min..max`. */
export function count(unit: string, min: number, max: number, initial: number) {
  const expects = `a whole number of ${between(unit, min, max)} (default ${initial})`;
  const accepts = (x: unknown) => Number.isSafeInteger(x) && inside(x as number, min, max);
  return v.optional(leaf<number>(expects, accepts), initial);
}

/** Any finite number of `unit` in `min..max`. */
export function amount(unit: string, min: number, max: number, initial: number) {
  const expects = `a number of ${between(unit, min, max)} (default ${initial})`;
  const accepts = (x: unknown) => typeof x === "number" && inside(x, min, max);
  return v.optional(leaf<number>(expects, accepts), initial);
}

/** Any finite number of `unit` in `min..max`, or not given: then something else decides. */
export function amountOrNone(unit: string, min: number, max: number) {
  const expects = `a number of ${between(unit, min, max)}`;
  const accepts = (x: unknown) => typeof x === "number" && inside(x, min, max);
  return v.optional(leaf<number>(expects, accepts));
}

/** A count that is learned or absent when not given. */
export function unset(unit: string, min: number, max: number) {
  const expects = `a whole number of ${between(unit, min, max)}`;
  const accepts = (x: unknown) => Number.isSafeInteger(x) && inside(x as number, min, max);
  return v.optional(leaf<number>(expects, accepts));
}

function inside(x: number, min: number, max: number): boolean {
  return x >= min && x <= max;
}

function oneOf<T extends string | number>(allowed: readonly T[], more = "") {
  const expects = `one of ${allowed.join(", ")}${more}`;
  return leaf<T>(expects, (x) => allowed.includes(x as T));
}

export function flag(initial: boolean) {
  const expects = `true or false (default ${initial})`;
  return v.optional(
    leaf<boolean>(expects, (x) => typeof x === "boolean"),
    initial,
  );
}

/** One of a closed list. */
export function choice<const T extends string | number>(
  allowed: readonly T[],
  initial: NoInfer<T>,
) {
  return v.optional(oneOf(allowed, ` (default ${initial})`), initial);
}

/** One of a closed list, or not given: then something else decides. */
export function choiceOrNone<const T extends string>(allowed: readonly T[]) {
  return v.optional(oneOf(allowed));
}

/** List of values of a closed list; undefined when not given. */
export function choices<const T extends string>(allowed: readonly T[]) {
  return v.optional(listOf(oneOf(allowed)));
}

/** Text that a test accepts; `expects` says which. */
export function text(expects: string, accepts: (input: string) => boolean) {
  return leaf<string>(expects, (x) => typeof x === "string" && accepts(x));
}

/** Text whose value no message may show. */
export function secret(expects: string, accepts: (input: string) => boolean) {
  const test = (x: unknown) => typeof x === "string" && accepts(x);
  return v.pipe(v.custom<string>(test, `expected ${expects}`), v.description(expects));
}

export function textOr(expects: string, accepts: (input: string) => boolean, initial: string) {
  return v.optional(text(`${expects} (default "${initial}")`, accepts), initial);
}

export function listOf<T extends v.GenericSchema>(item: T) {
  const message = (issue: v.BaseIssue<unknown>) => `expected a list, got ${shown(issue.input)}`;
  return v.array(item, message);
}

/** A list that may be left out, or left empty in the file. */
export function listOrNone<T extends v.GenericSchema>(item: T) {
  return v.nullish(listOf(item), []);
}

/** A map of names to texts. */
export function textMap(
  nameExpects: string,
  acceptsName: (name: string) => boolean,
  valueExpects: string,
  acceptsValue: (value: string) => boolean,
) {
  const map = v.custom<Record<string, unknown>>(isSection, notSection);
  const entries = v.record(text(nameExpects, acceptsName), text(valueExpects, acceptsValue));
  return v.nullish(v.pipe(map, entries), {});
}

/** A map of names to lists that are not empty. */
export function listMap<T extends v.GenericSchema>(
  nameExpects: string,
  acceptsName: (name: string) => boolean,
  item: T,
) {
  const map = v.custom<Record<string, unknown>>(isSection, notSection);
  const list = v.pipe(listOf(item), v.nonEmpty("must name at least one"));
  return v.nullish(v.pipe(map, v.record(text(nameExpects, acceptsName), list)), {});
}

/** A plain object: not a list, and not what a YAML tag may make (bytes, a date, a set). */
function isSection(input: unknown): boolean {
  if (typeof input !== "object" || input === null) return false;
  const prototype = Object.getPrototypeOf(input);
  return prototype === Object.prototype || prototype === null;
}

function notSection(issue: v.BaseIssue<unknown>): string {
  return `expected a section (key: value), got ${shown(issue.input)}`;
}

/** An object whose keys are all known; unknown ones are all reported, with the nearest known. */
export function section<const E extends Entries>(entries: E) {
  const known = Object.keys(entries);
  const missing = (issue: { expected: string | null }) => {
    const key = (issue.expected ?? "").slice(1, -1);
    return `is missing: expected ${v.getDescription(entries[key]) ?? "a section"}`;
  };
  return v.pipe(
    v.custom<{ [K in keyof E]?: unknown }>(isSection, notSection),
    v.looseObject(entries, missing),
    v.rawCheck(({ dataset, addIssue }) => {
      const value = dataset.value as Record<string, unknown>;
      if (!isSection(value)) return;
      for (const key of Object.keys(value)) {
        if (known.includes(key)) continue;
        const path = [{ type: "object", origin: "key", input: value, key, value: value[key] }];
        addIssue({ message: unknownKey(key, known), path: path as never });
      }
    }),
  );
}

/** A section in which everything has a default: may be left out, or left empty in the file. */
export function sectionOr<const E extends Entries>(entries: E) {
  return v.nullish(section(entries), {} as never);
}

export function unknownKey(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  const hint = near === undefined ? "" : `; did you mean "${near}"?`;
  return `is not a known key${hint} (known here: ${known.join(", ")})`;
}

/** The known word nearest to a misspelt one; undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = (text: string) =>
    text
      .slice(0, 64)
      .toLowerCase()
      .replace(/[-_\s]/g, "");
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    // A third of the shorter word: beyond that it is another word, not a slip.
    const most = Math.max(2, Math.floor(Math.min(word.length, candidate.length) / 3));
    const distance = editDistance(plain(word), plain(candidate));
    if (distance <= most && distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, swap));
    }
    row = next;
  }
  return row[b.length];
}

/** `endpoints[0].url` of an issue. */
export function pathOf(issue: v.BaseIssue<unknown>): string {
  let path = "";
  for (const item of issue.path ?? []) path = childPath(path, item.key as string | number);
  return path;
}
