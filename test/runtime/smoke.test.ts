/** Benches must not rot: the smallest sizes of the benches that start processes. */
import { expect, test } from "vitest";
import { measureSockets } from "../../bench/sockets.ts";
import { run } from "./command.ts";

interface Row {
  target: string;
  streamed: boolean;
  cpuUsPerChunk: number | null;
}

test("bench:load --smoke measures gridpoint beside the engine", async () => {
  const script = "bench/load/main.ts";
  const { code, output } = await run(["--smoke", "--json"], { script });
  expect(code).toBe(0);
  const { rows } = JSON.parse(output.slice(output.indexOf("{"))) as { rows: Row[] };
  expect(rows.map((row) => row.target)).toContain("direct");
  const streamed = rows.find((row) => row.target === "gridpoint" && row.streamed);
  expect(streamed?.cpuUsPerChunk).toBeGreaterThan(0);
});

test("bench:sockets counts every token of every socket, and what the PoP added", async () => {
  const figures = await measureSockets({ sockets: 8, chunks: 4, gapMs: 10, settleMs: 10 });
  expect(figures.tokens).toBe(32);
  expect(figures.addedGapMs.p99).toBeGreaterThanOrEqual(figures.addedGapMs.p50);
  expect(figures.tokenDelayMs.p50).toBeGreaterThan(0);
});
