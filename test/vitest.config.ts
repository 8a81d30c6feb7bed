import { defineConfig } from "vitest/config";

const root = new URL("..", import.meta.url).pathname;

// The runner's own report is what .ci/run counts.
export default defineConfig({
  test: {
    root,
    // Every started process is spared parsing what the one before it has parsed: half its start.
    env: { NODE_COMPILE_CACHE: `${root}test/.report/compile-cache` },
    include: ["test/**/*.test.ts"],
    // They need packages of their own: npm run test:sdk.
    exclude: ["**/node_modules/**", "test/sdk/**"],
    reporters: ["default", "json"],
    outputFile: { json: "test/.report/vitest.json" },
    testTimeout: 20_000,
    hookTimeout: 20_000,
    pool: "forks",
    maxWorkers: 2,
    // No test changes a module for others, and every file's own process costs a third of the time.
    isolate: false,
  },
});
