/** The committed module is what assembly/ gives: nobody has to trust a binary. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { staleFiles } from "../../../edge/build-kernel.ts";

const WASM = new URL("../../../wasm/kernel.wasm", import.meta.url);

test("wasm/ is byte for byte what assembly/ compiles to", async () => {
  expect(await staleFiles()).toStrictEqual([]);
}, 60_000);

test("the module asks for nothing and is small", async () => {
  const bytes = await readFile(WASM);
  expect(WebAssembly.Module.imports(new WebAssembly.Module(bytes))).toStrictEqual([]);
  expect(bytes.length).toBeLessThan(64 * 1024);
});
