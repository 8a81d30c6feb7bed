/**
 * `npm run build:workerd [FOLDER]`: what workerd loads, without wrangler: one module of JavaScript,
 * the kernel as a module of WebAssembly, and the config that names them. workerd may not compile
 * at run time, so the kernel stays a file that it compiles when it starts.
 */
import { copyFileSync, mkdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = resolve(process.argv[2] ?? join(ROOT, "dist/workerd"));
  await buildWorkerd(folder);
  const kib = (name: string) => Math.round(statSync(join(folder, name)).size / 1024);
  const sizes = `worker.js ${kib("worker.js")} KiB, kernel.wasm ${kib("kernel.wasm")} KiB`;
  process.stdout.write(`${folder} is built: ${sizes}. Run it: workerd serve workerd.capnp\n`);
}
