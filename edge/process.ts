/**
 * Child processes that are started, waited for until they say where they listen, and ended by pid.
 * A child never outlives its parent: it holds one end of an IPC channel, which the kernel closes
 * when the parent is gone, however it went.
 */
import { type ChildProcess, spawn } from "node:child_process";

export interface Child {
  pid: number;
  /** What it printed as its address. */
  url: string;
  /** Exit code or signal name, when it has ended. */
  exited: Promise<number | string>;
  /** SIGTERM, then SIGKILL after `graceMs`; resolves when the process is gone. */
  stop(graceMs?: number): Promise<void>;
}

export interface ChildOptions {
  /** Arguments for this runtime: script first. */
  args: string[];
  /** For messages: `engine edge-1`. */
  name: string;
  readyMs: number;
  env?: NodeJS.ProcessEnv;
}

/** Error output that is kept for the message when a child does not come up. */
const STDERR_KEPT = 4096;
/** Set for children of ours: a supervisor's own IPC channel must not end what it started. */
const TIED = "GRIDPOINT_ENDS_WITH_PARENT";
const ADDRESS = /listening on (https?:\/\/\S+)/;

/** Starts this runtime on a script that prints "listening on URL". */
export async function startChild(options: ChildOptions): Promise<Child> {
  const process_ = spawn(process.execPath, options.args, {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: { ...(options.env ?? process.env), [TIED]: "1" },
  });
  const exited = new Promise<number | string>((resolve) => {
    process_.once("exit", (code, signal) => resolve(code ?? signal ?? "unknown"));
    process_.once("error", (error) => resolve(error.message));
  });
  const stop = (graceMs = 2_000) => stopChild(process_, exited, graceMs);
  try {
    const url = await address(process_, exited, options);
    return { pid: process_.pid as number, url, exited, stop };
  } catch (error) {
    await stop(0);
    throw error;
  }
}

function address(
  process_: ChildProcess,
  exited: Promise<number | string>,
  { name, readyMs }: ChildOptions,
): Promise<string> {
  let out = "";
  let errors = "";
  process_.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-STDERR_KEPT);
  });
  return new Promise((resolve, reject) => {
    const fail = (what: string) => {
      clearTimeout(timer);
      const said = errors.trim() === "" ? "" : `; it said:\n${errors.trim()}`;
      reject(new Error(`${name} ${what}${said}`));
    };
    const timer = setTimeout(() => fail(`was not ready after ${readyMs} ms`), readyMs);
    void exited.then((how) => fail(`ended (${how}) before it was ready`));
    process_.stdout?.setEncoding("utf8").on("data", (text: string) => {
      // The pipe is read to the end of the child's life, or a full pipe would stall it.
      out = (out + text).slice(-STDERR_KEPT);
      const found = ADDRESS.exec(out);
      if (found === null) return;
      clearTimeout(timer);
      resolve(found[1]);
    });
  });
}

async function stopChild(
  process_: ChildProcess,
  exited: Promise<number | string>,
  graceMs: number,
): Promise<void> {
  if (process_.pid === undefined || process_.exitCode !== null || process_.signalCode !== null) {
    return;
  }
  process_.kill("SIGTERM");
  const kill = setTimeout(() => process_.kill("SIGKILL"), graceMs);
  await exited;
  clearTimeout(kill);
}

/** In a child of `startChild`: ends this process when its parent is gone. Elsewhere: nothing. */
export function endWithParent(): void {
  if (process.env[TIED] !== "1" || !process.connected) return;
  delete process.env[TIED];
  process.once("disconnect", () => process.exit(0));
  // Listening alone must not keep a child alive that has nothing else to do.
  process.channel?.unref();
}
