/**
 * Is an answer what was asked for? Looked at before a plain answer is given out, and counted for
 * streams: a reason to stop, usage that fits the content, the model that was asked, and, where the
 * caller wants strict JSON, the schema. Checking must stay cheap whatever a caller's schema says:
 * keywords with a cost of their own (`pattern` above all: a caller's regular expression) are
 * left out, and a schema beyond the bounds is not checked.
 */
import { Validator } from "@cfworker/json-schema";
import type { Task } from "../task/task.ts";
import { BackwardSearch, codes, startsWith } from "./bytes.ts";
import { isFields } from "./dialects/fields.ts";
import type { Answer } from "./event.ts";
import type { Usage } from "./usage.ts";

/** What can be wrong with a result. */
export const FAULTS = ["finish", "usage", "model", "schema"] as const;
export type Fault = (typeof FAULTS)[number];

/** Faults that make another try elsewhere worth it, while nobody has seen the answer. */
export const RETRIED: readonly Fault[] = ["finish", "schema"];

const NODES_MAX = 5_000;
/** Longest text that is checked, in characters. */
export const TEXT_MAX = 256 * 1024;
/** Cost that does not depend on the size of the answer alone. */
const LEFT_OUT = new Set([
  "pattern",
  "patternProperties",
  "format",
  "uniqueItems",
  "$id",
  "$schema",
]);
/** Below these, a key is a name of the caller's and no keyword. */
const NAMED = new Set(["properties", "$defs", "definitions", "dependentSchemas"]);
const NO_REASON = new BackwardSearch(codes('_reason":null'));
const OPEN_NAMES = [codes('"finish'), codes('"stop')];
const WINDOW_BYTES = 4_096;
const ERROR = new BackwardSearch(codes('"error"'));
const ERROR_WINDOW_BYTES = 32;
const [OPEN, CLOSE] = codes("{}");

/** A copy without what is not checked; undefined beyond the bounds. */
function checkable(schema: unknown): object | undefined {
  let nodes = 0;
  const copy = (value: unknown, named: boolean): unknown => {
    if (++nodes > NODES_MAX) return undefined;
    if (Array.isArray(value)) return value.map((item) => copy(item, false));
    if (!isFields(value)) return value;
    const kept = Object.entries(value).filter(([key]) => named || !LEFT_OUT.has(key));
    return Object.fromEntries(kept.map(([key, one]) => [key, copy(one, !named && NAMED.has(key))]));
  };
  try {
    const whole = copy(schema, false);
    return isFields(whole) && nodes <= NODES_MAX ? whole : undefined;
  } catch {
    // Nested deeper than the stack.
    return undefined;
  }
}

/** True unless the text is surely not what the schema asks for. */
export function fitsSchema(text: string, schema: unknown): boolean {
  if (text.length > TEXT_MAX) return true;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  const wanted = checkable(schema);
  if (wanted === undefined) return true;
  try {
    return new Validator(wanted, "2020-12").validate(value).valid;
  } catch {
    // A schema that is none (a reference to nowhere): the engine's to refuse.
    return true;
  }
}

/** Faults of a whole answer, by its parsed form. */
export function faultsOf(answer: Answer, task: Task): Fault[] {
  const faults: Fault[] = [];
  const calls = (parts: Answer["choices"][number]["parts"]) =>
    parts.some(({ type }) => type === "call");
  if (answer.choices.some(({ reason, parts }) => reason === "tools" && !calls(parts))) {
    faults.push("finish");
  }
  const content = answer.choices.some(({ parts }) => parts.length > 0);
  if (!usageFits(answer.usage, content)) faults.push("usage");
  if (!isModel(answer.model, task.model)) faults.push("model");
  if (task.schema !== undefined && !answer.choices.every((one) => choiceFits(one, task.schema))) {
    faults.push("schema");
  }
  return faults;
}

/** What was cut short, refused or turned into a tool call is no JSON, and need not be. */
function choiceFits({ parts, reason }: Answer["choices"][number], schema: unknown): boolean {
  if (reason !== "stop" || parts.some(({ type }) => type === "refusal" || type === "call")) {
    return true;
  }
  const said = parts.flatMap((part) => (part.type === "text" ? [part.text] : []));
  return fitsSchema(said.join(""), schema);
}

export function usageFits(usage: Usage | undefined, content: boolean): boolean {
  return usage !== undefined && (!content || usage.completionTokens > 0);
}

/** Vendors answer with the dated name of a model: `gpt-x-2026-08-06`. */
export function isModel(said: string | undefined, asked: string): boolean {
  return said === undefined || said === "" || said.startsWith(asked);
}

/** True for a plain answer, unparsed, that says it has no reason to stop: it is not complete. */
export function endsOpen(bytes: Uint8Array): boolean {
  const from = Math.max(0, bytes.length - WINDOW_BYTES);
  for (let at = bytes.length; ; ) {
    at = NO_REASON.last(bytes, from, at);
    if (at < 0) return false;
    if (OPEN_NAMES.some((name) => startsWith(bytes, at - name.length, name))) return true;
  }
}

/** True for bytes with the brackets of a JSON object: not for nothing, a page, or a part of one. */
export function looksWhole(bytes: Uint8Array): boolean {
  let from = 0;
  let end = bytes.length;
  // A byte order mark is as little of it as white space.
  while (from < end && !isVisible(bytes[from])) from++;
  while (end > from && !isVisible(bytes[end - 1])) end--;
  return end - from >= 2 && bytes[from] === OPEN && bytes[end - 1] === CLOSE;
}

/** True where an error may be what an answer tells first: only then is it worth parsing for. */
export function mayBeError(bytes: Uint8Array): boolean {
  return ERROR.last(bytes, 0, Math.min(bytes.length, ERROR_WINDOW_BYTES)) >= 0;
}

function isVisible(byte: number): boolean {
  return byte > 0x20 && byte < 0x80;
}
