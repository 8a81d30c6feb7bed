/**
 * Our own name of a prefix in token ids: a 64-bit hash over the ids one by one, so that it can be
 * read off at the end of any block, whatever the engine's block size. Engines' block hashes are
 * never reproduced (vLLM seeds them with random bytes by default); their events carry the ids.
 * Two prefixes are the same only with the same adapter and the same extra keys (salt, images).
 */

const START_LOW = 0x9e3779b1;
const START_HIGH = 0x85ebca77;

export class TokenChain {
  low = START_LOW;
  high = START_HIGH;

  /** The empty prefix; `adapter` is a LoRA's name, empty for the base model. */
  begin(adapter: string): void {
    this.low = START_LOW;
    this.high = START_HIGH;
    if (adapter !== "") this.text(adapter);
  }

  /** Goes on from a prefix named before. */
  from(low: number, high: number): void {
    this.low = low >>> 0;
    this.high = high >>> 0;
  }

  /** An extra key that stands before the next token. */
  text(key: string): void {
    this.push(key.length + 0x1_0000);
    for (let at = 0; at < key.length; at++) this.push(key.charCodeAt(at));
  }

  push(token: number): void {
    let low = Math.imul(this.low ^ token, 0x85ebca6b);
    low ^= low >>> 13;
    let high = Math.imul(this.high ^ low ^ (token << 7), 0xc2b2ae35);
    high = (high << 15) | (high >>> 17);
    low = Math.imul(low + high, 0x27d4eb2f);
    this.low = (low ^ (low >>> 16)) >>> 0;
    this.high = (high ^ (low >>> 11)) >>> 0;
    // 0 is an empty slot in every table.
    if ((this.low | this.high) === 0) this.low = 1;
  }

  pushAll(tokens: ArrayLike<number>, from: number, end: number): void {
    for (let at = from; at < end; at++) this.push(tokens[at]);
  }
}
