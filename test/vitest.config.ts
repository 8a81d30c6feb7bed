import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const root = new URL("..", import.meta.url).pathname;

// They hold milliseconds against a bound, or load a PoP as far as it goes: two at a time. Much of
// that time no core works, so what has only bounds that a busy machine keeps is not among them.
const TIMED = [
  "test/runtime/{backpressure,bad-input,burst,cancel,engine,grid}.test.ts",
  "test/runtime/{handover,llama,session}.test.ts",
  "test/unit/stream/result-check.test.ts",
];
// They need packages of their own: npm run test:sdk.
const EXCLUDED = ["**/node_modules/**", "test/sdk/**"];

/**
 * They begin first, also in a new clone, where no run has told the runner what takes long: none of
 * them is left to one worker at the end. Those that compute stand between those that wait.
 */
const LONGEST = [
  ...["sim/goals", "runtime/conformance", "runtime/cli", "sim/overlay", "runtime/kv-events"],
  ...["unit/kernel/reproducible", "runtime/responses-socket", "sim/programs", "runtime/failover"],
  ...["prop/kernel", "runtime/handover-doors", "suite/fleet-bus", "tidy", "suite/transport"],
  ...["runtime/processes", "runtime/smoke", "runtime/package", "sim/fuzz", "runtime/tls"],
].map((name) => `${root}test/${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.indexOf(moduleId);
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

// The runner's own report is what .ci/run counts.
export default defineConfig({
  test: {
    root,
    globalSetup: "test/runtime/program.ts",
    // Every started process is spared parsing what the one before it has parsed: half its start.
    env: { NODE_COMPILE_CACHE: `${root}test/.report/compile-cache` },
    reporters: ["default", "json"],
    outputFile: { json: "test/.report/vitest.json" },
    // A machine that others use is slow, not wrong: what must be quick is held to it by its test.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    sequence: { sequencer: LongestFirst },
    pool: "forks",
    // No test changes a module for others, and every file's own process costs a third of the time.
    isolate: false,
    projects: [
      {
        extends: true,
        test: {
          name: "timed",
          include: TIMED,
          exclude: EXCLUDED,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        // Much of a test of processes is waiting for them: one more than there are cores.
        test: {
          name: "rest",
          include: ["test/**/*.test.ts"],
          exclude: [...EXCLUDED, ...TIMED],
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
