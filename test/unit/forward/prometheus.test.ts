import { describe, expect, it } from "vitest";
import { type Metric, PrometheusReader, readPrometheus } from "../../../src/forward/prometheus.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (text: string, ...wanted: Metric[]) => readPrometheus(bytes(text), wanted);
const sum = (name: string, more: Partial<Metric> = {}): Metric => ({
  name,
  combine: "sum",
  ...more,
});
const max = (name: string): Metric => ({ name, combine: "max" });

const PAGE = [
  "# HELP a:running Requests, one line with a:running 999",
  "# TYPE a:running gauge",
  'a:running{engine="0",model="ü\\"}x, y=\\\\"} 3',
  'a:running{engine="1"} 4 1700000000000',
  "a:running_total 100",
  'a:use{engine="0"} 0.25 # {trace_id="x"} 0.9',
  'a:use{engine="1"} 0.75',
  'a:info{block_size="16",blocks="None"} 1',
  "",
].join("\n");
const WANTED = [
  sum("a:running"),
  max("a:use"),
  sum("a:info", { valueLabel: "block_size" }),
  sum("a:info", { valueLabel: "blocks" }),
  sum("a:absent"),
];
const FOUND = [7, 0.75, 16, undefined, undefined];

describe("prometheus", () => {
  it("takes the wanted names only, adds ranks up or takes the fullest", () => {
    expect(read(PAGE, ...WANTED)).toEqual(FOUND);
  });

  it("gives the same wherever the page is cut", () => {
    const page = bytes(PAGE);
    for (const size of [1, 2, 3, 7, 50]) {
      const reader = new PrometheusReader(WANTED);
      for (let at = 0; at < page.length; at += size) reader.push(page.subarray(at, at + size));
      expect(reader.finish()).toEqual(FOUND);
    }
  });

  it("reads a last line without line break, and CRLF", () => {
    expect(read("x 1\r\ny 2", sum("x"), sum("y"))).toEqual([1, 2]);
  });

  it.each(["NaN", "nan", "+Inf", "-Inf", "-1", "1.8446744073709552e+19", "", "abc", "0x"])(
    "refuses the value %j",
    (value) => {
      expect(read(`x{a="b"} ${value}\n`, sum("x"))).toEqual([undefined]);
    },
  );

  it("keeps zero apart from unknown", () => {
    expect(read("x 0\n", sum("x"), sum("y"))).toEqual([0, undefined]);
    expect(read("x 0\nx NaN\n", sum("x"))).toEqual([0]);
  });

  it("matches labels exactly, whatever stands in the values", () => {
    const page = 'q{type="wait,ing"} 1\nq{type="waiting",v="1"} 2\nq{type="a}b"} 4\nq 8\n';
    expect(read(page, sum("q", { match: { type: "waiting" } }))).toEqual([2]);
    expect(read(page, sum("q", { match: { type: "a}b" } }))).toEqual([4]);
    expect(read(page, sum("q"))).toEqual([15]);
  });

  it("passes over lines that are not well formed", () => {
    const page = 'x{a="b 1\nx{a=b} 2\nx{a="b"}\nx{\nx\nx{} 5\n';
    expect(read(page, sum("x"))).toEqual([5]);
  });

  it("holds no more than a line, and never an endless one", () => {
    const reader = new PrometheusReader([sum("x")]);
    const piece = bytes(`x{a="${"y".repeat(1_000)}`);
    for (let i = 0; i < 100; i++) reader.push(piece);
    reader.push(bytes('"} 7\nx 1\n'));
    expect(reader.finish()).toEqual([1]);
    expect(read(`x{a="${"y".repeat(20_000)}"} 7\nx 1\n`, sum("x"))).toEqual([1]);
  });
});
