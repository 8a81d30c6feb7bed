/**
 * The fuzz of what reads and writes bytes from outside: SSE, bodies, the codecs of every pair of
 * dialects. `npm run test:fuzz -- --cases 100000 --seed 1 --only codecs`. Ends with status 1 when
 * anything failed; the seed is printed first, and finds the same cases again.
 */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const root = new URL("../..", import.meta.url).pathname;
const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "100000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    only: { type: "string", default: "" },
  },
});

function whole(name: "cases" | "seed", least: number): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new Error(`--${name} must be a whole number of at least ${least}, as in --${name} 1000`);
}

const cases = whole("cases", 1);
const seed = whole("seed", 0);
const files = readdirSync(`${root}test/prop`)
  .filter((name) => name.endsWith(".test.ts") && name.includes(values.only))
  .map((name) => `test/prop/${name}`)
  .filter((path) => readFileSync(`${root}${path}`, "utf8").includes("./holds.ts"));
if (files.length === 0) throw new Error(`--only ${values.only} fits no file of test/prop`);

const env = {
  ...process.env,
  GRIDPOINT_FUZZ_CASES: String(cases),
  GRIDPOINT_FUZZ_SEED: String(seed),
};
const startMs = performance.now();
console.log(`${cases} cases per property, seed ${seed}: ${files.join(", ")}`);
const runner = spawn(
  process.execPath,
  [
    `${root}node_modules/vitest/vitest.mjs`,
    ...["run", "--config", "test/vitest.config.ts", "--reporter", "verbose"],
    // The properties end when their cases are done; this is for one that hangs.
    ...["--testTimeout", String(12 * 3_600_000)],
    ...files,
  ],
  { cwd: root, env, stdio: "inherit" },
);
runner.once("exit", (code) => {
  const tookS = ((performance.now() - startMs) / 1_000).toFixed(0);
  const how = code === 0 ? "all properties hold" : "FAILED: the first counterexample stands above";
  console.log(`${how}; ${cases} cases each, seed ${seed}, ${tookS} s`);
  process.exitCode = code ?? 1;
});
