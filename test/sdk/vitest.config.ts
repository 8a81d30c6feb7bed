import { defineConfig } from "vitest/config";

// Beside the tests of `npm test`, because the SDKs have a lock file and an install of their own.
export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: ["test/sdk/**/*.test.ts"],
    exclude: ["**/node_modules/**"],
    reporters: ["default"],
    testTimeout: 60_000,
    hookTimeout: 30_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
