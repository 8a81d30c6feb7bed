/**
 * Brings the text of a prompt through a small window to a hash. The window stays in the cache
 * while its bytes are written and read again, which a buffer of the whole prompt would not, and
 * its size does not grow with the prompt. Small pieces are joined first: a call of the encoder
 * costs more than copying a few kilobytes.
 */

/** `TextEncoder.encodeInto`, handed in: whole characters that fit, lone surrogates as U+FFFD. */
export type EncodeInto = (text: string, target: Uint8Array) => { read: number; written: number };

/** Hashes whole chunks among the first `filled` bytes, moves the rest to the front, returns it. */
export type Absorb = (filled: number) => number;

/** Code units up to which pieces are joined before they are encoded. */
const JOIN_UNITS = 4096;

export class PromptFeed {
  readonly #window: Uint8Array;
  readonly #encodeInto: EncodeInto;
  readonly #absorb: Absorb;
  #filled = 0;
  #bytes = 0;

  constructor(window: Uint8Array, encodeInto: EncodeInto, absorb: Absorb) {
    this.#window = window;
    this.#encodeInto = encodeInto;
    this.#absorb = absorb;
  }

  /** Feeds all pieces; returns their UTF-8 bytes. */
  text(pieces: readonly string[]): number {
    this.#start();
    let joined = "";
    for (const piece of pieces) {
      if (joined.length + piece.length > JOIN_UNITS) {
        this.#encode(joined);
        joined = "";
      }
      joined += piece;
    }
    this.#encode(joined);
    return this.#end();
  }

  /** Feeds bytes that are UTF-8 already; returns how many. */
  raw(source: Uint8Array): number {
    this.#start();
    const size = this.#window.length;
    for (let from = 0; from < source.length; ) {
      const take = Math.min(source.length - from, size - this.#filled);
      const whole = take === source.length;
      this.#window.set(whole ? source : source.subarray(from, from + take), this.#filled);
      from += take;
      this.#filled += take;
      if (this.#filled === size) this.#filled = this.#absorb(size);
    }
    this.#bytes = source.length;
    return this.#end();
  }

  #start(): void {
    this.#filled = 0;
    this.#bytes = 0;
  }

  #end(): number {
    this.#absorb(this.#filled);
    return this.#bytes;
  }

  #encode(text: string): void {
    let rest = text;
    while (rest.length > 0) {
      const target = this.#filled === 0 ? this.#window : this.#window.subarray(this.#filled);
      const { read, written } = this.#encodeInto(rest, target);
      this.#filled += written;
      this.#bytes += written;
      if (read === rest.length) return;
      // The window is full up to a character that does not fit whole.
      this.#filled = this.#absorb(this.#filled);
      rest = rest.slice(read);
    }
  }
}

/** Longest seed key in UTF-8 bytes: model, adapter and salt are names, not texts. */
export const SEED_KEY_BYTES_MAX = 4096;

/** Keys whose seeds are remembered; one key per model, adapter and tenant salt in use. */
const SEEDS_MAX = 256;

/** A bounded memory of seeds: hashing a key anew costs as much as a short prompt. */
export class SeedMemory {
  readonly #seeds = new Map<string, { low: number; high: number }>();
  readonly #window: Uint8Array;
  readonly #encodeInto: EncodeInto;
  readonly #hashKey: (bytes: number) => { low: number; high: number };

  /** `hashKey` hashes the window's first bytes. */
  constructor(
    window: Uint8Array,
    encodeInto: EncodeInto,
    hashKey: (bytes: number) => { low: number; high: number },
  ) {
    this.#window = window;
    this.#encodeInto = encodeInto;
    this.#hashKey = hashKey;
  }

  /** @throws RangeError when the key is longer than `SEED_KEY_BYTES_MAX`. */
  of(key: string): { low: number; high: number } {
    const known = this.#seeds.get(key);
    if (known !== undefined) return known;
    const target = this.#window.subarray(0, SEED_KEY_BYTES_MAX);
    const { read, written } = this.#encodeInto(key, target);
    if (read < key.length) {
      throw new RangeError(`the seed key is longer than ${SEED_KEY_BYTES_MAX} bytes: shorten it`);
    }
    const seed = this.#hashKey(written);
    if (this.#seeds.size >= SEEDS_MAX) this.#seeds.clear();
    this.#seeds.set(key, seed);
    return seed;
  }
}
