/**
 * The images of edge/deploy without a container engine: the build stage's instructions are carried
 * out in a folder (its packages really installed, the bundle really built from what .dockerignore
 * lets in), and the last stage's command runs as printed on what was copied, as another user.
 */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, ServerProcess } from "./pop-process.ts";
import { binaryOf, missing, type RuntimeName } from "./runtimes.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FILES: [file: string, runtime: RuntimeName][] = [
  ["Dockerfile", "node"],
  ["Dockerfile.bun", "bun"],
  ["Dockerfile.deno", "deno"],
];
const BUILD_MS = 240_000;
/** Anybody but root. */
const NOBODY = 65_534;

interface Step {
  word: string;
  rest: string;
}

/** The instructions of each stage. */
function stagesOf(file: string): Step[][] {
  const stages: Step[][] = [];
  for (const line of readFileSync(join(ROOT, "edge/deploy", file), "utf8").split("\n")) {
    const [, word, rest] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    if (word === undefined || rest === undefined) continue;
    if (word === "FROM") stages.push([]);
    stages.at(-1)?.push({ word, rest });
  }
  return stages;
}

const stageOf = (file: string, at: number): Step[] => stagesOf(file)[at] as Step[];
const argument = (steps: Step[], word: string): string[] => {
  const text = steps.find((step) => step.word === word)?.rest ?? "[]";
  return JSON.parse(text.replace(/^CMD /, "")) as string[];
};

/** What a build is given: the files of the repository that .dockerignore does not name. */
function context(into: string): void {
  const lines = readFileSync(join(ROOT, ".dockerignore"), "utf8").split("\n");
  const names = lines.filter((line) => line !== "" && !line.startsWith("#"));
  const roots = names.filter((name) => !name.startsWith("**/"));
  const anywhere = [/(^|\/)node_modules(\/|$)/, /(^|\/)\./];
  const tracked = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: ROOT });
  for (const path of tracked.toString().trim().split("\n")) {
    const ignored = roots.includes(path.split("/")[0] as string);
    if (ignored || anywhere.some((pattern) => pattern.test(path))) continue;
    mkdirSync(dirname(join(into, path)), { recursive: true });
    cpSync(join(ROOT, path), join(into, path));
  }
}

/** Carries out a build stage; `root` is the image's file system. */
function build(steps: Step[], given: string, root: string): void {
  let folder = root;
  for (const { word, rest } of steps) {
    if (word === "WORKDIR") {
      folder = join(root, rest);
      mkdirSync(folder, { recursive: true });
    } else if (word === "COPY") {
      const paths = rest.split(" ");
      const to = paths.pop() as string;
      for (const path of paths)
        cpSync(join(given, path), join(folder, to, path), { recursive: true });
    } else if (word === "RUN") {
      const [file, ...args] = rest.split(" ") as [string, ...string[]];
      execFileSync(file === "node" ? process.execPath : file, args, { cwd: folder });
    } else if (word !== "FROM") throw new Error(`no way to carry out ${word} ${rest}`);
  }
}

const off =
  process.env["GRIDPOINT_IMAGES"] === undefined
    ? "it installs packages: npm run test:runtimes"
    : "";

describe.skipIf(off !== "")(`images ${off}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-images-"));
  const root = join(folder, "build");

  beforeAll(() => {
    const given = join(folder, "context");
    context(given);
    build(stageOf("Dockerfile", 0), given, root);
    chmodSync(folder, 0o755);
  }, BUILD_MS);

  afterAll(() => rmSync(folder, { recursive: true, force: true }), BUILD_MS);

  test("all are built by the same stage", () => {
    for (const [file] of FILES) expect(stageOf(file, 0)).toEqual(stageOf("Dockerfile", 0));
  });

  test.each(FILES)(
    "%s: its command serves, as another user, and is healthy",
    async (file, runtime) => {
      const reason = missing(runtime);
      if (reason !== undefined) throw new Error(reason);
      const steps = stageOf(file, 1);
      const image = join(folder, file);
      for (const { rest } of steps.filter(({ word }) => word === "COPY")) {
        const [, from, to] = /^--from=build (\S+) (\S+)$/.exec(rest) as unknown as string[];
        expect(existsSync(join(root, from as string))).toBe(true);
        cpSync(join(root, from as string), join(image, to as string), { recursive: true });
      }
      const config = join(image, "etc/gridpoint/pop.yaml");
      mkdirSync(dirname(config), { recursive: true });
      writeFileSync(config, "pop: { id: image }\nlisten: { port: 0 }\nendpoints: []\n");
      const line = [...argument(steps, "ENTRYPOINT"), ...argument(steps, "CMD")];
      const inside = (text: string) => (/^\/(opt|etc)\//.test(text) ? join(image, text) : text);
      const env: Record<string, string> = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent" };
      for (const { rest } of steps.filter(({ word }) => word === "ENV")) {
        const [name, value] = rest.split("=") as [string, string];
        env[name] = value;
      }
      const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
      const [name, ...args] = line.map(inside) as [string, ...string[]];
      expect(name).toBe(runtime);
      const pop = new ServerProcess(spawn(binaryOf(runtime), args, { env, cwd: "/", ...user }));
      try {
        const port = await eventually("it listens", () => {
          if (!pop.alive) throw new Error(`it ended:\n${pop.output}`);
          return /listening on http:\/\/0\.0\.0\.0:(\d+)/.exec(pop.output)?.[1];
        });
        const look = argument(steps, "HEALTHCHECK").map((text) => text.replace("8801", port));
        if (look.length > 0) execFileSync(process.execPath, look.slice(1));
        expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
      } finally {
        await pop.stop();
      }
    },
  );
});
