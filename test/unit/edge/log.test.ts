import { expect, test } from "vitest";
import { createLog } from "../../../edge/log.ts";

function lines(format: "text" | "json", level: "debug" | "info" | "warn" | "error") {
  const written: string[] = [];
  const log = createLog({ format, level }, (line) => written.push(line));
  return { log, written };
}

test("JSON is one object per line, whatever the values hold", () => {
  const { log, written } = lines("json", "info");
  log("info", "reloaded", { changed: 'a\n"b"', count: 2, nothing: undefined });
  expect(written).toHaveLength(1);
  expect(written[0]).toMatch(/^[^\n]*\n$/);
  const { time, ...rest } = JSON.parse(written[0]);
  expect(rest).toEqual({ level: "info", event: "reloaded", changed: 'a\n"b"', count: 2 });
  expect(new Date(time).toISOString()).toBe(time);
});

test("text is one line; a value cannot forge another one", () => {
  const { log, written } = lines("text", "info");
  log("warn", "engine-ended", { id: "edge-1", how: "x\n2026 error forged", empty: "" });
  expect(written[0]).toMatch(
    /^\S+ warn {2}engine-ended id=edge-1 how="x\\n2026 error forged" empty=""\n$/,
  );
});

test("what is below the level is not written", () => {
  const { log, written } = lines("text", "warn");
  for (const level of ["debug", "info", "warn", "error"] as const) log(level, level);
  expect(written.map((line) => line.split(/\s+/)[1])).toEqual(["warn", "error"]);
});
