/** The transport's suites on Bun's own sockets, in a process of Bun. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { binaryOf, missing } from "./runtimes.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DEADLINE_MS = 60_000;

test.skipIf(missing("bun"))(
  "Bun's transport passes the suites of transports",
  async () => {
    const suite = "./test/suite/transport.bun.ts";
    const { stderr } = await promisify(execFile)(binaryOf("bun"), ["test", suite], {
      cwd: ROOT,
      timeout: DEADLINE_MS,
      env: { ...process.env, GRIDPOINT_NODE: process.execPath },
    });
    const [, passed] = /(\d+) pass/.exec(stderr) ?? [];
    expect(Number(passed)).toBeGreaterThan(30);
    expect(stderr).toMatch(/\b0 fail/);
  },
  DEADLINE_MS,
);
