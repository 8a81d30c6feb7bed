/**
 * Who asks how much: the clients of ServeGen (arXiv 2505.09999, Apache-2.0, alibaba/ServeGen) in
 * the busiest window of their day. One client per line of the fixture: requests per second, then
 * the deciles (5 %, 15 %, ..) of its prompt lengths in tokens. `readArchive` makes the same from
 * the whole data set.
 */
import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

export interface ServeGenClient {
  perS: number;
  /** Ten prompt lengths, each as likely. */
  inputTokens: number[];
}

const FIXTURE = new URL("./fixtures/traces/servegen-clients.csv", import.meta.url);
const ARCHIVE = new URL("../../shared/traces/servegen_reason_deepseek-r1.tar.gz", import.meta.url);
const WINDOWS_PER_DATASET = 36;
const DECILES = 10;

export function readFixture(): ServeGenClient[] {
  const lines = readFileSync(FIXTURE, "utf8").trim().split("\n").slice(1);
  return lines.map((line) => {
    const [perS, ...inputTokens] = line.split(",").map(Number) as [number, ...number[]];
    return { perS, inputTokens };
  });
}

/** Undefined where the data set is not beside the checkout. */
export function readArchive(): ServeGenClient[] | undefined {
  if (!existsSync(ARCHIVE)) return undefined;
  const files = filesOf(gunzipSync(readFileSync(ARCHIVE)));
  const rates = new Map<string, number[]>();
  for (const [name, text] of files) {
    const id = /chunk-(\d+)-trace\.csv$/.exec(name)?.[1];
    if (id !== undefined)
      rates.set(
        id,
        text
          .trim()
          .split("\n")
          .map((row) => +row.split(",")[1]),
      );
  }
  const window = busiest([...rates.values()]);
  const dataset = `${Math.floor(window / WINDOWS_PER_DATASET) * 21_600}`;
  const ids = [...rates.keys()].sort((a, b) => Number(a) - Number(b));
  return ids.flatMap((id) => {
    const perS = rates.get(id)?.[window] ?? 0;
    const text = files.get(`data/reason/deepseek-r1/chunk-${id}-dataset.json`) ?? "{}";
    const lengths = JSON.parse(text)[dataset]?.input_tokens as string | undefined;
    return perS > 0 && lengths !== undefined ? [{ perS, inputTokens: decilesOf(lengths) }] : [];
  });
}

function busiest(rates: number[][]): number {
  const totals = (rates[0] ?? []).map((_, window) => {
    return rates.reduce((sum, one) => sum + (one[window] ?? 0), 0);
  });
  return totals.indexOf(Math.max(...totals));
}

/** `{45: 0.009, 46: 0.011}` */
function decilesOf(text: string): number[] {
  const pairs = [...text.matchAll(/([\d.]+): ([\d.e-]+)/g)].map((m) => [
    Number(m[1]),
    Number(m[2]),
  ]);
  const sorted = pairs.sort((a, b) => a[0] - b[0]);
  const whole = sorted.reduce((sum, [, share]) => sum + share, 0);
  return Array.from({ length: DECILES }, (_, index) => {
    const wanted = ((index + 0.5) / DECILES) * whole;
    let sum = 0;
    for (const [tokens, share] of sorted) {
      sum += share;
      if (sum >= wanted) return tokens;
    }
    return sorted[sorted.length - 1][0];
  });
}

/** Of a tar archive: names and texts. */
function filesOf(tar: Buffer): Map<string, string> {
  const files = new Map<string, string>();
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const field = (from: number, to: number) => tar.toString("latin1", at + from, at + to);
    const name = field(0, 100).replace(/\0.*$/s, "");
    const size = Number.parseInt(field(124, 136), 8);
    files.set(name, tar.toString("utf8", at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
