/** The committed module is what assembly/ gives: nobody has to trust a binary. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const BUILD = fileURLToPath(new URL("../../../edge/build-kernel.ts", import.meta.url));

const WASM = new URL("../../../wasm/kernel.wasm", import.meta.url);

test("wasm/ is byte for byte what assembly/ compiles to", async () => {
  // Rejects with what is stale. Binaryen is WebAssembly that runs once: V8 need not optimise it.
  await promisify(execFile)(process.execPath, ["--liftoff-only", BUILD, "--check"]);
}, 60_000);

test("the module asks for nothing and is small", async () => {
  const bytes = await readFile(WASM);
  expect(WebAssembly.Module.imports(new WebAssembly.Module(bytes))).toStrictEqual([]);
  expect(bytes.length).toBeLessThan(64 * 1024);
});
