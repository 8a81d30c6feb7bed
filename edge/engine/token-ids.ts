/**
 * Token ids of the emulated engine. A token is up to four characters of one piece (`filler.ts`);
 * its id follows from them alone, so equal text has equal ids wherever it stands, as with a
 * tokenizer.
 */
import { CHARS_PER_TOKEN, type Output, outputText, type PromptPiece } from "./filler.ts";

/** Token ids are below it. */
export const VOCABULARY = 131_072;

function idOf(text: string, from: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < end; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return ((hash ^ (hash >>> 15)) >>> 0) % VOCABULARY;
}

function pushText(ids: number[], text: string): void {
  for (let at = 0; at < text.length; at += CHARS_PER_TOKEN) {
    ids.push(idOf(text, at, Math.min(at + CHARS_PER_TOKEN, text.length)));
  }
}

/** Ids of a prompt, as many as `readPrompt` counts. */
export function promptIds(pieces: readonly PromptPiece[]): number[] {
  const ids: number[] = [];
  for (const piece of pieces) {
    if (typeof piece === "string") pushText(ids, piece);
    else for (const id of piece) ids.push(id);
  }
  return ids;
}

/** Ids of the answer's tokens `from` to `end`. */
export function outputIds(output: Output, from: number, end: number): number[] {
  const ids: number[] = [];
  pushText(ids, outputText(output, from * CHARS_PER_TOKEN, end * CHARS_PER_TOKEN));
  return ids;
}
