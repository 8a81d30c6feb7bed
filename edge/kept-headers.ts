/**
 * Headers of answers that are alike: most of a PoP's answers have the same names and differ in a
 * few values, and on Bun a Response takes a Headers object in a third of the time that it takes to
 * read and check each line of a plain one. A Response copies what it is given.
 */
import type { Headers as Lines } from "../src/grid/exchange.ts";

export class KeptHeaders {
  private readonly kept = new Headers();
  private names: string[] = [];
  private values: string[] = [];

  /** Good until the next call. @throws TypeError when a name or value may not be in a header */
  of(lines: Lines): Headers {
    let at = 0;
    for (const name in lines) {
      const value = lines[name] as string;
      if (this.names[at] !== name) return this.anew(lines);
      if (this.values[at] !== value) {
        this.kept.set(name, value);
        this.values[at] = value;
      }
      at++;
    }
    return at === this.names.length ? this.kept : this.anew(lines);
  }

  private anew(lines: Lines): Headers {
    for (const name of this.names) this.kept.delete(name);
    this.names = [];
    this.values = [];
    for (const name in lines) {
      const value = lines[name] as string;
      this.kept.set(name, value);
      this.names.push(name);
      this.values.push(value);
    }
    return this.kept;
  }
}
