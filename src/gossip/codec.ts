/**
 * The subset of MessagePack that gossip speaks: nil, bool, int (within 2^53), float 64, str, bin
 * and array. Maps, extensions and float 32 are refused: records are positional. The only file that
 * knows the format, so that a library can take its place. The reader checks every length against
 * what is left before it touches a byte, and a nesting limit, so a hostile frame costs nothing.
 * Source: the MessagePack specification, https://github.com/msgpack/msgpack/blob/master/spec.md
 */

/** A frame that breaks the format or a schema. The message says what was expected where. */
export class SchemaError extends Error {
  override readonly name = "SchemaError";
}

export type Value = null | boolean | number | string | Uint8Array | Value[];

const MAX_DEPTH = 4;
const TWO_32 = 0x1_0000_0000;

/** Writes values one after another into a buffer that grows and is reused between frames. */
export class Writer {
  private buffer = new Uint8Array(512);
  private view = new DataView(this.buffer.buffer);
  length = 0;

  reset(): this {
    this.length = 0;
    return this;
  }

  /** A copy of what was written. */
  bytes(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }

  nil(): this {
    return this.byte(0xc0);
  }

  bool(value: boolean): this {
    return this.byte(value ? 0xc3 : 0xc2);
  }

  /** Any integer within +-(2^53 - 1), in its shortest form. */
  int(value: number): this {
    if (!Number.isSafeInteger(value)) throw new SchemaError(`${value} is not a safe integer`);
    if (value < 0) return this.negative(value);
    if (value < 0x80) return this.byte(value);
    if (value < 0x100) return this.byte(0xcc).byte(value);
    if (value < 0x10000) return this.byte(0xcd).u16(value);
    if (value < TWO_32) return this.byte(0xce).u32(value);
    return this.byte(0xcf)
      .u32(Math.floor(value / TWO_32))
      .u32(value % TWO_32);
  }

  float(value: number): this {
    this.byte(0xcb).room(8);
    this.view.setFloat64(this.length, value);
    this.length += 8;
    return this;
  }

  str(value: string): this {
    const bytes = utf8Encode(value);
    if (bytes.length < 32) this.byte(0xa0 | bytes.length);
    else this.header(bytes.length, 0xd9);
    return this.raw(bytes);
  }

  bin(bytes: Uint8Array): this {
    return this.header(bytes.length, 0xc4).raw(bytes);
  }

  array(length: number): this {
    if (length < 16) return this.byte(0x90 | length);
    return length < 0x10000 ? this.byte(0xdc).u16(length) : this.byte(0xdd).u32(length);
  }

  /** A number becomes an int when it is a safe integer, else a float. */
  value(value: Value): this {
    if (value === null) return this.nil();
    if (typeof value === "boolean") return this.bool(value);
    if (typeof value === "string") return this.str(value);
    if (value instanceof Uint8Array) return this.bin(value);
    if (typeof value === "number") {
      const whole = Number.isSafeInteger(value) && !Object.is(value, -0);
      return whole ? this.int(value) : this.float(value);
    }
    this.array(value.length);
    for (const item of value) this.value(item);
    return this;
  }

  private negative(value: number): this {
    if (value >= -32) return this.byte(value + 0x100);
    if (value >= -0x80) return this.byte(0xd0).byte(value + 0x100);
    if (value >= -0x8000) return this.byte(0xd1).u16(value + 0x10000);
    if (value >= -0x80000000) return this.byte(0xd2).u32(value + TWO_32);
    const high = Math.floor(value / TWO_32);
    return this.byte(0xd3)
      .u32(high + TWO_32)
      .u32(value - high * TWO_32);
  }

  /** Length with 8, 16 or 32 bits; `first` is the type byte of the 8-bit form. */
  private header(length: number, first: number): this {
    if (length < 0x100) return this.byte(first).byte(length);
    return length < 0x10000 ? this.byte(first + 1).u16(length) : this.byte(first + 2).u32(length);
  }

  private byte(value: number): this {
    this.room(1);
    this.buffer[this.length++] = value;
    return this;
  }

  private u16(value: number): this {
    this.room(2);
    this.view.setUint16(this.length, value);
    this.length += 2;
    return this;
  }

  private u32(value: number): this {
    this.room(4);
    this.view.setUint32(this.length, value);
    this.length += 4;
    return this;
  }

  private raw(bytes: Uint8Array): this {
    this.room(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  private room(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const grown = new Uint8Array(Math.max(this.buffer.length * 2, this.length + bytes));
    grown.set(this.buffer);
    this.buffer = grown;
    this.view = new DataView(grown.buffer);
  }
}

/** Reads values in the order in which a schema expects them; every method throws SchemaError. */
export class Reader {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Offset of the next value. */
  get offset(): number {
    return this.at;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** Refuses bytes after the last value. */
  end(): void {
    if (this.left !== 0) throw new SchemaError(`${this.left} bytes after the end`);
  }

  /** An array's length, which is between `min` and `max`. */
  array(min: number, max: number): number {
    const type = this.take(1);
    let length = -1;
    if ((type & 0xf0) === 0x90) length = type & 0x0f;
    else if (type === 0xdc) length = this.take(2);
    else if (type === 0xdd) length = this.take(4);
    if (length < min || length > max) throw new SchemaError(`array of ${min} to ${max} expected`);
    // Every item takes a byte at least, so a length that cannot be true is refused here.
    if (length > this.left) throw new SchemaError("array longer than the frame");
    return length;
  }

  /** An integer between `min` and `max`. */
  int(min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.number(this.take(1));
    if (!(value >= min && value <= max)) {
      throw new SchemaError(`integer of ${min} to ${max} expected`);
    }
    return value;
  }

  float(): number {
    const type = this.take(1);
    return type === 0xcb ? this.float64() : this.finite(type);
  }

  /** A view into the frame, not a copy: valid as long as the frame's bytes are. */
  bin(min: number, max: number): Uint8Array {
    const type = this.take(1);
    if (type < 0xc4 || type > 0xc6) throw new SchemaError("bytes expected");
    return this.span(this.take(1 << (type - 0xc4)), min, max);
  }

  /** Skips bytes as `bin` reads them; returns where they begin. They end where the reader is. */
  skipBin(min: number, max: number): number {
    const type = this.take(1);
    if (type < 0xc4 || type > 0xc6) throw new SchemaError("bytes expected");
    const length = this.take(1 << (type - 0xc4));
    this.need(length, min, max);
    this.at += length;
    return this.at - length;
  }

  str(min: number, max: number): string {
    const type = this.take(1);
    let length = type & 0x1f;
    if (type >= 0xd9 && type <= 0xdb) length = this.take(1 << (type - 0xd9));
    else if ((type & 0xe0) !== 0xa0) throw new SchemaError("string expected");
    return utf8Decode(this.span(length, min, max));
  }

  bool(): boolean {
    const type = this.take(1);
    if (type !== 0xc2 && type !== 0xc3) throw new SchemaError("bool expected");
    return type === 0xc3;
  }

  /** True and consumed when the next value is nil. */
  nil(): boolean {
    if (this.left === 0 || this.bytes[this.at] !== 0xc0) return false;
    this.at++;
    return true;
  }

  value(depth = 0): Value {
    if (this.left === 0) throw new SchemaError("frame ends early");
    if (depth > MAX_DEPTH) throw new SchemaError(`nested deeper than ${MAX_DEPTH}`);
    const type = this.bytes[this.at];
    if (this.nil()) return null;
    if (type === 0xc2 || type === 0xc3) return this.bool();
    if (type >= 0xc4 && type <= 0xc6) return this.bin(0, this.left);
    if ((type & 0xe0) === 0xa0 || (type >= 0xd9 && type <= 0xdb)) return this.str(0, this.left);
    if ((type & 0xf0) === 0x90 || type === 0xdc || type === 0xdd) {
      const items = new Array<Value>(this.array(0, this.left));
      for (let i = 0; i < items.length; i++) items[i] = this.value(depth + 1);
      return items;
    }
    return this.float();
  }

  private number(type: number): number {
    if (type < 0x80) return type;
    if (type >= 0xe0) return type - 0x100;
    if (type >= 0xcc && type <= 0xce) return this.take(1 << (type - 0xcc));
    if (type === 0xcf) return this.take(4) * TWO_32 + this.take(4);
    if (type === 0xd0) return (this.take(1) << 24) >> 24;
    if (type === 0xd1) return (this.take(2) << 16) >> 16;
    if (type === 0xd2) return this.take(4) | 0;
    if (type === 0xd3) return (this.take(4) | 0) * TWO_32 + this.take(4);
    return Number.NaN;
  }

  private finite(type: number): number {
    const value = this.number(type);
    if (!Number.isSafeInteger(value)) throw new SchemaError("number expected");
    return value;
  }

  private float64(): number {
    if (this.left < 8) throw new SchemaError("frame ends early");
    const { buffer, byteOffset } = this.bytes;
    // A view per float, not per reader: hardly a frame holds one.
    const value = new DataView(buffer, byteOffset + this.at, 8).getFloat64(0);
    this.at += 8;
    return value;
  }

  private need(length: number, min: number, max: number): void {
    if (length < min || length > max || length > this.left) {
      throw new SchemaError(`${min} to ${max} bytes expected, got ${length}`);
    }
  }

  private span(length: number, min: number, max: number): Uint8Array {
    this.need(length, min, max);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** An unsigned big-endian integer of 1, 2 or 4 bytes. */
  private take(bytes: number): number {
    const { bytes: from, at } = this;
    if (at + bytes > from.length) throw new SchemaError("frame ends early");
    this.at += bytes;
    if (bytes === 1) return from[at];
    if (bytes === 2) return (from[at] << 8) | from[at + 1];
    return ((from[at] << 24) | (from[at + 1] << 16) | (from[at + 2] << 8) | from[at + 3]) >>> 0;
  }
}

/** Encodes one value. */
export function encode(value: Value): Uint8Array {
  return new Writer().value(value).bytes();
}

/**
 * Decodes exactly one value; byte strings are views into `bytes`.
 * @throws SchemaError when the bytes are no value of the subset, or more than one.
 */
export function decode(bytes: Uint8Array): Value {
  const reader = new Reader(bytes);
  const value = reader.value();
  reader.end();
  return value;
}

const LEAD_BITS = [0, 0xc0, 0xe0, 0xf0];
const LEAST_POINT = [0, 0x80, 0x800, 0x10000];

/** UTF-8 of a string; a lone surrogate becomes U+FFFD. The pure ring has no TextEncoder. */
export function utf8Encode(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  let at = 0;
  for (const character of text) {
    let point = character.codePointAt(0) as number;
    if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
    const extra = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    bytes[at++] = LEAD_BITS[extra] | (point >> (6 * extra));
    for (let i = extra - 1; i >= 0; i--) bytes[at++] = 0x80 | ((point >> (6 * i)) & 0x3f);
  }
  return bytes.slice(0, at);
}

/** @throws SchemaError on any sequence that RFC 3629 does not allow. */
export function utf8Decode(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at++];
    const extra = lead < 0x80 ? 0 : lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || at + extra > bytes.length) {
      throw new SchemaError("invalid UTF-8");
    }
    let point = extra === 0 ? lead : lead & (0x3f >> extra);
    for (let i = 0; i < extra; i++) {
      if ((bytes[at] & 0xc0) !== 0x80) throw new SchemaError("invalid UTF-8");
      point = (point << 6) | (bytes[at++] & 0x3f);
    }
    const surrogate = point >= 0xd800 && point <= 0xdfff;
    if (point < LEAST_POINT[extra] || point > 0x10ffff || surrogate) {
      throw new SchemaError("invalid UTF-8");
    }
    text += String.fromCodePoint(point);
  }
  return text;
}
