/**
 * Bytes that came and were not read yet, in one buffer that grows by doubling: a large frame in
 * many small pieces costs its size twice, not its square. What is taken is a copy.
 */

const START_BYTES = 4_096;
/** An empty queue does not keep more than this. */
const KEPT_BYTES = 256 * 1024;

export class ByteQueue {
  private bytes = new Uint8Array(START_BYTES);
  private from = 0;
  private end = 0;

  get length(): number {
    return this.end - this.from;
  }

  push(more: Uint8Array): void {
    if (this.end + more.length > this.bytes.length) this.makeRoom(more.length);
    this.bytes.set(more, this.end);
    this.end += more.length;
  }

  /** The byte at an offset below `length`. */
  at(offset: number): number {
    return this.bytes[this.from + offset];
  }

  /** Eight bytes, big-endian, as a number: exact up to 2^53, and never too small above it. */
  size64(offset: number): number {
    const at = this.from + offset;
    const view = new DataView(this.bytes.buffer, at, 8);
    return view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4);
  }

  take(count: number): Uint8Array {
    const taken = this.bytes.slice(this.from, this.from + count);
    this.skip(count);
    return taken;
  }

  skip(count: number): void {
    this.from += count;
    if (this.from < this.end) return;
    this.from = 0;
    this.end = 0;
    if (this.bytes.length > KEPT_BYTES) this.bytes = new Uint8Array(START_BYTES);
  }

  private makeRoom(more: number): void {
    const { length } = this;
    let size = this.bytes.length;
    while (size < length + more) size *= 2;
    const target = size === this.bytes.length ? this.bytes : new Uint8Array(size);
    target.set(this.bytes.subarray(this.from, this.end));
    this.bytes = target;
    this.from = 0;
    this.end = length;
  }
}
