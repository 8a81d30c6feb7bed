/**
 * Randomness for the PoP: cryptographic words, so that nobody can steer picks or guess request
 * ids, drawn 1,024 at a time.
 */
export function bufferedRandom(): () => number {
  const words = new Uint32Array(1024);
  let at = words.length;
  return () => {
    if (at === words.length) {
      crypto.getRandomValues(words);
      at = 0;
    }
    return words[at++] as number;
  };
}
