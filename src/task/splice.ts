/**
 * Puts another model's name into a request without touching anything else: the bytes of the caller
 * stay, but for that one value. The scan knows strings and depth and nothing more; the body has
 * been parsed before, so it is JSON.
 */
import { invalid } from "./body-fields.ts";

/** Where a model's name may stand. */
interface Place {
  body: Uint8Array;
  path: string;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const KEY = Uint8Array.from('"model"', (letter) => letter.charCodeAt(0));

/** Offset behind the string that opens at `at`. */
function stringEnd(bytes: Uint8Array, at: number): number {
  for (at++; at < bytes.length && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++;
  return at + 1;
}

function skipSpace(bytes: Uint8Array, at: number): number {
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++;
  return at;
}

function isKey(bytes: Uint8Array, from: number, end: number): boolean {
  return end - from === KEY.length && KEY.every((byte, at) => bytes[from + at] === byte);
}

/** The key of the body itself; deeper ones are the dialect's business. */
const TOP: readonly number[] = [1];

/** Where the values of `model` stand at these depths; JSON.parse takes the last of several. */
function modelSpans(bytes: Uint8Array, depths: readonly number[]): [number, number][] {
  const spans: [number, number][] = [];
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) depth--;
    if (byte !== QUOTE) continue;
    const end = stringEnd(bytes, at);
    const colon = skipSpace(bytes, end);
    const value = skipSpace(bytes, colon + 1);
    const isModel = bytes[colon] === COLON && isKey(bytes, at, end) && bytes[value] === QUOTE;
    if (isModel && depths.includes(depth)) {
      const valueEnd = stringEnd(bytes, value);
      spans.push([value, valueEnd]);
      at = valueEnd - 1;
    } else at = end - 1;
  }
  return spans;
}

/** JSON string in ASCII. */
function quoted(text: string): Uint8Array {
  const json = JSON.stringify(text).replace(
    /[^\x20-\x7e]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return Uint8Array.from(json, (letter) => letter.charCodeAt(0));
}

/** For dialects that name the model in the body. @throws GridError invalid_request */
export function modelInBody({ body, path }: Place, model: string): Place {
  return { body: spliceModel(body, model), path };
}

/** @throws GridError invalid_request when the key is written with escapes */
export function spliceModel(bytes: Uint8Array, model: string): Uint8Array {
  const spans = modelSpans(bytes, TOP);
  if (spans.length === 0) throw invalid("model", "must be written as a plain key of the body");
  return splice(bytes, spans, model);
}

/** Every `model` at these depths, where there is any. */
export function replaceModels(
  bytes: Uint8Array,
  model: string,
  depths: readonly number[],
): Uint8Array {
  return splice(bytes, modelSpans(bytes, depths), model);
}

function splice(bytes: Uint8Array, spans: readonly [number, number][], model: string): Uint8Array {
  const value = quoted(model);
  const cut = spans.reduce((sum, [from, end]) => sum + end - from, 0);
  const whole = new Uint8Array(bytes.length - cut + spans.length * value.length);
  let read = 0;
  let written = 0;
  for (const [from, end] of spans) {
    whole.set(bytes.subarray(read, from), written);
    written += from - read;
    whole.set(value, written);
    written += value.length;
    read = end;
  }
  whole.set(bytes.subarray(read), written);
  return whole;
}
