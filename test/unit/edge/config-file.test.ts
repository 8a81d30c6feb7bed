import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseConfigText, problemText } from "../../../edge/config-file.ts";
import { type PopConfig, parseConfig } from "../../../src/config.ts";

function fine(raw: unknown): PopConfig {
  const parsed = parseConfig(raw);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}

describe("a config file", () => {
  const problems = (text: string, file = "pop.yaml") => {
    const parsed = parseConfigText(text, file, {});
    return parsed.ok ? [] : parsed.problems.map(problemText);
  };

  test("the example of the deploy folder is fine", () => {
    const file = new URL("../../../edge/deploy/example.yaml", import.meta.url);
    const text = readFileSync(file, "utf8");
    expect(problems(text)).toEqual([]);
    const parsed = parseConfigText(text, "example.yaml", { PORT: "9000" });
    expect(parsed.ok && parsed.config.listen.port).toBe(9000);
  });

  test("the example shows every section, and the defaults as they are", () => {
    const file = new URL("../../../edge/deploy/example.yaml", import.meta.url);
    const parsed = parseConfigText(readFileSync(file, "utf8"), "example.yaml", {});
    const config = parsed.ok ? parsed.config : undefined;
    const { limits, timeouts, slo, kernel, poll, log } = fine({});
    expect(config).toMatchObject({ limits, timeouts, slo, kernel, poll, log });
  });

  test("a problem stands at its line", () => {
    const text =
      "pop:\n  id: a\nendpoints:\n  - id: x\n    url: nope\n    engin: vllm\n  - id: y\n";
    const found = problems(text);
    expect(found[0]).toMatch(/^pop\.yaml:5: endpoints\[0\]\.url expected an http/);
    expect(found[1]).toMatch(/^pop\.yaml:6: endpoints\[0\]\.engin is not a known key; did you/);
    expect(found[2]).toMatch(/^pop\.yaml:7: endpoints\[1\]\.url is missing/);
  });

  test.each([
    ["pop.yaml", "a: 1\nb: [1\n", 3],
    ["pop.yaml", "slo: {}\nslo: {}\n", 2],
    ["pop.yaml", "slo:\n  ttftMs: 1\n itlMs: 2\n", 3],
    ["pop.yaml", "slo: !!binary x\n", 1],
    ["pop.json", '{\n  "slo": {,}\n}', 2],
    ["pop.json", "slo: {}\n", 1],
  ])("%s that is not even %j is named at its line", (file, text, line) => {
    expect(problems(text, file).join("\n")).toContain(`${file}:${line}: `);
  });

  test("a reference without quotes in a flow map is one problem, and says what to write", () => {
    const text = "pop: { id: ${POP} }\nlisten:\n  port: ${PORT:-8801}\n";
    const found = problems(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^pop\.yaml:1: .*write "\$\{POP\}" in quotes$/);
  });

  test("a second document is named in words of ours", () => {
    expect(problems("pop: {}\n---\npop: {}\n")).toEqual([
      "pop.yaml:2: begins a second document (---); a config is one",
    ]);
  });

  test("JSON is read as JSON, tabs and all", () => {
    const parsed = parseConfigText('{\n\t"slo": {\n\t\t"ttftMs": 5\n\t}\n}', "pop.json", {});
    expect(parsed.ok && parsed.config.slo.ttftMs).toBe(5);
  });

  test("aliases that multiply are refused", () => {
    const levels = ["a: &a [x, x, x, x, x, x, x, x, x, x]"];
    for (const [from, to] of ["ab", "bc", "cd", "de"]) {
      levels.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join(", ")}]`);
    }
    expect(problems(levels.join("\n")).join()).toContain("alias");
  });
});
