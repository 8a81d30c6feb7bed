/** Prometheus text exposition for the engines: fixed-bucket histograms and one-line samples. */

/** Content type of the exposition format. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export class Histogram {
  private readonly bounds: readonly number[];
  private readonly counts: Float64Array;
  private sum = 0;
  private count = 0;

  /** `bounds` ascending; values above the last fall into +Inf. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > this.bounds[bucket]) bucket++;
    this.counts[bucket]++;
    this.sum += value;
    this.count++;
  }

  render(name: string, help: string, labels: string): string {
    let text = head(name, help, "histogram");
    let below = 0;
    this.bounds.forEach((bound, i) => {
      below += this.counts[i];
      text += `${name}_bucket{${labels},le="${bound}"} ${below}\n`;
    });
    text += `${name}_bucket{${labels},le="+Inf"} ${this.count}\n`;
    return `${text}${name}_sum{${labels}} ${this.sum}\n${name}_count{${labels}} ${this.count}\n`;
  }
}

/** One metric with one sample; no braces when `labels` is empty. */
export function sample(
  type: "counter" | "gauge",
  name: string,
  help: string,
  labels: string,
  value: number,
): string {
  const braces = labels === "" ? "" : `{${labels}}`;
  return `${head(name, help, type)}${name}${braces} ${value}\n`;
}

export function head(name: string, help: string, type: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

/** A label value with what the format wants escaped. */
export function labelValue(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
