/** `gridpoint check FILE`: every problem of a config with its line and path; exit 1 if any. */
import { type Command, helpText, parseCommandLine } from "./cli-options.ts";
import { type LoadedConfig, loadConfig, problemText } from "./config-file.ts";

const COMMAND: Command = {
  usage: "gridpoint check FILE [--json]",
  summary: "Checks a config (YAML or JSON) and names every problem with its line and path.",
  positionals: ["FILE"],
  options: {
    json: { type: "boolean", help: "one JSON object on standard output, for machines" },
  },
  notes: ["Exit codes: 0 the config is fine, 1 it has problems, 2 wrong usage."],
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
  const loaded = await loadConfig(file, process.env);
  if (json) process.stdout.write(`${JSON.stringify(outcome(file, loaded))}\n`);
  else if (loaded.ok) process.stdout.write(`${file}: fine, ${summary(loaded)}\n`);
  else printProblems(loaded);
  return loaded.ok ? 0 : 1;
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
