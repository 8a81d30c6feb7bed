/**
 * `gridpoint serve`: one PoP from a config file, for as long as the process lives. SIGHUP or a
 * changed file reloads; a bad file is named in the log and the last good config stays. SIGTERM or
 * SIGINT drains: after `timeouts.drainNoticeMs` no new work, running streams end within
 * `timeouts.drainMs`; a second one exits.
 */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { PopConfig } from "../src/config.ts";
import type { Log } from "../src/grid/effects.ts";
import { checkFile, printProblems } from "./cli-check.ts";
import { type Command, helpText, parseCommandLine, UsageError } from "./cli-options.ts";
import { type LoadedConfig, loadConfig, problemText, watchConfig } from "./config-file.ts";
import { createLog, outliveOutput } from "./log.ts";
import { IdentityError } from "./identity.ts";
import { memberNumber, memberStop } from "./process-messages.ts";
import type { Serve, ServedPop } from "./assemble.ts";

const COMMAND: Command = {
  usage: "gridpoint serve --config FILE [--check] [--host HOST] [--port PORT] [--processes N]",
  summary: "Runs one PoP from a YAML or JSON config.",
  options: {
    config: { type: "string", short: "c", value: "FILE", help: "the config; watched for changes" },
    check: { type: "boolean", help: "check the config and exit: 0 fine, 1 not" },
    host: { type: "string", value: "HOST", help: "listen there, whatever the config says" },
    port: { type: "string", short: "p", value: "PORT", help: "likewise; 0 takes a free port" },
    processes: { type: "string", value: "N", help: "serve with N processes on one port (1)" },
  },
  notes: [
    "SIGHUP, or a change of the file, reloads it; a bad file is logged and the old config stays.",
    "SIGTERM or SIGINT drains and exits; a second one exits at once.",
  ],
};

export async function runServe(args: string[]): Promise<number> {
  const line = parseCommandLine(COMMAND, args);
  if (line.help) {
    process.stdout.write(helpText(COMMAND));
    return 0;
  }
  const file = line.text("config");
  if (file === undefined) throw new UsageError("--config FILE is missing.");
  const listen = { host: line.text("host"), port: line.count("port", 0, 65_535) };
  const processes = line.count("processes", 1, PROCESSES_MAX) ?? 1;
  if (processes > 1 && ("Bun" in globalThis || "Deno" in globalThis)) {
    throw new UsageError("--processes needs Node. Here, run one PoP per core, or leave it out.");
  }
  if (line.flag("check")) return await checkFile(file, false);
  raiseBunLimit();
  outliveOutput();
  const loaded = await loadConfig(file, process.env);
  if (!loaded.ok) {
    printProblems(loaded);
    return 1;
  }
  return await serve(file, loaded, listen, processes);
}

const PROCESSES_MAX = 64;
const BUN_LIMIT = "BUN_CONFIG_MAX_HTTP_REQUESTS";

/**
 * Bun sends at most 256 requests at once unless its environment says otherwise when it starts: the
 * streams of a PoP would queue there. Where it was not said, this process becomes one where it was.
 */
function raiseBunLimit(): void {
  if (!("Bun" in globalThis) || process.env[BUN_LIMIT] !== undefined) return;
  const { execPath, execArgv, argv, env } = process;
  const line = [execPath, ...execArgv, ...argv.slice(1)];
  process.execve?.(execPath, line, { ...(env as Record<string, string>), [BUN_LIMIT]: "65336" });
}

interface ListenOverride {
  host: string | undefined;
  port: number | undefined;
}

async function serve(
  file: string,
  loaded: LoadedConfig & { ok: true },
  override: ListenOverride,
  processes: number,
): Promise<number> {
  let config = withListen(loaded.config, override);
  let write = createLog(config.log);
  const log: Log = (level, event, facts) => write(level, event, facts);
  const member = memberNumber() !== undefined;
  const server = await listenOrExplain(config, log, dirname(file), processes);
  if (server === undefined) return 1;
  if (!member) {
    process.stdout.write(`gridpoint listening on ${server.url}\n`);
    warnOfOpenDoors(config, log);
    warnOfFileLimit(config, log);
  }
  const watcher = watchConfig(file, process.env, loaded.hash, (changed) => {
    const next = reload(server, changed, override, config, log);
    if (next === undefined) return;
    config = next;
    write = createLog(next.log);
  });
  const hangup = () => watcher.force();
  process.on("SIGHUP", hangup);
  await (member ? memberStop() : stopSignal(log));
  watcher.close();
  process.off("SIGHUP", hangup);
  const { drainNoticeMs, drainMs } = config.timeouts;
  await drainAndClose(server, drainNoticeMs + drainMs, log);
  return 0;
}

function withListen(config: PopConfig, { host, port }: ListenOverride): PopConfig {
  const { listen } = config;
  const place = { host: host ?? listen.host, port: port ?? listen.port };
  return { ...config, listen: { ...listen, ...place } };
}

/** Undefined: it could not listen, and has said why. */
export async function listenOrExplain(
  config: PopConfig,
  log: Log,
  folder = ".",
  processes = 1,
): Promise<ServedPop | undefined> {
  const listen = await adapter(processes);
  try {
    return await listen(config, { log, folder });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const text = error instanceof IdentityError ? error.message : listenFault(config.listen, code);
    if (text === undefined) throw error;
    // The process in front has heard it, and says it once.
    if (memberNumber() !== undefined) return undefined;
    process.stderr.write(`gridpoint: ${text}\n`);
    return undefined;
  }
}

/** The adapter of the runtime that runs this. */
async function adapter(processes: number): Promise<Serve> {
  if ("Bun" in globalThis) return (await import("./bun.ts")).serveBun;
  if ("Deno" in globalThis) return (await import("./deno.ts")).serveDeno;
  if (memberNumber() !== undefined) return (await import("./process-member.ts")).serveMember;
  if (processes > 1) return (await import("./processes.ts")).serveProcesses(processes);
  return (await import("./node.ts")).serveNode;
}

/** What a person can do about a socket that cannot be had; undefined when it is another fault. */
export function listenFault(
  { host, port }: PopConfig["listen"],
  code: string | undefined,
): string | undefined {
  const choose = "Choose another with --port (0 takes a free one) or listen.port in the config.";
  if (code === "EADDRINUSE") return `port ${port} on ${host} is in use. ${choose}`;
  if (code === "EACCES") return `port ${port} on ${host} needs more rights. ${choose}`;
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    return `${host} is no address of this machine. Choose another with --host or listen.host.`;
  }
  return undefined;
}

function warnOfOpenDoors({ auth, listen, endpoints }: PopConfig, log: Log): void {
  const loopback = /^(127\.|::1$|localhost$)/.test(listen.host);
  if (auth.keys.length === 0 && !loopback) {
    log("warn", "open-door", { host: listen.host, hint: "no auth.keys: anybody may use it" });
  }
  if (endpoints.length === 0) log("warn", "no-endpoints", { hint: "/readyz answers 503" });
}

/** For connections to engines, gossip, and what the process has open itself. */
const OWN_FILES = 1_024;

/** Above the limit Node takes connections and closes them, and polls of engines fail. */
function warnOfFileLimit({ limits }: PopConfig, log: Log): void {
  const most = openFilesMost();
  if (most >= limits.connections + OWN_FILES) return;
  const hint = "clients could take all: raise ulimit -n (LimitNOFILE) or lower the other";
  log("warn", "file-limit", { openFiles: most, "limits.connections": limits.connections, hint });
}

/** Infinity where the system does not tell. */
function openFilesMost(): number {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return Number(line?.[1] ?? Number.POSITIVE_INFINITY);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function reload(
  server: ServedPop,
  loaded: LoadedConfig,
  override: ListenOverride,
  before: PopConfig,
  log: Log,
): PopConfig | undefined {
  if (!loaded.ok) {
    for (const problem of loaded.problems)
      log("error", "config", { problem: problemText(problem) });
    log("error", "reload-refused", { problems: loaded.problems.length, hint: "old config stays" });
    return undefined;
  }
  const config = withListen(loaded.config, override);
  const opened = openedDoors(before, config);
  if (opened.length > 0) {
    const hint = "old config stays; what was closed is opened to all by a restart only";
    log("error", "reload-refused", { gone: opened.join(","), hint });
    return undefined;
  }
  try {
    const { changed, needsRestart } = server.reload(config);
    log("info", "reloaded", { changed: changed.join(",") || "nothing" });
    if (needsRestart.length > 0) log("warn", "needs-restart", { keys: needsRestart.join(",") });
    return config;
  } catch (error) {
    log("error", "reload-failed", { message: (error as Error).message, hint: "old config stays" });
    return undefined;
  }
}

/** Lists of keys that are gone: half a file is a config, too, and would let everybody in. */
function openedDoors(before: PopConfig, after: PopConfig): string[] {
  const lists = ["keys", "adminKeys"] as const;
  const gone = lists.filter(
    (list) => before.auth[list].length > 0 && after.auth[list].length === 0,
  );
  return gone.map((list) => `auth.${list}`);
}

const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;
const SIGNAL_NUMBERS = { SIGTERM: 15, SIGINT: 2 };

/** Resolves at the first stop signal; the second exits at once. */
export function stopSignal(log: Log): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of STOP_SIGNALS) {
      process.on(signal, () => {
        // The usual code of a process that a signal ended.
        if (asked) process.exit(128 + SIGNAL_NUMBERS[signal]);
        asked = true;
        log("info", "stopping", { signal, hint: "again to exit at once" });
        resolve();
      });
    }
  });
}

/** Running streams get so long in all; what is left then is cut. */
export async function drainAndClose(server: ServedPop, mostMs: number, log: Log): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<"cut">((resolve) => {
    timer = setTimeout(resolve, mostMs, "cut");
  });
  const outcome = await Promise.race([server.drain().then(() => "drained" as const), timeUp]);
  clearTimeout(timer);
  await server.close();
  log("info", "stopped", { outcome });
}
