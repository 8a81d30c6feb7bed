import { describe, expect, it } from "vitest";
import {
  DURATION_BUCKETS_S,
  LABEL_VALUES_MAX,
  MetricsRegistry,
  SERIES_MAX,
  TOKEN_BUCKETS_S,
  WORK_BUCKETS_S,
} from "../../../src/feedback/metrics.ts";

describe("MetricsRegistry", () => {
  it("renders text exposition 0.0.4", () => {
    const registry = new MetricsRegistry();
    const requests = registry.counter({
      name: "gridpoint_requests_total",
      help: "Requests.\nBy route \\ code.",
      labels: ["route", "code"],
    });
    requests.labels("chat", "200").inc();
    requests.labels("chat", "200").add(2);
    requests.labels('a"b\\c\nd', "500").inc();
    registry.gauge({ name: "gridpoint_queue_length", help: "Waiting." }).labels().set(7);
    const ttft = { name: "gridpoint_ttft_seconds", help: "TTFT.", labels: ["tier"] };
    const seconds = registry.histogram(ttft, [0.1, 1]).labels("edge");
    for (const value of [0.05, 0.1, 0.5, 30, Number.NaN]) seconds.observe(value);
    expect(registry.render()).toBe(
      [
        "# HELP gridpoint_requests_total Requests.\\nBy route \\\\ code.",
        "# TYPE gridpoint_requests_total counter",
        'gridpoint_requests_total{route="chat",code="200"} 3',
        'gridpoint_requests_total{route="a\\"b\\\\c\\nd",code="500"} 1',
        "# HELP gridpoint_queue_length Waiting.",
        "# TYPE gridpoint_queue_length gauge",
        "gridpoint_queue_length 7",
        "# HELP gridpoint_ttft_seconds TTFT.",
        "# TYPE gridpoint_ttft_seconds histogram",
        'gridpoint_ttft_seconds_bucket{tier="edge",le="0.1"} 2',
        'gridpoint_ttft_seconds_bucket{tier="edge",le="1"} 3',
        'gridpoint_ttft_seconds_bucket{tier="edge",le="+Inf"} 4',
        'gridpoint_ttft_seconds_sum{tier="edge"} 30.65',
        'gridpoint_ttft_seconds_count{tier="edge"} 4',
        "",
      ].join("\n"),
    );
  });

  it("gives one handle per series", () => {
    const family = new MetricsRegistry().counter({
      name: "gridpoint_a_total",
      help: "A.",
      labels: ["x"],
    });
    expect(family.labels("1")).toBe(family.labels("1"));
    expect(family.labels("1")).not.toBe(family.labels("2"));
    expect(() => family.labels()).toThrow(RangeError);
  });

  it("counts no counter down", () => {
    const family = new MetricsRegistry().counter({ name: "gridpoint_a_total", help: "A." });
    const counter = family.labels();
    counter.add(2);
    counter.add(-1);
    counter.add(Number.NaN);
    expect(counter.value).toBe(2);
  });

  it("bounds the values of a label and the series of a family", () => {
    const registry = new MetricsRegistry();
    const labels = ["a", "b"];
    const family = registry.counter({ name: "gridpoint_a_total", help: "A.", labels });
    for (let i = 0; i < LABEL_VALUES_MAX * 3; i++) family.labels(`v${i}`, "x").inc();
    expect(family.labels("other", "x").value).toBe(LABEL_VALUES_MAX * 2);
    for (let i = 0; i < 200 * 200; i++) family.labels(`v${i % 200}`, `w${i % 199}`).inc();
    const series = registry
      .render()
      .split("\n")
      .filter((line) => !line.startsWith("#"));
    const count = series.length - 1;
    expect(count).toBeLessThanOrEqual(SERIES_MAX);
    expect(count).toBeGreaterThan(SERIES_MAX - 3);
    let sum = 0;
    for (const line of series) sum += Number(line.split(" ").at(-1));
    expect(sum).toBe(LABEL_VALUES_MAX * 3 + 200 * 200);
  });

  it("makes room again when a series is removed", () => {
    const registry = new MetricsRegistry();
    const labels = ["endpoint"];
    const family = registry.gauge({ name: "gridpoint_up", help: "Up.", labels });
    for (let i = 0; i < 1000; i++) {
      family.labels(`e${i}`).set(1);
      family.remove(`e${i}`);
    }
    family.labels("last").set(1);
    expect(registry.render()).toContain('gridpoint_up{endpoint="last"} 1');
    expect(registry.render()).not.toContain("other");
  });

  it("reads collected metrics anew each time, and survives one that throws", () => {
    const registry = new MetricsRegistry();
    let value = 1;
    registry.collect("gauge", { name: "gridpoint_bad", help: "Bad." }, (report) => {
      report(1);
      throw new Error("broken table");
    });
    const labels = ["row"];
    registry.collect("gauge", { name: "gridpoint_good", help: "Good.", labels }, (report) => {
      report(value, "a");
      report(Number.POSITIVE_INFINITY, "b");
    });
    expect(registry.render()).toContain('gridpoint_good{row="a"} 1\n');
    value = 2;
    expect(registry.render()).toContain('gridpoint_good{row="a"} 2\n');
    expect(registry.render()).toContain('gridpoint_good{row="b"} +Inf\n');
    expect(registry.render()).not.toMatch(/^gridpoint_bad /m);
  });

  it("refuses names against the rules, and a name twice", () => {
    const registry = new MetricsRegistry();
    const help = "H.";
    registry.gauge({ name: "gridpoint_a", help });
    expect(() => registry.gauge({ name: "gridpoint_a", help })).toThrow(/exists/);
    expect(() => registry.gauge({ name: "other_a", help })).toThrow(/gridpoint_/);
    expect(() => registry.counter({ name: "gridpoint_b", help })).toThrow(/_total/);
    expect(() => registry.gauge({ name: "gridpoint_c", help, labels: ["le"] })).toThrow(/label/);
    expect(() => registry.histogram({ name: "gridpoint_d", help }, [2, 1])).toThrow(/ascending/);
  });

  it("has buckets in ascending seconds", () => {
    for (const bounds of [DURATION_BUCKETS_S, TOKEN_BUCKETS_S, WORK_BUCKETS_S]) {
      expect([...bounds].sort((a, b) => a - b)).toEqual(bounds);
    }
  });
});
