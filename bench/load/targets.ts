/**
 * What is measured, each started as its users would for this job: loopback, one worker or thread,
 * keep-alive pools to the upstream, no buffering of streams, no access logs. Portkey's published
 * package answers 500 on every stream with the newest versions of its own dependencies, so
 * install it in a folder of its own with those that it was locked to, and name the folder with
 * --portkey:
 *   {"dependencies": {"@portkey-ai/gateway": "1.15.2"},
 *    "overrides": {"@hono/node-server": "1.13.8", "hono": "4.9.7"}}
 */
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { binaryOf, commandLine, ENVIRONMENT, missing } from "../../test/runtime/runtimes.ts";
import type { RuntimeName } from "../../test/runtime/runtimes.ts";
import { workerdCommand } from "../../test/runtime/workerd-process.ts";
import type { Options, TargetName } from "./options.ts";
import { onCore } from "./cores.ts";
import type { Site } from "./generator.ts";
import { accepts, announced, freePort, launch, until, type Running } from "./process.ts";

export interface Target extends Site {
  /** A TargetName, or `gridpoint-bun` for another runtime than Node. */
  name: string;
  runtime: string;
  /** undefined = no process of its own (direct). */
  running: Running | undefined;
}

export interface Scene {
  options: Options;
  /** Temporary folder for configs; the caller removes it. */
  folder: string;
  upstream: string;
}

/** undefined = not installed here, with the reason on stderr. */
type Start = (scene: Scene) => Promise<Target | undefined>;

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

function versionOf(command: string, args: string[]): string | undefined {
  try {
    // nginx prints its version on stderr.
    const script = `"$0" "$@" 2>&1`;
    const text = execFileSync("sh", ["-c", script, command, ...args], { encoding: "utf8" });
    return /\d+[.-]\d+[.\d-]*/.exec(text)?.[0];
  } catch {
    return undefined;
  }
}

function launchTarget(command: string, args: string[], environment?: Record<string, string>) {
  return launch(...onCore(command, args), environment);
}

const nodeVersion = (path: string): string => `node ${versionOf(path, ["--version"]) ?? "?"}`;

export async function startUpstream(): Promise<{ running: Running; base: string }> {
  const script = fileURLToPath(new URL("./upstream.ts", import.meta.url));
  const running = launch(process.execPath, [script]);
  const base = await until(running, "the upstream", () => announced(running));
  return { running, base };
}

const startDirect: Start = async ({ upstream }) => ({
  name: "direct",
  runtime: "none",
  base: upstream,
  headers: {},
  running: undefined,
});

/** The PoP's config for the bench: nothing may be held back, no limit may bite. */
export const gridpointConfig = (upstream: string): Record<string, unknown> => ({
  pop: { id: "bench", tier: "edge", region: "bench" },
  listen: { host: "127.0.0.1", port: 0 },
  endpoints: [
    {
      id: "upstream",
      url: upstream,
      engine: "vllm",
      tier: "edge",
      models: ["bench"],
      maxInFlight: 4096,
      prefillBudgetTokens: 1_000_000,
    },
  ],
});

type Launched = { running: Running; base: string };

async function launchWorkerd(config: Record<string, unknown>, folder: string): Promise<Launched> {
  const port = await freePort();
  const { file, args, env } = await workerdCommand(config, port, folder);
  const running = launchTarget(file, args, env);
  await until(running, "gridpoint on workerd", () => accepts(port));
  return { running, base: `http://127.0.0.1:${port}` };
}

/** A PoP that is ready. @param node the Node that runs it, where the runtime is Node */
export async function launchGridpoint(
  config: Record<string, unknown>,
  folder: string,
  runtime: RuntimeName,
  node: string,
  processes = 1,
): Promise<Launched> {
  const launched =
    runtime === "workerd"
      ? await launchWorkerd(config, folder)
      : await launchServe(config, folder, runtime, node, processes);
  await until(launched.running, "gridpoint", async () => {
    const ready = await fetch(`${launched.base}/readyz`);
    await ready.arrayBuffer();
    return ready.ok ? true : undefined;
  });
  return launched;
}

async function launchServe(
  config: Record<string, unknown>,
  folder: string,
  runtime: RuntimeName,
  node: string,
  processes: number,
): Promise<Launched> {
  const path = join(folder, "gridpoint.json");
  writeFileSync(path, JSON.stringify(config));
  const more = processes > 1 ? ["--processes", String(processes)] : [];
  const [file, args] = commandLine(runtime, ["serve", "--config", path, ...more]);
  const running = launchTarget(runtime === "node" ? node : file, args, ENVIRONMENT);
  const base = await until(running, "gridpoint", () => announced(running));
  return { running, base };
}

async function startGridpoint(
  { options, folder, upstream }: Scene,
  runtime: RuntimeName,
): Promise<Target | undefined> {
  const reason = missing(runtime);
  if (reason !== undefined) {
    console.error(reason);
    return undefined;
  }
  const config = gridpointConfig(upstream);
  const { running, base } = await launchGridpoint(config, folder, runtime, options.node);
  const name = runtime === "node" ? "gridpoint" : `gridpoint-${runtime}`;
  const command = runtime === "node" ? options.node : binaryOf(runtime);
  const version = `${runtime} ${versionOf(command, ["--version"]) ?? "?"}`;
  return { name, runtime: version, base, headers: {}, running };
}

const haproxyConfig = (port: number, upstream: string): string => `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
  option abortonclose
  option http-no-delay
  http-reuse always
frontend bench
  bind 127.0.0.1:${port}
  default_backend engine
backend engine
  server upstream ${new URL(upstream).host} pool-max-conn 1024
`;

const startHaproxy: Start = async ({ folder, upstream }) => {
  const version = versionOf("haproxy", ["-v"]);
  if (version === undefined) return undefined;
  const port = await freePort();
  const config = join(folder, "haproxy.cfg");
  writeFileSync(config, haproxyConfig(port, upstream));
  const running = launchTarget("haproxy", ["-db", "-f", config]);
  await until(running, "haproxy", () => accepts(port));
  const base = `http://127.0.0.1:${port}`;
  return { name: "haproxy", runtime: `haproxy ${version}`, base, headers: {}, running };
};

const nginxConfig = (port: number, upstream: string, folder: string): string => `daemon off;
${process.getuid?.() === 0 ? "user root;" : ""}
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 10000000;
  client_body_temp_path ${folder}/nginx-body;
  proxy_temp_path ${folder}/nginx-proxy;
  fastcgi_temp_path ${folder}/nginx-fastcgi;
  uwsgi_temp_path ${folder}/nginx-uwsgi;
  scgi_temp_path ${folder}/nginx-scgi;
  upstream engine {
    server ${new URL(upstream).host};
    keepalive 1024;
    keepalive_requests 10000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`;

const startNginx: Start = async ({ folder, upstream }) => {
  const version = versionOf("nginx", ["-v"]);
  if (version === undefined) return undefined;
  const port = await freePort();
  const config = join(folder, "nginx.conf");
  writeFileSync(config, nginxConfig(port, upstream, folder));
  const running = launchTarget("nginx", ["-p", folder, "-c", config, "-e", "stderr"]);
  await until(running, "nginx", () => accepts(port));
  const base = `http://127.0.0.1:${port}`;
  return { name: "nginx", runtime: `nginx ${version}`, base, headers: {}, running };
};

const startPortkey: Start = async ({ options, upstream }) => {
  const start = "node_modules/@portkey-ai/gateway/build/start-server.js";
  const script = join(options.portkey === "" ? ROOT : options.portkey, start);
  if (!existsSync(script)) return undefined;
  const port = await freePort();
  const running = launchTarget(options.node, [script, `--port=${port}`, "--headless"], {
    TRUSTED_CUSTOM_HOSTS: "127.0.0.1,localhost",
  });
  await until(running, "portkey", () => accepts(port));
  return {
    name: "portkey",
    runtime: nodeVersion(options.node),
    base: `http://127.0.0.1:${port}`,
    headers: { "x-portkey-provider": "openai", "x-portkey-custom-host": `${upstream}/v1` },
    running,
  };
};

const STARTS: Record<Exclude<TargetName, "gridpoint">, Start> = {
  direct: startDirect,
  haproxy: startHaproxy,
  nginx: startNginx,
  portkey: startPortkey,
};

/** Starts all that are asked for and there; says on stderr which are not. */
export async function startTargets(scene: Scene): Promise<Target[]> {
  const targets: Target[] = [];
  const starts = scene.options.targets.flatMap(
    (name): [string, () => Promise<Target | undefined>][] =>
      name === "gridpoint"
        ? scene.options.runtimes.map((one) => [one, () => startGridpoint(scene, one)])
        : [[name, () => STARTS[name](scene)]],
  );
  for (const [name, start] of starts) {
    try {
      const target = await start();
      if (target === undefined) console.error(`${name}: not installed here, left out`);
      else targets.push(target);
    } catch (error) {
      for (const target of targets) await target.running?.stop();
      throw error;
    }
  }
  return targets;
}
