/** Looking at bytes of an event without decoding them. */

export function codes(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

export function startsWith(bytes: Uint8Array, at: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false;
  return true;
}

/**
 * Looks for one word from the end of an array on. It looks at one byte in about as many as the word
 * is long (Horspool): an answer is searched on the way of every plain request.
 */
export class BackwardSearch {
  private readonly word: Uint8Array;
  /** By the byte where the word might begin: how far back it could begin instead. */
  private readonly steps: Uint8Array;

  /** @param word 1 to 255 bytes */
  constructor(word: Uint8Array) {
    this.word = word;
    this.steps = new Uint8Array(256).fill(word.length);
    for (let i = word.length - 1; i > 0; i--) this.steps[word[i]] = i;
  }

  /** Offset of the last word that begins at `from` or behind and ends at `end` or before; or -1. */
  last(bytes: Uint8Array, from: number, end: number): number {
    const { word, steps } = this;
    for (let at = end - word.length; at >= from; at -= steps[bytes[at]]) {
      if (bytes[at] === word[0] && startsWith(bytes, at, word)) return at;
    }
    return -1;
  }
}

/** One array of several; undefined for none, the part itself for one. */
export function join(parts: readonly Uint8Array[]): Uint8Array | undefined {
  if (parts.length <= 1) return parts[0];
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
