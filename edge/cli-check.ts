/** `gridpoint check FILE`: every problem of a config with its line and path; exit 1 if any. */
import { dirname } from "node:path";
import type { PopConfig } from "../src/config.ts";
import { type Command, helpText, parseCommandLine } from "./cli-options.ts";
import { type FileProblem, type LoadedConfig, loadConfig, problemText } from "./config-file.ts";
import { diskStore, IdentityError, loadIdentity } from "./identity.ts";

const COMMAND: Command = {
  usage: "gridpoint check FILE [--json]",
  summary: "Checks a config (YAML or JSON) and names every problem with its line and path.",
  positionals: ["FILE"],
  options: {
    json: { type: "boolean", help: "one JSON object on standard output, for machines" },
  },
  notes: [
    "The files that it names (TLS, authorities, identity in gossip) are read, too.",
    "Exit codes: 0 the config is fine, 1 it has problems, 2 wrong usage.",
  ],
};

export async function runCheck(args: string[]): Promise<number> {
  const line = parseCommandLine(COMMAND, args);
  if (line.help) {
    process.stdout.write(helpText(COMMAND));
    return 0;
  }
  return await checkFile(line.positionals[0], line.flag("json"));
}

/** Prints the outcome; the number is the exit code. Also `gridpoint serve --check`. */
export async function checkFile(file: string, json: boolean): Promise<number> {
  const loaded = await withNamedFiles(await loadConfig(file, process.env), file);
  if (json) process.stdout.write(`${JSON.stringify(outcome(file, loaded))}\n`);
  else if (loaded.ok) process.stdout.write(`${file}: fine, ${summary(loaded)}\n`);
  else printProblems(loaded);
  return loaded.ok ? 0 : 1;
}

/** What would stop a start: files that are missing, do not fit together or have run out. */
async function withNamedFiles(loaded: LoadedConfig, file: string): Promise<LoadedConfig> {
  if (!loaded.ok) return loaded;
  const problems: FileProblem[] = [];
  for (const read of await readers(loaded.config, dirname(file))) {
    try {
      read();
    } catch (error) {
      if (!(error instanceof IdentityError)) throw error;
      problems.push({ file, path: "", message: error.message });
    }
  }
  return problems.length === 0 ? loaded : { ok: false, problems, hash: loaded.hash };
}

async function readers({ pop, listen, peers, gossip }: PopConfig, folder: string) {
  const { tls } = listen;
  const { ca } = peers;
  const found: (() => unknown)[] = [];
  if (tls !== undefined || ca !== undefined) {
    // Only then: Bun has no such list of the system's authorities.
    const { loadTlsPair, trustedAuthorities } = await import("./tls-files.ts");
    if (tls !== undefined) found.push(() => loadTlsPair(tls, folder));
    if (ca !== undefined) found.push(() => trustedAuthorities(ca, folder));
  }
  if (gossip !== undefined) {
    found.push(() => loadIdentity(gossip, pop.id, diskStore(folder)));
  }
  return found;
}

function outcome(file: string, loaded: LoadedConfig) {
  return { ok: loaded.ok, file, problems: loaded.ok ? [] : loaded.problems };
}

export function printProblems(loaded: LoadedConfig & { ok: false }): void {
  for (const problem of loaded.problems) process.stderr.write(`${problemText(problem)}\n`);
  const count = loaded.problems.length;
  process.stderr.write(`${count} ${count === 1 ? "problem" : "problems"}\n`);
}

function summary({ config }: LoadedConfig & { ok: true }): string {
  const { pop, endpoints, listen } = config;
  const many = endpoints.length === 1 ? "1 endpoint" : `${endpoints.length} endpoints`;
  return `PoP ${pop.id} (${pop.tier}), ${many}, listens on ${listen.host}:${listen.port}`;
}
