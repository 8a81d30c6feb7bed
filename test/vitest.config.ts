import { defineConfig } from "vitest/config";

// The runner's own report is what .ci/run counts.
export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    // They need packages of their own: npm run test:sdk.
    exclude: ["**/node_modules/**", "test/sdk/**"],
    reporters: ["default", "json"],
    outputFile: { json: "test/.report/vitest.json" },
    testTimeout: 20_000,
    hookTimeout: 20_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
