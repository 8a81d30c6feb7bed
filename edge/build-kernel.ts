/**
 * Builds assembly/ into wasm/: the module, its text form for reading, and the bytes as a source
 * file for bundlers and runtimes that cannot import WebAssembly. `--check` writes nothing and
 * exits with 1 when wasm/ is not what assembly/ gives: the module is committed, never trusted.
 */
import { readFile, writeFile } from "node:fs/promises";
import { main } from "assemblyscript/asc";

const ROOT = new URL("../", import.meta.url);
const LINE = 96;

export interface BuiltKernel {
  wasm: Uint8Array;
  wat: string;
}

/** @throws Error with the compiler's messages. */
export async function buildKernel(): Promise<BuiltKernel> {
  const written = new Map<string, string | Uint8Array>();
  const baseDir = new URL("assembly/", ROOT).pathname;
  const args = ["--config", "asconfig.json", "--baseDir", baseDir];
  const outputs = ["--outFile", "kernel.wasm", "--textFile", "kernel.wat"];
  const { error, stderr } = await main([...args, ...outputs], {
    writeFile: (name: string, contents: string | Uint8Array) => {
      written.set(name, contents);
    },
  });
  const wasm = written.get("kernel.wasm");
  const wat = written.get("kernel.wat");
  if (error || !(wasm instanceof Uint8Array) || typeof wat !== "string") {
    throw new Error(`the kernel does not compile: ${error?.message ?? "no output"}\n${stderr}`);
  }
  return { wasm, wat };
}

/** The source file that carries the module as base64. */
export function bytesModule(wasm: Uint8Array): string {
  const text = Buffer.from(wasm).toString("base64");
  const lines = text.match(new RegExp(`.{1,${LINE}}`, "g")) ?? [];
  const quoted = lines.map((line) => `  "${line}",`).join("\n");
  return [
    "// Generated from assembly/ by edge/build-kernel.ts (npm run build:kernel). Do not edit.",
    "const BASE64 = [",
    quoted,
    '].join("");',
    "",
    "const bytes = Uint8Array.from(atob(BASE64), (char) => char.charCodeAt(0));",
    "",
    "/** The kernel, compiled; instantiate it without imports. */",
    "export default new WebAssembly.Module(bytes);",
    "",
  ].join("\n");
}

/** Every file of wasm/ that is built, by name. */
export async function builtFiles(): Promise<Map<string, Uint8Array>> {
  const { wasm, wat } = await buildKernel();
  return new Map([
    ["kernel.wasm", wasm],
    ["kernel.wat", Buffer.from(wat)],
    ["module.bytes.ts", Buffer.from(bytesModule(wasm))],
  ]);
}

/** Names of the files in wasm/ that differ from what assembly/ gives. */
export async function staleFiles(): Promise<string[]> {
  const stale: string[] = [];
  for (const [name, bytes] of await builtFiles()) {
    const found = await readFile(new URL(`wasm/${name}`, ROOT)).catch(() => undefined);
    if (found === undefined || Buffer.compare(found, bytes) !== 0) stale.push(name);
  }
  return stale;
}

async function run(): Promise<void> {
  if (process.argv.includes("--check")) {
    const stale = await staleFiles();
    if (stale.length > 0) {
      console.error(`wasm/ is not what assembly/ gives: ${stale.join(", ")}`);
      console.error("Run npm run build:kernel and commit wasm/.");
      process.exitCode = 1;
    }
    return;
  }
  for (const [name, bytes] of await builtFiles()) {
    await writeFile(new URL(`wasm/${name}`, ROOT), bytes);
    console.log(`wasm/${name} ${bytes.length} bytes`);
  }
}

if (import.meta.main) await run();
