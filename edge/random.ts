/** Randomness for the PoP: unpredictable, so that nobody can steer picks or guess request ids. */
import { randomFillSync } from "node:crypto";

/** Cryptographic random words, drawn 1,024 at a time. */
export function bufferedRandom(): () => number {
  const words = new Uint32Array(1024);
  let at = words.length;
  return () => {
    if (at === words.length) {
      randomFillSync(words);
      at = 0;
    }
    return words[at++] as number;
  };
}
