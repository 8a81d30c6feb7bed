/**
 * Cuts a text that arrives in pieces at the first stop string, and holds back what may still become
 * one. Also holds a lone high surrogate at the end of a piece, so that no
 * half character is sent before its rest has arrived.
 */
export class StopScanner {
  /** True once a stop string was seen; later pieces give nothing. */
  isStopped = false;
  private readonly stops: readonly string[];
  private held = "";

  constructor(stops: readonly string[]) {
    this.stops = stops;
  }

  /** The text that may go out now. */
  push(piece: string): string {
    if (this.isStopped) return "";
    const text = this.held + piece;
    const found = this.firstStop(text);
    if (found >= 0) {
      this.isStopped = true;
      this.held = "";
      return text.slice(0, found);
    }
    const safe = text.length - this.unsafeTail(text);
    this.held = text.slice(safe);
    return text.slice(0, safe);
  }

  /** What was held back, at the end of the generation. */
  end(): string {
    const text = this.held;
    this.held = "";
    return text;
  }

  private firstStop(text: string): number {
    let first = -1;
    for (const stop of this.stops) {
      const at = text.indexOf(stop);
      if (at >= 0 && (first < 0 || at < first)) first = at;
    }
    return first;
  }

  /** Length of the longest end of `text` that begins a stop string or half a character. */
  private unsafeTail(text: string): number {
    const last = text.charCodeAt(text.length - 1);
    let tail = last >= 0xd800 && last <= 0xdbff ? 1 : 0;
    for (const stop of this.stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > tail; length--) {
        if (text.endsWith(stop.slice(0, length))) tail = length;
      }
    }
    return tail;
  }
}
