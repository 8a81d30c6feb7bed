/**
 * Counters, gauges and fixed-bucket histograms with Prometheus' text exposition, format 0.0.4. The
 * hot path is one increment through a handle that `labels` gave out once. Label values come from
 * requests and configuration, so each is bounded: past the cap of distinct values, or of series in
 * a family, the value is `other`, and the page stays small whatever callers send. Durations are in
 * seconds, as Prometheus wants them.
 */

/** Distinct values of one label; more become `other`. */
export const LABEL_VALUES_MAX = 128;
/** Series of one family; more are counted in the one whose labels are all `other`. */
export const SERIES_MAX = 2_048;
const LABEL_LENGTH_MAX = 128;

/** Whole requests and waits, 1 ms to 10 minutes. */
export const DURATION_BUCKETS_S: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
];
/** Inter-token latency and jitter, 0.5 ms to 2.5 s. */
export const TOKEN_BUCKETS_S: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5,
];
/** The decision and other work of our own, 1 us to 10 ms. */
export const WORK_BUCKETS_S: readonly number[] = [
  1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 1e-2,
];

const NAME = /^gridpoint_[a-z][a-z0-9_]*$/;
const LABEL = /^[a-z][a-z0-9_]*$/;

export interface FamilyOptions {
  /** `gridpoint_...`, unit last; a counter ends with `_total`. */
  name: string;
  help: string;
  labels?: readonly string[];
}

export interface Counter {
  inc(): void;
  /** @param amount not negative */
  add(amount: number): void;
  readonly value: number;
}

export interface Gauge {
  set(value: number): void;
  add(amount: number): void;
  readonly value: number;
}

export interface Histogram {
  observe(value: number): void;
  readonly count: number;
  readonly sum: number;
}

/** What every handle can do beside its own work: write its lines of the page. */
interface Drawn {
  draw(name: string, labels: string, lines: string[]): void;
}

class Cell implements Counter, Gauge, Drawn {
  private readonly cell = new Float64Array(1);

  inc(): void {
    this.cell[0]++;
  }
  add(amount: number): void {
    this.cell[0] += amount;
  }
  set(value: number): void {
    this.cell[0] = value;
  }
  get value(): number {
    return this.cell[0];
  }
  draw(name: string, labels: string, lines: string[]): void {
    lines.push(sample(name, labels, this.value));
  }
}

class CounterCell extends Cell {
  override add(amount: number): void {
    // A counter that falls looks like a restart to Prometheus.
    if (amount > 0) super.add(amount);
  }
}

class Buckets implements Histogram, Drawn {
  private readonly bounds: readonly number[];
  /** One count per bound, then the one above all, then the sum. */
  private readonly cells: Float64Array;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.cells = new Float64Array(bounds.length + 2);
  }

  observe(value: number): void {
    if (Number.isNaN(value)) return;
    const { bounds, cells } = this;
    let at = 0;
    while (at < bounds.length && value > bounds[at]) at++;
    cells[at]++;
    cells[bounds.length + 1] += value;
  }

  get sum(): number {
    return this.cells[this.bounds.length + 1];
  }

  get count(): number {
    let count = 0;
    for (let i = 0; i <= this.bounds.length; i++) count += this.cells[i];
    return count;
  }

  draw(name: string, labels: string, lines: string[]): void {
    const before = labels === "" ? "" : `${labels},`;
    let count = 0;
    for (let i = 0; i <= this.bounds.length; i++) {
      count += this.cells[i];
      const bound = i < this.bounds.length ? numberText(this.bounds[i]) : "+Inf";
      lines.push(`${name}_bucket{${before}le="${bound}"} ${count}`);
    }
    lines.push(sample(`${name}_sum`, labels, this.sum), sample(`${name}_count`, labels, count));
  }
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}

function sample(name: string, labels: string, value: number): string {
  return `${name}${labels === "" ? "" : `{${labels}}`} ${numberText(value)}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

/** All series of one metric name. `T` is the handle. */
export class Family<T> {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  private readonly labelNames: readonly string[];
  private readonly make: () => T & Drawn;
  /** By label values joined with NUL, which no value holds. */
  private readonly series = new Map<string, T & Drawn>();
  private readonly known: Set<string>[];

  constructor(type: Family<T>["type"], options: FamilyOptions, make: () => T & Drawn) {
    this.type = type;
    this.name = options.name;
    this.help = options.help;
    this.labelNames = options.labels ?? [];
    this.make = make;
    this.known = this.labelNames.map(() => new Set());
  }

  /**
   * The handle of one series; keep it where the path is hot.
   * @param values one per label name, in the order of declaration
   */
  labels(...values: string[]): T {
    if (values.length !== this.labelNames.length) {
      throw new RangeError(`${this.name} has the labels ${this.labelNames.join(", ") || "(none)"}`);
    }
    const found = this.series.get(values.join("\0"));
    return found ?? this.bounded(values.map((value, at) => this.bound(value, at)));
  }

  /** Takes a series out, e.g. of an endpoint that was removed. Handles of it count into nothing. */
  remove(...values: string[]): void {
    this.series.delete(values.join("\0"));
    for (let at = 0; at < values.length; at++) {
      const prefix = values[at];
      let used = false;
      for (const key of this.series.keys()) used ||= key.split("\0")[at] === prefix;
      if (!used) this.known[at]?.delete(prefix);
    }
  }

  render(lines: string[]): void {
    lines.push(`# HELP ${this.name} ${escapeHelp(this.help)}`, `# TYPE ${this.name} ${this.type}`);
    for (const [key, cell] of this.series) {
      const values = this.labelNames.length === 0 ? [] : key.split("\0");
      const labels = values.map((value, at) => `${this.labelNames[at]}="${escapeLabel(value)}"`);
      cell.draw(this.name, labels.join(","), lines);
    }
  }

  private bounded(values: string[]): T {
    const key = values.join("\0");
    const found = this.series.get(key);
    if (found !== undefined) return found;
    const full = this.series.size >= SERIES_MAX - 1;
    const at = full ? values.map(() => "other").join("\0") : key;
    const cell = this.series.get(at) ?? this.make();
    this.series.set(at, cell);
    return cell;
  }

  private bound(value: string, at: number): string {
    const clean = value.slice(0, LABEL_LENGTH_MAX).replaceAll("\0", "");
    const known = this.known[at];
    if (known.has(clean)) return clean;
    if (known.size >= LABEL_VALUES_MAX) return "other";
    known.add(clean);
    return clean;
  }
}

type Report = (value: number, ...labels: string[]) => void;

export class MetricsRegistry {
  private readonly pages = new Map<string, (lines: string[]) => void>();

  /** @throws RangeError when the name is taken or against the rules: a mistake in the program */
  counter(options: FamilyOptions): Family<Counter> {
    if (!options.name.endsWith("_total")) {
      throw new RangeError(`counter ${options.name} must end with _total`);
    }
    return this.add(new Family<Counter>("counter", options, () => new CounterCell()), options);
  }

  gauge(options: FamilyOptions): Family<Gauge> {
    return this.add(new Family<Gauge>("gauge", options, () => new Cell()), options);
  }

  /** @param bounds upper bounds of the buckets, ascending, without +Inf */
  histogram(options: FamilyOptions, bounds: readonly number[]): Family<Histogram> {
    for (let i = 0; i < bounds.length; i++) {
      if (Number.isFinite(bounds[i]) && (i === 0 || bounds[i] > bounds[i - 1])) continue;
      throw new RangeError(`buckets of ${options.name} must be finite and ascending`);
    }
    const make = (): Buckets => new Buckets(bounds);
    return this.add(new Family<Histogram>("histogram", options, make), options);
  }

  /**
   * A metric that is read when the page is: `read` reports every series each time. One that throws
   * leaves its family empty, so that one broken table never hides the others.
   */
  collect(type: "gauge" | "counter", options: FamilyOptions, read: (report: Report) => void): void {
    this.check(options);
    const fresh = (): Family<Gauge> => new Family<Gauge>(type, options, () => new Cell());
    this.pages.set(options.name, (lines) => {
      const family = fresh();
      try {
        read((value, ...labels) => family.labels(...labels).set(value));
        family.render(lines);
      } catch {
        fresh().render(lines);
      }
    });
  }

  /** The page, `text/plain; version=0.0.4; charset=utf-8`. */
  render(): string {
    const lines: string[] = [];
    for (const page of this.pages.values()) page(lines);
    return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  }

  private add<T>(family: Family<T>, options: FamilyOptions): Family<T> {
    this.check(options);
    this.pages.set(family.name, (lines) => family.render(lines));
    return family;
  }

  private check(options: FamilyOptions): void {
    if (!NAME.test(options.name)) {
      throw new RangeError(`metric name ${options.name} must be gridpoint_ and lower-case words`);
    }
    if (this.pages.has(options.name)) throw new RangeError(`metric ${options.name} exists already`);
    for (const label of options.labels ?? []) {
      if (LABEL.test(label) && label !== "le") continue;
      throw new RangeError(`label ${label} of ${options.name} must be a lower-case word`);
    }
  }
}
