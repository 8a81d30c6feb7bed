/**
 * `npm run test:runtimes`: installs Bun, Deno and workerd from their platform packages, beside the
 * checkout's own packages, and runs the black-box suites of `test/runtime` on each. One at a time,
 * since they measure. `-- bun deno` runs some of them.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEVIATIONS, missing, RUNTIMES, type RuntimeName } from "./runtimes.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SUITES = [
  "openai-client",
  "dialect-doors",
  "responses",
  "responses-socket",
  "realtime",
  "cancel",
  "backpressure",
  "stream-honesty",
  "failover",
  "bad-input",
].map((name) => `test/runtime/${name}.test.ts`);

/** What suites do only when they are asked: print their times, install packages. */
const LONG_FORMS = { GRIDPOINT_CANCELS: "200", GRIDPOINT_IMAGES: "1" };
/** Those that know by themselves which runtimes they start. */
const ONCE = ["conformance", "transport-bun", "workerd", "images"].map(
  (name) => `test/runtime/${name}.test.ts`,
);

function vitest(files: string[], runtime: RuntimeName): boolean {
  const line = ["run", "--config", "test/vitest.config.ts", "--no-file-parallelism", ...files];
  const { status } = spawnSync(join(ROOT, "node_modules/.bin/vitest"), line, {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...LONG_FORMS, ...process.env, GRIDPOINT_RUNTIME: runtime },
  });
  return status === 0;
}

/** The table that README shows. */
function deviations(): string {
  const rows = Object.entries(DEVIATIONS).flatMap(([what, by]) =>
    Object.entries(by).map(([runtime, reason]) => `| ${what} | ${runtime} | ${reason} |`),
  );
  return ["| not as on Node | where | why, and what instead |", "|---|---|---|", ...rows].join(
    "\n",
  );
}

const args = process.argv.slice(2);
if (args.includes("--deviations")) {
  console.log(deviations());
} else {
  if (RUNTIMES.some((name) => missing(name) !== undefined)) {
    const line = ["ci", "--no-audit", "--no-fund", "--prefix", join(ROOT, "test/runtimes")];
    execFileSync("npm", line, { stdio: "inherit" });
  }
  const wanted = RUNTIMES.filter((name) => args.length === 0 || args.includes(name));
  const failed: string[] = [];
  if (!vitest(ONCE, "node")) failed.push(`one of ${ONCE.join(", ")}`);
  for (const runtime of wanted) {
    console.log(`\n=== ${runtime}`);
    if (!vitest(SUITES, runtime)) failed.push(runtime);
  }
  console.log(
    failed.length === 0 ? `passed: ${wanted.join(", ")}` : `FAILED: ${failed.join(", ")}`,
  );
  process.exitCode = failed.length === 0 ? 0 : 1;
}
