/**
 * `npm run build`: what is published. Node refuses to strip types inside node_modules, so the
 * package is JavaScript: one bundle per entry with shared chunks, the kernel's bytes inside, and
 * every dependency too, so that installing it fetches nothing else. Only llama.cpp's native add-on
 * stays outside: it is optional, and per platform.
 */
import { chmodSync, copyFileSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const NATIVE = "@fugood/*";

const REQUIRE = `import { createRequire as createRequire_ } from "node:module";
const require = createRequire_(import.meta.url);`;

/**
 * esbuild makes a getter for every property of CommonJS that is imported. llhttp's code is a
 * Buffer: each of its 54 000 bytes is one, and they were 30 % of a start. `require` makes none.
 */
const LLHTTP: Plugin = {
  name: "llhttp",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /\/llhttp_simd-wasm\.js$/ }, ({ kind, path }) =>
      kind === "import-statement" ? { path, namespace: "llhttp" } : undefined,
    );
    onLoad({ filter: /./, namespace: "llhttp" }, ({ path }) => ({
      contents: `export default require(${JSON.stringify(path)});`,
      resolveDir: ROOT,
    }));
  },
};

interface Manifest {
  name: string;
  version: string;
  description: string;
  license: string;
  engines: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

/** Writes the package to a folder, which is emptied first. */
export async function buildPackage(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  const { metafile } = await build({
    metafile: true,
    absWorkingDir: ROOT,
    entryPoints: { "edge/cli": "edge/cli.ts", index: "src/index.ts", "edge/node": "edge/node.ts" },
    outdir: folder,
    bundle: true,
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
    platform: "node",
    format: "esm",
    target: "node24",
    external: [NATIVE],
    plugins: [LLHTTP],
    // Some bundled packages are CommonJS and ask for Node's own modules at run time.
    banner: { js: REQUIRE },
    legalComments: "linked",
    logLevel: "warning",
  });
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(published(manifest), null, 2)}\n`);
  for (const paper of ["README.md", "CHANGELOG.md", "LICENSE"]) {
    copyFileSync(join(ROOT, paper), join(folder, paper));
  }
  writeFileSync(join(folder, "THIRD-PARTY.txt"), licenses(Object.keys(metafile.inputs)));
  chmodSync(join(folder, "edge/cli.js"), 0o755);
}

/** What a bundled package says of itself. */
interface Bundled {
  license?: string;
  author?: string | { name: string };
}

const MIT_TERMS = `Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.`;

/** The bundled packages' own licence texts, as they ask for. */
function licenses(inputs: string[]): string {
  const found = inputs.map((path) => /^(.*node_modules\/((@[^/]+\/)?[^/]+))\//.exec(path));
  const packages = new Map(
    found.flatMap((one) => (one === null ? [] : [[one[2], one[1]] as const])),
  );
  const texts = [...packages].sort().map(([name, path]) => {
    return `${name}\n\n${licenseOf(name, join(ROOT, path)).trim()}\n`;
  });
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}

/** The licence file, or what the manifest says where the package was published without one. */
function licenseOf(name: string, folder: string): string {
  const file = readdirSync(folder).find((one) => /^licen[cs]e(\.(md|txt))?$/i.test(one));
  if (file !== undefined) return readFileSync(join(folder, file), "utf8");
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Bundled;
  const { license, author } = manifest;
  const holder = typeof author === "string" ? author : author?.name;
  if (license !== "MIT" || holder === undefined) {
    throw new Error(`${name} is bundled and has no licence file`);
  }
  return `MIT License\n\nCopyright (c) ${holder}\n\n${MIT_TERMS}`;
}

/** The manifest of the bundle: no scripts, no dependencies but the optional native ones. */
function published({ optionalDependencies = {}, ...source }: Manifest) {
  const { name, version, description, license, engines } = source;
  const native = Object.entries(optionalDependencies).filter(([key]) => key.startsWith("@fugood/"));
  return {
    name,
    version,
    description,
    license,
    type: "module",
    engines,
    bin: { gridpoint: "edge/cli.js" },
    exports: { ".": "./index.js", "./node": "./edge/node.js" },
    optionalDependencies: Object.fromEntries(native),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = join(ROOT, "dist");
  await buildPackage(folder);
  const kilobytes = Math.round(statSync(join(folder, "edge/cli.js")).size / 1024);
  process.stdout.write(`dist/ is built (edge/cli.js ${kilobytes} KiB). Pack it: npm pack ./dist\n`);
}
