/**
 * Text of the emulated engine, both ways. There is no tokenizer: one token is up to four characters
 * of one piece of the prompt (a role mark, a message, a tool list), so that an answer sent back in
 * the next turn cuts into the same tokens as when it was generated and its blocks are found again.
 * Output is deterministic filler that says that it is emulated; only its place in the filler
 * depends on the prompt, so any part of any answer is a slice and costs nothing to make.
 */

export const CHARS_PER_TOKEN = 4;

/** A text piece, or token ids when the caller sent ids. */
export type PromptPiece = string | readonly number[];

export interface ReadPrompt {
  tokens: number;
  /** Chained content keys of the whole blocks; safe integers. */
  keys: number[];
  /** The chain after the last token, to go on with the output. */
  low: number;
  high: number;
}

const PREFIX = "[emulated vllm-like engine] ";
const WORDS =
  "this text is not from a model it only fills the place of an answer so that a proxy can be " +
  "measured and tested with tokens that arrive when a real engine of this profile would send them";
/** A power of two, so that positions wrap with a mask. */
const BODY_LENGTH = 8192;
const BODY = fillBody();

function fillBody(): string {
  const words = WORDS.split(" ");
  let state = 12345;
  let body = "";
  while (body.length < BODY_LENGTH) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    body += `${words[(state >>> 16) % words.length]} `;
  }
  return body.slice(0, BODY_LENGTH);
}

/** Rolling chain over tokens; every `blockTokens` tokens one key falls out. */
class Chain {
  low: number;
  high: number;
  tokens: number;
  readonly keys: number[] = [];
  private readonly blockTokens: number;

  constructor(low: number, high: number, tokens: number, blockTokens: number) {
    this.low = low;
    this.high = high;
    this.tokens = tokens;
    this.blockTokens = blockTokens;
  }

  text(text: string): void {
    let { low, high } = this;
    const length = text.length;
    for (let i = 0; i < length; ) {
      const end = Math.min(i + CHARS_PER_TOKEN, length);
      for (; i < end; i++) {
        const code = text.charCodeAt(i);
        low = Math.imul(low ^ code, 0x01000193);
        high = Math.imul(high ^ code, 0x5bd1e995);
        high ^= high >>> 15;
      }
      this.low = low ^= low >>> 13;
      this.high = high;
      this.endToken();
    }
  }

  ids(ids: readonly number[]): void {
    for (const id of ids) {
      this.low = Math.imul(this.low ^ id, 0x01000193);
      this.high = Math.imul(this.high ^ id, 0x5bd1e995);
      this.high ^= this.high >>> 15;
      this.low ^= this.low >>> 13;
      this.endToken();
    }
  }

  private endToken(): void {
    if (++this.tokens % this.blockTokens === 0) this.keys.push(keyOf(this.low, this.high));
  }
}

/** 53 bits of the two lanes. */
function keyOf(low: number, high: number): number {
  return (high >>> 11) * 4294967296 + (low >>> 0);
}

/** Counts and hashes a prompt. `seed` keeps models (and tenants' salts) apart. */
export function readPrompt(
  pieces: readonly PromptPiece[],
  seed: string,
  blockTokens: number,
): ReadPrompt {
  const root = new Chain(0x811c9dc5, 0x9747b28c, 0, Number.MAX_SAFE_INTEGER);
  root.text(seed);
  const chain = new Chain(root.low, root.high, 0, blockTokens);
  for (const piece of pieces) {
    if (typeof piece === "string") chain.text(piece);
    else chain.ids(piece);
  }
  return { tokens: chain.tokens, keys: chain.keys, low: chain.low, high: chain.high };
}

/** Number that decides length and text of one choice. */
export function outputSalt(prompt: ReadPrompt, seed: number, choice: number): number {
  return (Math.imul(prompt.low ^ prompt.high ^ seed, 0x2c1b3c6d) + choice * 7919) >>> 0;
}

/** What a choice says: JSON of its own, or the endless filler of its salt. */
export interface Output {
  salt: number;
  json: string | undefined;
}

/** Characters `from`..`to` of the answer. Filler is ASCII, and safe inside a JSON string. */
export function outputText({ salt, json }: Output, from: number, to: number): string {
  if (from >= to) return "";
  if (json !== undefined) return json.slice(from, to);
  let text = from < PREFIX.length ? PREFIX.slice(from, to) : "";
  let at = Math.max(from, PREFIX.length);
  while (at < to) {
    const start = (salt * CHARS_PER_TOKEN + at) % BODY_LENGTH;
    const part = BODY.slice(start, start + to - at);
    text += part;
    at += part.length;
  }
  return text;
}

/** Keys of blocks that end in the output: the prompt's chain continued over the answer's tokens. */
export function outputKeys(
  prompt: ReadPrompt,
  output: Output,
  blockTokens: number,
): (block: number) => number {
  const chain = new Chain(prompt.low, prompt.high, prompt.tokens, blockTokens);
  let chars = 0;
  return (block) => {
    while (prompt.keys.length + chain.keys.length <= block) {
      // Behind the end of a JSON there is nothing to be asked for; a key all the same.
      chain.text(outputText(output, chars, chars + CHARS_PER_TOKEN) || "\0");
      chars += CHARS_PER_TOKEN;
    }
    return chain.keys[block - prompt.keys.length];
  };
}

/** Unit vector that depends on the text only. */
export function embeddingOf(prompt: ReadPrompt, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  let state = (prompt.low ^ Math.imul(prompt.high, 31)) >>> 0;
  let square = 0;
  for (let i = 0; i < dimensions; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    vector[i] = state / 2147483648 - 1;
    square += vector[i] * vector[i];
  }
  const scale = square === 0 ? 1 : 1 / Math.sqrt(square);
  for (let i = 0; i < dimensions; i++) vector[i] *= scale;
  return vector;
}
