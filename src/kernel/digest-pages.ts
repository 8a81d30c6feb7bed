/**
 * Digests on their way in and out of `kernel.wasm`: hashes pass through the text window, as many
 * at a time as fit there.
 */
import type { Row } from "../grid/units.ts";
import { netDelta } from "./digest-delta.ts";
import type { DigestDelta } from "./kernel.ts";

/** The exports that deal with digests. */
export interface DigestExports {
  addDigest(count: number, row: number): void;
  dropDigest(count: number, row: number): void;
  clearDigest(row: number): void;
  listHashes(row: number, firstEntry: number, endEntry: number): number;
  startFeed(row: number): number;
  takeFeed(row: number): number;
}

export class DigestPages {
  readonly #exports: DigestExports;
  readonly #window: Uint32Array;

  /** @param window the text window as words */
  constructor(exports: DigestExports, window: Uint32Array) {
    this.#exports = exports;
    this.#window = window;
  }

  replace(row: Row, hashes: Uint32Array): void {
    this.#exports.clearDigest(row);
    this.#write(hashes, (count) => this.#exports.addDigest(count, row));
  }

  change(row: Row, added: Uint32Array, removed: Uint32Array): void {
    this.#write(removed, (count) => this.#exports.dropDigest(count, row));
    this.#write(added, (count) => this.#exports.addDigest(count, row));
  }

  #write(hashes: Uint32Array, take: (count: number) => void): void {
    const end = this.#window.length;
    for (let from = 0; from < hashes.length; from += end) {
      const page = hashes.subarray(from, from + end);
      this.#window.set(page);
      take(page.length);
    }
  }

  /** @param entries of the index, in use or not */
  read(row: Row, entries: number): Uint32Array {
    const pages: Uint32Array[] = [];
    for (let first = 0; first < entries; first += this.#window.length) {
      const end = Math.min(first + this.#window.length, entries);
      pages.push(this.#window.slice(0, this.#exports.listHashes(row, first, end)));
    }
    return joined(pages).sort();
  }

  drain(row: Row): DigestDelta | "snapshot" {
    if (this.#exports.startFeed(row) !== 0) return "snapshot";
    const pages: Uint32Array[] = [];
    for (let count = 1; count > 0; ) {
      count = this.#exports.takeFeed(row);
      pages.push(this.#window.slice(0, count));
    }
    return netDelta(joined(pages));
  }
}

function joined(pages: Uint32Array[]): Uint32Array {
  const all = new Uint32Array(pages.reduce((sum, page) => sum + page.length, 0));
  let at = 0;
  for (const page of pages) {
    all.set(page, at);
    at += page.length;
  }
  return all;
}
