/**
 * Reading one field of a parsed JSON body: right type, sane range, and otherwise an error that
 * names the field and what it must be. `null` counts as not given, as OpenAI's API has it.
 */
import { GridError } from "../grid/errors.ts";

/** Bounds of a body; each keeps one request from costing more than its bytes. */
export interface BodyLimits {
  /** Messages of a chat, and parts of one message. */
  messages: number;
  parts: number;
  /** Pieces of the canonical prompt over all messages. */
  promptPieces: number;
  /** Strings or token arrays of one embeddings or completions request. */
  inputs: number;
  tools: number;
  choices: number;
  stops: number;
}

export const BODY_LIMITS: BodyLimits = {
  messages: 16_384,
  parts: 4_096,
  promptPieces: 131_072,
  inputs: 2_048, // OpenAI's bound for embeddings
  tools: 1_024,
  choices: 128, // OpenAI's bound of `n`
  stops: 64,
};

export type Fields = Record<string, unknown>;

/** What a value is, in the words of JSON. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  switch (typeof value) {
    case "object":
      return "an object";
    case "boolean":
      return `the boolean ${value}`;
    case "number":
      return `the number ${value}`;
    default:
      return "a string";
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function invalid(param: string, rule: string): GridError {
  return new GridError("invalid_request", `'${param}' ${rule}.`, { param });
}

export function numberField(
  value: unknown,
  name: string,
  low: number,
  high: number,
  integer: boolean,
): number | undefined {
  if (value === undefined || value === null) return undefined;
  const what = integer ? "an integer" : "a number";
  if (typeof value !== "number") throw invalid(name, `must be ${what}, not ${kindOf(value)}`);
  // JSON has no way to write infinity, but 1e400 becomes it.
  if (value >= low && value <= high && (!integer || Number.isInteger(value))) return value;
  const shown = Number.isFinite(value) ? String(value) : "a number too large to represent";
  throw invalid(name, `must be ${what} from ${low} to ${high}, not ${shown}`);
}

export function stringField(value: unknown, name: string, longest: number): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw invalid(name, `must be a string, not ${kindOf(value)}`);
  if (value.length <= longest) return value;
  throw invalid(name, `must have at most ${longest} characters, not ${value.length}`);
}

export function booleanField(value: unknown, name: string): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === "boolean") return value;
  throw invalid(name, `must be true or false, not ${kindOf(value)}`);
}

export function fieldsIn(value: unknown, param: string): Fields | undefined {
  if (value === undefined || value === null) return undefined;
  if (isFields(value)) return value;
  throw invalid(param, `must be an object, not ${kindOf(value)}`);
}

export function listIn(value: unknown, param: string, most: number): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(param, `must be an array, not ${kindOf(value)}`);
  if (value.length <= most) return value;
  throw invalid(param, `must have at most ${most} entries, not ${value.length}`);
}

export function textIn(value: unknown, param: string): string {
  if (typeof value === "string") return value;
  throw invalid(param, `must be a string, not ${kindOf(value)}`);
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** A web address, or a data URL whose base64 is some. */
export function urlIn(url: string, param: string): string {
  if (!url.startsWith("data:")) return url;
  const comma = url.indexOf(",");
  const encoded = comma > 0 && url.slice(0, comma).endsWith(";base64");
  if (encoded && BASE64.test(url.slice(comma + 1))) return url;
  throw invalid(param, "is no data URL in base64: write data:TYPE;base64,DATA");
}
