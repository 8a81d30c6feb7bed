/**
 * `gridpoint drain`: asks a running PoP to take no new work, whole or at one endpoint, and waits
 * until what ran there has ended. `--undo` takes it back.
 */
import { type Command, helpText, parseCommandLine, UsageError } from "./cli-options.ts";
import { trustHint } from "./tls-files.ts";

const COMMAND: Command = {
  usage: "gridpoint drain [--url URL] [--endpoint ID] [--undo] [--wait SECONDS]",
  summary: "Takes a running PoP, or one endpoint of it, out of new work and back in.",
  options: {
    url: { type: "string", value: "URL", help: "the PoP (default http://127.0.0.1:8801)" },
    endpoint: { type: "string", value: "ID", help: "only this endpoint (default: the whole PoP)" },
    undo: { type: "boolean", help: "take it back in" },
    wait: { type: "string", value: "SECONDS", help: "wait for what runs, at most so long" },
  },
  notes: [
    "Nobody sends new work there; running streams end by themselves; sessions move elsewhere.",
    "The administrator's key is read from GRIDPOINT_ADMIN_KEY.",
    "Exit codes: 0 done, 1 refused or still busy after --wait, 2 wrong usage.",
  ],
};

const URL_DEFAULT = "http://127.0.0.1:8801";
const WAIT_MAX_S = 24 * 3_600;
const POLL_MS = 100;

interface Report {
  pop: string;
  draining: boolean;
  running: number;
  queued: number;
  endpoints: { id: string; admission: string; inFlight: number }[];
  error?: { message: string };
}

export async function runDrain(args: string[]): Promise<number> {
  const line = parseCommandLine(COMMAND, args);
  if (line.help) {
    process.stdout.write(helpText(COMMAND));
    return 0;
  }
  const base = line.text("url") ?? URL_DEFAULT;
  if (!/^https?:\/\//.test(base) || !URL.canParse(base)) {
    throw new UsageError(`--url must be http://HOST:PORT or https://HOST, got "${base}".`);
  }
  const url = new URL("/grid/drain", base);
  const endpoint = line.text("endpoint");
  if (endpoint !== undefined) url.searchParams.set("endpoint", endpoint);
  const waitS = line.count("wait", 0, WAIT_MAX_S) ?? 0;
  let report = await ask(url, line.flag("undo") ? "DELETE" : "POST");
  if (report === undefined) return 1;
  const untilMs = performance.now() + waitS * 1000;
  while (!line.flag("undo") && open(report, endpoint) > 0 && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    report = await ask(new URL("/grid/drain", base), "GET");
    if (report === undefined) return 1;
  }
  process.stdout.write(`${textOf(report)}\n`);
  return waitS > 0 && !line.flag("undo") && open(report, endpoint) > 0 ? 1 : 0;
}

/** Undefined: it refused or did not answer, and that has been said. */
async function ask(url: URL, method: string): Promise<Report | undefined> {
  const key = process.env["GRIDPOINT_ADMIN_KEY"];
  const headers = key === undefined ? undefined : { authorization: `Bearer ${key}` };
  let report: Report;
  try {
    const response = await fetch(url, { method, headers });
    report = (await response.json()) as Report;
    if (response.ok) return report;
    process.stderr.write(`gridpoint: ${url.origin} refused: ${report.error?.message ?? "?"}\n`);
  } catch (error) {
    const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
    const why = cause?.code ?? (error as Error).message;
    const hint = trustHint(why);
    process.stderr.write(`gridpoint: no PoP answers at ${url.origin} (${why}${hint}).\n`);
  }
  return undefined;
}

/** Requests that run, or wait, where it drains. */
function open(report: Report, endpoint: string | undefined): number {
  if (endpoint === undefined) return report.running + report.queued;
  return report.endpoints.find(({ id }) => id === endpoint)?.inFlight ?? 0;
}

function textOf({ pop, draining, running, queued, endpoints }: Report): string {
  const state = draining ? "draining" : "active";
  const rows = endpoints.map(
    ({ id, admission, inFlight }) => `  ${id}: ${admission}, ${inFlight} in flight`,
  );
  return [`${pop}: ${state}, ${running} running, ${queued} queued`, ...rows].join("\n");
}
