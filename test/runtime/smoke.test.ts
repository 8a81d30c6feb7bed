/** Benches must not rot: the smallest size of the load bench, as its users run it. */
import { expect, test } from "vitest";
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
