/**
 * `npm run build:workerd [FOLDER]`: what workerd loads, without wrangler: one module of JavaScript,
 * the kernel as a module of WebAssembly, and the config that names them. workerd may not compile
 * at run time, so the kernel stays a file that it compiles when it starts.
 */
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** @param entry another worker around `edge/workerd.ts`, for tests */
export async function buildWorkerd(folder: string, entry = "edge/workerd.ts"): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile: join(folder, "worker.js"),
    bundle: true,
    minify: true,
    keepNames: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker"],
    external: ["node:*"],
    logLevel: "warning",
    plugins: [
      {
        name: "kernel",
        setup: ({ onResolve }) =>
          onResolve({ filter: /\.wasm\?module$/ }, () => ({
            path: "./kernel.wasm",
            external: true,
          })),
      },
    ],
  });
  copyFileSync(join(ROOT, "wasm/kernel.wasm"), join(folder, "kernel.wasm"));
  copyFileSync(join(ROOT, "edge/deploy/workerd.capnp"), join(folder, "workerd.capnp"));
}

/** What was built, in KiB, as it stands and compressed; platforms count the latter. */
export function bundleSize(folder: string): Record<string, { kib: number; gzipKib: number }> {
  const sizes = ["worker.js", "kernel.wasm"].map((name) => {
    const bytes = readFileSync(join(folder, name));
    const kib = Math.round(bytes.length / 1024);
    return [name, { kib, gzipKib: Math.round(gzipSync(bytes).length / 1024) }] as const;
  });
  return Object.fromEntries(sizes);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = resolve(process.argv[2] ?? join(ROOT, "dist/workerd"));
  await buildWorkerd(folder);
  const sizes = Object.entries(bundleSize(folder)).map(
    ([name, { kib, gzipKib }]) => `${name} ${kib} KiB (${gzipKib} gzip)`,
  );
  process.stdout.write(
    `${folder} is built: ${sizes.join(", ")}. Run: workerd serve workerd.capnp\n`,
  );
}
