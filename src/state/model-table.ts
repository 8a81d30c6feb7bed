/**
 * Which endpoints serve which model, with a small number per model for the kernel. Numbers are
 * given back when the last endpoint stops serving a model, so that adapters may come and go.
 */
import type { Row } from "../grid/units.ts";

export class ModelTable {
  private readonly entries = new Map<string, { id: number; rows: Set<Row> }>();
  private readonly free: number[] = [];
  private next = 0;
  private readonly capacity: number;
  private readonly onChange: (id: number, row: Row, serves: boolean) => void;

  /** @param onChange told for every (model number, row) that starts or stops serving */
  constructor(capacity: number, onChange: (id: number, row: Row, serves: boolean) => void) {
    this.capacity = capacity;
    this.onChange = onChange;
  }

  /** Number of the model, -1 when nobody serves it. */
  idOf(model: string): number {
    return this.entries.get(model)?.id ?? -1;
  }

  has(model: string): boolean {
    return this.entries.has(model);
  }

  names(): string[] {
    return [...this.entries.keys()].sort();
  }

  rowsOf(model: string): ReadonlySet<Row> {
    return this.entries.get(model)?.rows ?? new Set();
  }

  /**
   * The row serves exactly these models from now on.
   * @returns models that found no place because the table is full
   */
  setRow(row: Row, models: readonly string[]): string[] {
    const wanted = new Set(models);
    for (const [model, entry] of this.entries) {
      if (entry.rows.has(row) && !wanted.has(model)) this.drop(model, row);
    }
    return [...wanted].filter((model) => !this.add(model, row));
  }

  private add(model: string, row: Row): boolean {
    let entry = this.entries.get(model);
    if (entry === undefined) {
      const id = this.free.pop() ?? (this.next < this.capacity ? this.next++ : -1);
      if (id < 0) return false;
      entry = { id, rows: new Set() };
      this.entries.set(model, entry);
    }
    if (!entry.rows.has(row)) {
      entry.rows.add(row);
      this.onChange(entry.id, row, true);
    }
    return true;
  }

  private drop(model: string, row: Row): void {
    const entry = this.entries.get(model) as { id: number; rows: Set<Row> };
    entry.rows.delete(row);
    this.onChange(entry.id, row, false);
    if (entry.rows.size > 0) return;
    this.entries.delete(model);
    this.free.push(entry.id);
  }
}
