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
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const NATIVE = "@fugood/*";

const REQUIRE = `import { createRequire as createRequire_ } from "node:module";
const require = createRequire_(import.meta.url);`;

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

/** The bundled packages' own licence texts, as they ask for. */
function licenses(inputs: string[]): string {
  const found = inputs.map((path) => /^(.*node_modules\/((@[^/]+\/)?[^/]+))\//.exec(path));
  const packages = new Map(
    found.flatMap((one) => (one === null ? [] : [[one[2], one[1]] as const])),
  );
  const texts = [...packages].sort().map(([name, path]) => {
    const files = readdirSync(join(ROOT, path));
    const file = files.find((one) => /^licen[cs]e(\.(md|txt))?$/i.test(one));
    if (file === undefined) throw new Error(`${name} is bundled and has no licence file`);
    return `${name}\n\n${readFileSync(join(ROOT, path, file), "utf8").trim()}\n`;
  });
  return texts.join(`\n${"-".repeat(80)}\n\n`);
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
