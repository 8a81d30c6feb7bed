/**
 * Reads a handful of numbers out of a Prometheus text page. An engine's page is mostly histograms
 * (hundreds of kilobytes, four times a second, per endpoint), so lines are compared as bytes and
 * only the wanted ones are ever decoded. Safe to feed in pieces cut anywhere. A value that cannot
 * be a fact (NaN, infinite, negative, a 64-bit sentinel) is refused: unknown, never zero.
 * Format: Prometheus text exposition 0.0.4; OpenMetrics exemplars and timestamps are passed over.
 */

/** How samples of one name with other labels (data-parallel ranks, models) become one number. */
export type Combine = "sum" | "max";

export interface Metric {
  name: string;
  combine: Combine;
  /** Only samples with these labels. */
  match?: Readonly<Record<string, string>>;
  /** The number stands in this label, as in `…_info{block_size="16"} 1`. */
  valueLabel?: string;
}

/** Largest value believed: beyond it doubles do not count by ones, and engines mean "unset". */
const VALUE_MAX = Number.MAX_SAFE_INTEGER;
/** Longest line read; a longer one is passed over. */
const LINE_MAX = 16_384;
const NEWLINE = 10;

interface Slot {
  metric: Metric;
  nameBytes: Uint8Array;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class PrometheusReader {
  private readonly slots: Slot[];
  private readonly values: (number | undefined)[];
  private rest: Uint8Array = new Uint8Array(0);
  private skipping = false;

  constructor(wanted: readonly Metric[]) {
    this.slots = wanted.map((metric) => ({ metric, nameBytes: encoder.encode(metric.name) }));
    this.values = wanted.map(() => undefined);
  }

  push(chunk: Uint8Array): void {
    let from = 0;
    let end = chunk.indexOf(NEWLINE);
    if (end >= 0 && (this.rest.length > 0 || this.skipping)) {
      this.closeRest(chunk.subarray(0, end));
      from = end + 1;
      end = chunk.indexOf(NEWLINE, from);
    }
    while (end >= 0) {
      this.line(chunk, from, end);
      from = end + 1;
      end = chunk.indexOf(NEWLINE, from);
    }
    if (from < chunk.length) this.keepRest(chunk.subarray(from));
  }

  /** Values in the order wanted; undefined = the page does not say. The reader is used up. */
  finish(): (number | undefined)[] {
    if (this.rest.length > 0) this.line(this.rest, 0, this.rest.length);
    this.rest = new Uint8Array(0);
    return this.values;
  }

  private closeRest(tail: Uint8Array): void {
    this.keepRest(tail);
    if (!this.skipping) this.line(this.rest, 0, this.rest.length);
    this.skipping = false;
    this.rest = new Uint8Array(0);
  }

  private keepRest(tail: Uint8Array): void {
    if (this.skipping || this.rest.length + tail.length > LINE_MAX) {
      this.skipping = true;
      this.rest = new Uint8Array(0);
      return;
    }
    const joined = new Uint8Array(this.rest.length + tail.length);
    joined.set(this.rest);
    joined.set(tail, this.rest.length);
    this.rest = joined;
  }

  private line(bytes: Uint8Array, from: number, end: number): void {
    if (end - from > LINE_MAX) return;
    let text: string | undefined;
    for (let index = 0; index < this.slots.length; index++) {
      const slot = this.slots[index];
      if (!startsWith(bytes, from, end, slot.nameBytes)) continue;
      text ??= decoder.decode(bytes.subarray(from, end));
      const value = sampleValue(text, slot.metric);
      if (value === undefined) continue;
      const before = this.values[index];
      if (before === undefined) this.values[index] = value;
      else
        this.values[index] =
          slot.metric.combine === "sum" ? before + value : Math.max(before, value);
    }
  }
}

/** The name, and after it an end of name: `a` must not match `a_total`. */
function startsWith(bytes: Uint8Array, from: number, end: number, name: Uint8Array): boolean {
  if (end - from <= name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[from + i] !== name[i]) return false;
  const next = bytes[from + name.length];
  return next === 0x7b || next === 0x20 || next === 0x09;
}

function sampleValue(line: string, metric: Metric): number | undefined {
  const labels: Record<string, string> = {};
  const valueAt = readLabels(line, metric.name.length, labels);
  if (valueAt < 0) return undefined;
  for (const name in metric.match) if (labels[name] !== metric.match[name]) return undefined;
  if (metric.valueLabel !== undefined) {
    const text = labels[metric.valueLabel];
    return text === undefined ? undefined : believable(text);
  }
  return believable(
    line
      .slice(valueAt)
      .trimStart()
      .split(/[ \t\r]/, 1)[0],
  );
}

/** A finite, non-negative number of believable size, else undefined. */
export function believable(text: string): number | undefined {
  const value = text === "" ? Number.NaN : Number(text);
  return value >= 0 && value <= VALUE_MAX ? value : undefined;
}

const LABEL = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*,?[ \t]*/y;

/** Fills `labels` and returns where the value starts, or -1 where the line is not well formed. */
function readLabels(line: string, at: number, labels: Record<string, string>): number {
  if (line[at] !== "{") return at;
  LABEL.lastIndex = at + 1;
  let end = at + 1;
  for (let match = LABEL.exec(line); match !== null; match = LABEL.exec(line)) {
    labels[match[1]] = unescapeLabel(match[2]);
    end = LABEL.lastIndex;
  }
  return line[end] === "}" ? end + 1 : -1;
}

function unescapeLabel(value: string): string {
  if (!value.includes("\\")) return value;
  return value.replace(/\\(.)/g, (_all, char: string) => (char === "n" ? "\n" : char));
}

/** One whole page at once. */
export function readPrometheus(
  page: Uint8Array,
  wanted: readonly Metric[],
): (number | undefined)[] {
  const reader = new PrometheusReader(wanted);
  reader.push(page);
  return reader.finish();
}
