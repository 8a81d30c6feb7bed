/** Runs `gridpoint` as people do: as a process, judged by its output and its exit code. */
import { type ChildProcess, spawn } from "node:child_process";
import { program } from "./program.ts";

/** What a process has written, both streams. */
export interface Output {
  output(): string;
  /** Resolves with the match as soon as the output from `offset` on has one. */
  said(pattern: RegExp, offset?: number): Promise<RegExpExecArray>;
}

export interface Command extends Output {
  process: ChildProcess;
  /** Exit code, or the signal's name. */
  exited: Promise<number | string>;
}

export interface CommandOptions {
  env?: Record<string, string>;
  /** Another script than the program of this checkout. */
  script?: string;
}

const WAIT_MS = 15_000;

/** @param most characters that are kept, the last ones */
export function listenTo(child: ChildProcess, most = Number.POSITIVE_INFINITY): Output {
  let output = "";
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  const hear = (text: string) => {
    output = (output + text).slice(-most);
    tell();
  };
  child.stdout?.setEncoding("utf8").on("data", hear);
  child.stderr?.setEncoding("utf8").on("data", hear);
  let closed = false;
  child.once("close", () => {
    closed = true;
    tell();
  });
  const said = (pattern: RegExp, offset = 0) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const give = (why: string) => {
        done();
        reject(new Error(`${why} before ${pattern}; output:\n${output}`));
      };
      const timer = setTimeout(give, WAIT_MS, `${WAIT_MS} ms passed`);
      const done = () => {
        clearTimeout(timer);
        listeners.delete(look);
      };
      const look = () => {
        const match = pattern.exec(output.slice(offset));
        if (match !== null) {
          done();
          resolve(match);
        } else if (closed) give("it ended");
      };
      listeners.add(look);
      look();
    });
  return { output: () => output, said };
}

export function start(args: string[], options: CommandOptions = {}): Command {
  const child = spawn(process.execPath, [options.script ?? program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
  });
  const exited = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
  return { process: child, exited, ...listenTo(child) };
}

/** Runs to its end, which must come by itself. */
export async function run(args: string[], options: CommandOptions = {}) {
  const command = start(args, options);
  const overdue = setTimeout(() => command.process.kill("SIGKILL"), WAIT_MS);
  const code = await command.exited;
  clearTimeout(overdue);
  return { code, output: command.output() };
}

/** Ends it, however it stands. */
export async function end(command: Command): Promise<void> {
  command.process.kill("SIGKILL");
  await command.exited;
}
