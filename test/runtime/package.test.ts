/**
 * What users install is not what we run here: a bundle, packed, installed in an empty folder with
 * no network, and asked to serve.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { buildPackage } from "../../edge/build.ts";
import { type Command, end, start } from "./command.ts";

const folder = mkdtempSync(join(tmpdir(), "gridpoint-package-"));
const built = join(folder, "dist");
const home = join(folder, "home");
const execute = promisify(execFile);
const started: Command[] = [];

/** Makes a process say at its end whether Node has loaded its own HTTP client, too. */
const TELL = `process.once("exit", () => {
  const own = process.moduleLoadList.some((name) => name.includes("internal/deps/undici"));
  console.log(own ? "two clients" : "one client");
});`;
const telling = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(TELL)}` };

/** npm as the one that runs these tests, else the one on PATH; never with a network or a cache. */
async function npm(args: string[], cwd: string): Promise<string> {
  const script = process.env.npm_execpath;
  const own = script !== undefined && /npm-cli\.[cm]?js$/.test(script);
  const quiet = ["--offline", "--no-audit", "--no-fund", "--loglevel=error"];
  const env = { ...process.env, npm_config_cache: join(folder, "cache") };
  const all = [...args, ...quiet];
  const { stdout } = own
    ? await execute(process.execPath, [script, ...all], { cwd, env })
    : await execute("npm", all, { cwd, env });
  return stdout;
}

beforeAll(async () => {
  await buildPackage(built);
  await npm(["pack", "--ignore-scripts", "--pack-destination", folder], built);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  const manifest = { name: "empty", private: true };
  await execute("mkdir", [home]);
  writeFileSync(join(home, "package.json"), JSON.stringify(manifest));
  await npm(["install", "--ignore-scripts", join(folder, tarball ?? "no tarball")], home);
}, 60_000);

afterEach(async () => {
  await Promise.all(started.splice(0).map(end));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("the package", () => {
  const installed = join(home, "node_modules", "gridpoint");
  const script = join(installed, "edge", "cli.js");

  test("holds the program and its papers, and no TypeScript", () => {
    for (const paper of ["LICENSE", "README.md", "CHANGELOG.md", "THIRD-PARTY.txt"]) {
      expect(existsSync(join(installed, paper))).toBe(true);
    }
    const names = readdirSync(installed, { recursive: true }).map(String);
    expect(names.filter((name) => name.endsWith(".ts") || name.includes("node_modules"))).toEqual(
      [],
    );
    const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
    expect(manifest.bin).toEqual({ gridpoint: "edge/cli.js" });
    expect(manifest.dependencies).toBeUndefined();
    expect(manifest.scripts).toBeUndefined();
  });

  test("npx gridpoint --help runs", async () => {
    const output = await npm(["exec", "--no", "--", "gridpoint", "--help"], home);
    expect(output).toContain("Usage: gridpoint COMMAND");
  });

  test("gridpoint serve answers a request from gridpoint engine, with one client", async () => {
    const engine = ["engine", "--port", "0", "--profile", "instant", "--model", "packed"];
    started.push(start(engine, { script, env: telling }));
    const [, engineUrl] = await started[0].said(/listening on (http:\/\/\S+)/);
    const config = join(home, "pop.json");
    const endpoints = [{ id: "one", url: engineUrl, engine: "vllm" }];
    writeFileSync(config, JSON.stringify({ listen: { port: 0 }, endpoints }));
    started.push(start(["serve", "--config", config], { script, env: telling }));
    const [, url] = await started[1].said(/listening on (http:\/\/\S+)/);
    await ready(`${url}/readyz`);
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "packed",
        max_tokens: 4,
        messages: [{ role: "user", content: "Hello" }],
      }),
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("x-grid-route")).toContain("endpoint=one");
    const { choices } = (await answer.json()) as { choices: { message: { content: string } }[] };
    expect(choices[0].message.content.length).toBeGreaterThan(0);
    // A second client would be a fifth of each start (edge/node-http.ts).
    for (const { process: one, exited, output } of [...started].reverse()) {
      one.kill("SIGTERM");
      expect(await exited).toBe(0);
      expect(output()).toMatch(/^one client$/m);
    }
  });

  test("the library is importable and says what it is", async () => {
    const program = 'import * as g from "gridpoint"; console.log(typeof g.createPop)';
    const { stdout } = await execute(process.execPath, ["--input-type=module", "--eval", program], {
      cwd: home,
    });
    expect(stdout).toBe("function\n");
  });
});

async function ready(url: string): Promise<void> {
  const untilMs = performance.now() + 5_000;
  while (!(await fetch(url)).ok) {
    if (performance.now() > untilMs) throw new Error(`${url} is not ready`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
