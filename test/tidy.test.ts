/**
 * The shape of the source, as a test: who may import whom, what no file may name, how big things
 * may grow. Each failure lists every place, so that one run shows all there is to do.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, posix } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parseSource, readSource, type Source } from "./source.ts";

const ROOT = posix.normalize(new URL("..", import.meta.url).pathname);
const SKIPPED = ["node_modules", "dist", ".git", ".report", ".cache"];

function filesUnder(folder: string): string[] {
  if (!existsSync(posix.join(ROOT, folder))) return [];
  return readdirSync(posix.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.includes(entry.name) ? [] : filesUnder(path);
    return entry.isFile() ? [path] : [];
  });
}

const files = filesUnder(".");
const generated = (path: string) => path.startsWith("wasm/");
let sources: Source[];

// Not while the file is loaded: the runner starts first what took longest, and counts tests and
// hooks.
beforeAll(() => {
  const code = files.filter((path) => /^(src|edge|bench|test|assembly)\/.*\.ts$/.test(path));
  sources = code.map((path) => readSource(ROOT, path));
});

const inFolder = (...folders: string[]) =>
  sources.filter(({ path }) => folders.some((folder) => path.startsWith(`${folder}/`)));

/** Which module of the import law a file belongs to. */
function moduleOf(path: string): string {
  if (/^edge\/(engine\/|demo\.ts)/.test(path)) return "edge/sim";
  const parts = path.split("/");
  if (parts[0] !== "src") return parts[0];
  // The config's words and its environment are parts of the config.
  if (/^(knob|environment|config-.*)\.ts$/.test(parts[1])) return "config";
  // A PoP is assembled from `pop.ts` and its parts beside it, `pop-*.ts`.
  return parts[1].replace(/\.ts$/, "").replace(/^pop-.*/, "pop");
}

const CORE = ["grid", "task", "admission", "kernel", "forward", "stream", "feedback", "state"];
const ASSEMBLED = [...CORE, "kv", "gossip", "mesh", "config", "proxy", "door"];

/** The import law. Not in the table: a folder may import itself. */
const LAW: Record<string, string[]> = {
  grid: [],
  state: ["grid"],
  task: ["grid"],
  gossip: ["grid"],
  // What engines say of their KV caches: pure, and told to the kernel by the PoP.
  kv: ["grid"],
  admission: ["grid", "task", "state"],
  kernel: ["grid", "task", "state"],
  feedback: ["grid", "task", "state"],
  stream: ["grid", "task"],
  forward: ["grid", "task", "stream"],
  mesh: ["grid", "gossip"],
  config: ["grid", "gossip", "admission", "kernel"],
  proxy: ["config", ...CORE],
  // The Responses door holds what may be continued, and reads the events that it passes on.
  door: ["proxy", "grid", "task", "feedback", "config", "state", "stream"],
  pop: ASSEMBLED,
  // Adapters throw and catch GridError, so the public API has it.
  index: ["pop", "config", "grid"],
  sim: ["grid", "gossip", "mesh", "forward", "task", "state", "stream", "kernel"],
  // An adapter makes Exchanges, Transports, identities and links; the rest comes by index.
  edge: ["index", "config", "grid", "gossip", "mesh", "wasm", "edge/sim"],
  // Only the demo, the emulated engine and the benches know the simulator.
  "edge/sim": ["index", "config", "grid", "wasm", "edge", "sim", "task", "stream", "kv"],
  wasm: [],
  assembly: [],
};
/** They name types of other folders, which cost nothing at run time and cannot be called. */
const MAY_NAME_ANY_TYPE = ["index", "edge", "edge/sim"];

/** Packages that a module of `src/` may import: all are plain web-standard JavaScript. */
const PACKAGES: Record<string, RegExp> = {
  config: /^valibot$/,
  // Checks a result against the caller's schema.
  stream: /^@cfworker\/json-schema$/,
  state: /^lru-cache$/,
  kv: /^@msgpack\/msgpack$/,
  feedback: /^lru-cache$/,
  pop: /^(lru-cache|hono(\/.*)?)$/,
  door: /^(lru-cache|hono(\/.*)?)$/,
};

function lawBreaches(source: Source): string[] {
  const from = moduleOf(source.path);
  const allowed = LAW[from];
  if (allowed === undefined) return [`${source.path}: "${from}" is not in the import law`];
  return source.imports.flatMap(({ specifier, file, typeOnly }) => {
    if (file === undefined) {
      const free = !source.path.startsWith("src/") || PACKAGES[from]?.test(specifier);
      return free ? [] : [`${source.path} imports the package ${specifier}`];
    }
    const to = moduleOf(file);
    const free = to === from || allowed.includes(to);
    if (free || (typeOnly && MAY_NAME_ANY_TYPE.includes(from))) return [];
    return [
      `${source.path} imports ${file}: ${from} may import ${allowed.join(", ") || "nothing"}`,
    ];
  });
}

function circles(graph: Map<string, string[]>): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const walk = (path: string, trail: string[]) => {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) walk(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) walk(path, []);
  return found;
}

function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}

describe("the import law", () => {
  test("every import of src, edge and assembly is allowed", () => {
    const broken = inFolder("src", "edge", "assembly").flatMap(lawBreaches);
    expect(broken).toEqual([]);
  });

  test("imports name the file with its ending", () => {
    const broken = sources
      .filter(({ path }) => !path.startsWith("assembly/"))
      .flatMap(({ path, imports }) =>
        imports
          .filter(({ file }) => file !== undefined && !/\.(ts|json|wasm)$/.test(file))
          .map(({ specifier }) => `${path} imports ${specifier}`),
      );
    expect(broken).toEqual([]);
  });

  test("there is no circle of imports", () => {
    const graph = new Map(
      sources.map(({ path, imports }) => [
        path,
        imports.flatMap(({ file, typeOnly }) => (file === undefined || typeOnly ? [] : [file])),
      ]),
    );
    expect(circles(graph)).toEqual([]);
  });

  test("every file of src is imported by another", () => {
    const imported = new Set(
      inFolder("src", "edge", "bench").flatMap(({ imports }) => imports.map(({ file }) => file)),
    );
    const lonely = inFolder("src").filter(
      ({ path }) => path !== "src/index.ts" && !imported.has(path),
    );
    expect(lonely.map(({ path }) => path)).toEqual([]);
  });
});

describe("src runs anywhere and can be replayed", () => {
  const banned = (names: string[], folders: Source[]) =>
    folders.flatMap((source) =>
      names.filter((name) => source.names.has(name)).map((name) => `${source.path} uses ${name}`),
    );

  test("no runtime is named", () => {
    const runtime = ["process", "Buffer", "Bun", "Deno", "require", "global", "setImmediate"];
    expect(banned(runtime, inFolder("src"))).toEqual([]);
  });

  test("clock and randomness are arguments", () => {
    const hidden = ["Date.now", "new Date", "Math.random", "performance.now"];
    const random = ["crypto.getRandomValues", "crypto.randomUUID"];
    expect(banned([...hidden, ...random], inFolder("src"))).toEqual([]);
  });

  test("units, properties and simulations do not sleep", () => {
    const waits = ["setTimeout", "setInterval", "Atomics.wait"];
    const quiet = inFolder("test/unit", "test/prop", "test/sim");
    const timers = quiet.filter(({ imports }) =>
      imports.some(({ specifier }) => specifier.startsWith("node:timers")),
    );
    expect([...banned(waits, quiet), ...timers.map(({ path }) => path)]).toEqual([]);
  });
});

describe("sizes", () => {
  const measure = () =>
    inFolder("src", "edge", "bench", "assembly").flatMap(({ path, functions }) =>
      functions.map((one) => ({ ...one, path })),
    );

  test("no file is over 400 lines, no runtime adapter over 150", () => {
    const adapter = /^edge\/(node|bun|deno|workerd)\.ts$/;
    const over = sources.filter(
      ({ path, lines }) => lines.length > (adapter.test(path) ? 150 : 400),
    );
    expect(over.map(({ path, lines }) => `${path}: ${lines.length} lines`)).toEqual([]);
  });

  test("no function is over 70 lines", () => {
    const over = measure().filter(({ lines }) => lines > 70);
    const shown = over.map(({ path, line, name, lines }) => `${path}:${line} ${name}: ${lines}`);
    expect(shown).toEqual([]);
  });

  test("nine functions of ten have at most 30 lines", () => {
    const measured = measure();
    expect(measured.length).toBeGreaterThan(0);
    expect(
      percentile(
        measured.map(({ lines }) => lines),
        0.9,
      ),
    ).toBeLessThanOrEqual(30);
  });

  test("no line is over 100 columns", () => {
    const over = sources.flatMap(({ path, lines }) =>
      lines.flatMap((line, index) => (line.length > 100 ? [`${path}:${index + 1}`] : [])),
    );
    expect(over).toEqual([]);
  });
});

describe("names", () => {
  test("no file or folder has a name that says nothing", () => {
    const empty = ["utils", "util", "helpers", "helper", "common", "services", "types", "misc"];
    const code = files.filter((path) => /^(src|edge|bench|assembly)\//.test(path));
    const broken = code.filter((path) =>
      path.split("/").some((part) => empty.includes(part.replace(/\.[a-z.]+$/, ""))),
    );
    expect(broken).toEqual([]);
  });

  test("files are in kebab-case", () => {
    const code = sources.map(({ path }) => basename(path));
    expect(code.filter((name) => !/^[a-z0-9]+([-.][a-z0-9]+)*\.ts$/.test(name))).toEqual([]);
  });

  test("the top level holds what it is said to hold", () => {
    const folders = ["assembly", "bench", "dist", "edge", "node_modules", "src", "test", "wasm"];
    const single = ["package.json", "package-lock.json", "tsconfig.json"];
    const papers = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "SECURITY.md"];
    const known = [...folders, ...single, ...papers];
    const top = readdirSync(ROOT).filter((name) => !name.startsWith("."));
    expect(top.filter((name) => !known.includes(name))).toEqual([]);
  });
});

describe("texts", () => {
  const markdown = files.filter((path) => path.endsWith(".md"));
  const read = (path: string) => readFileSync(posix.join(ROOT, path), "utf8");
  const outsideFences = (path: string) => read(path).replace(/^```[\s\S]*?^```/gm, "");

  test("a Markdown file has one title, at its top", () => {
    const broken = markdown.filter((path) => {
      const titles = outsideFences(path).match(/^# .+$/gm) ?? [];
      return titles.length !== 1 || !read(path).startsWith("# ");
    });
    expect(broken).toEqual([]);
  });

  test("no file names a package registry or a path of one machine", () => {
    const registry = /https?:\/\/[a-z0-9.-]*(registry|npmmirror|artifactory)[a-z0-9.-]*/i;
    const path = /(^|[\s"'`(=:])\/(work|root|home|Users|mnt)\/[A-Za-z0-9._-]+/m;
    const texts = files.filter(
      (file) => !generated(file) && /\.(ts|js|json|md|ya?ml|sh)$|^\.ci\//.test(file),
    );
    const broken = texts.filter((file) => registry.test(read(file)) || path.test(read(file)));
    expect(broken).toEqual([]);
  });

  test("every measured number of the README stands in bench/RESULTS.md", () => {
    const results = read("bench/RESULTS.md");
    const parts = read("README.md").matchAll(/<!-- measured -->([\s\S]*?)<!-- \/measured -->/g);
    const claims = [...parts].map(([, part]) => part.replace(/`[^`]*`|\]\([^)]*\)/g, "")).join();
    const numbers = claims.match(/\d[\d,]*(\.\d+)?/g) ?? [];
    const known = new Set(results.match(/\d[\d,]*(\.\d+)?/g) ?? []);
    expect(numbers.filter((number) => !known.has(number))).toEqual([]);
  });
});

describe("the reader of sources", () => {
  const source = parseSource(
    "src/door/x.ts",
    [
      'import type { A } from "../grid/a.ts";',
      'import { b } from "./b.ts";',
      'const late = () => import("../task/c.ts");',
      "export class X {",
      "  async one(a: A): Promise<void> {",
      "    // function not() {",
      '    const process = "no } here";',
      "    return b(`${Date.now()} }`, /}/, process, new Date());",
      "  }",
      "}",
      "const o = { Buffer: 1 }; interface I { Deno: string }",
      "void [late, o.Buffer, null as I | null];",
    ].join("\n"),
  );

  test("sees imports and whether they are types", () => {
    expect(source.imports).toEqual([
      { specifier: "../grid/a.ts", file: "src/grid/a.ts", typeOnly: true },
      { specifier: "./b.ts", file: "src/door/b.ts", typeOnly: false },
      { specifier: "../task/c.ts", file: "src/task/c.ts", typeOnly: false },
    ]);
  });

  test("measures functions, not text that looks like them", () => {
    expect(source.functions).toEqual([{ name: "one", line: 5, lines: 5 }]);
  });

  test("sees uses of names, not keys", () => {
    const used = ["process", "Date.now", "new Date", "Buffer", "Deno"];
    expect(used.filter((name) => source.names.has(name))).toEqual([
      "process",
      "Date.now",
      "new Date",
    ]);
  });

  test("reads AssemblyScript's decorators", () => {
    const text = "@inline\nexport function f(a: u32): u32 {\n  return a;\n}\n";
    const { functions } = parseSource("assembly/f.ts", text);
    expect(functions).toEqual([{ name: "f", line: 2, lines: 3 }]);
  });

  test("a breach of the law, a circle and a stranger are found", () => {
    const breach = parseSource("src/gossip/x.ts", 'import "../mesh/m.ts";\nimport "node:net";');
    expect(lawBreaches(breach)).toHaveLength(2);
    expect(lawBreaches(parseSource("src/stranger/x.ts", ""))).toHaveLength(1);
    const graph = new Map([
      ["a", ["b"]],
      ["b", ["c"]],
      ["c", ["a"]],
      ["d", ["a"]],
    ]);
    expect(circles(graph)).toEqual(["a -> b -> c -> a"]);
  });
});
