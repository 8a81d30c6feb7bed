/**
 * What workerd forbids or charges for: code made at run time, timers outside of requests and the
 * object, and the size of what is deployed.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleSize } from "../../edge/build-workerd.ts";
import { type ServerProcess, startPop } from "./pop-process.ts";
import { RogueEngine } from "./rogue-engine.ts";
import { missing } from "./runtimes.ts";
import { builtWorkerd } from "./workerd-process.ts";

/** A plain Worker may have 3 MB compressed; ours grows only when somebody decides so. */
const GZIP_KIB_MAX = 256;
/** Each makes code from text or bytes. */
const COMPILES = [
  /\bnew WebAssembly\.Module\b/,
  /\bWebAssembly\.(compile|instantiate)(Streaming)?\b/,
  /\bnew Function\b/,
  /\beval\(/,
];

describe("the bundle", () => {
  test("has the kernel as a module beside it, and nothing that compiles", async () => {
    const folder = await builtWorkerd();
    const code = readFileSync(join(folder, "worker.js"), "utf8");
    expect(code).toMatch(/from\s?"\.\/kernel\.wasm"/);
    for (const pattern of COMPILES) expect(code).not.toMatch(pattern);
    expect(readFileSync(join(folder, "kernel.wasm")).subarray(0, 4).toString()).toBe("\0asm");
  });

  test(`is at most ${GZIP_KIB_MAX} KiB, compressed`, async () => {
    const sizes = Object.values(bundleSize(await builtWorkerd()));
    expect(sizes.reduce((sum, { gzipKib }) => sum + gzipKib, 0)).toBeLessThan(GZIP_KIB_MAX);
  });
});

const reason = missing("workerd");

describe.skipIf(reason)(reason ?? "timers", () => {
  let rogue: RogueEngine;
  let pop: ServerProcess;

  beforeAll(async () => {
    rogue = await RogueEngine.start(["m"], () => ({ kind: "good", tokens: 20, gapMs: 5 }));
    pop = await startPop(
      { endpoints: [{ id: "e", url: rogue.base, engine: "vllm", models: ["m"] }] },
      { runtime: "workerd", worker: "test/runtime/test-worker.ts" },
    );
  });

  afterAll(async () => {
    await pop?.stop();
    await rogue?.stop();
  });

  test("are set by the object only, not when it is loaded or by the worker in front", async () => {
    for (const stream of [true, false, true]) {
      const response = await fetch(`${pop.base}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "m", stream, messages: [{ role: "user", content: "hi" }] }),
      });
      expect(response.status).toBe(200);
      await response.text();
    }
    const timers = await pop.json<Record<string, number>>("/test/timers");
    expect(timers["object"]).toBeGreaterThan(0);
    expect({ front: timers["front"], nobody: timers["nobody"] }).toEqual({ front: 0, nobody: 0 });
  });
});
