/**
 * The program that the suites start a hundred times. The runner builds it once, as it is published:
 * one bundle, which comes up in less than half the time of its two hundred sources. Without the
 * runner, on another runtime than Node, and where a suite says so, it is run from source.
 */
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

export const SOURCE = fileURLToPath(new URL("../../edge/cli.ts", import.meta.url));
const FOLDER = fileURLToPath(new URL("../.report/program", import.meta.url));
/** Where the runner has built it, told to its workers. */
const BUILT = "GRIDPOINT_TEST_PROGRAM";

/** What Node is given to run. */
export const program = process.env[BUILT] ?? SOURCE;

/** The runner calls it for each of its projects, and before it runs changed tests again. */
export async function setup(project: TestProject): Promise<void> {
  // Here, since every worker loads this file.
  const { buildPackage } = await import("../../edge/build.ts");
  project.onTestsRerun(() => buildPackage(FOLDER));
  if (process.env[BUILT] !== undefined) return;
  process.env[BUILT] = `${FOLDER}/edge/cli.js`;
  await buildPackage(FOLDER);
}
