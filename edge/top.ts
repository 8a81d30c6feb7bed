/**
 * `gridpoint top`: the grid in a terminal, as one PoP sees it. Refreshes in place on a terminal;
 * elsewhere it prints one view after another, or one JSON object, for scripts.
 */
import { type Command, helpText, parseCommandLine, UsageError } from "./cli-options.ts";
import { type Counters, drawGrid, gridView, type GridView, readCounters } from "./top-view.ts";
import { trustHint } from "./tls-files.ts";

const COMMAND: Command = {
  usage: "gridpoint top [--url URL] [--once] [--json]",
  summary: "Shows PoPs, endpoints, load, TTFT, hit ratio, share and age, as one PoP sees them.",
  options: {
    url: {
      type: "string",
      short: "u",
      value: "URL",
      help: "the PoP (default http://127.0.0.1:8801)",
    },
    once: { type: "boolean", help: "one view, then exit" },
    json: { type: "boolean", help: "one JSON object, then exit" },
    "interval-ms": { type: "string", value: "MS", help: "between two views (default 1000)" },
  },
  notes: [
    "An admin key, where the PoP asks for one, is read from GRIDPOINT_ADMIN_KEY.",
    "WAIT: until a new prompt's prefill begins. SHARE: of what this PoP sent. AGE: of its news.",
  ],
};

const URL_DEFAULT = "http://127.0.0.1:8801";
const TIMEOUT_MS = 5_000;
const HOME_AND_CLEAR = "\x1b[H\x1b[J";
const CURSOR = { hide: "\x1b[?25l", show: "\x1b[?25h" };
/** Lines of the terminal that are not endpoints. */
const FRAME_LINES = 5;

/** What a person can act on: shown as one line. */
class TopError extends Error {}

export async function runTop(args: string[]): Promise<number> {
  const line = parseCommandLine(COMMAND, args);
  if (line.help) {
    process.stdout.write(helpText(COMMAND));
    return 0;
  }
  const url = line.text("url") ?? URL_DEFAULT;
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    throw new UsageError(`--url must be a URL like ${URL_DEFAULT}, got "${url}".`);
  }
  const base = new URL(url).origin;
  const intervalMs = line.count("interval-ms", 100, 3_600_000) ?? 1_000;
  try {
    if (line.flag("json")) process.stdout.write(`${JSON.stringify((await look(base)).view)}\n`);
    else if (line.flag("once")) process.stdout.write(`${plain((await look(base)).view)}\n`);
    else await watch(base, intervalMs);
    return 0;
  } catch (error) {
    if (!(error instanceof TopError)) throw error;
    process.stderr.write(`gridpoint: ${error.message}\n`);
    return 1;
  }
}

export interface Look {
  view: GridView;
  counters: Counters;
}

/** Asks the PoP once. @throws TopError */
async function look(base: string, before?: Counters): Promise<Look> {
  const [stateText, page] = await Promise.all([read(base, "/grid/state"), metrics(base)]);
  let state: unknown;
  try {
    state = JSON.parse(stateText);
  } catch {
    throw new TopError(`${base}/grid/state answers no JSON: is it a Gridpoint PoP?`);
  }
  const counters = readCounters(page);
  return { view: gridView(state, counters, before), counters };
}

async function read(base: string, path: string): Promise<string> {
  const key = process.env.GRIDPOINT_ADMIN_KEY;
  const headers: Record<string, string> =
    key === undefined ? {} : { authorization: `Bearer ${key}` };
  let answer: Response;
  try {
    answer = await fetch(`${base}${path}`, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).message;
    const hint = trustHint(cause) || "; --url says where the PoP is";
    throw new TopError(`no answer from ${base} (${cause})${hint}`);
  }
  const body = await answer.text();
  if (answer.ok) return body;
  const why = answer.status === 401 || answer.status === 403 ? "; set GRIDPOINT_ADMIN_KEY" : "";
  throw new TopError(`${base}${path} answers ${answer.status}${why}`);
}

/** Without metrics there is still the table. */
async function metrics(base: string): Promise<string> {
  try {
    return await read(base, "/metrics");
  } catch {
    return "";
  }
}

function plain(view: GridView, rows?: number): string {
  return drawGrid(view, rows).join("\n");
}

/** Until Ctrl-C. A PoP that does not answer for a while is told and asked again. */
async function watch(base: string, intervalMs: number): Promise<void> {
  const terminal = process.stdout.isTTY === true;
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  // A reader that goes away (`| head`) is the end, not a fault.
  process.stdout.once("error", () => stop.abort());
  if (terminal) process.stdout.write(CURSOR.hide);
  let before: Counters | undefined;
  let seen = false;
  try {
    while (!stop.signal.aborted) {
      let text: string;
      try {
        const { view, counters } = await look(base, before);
        before = counters;
        seen = true;
        text = plain(view, terminal ? Math.max(1, process.stdout.rows - FRAME_LINES) : undefined);
      } catch (error) {
        if (!seen || !(error instanceof TopError)) throw error;
        text = error.message;
      }
      process.stdout.write(terminal ? `${HOME_AND_CLEAR}${clipped(text)}\n` : `${text}\n\n`);
      await pause(intervalMs, stop.signal);
    }
  } finally {
    if (terminal) process.stdout.write(CURSOR.show);
  }
}

/** Lines longer than the terminal would wrap and break the drawing. */
function clipped(text: string): string {
  const { columns } = process.stdout;
  return text
    .split("\n")
    .map((line) => line.slice(0, columns))
    .join("\n");
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
