#!/usr/bin/env node
/**
 * The command `gridpoint`. It only finds the sub-command and turns its outcome into an exit code:
 * 0 fine, 1 it failed, 2 it was called wrongly. Each sub-command is loaded when it is asked for,
 * so that `--help` and `check` start no server code.
 */
import { readFileSync } from "node:fs";
import { UsageError } from "./cli-options.ts";
import { nearest } from "../src/knob.ts";
import { endWithParent } from "./process.ts";

interface SubCommand {
  summary: string;
  /** Runs until its work is done; the number is the exit code. */
  run(args: string[]): Promise<number>;
}

const COMMANDS: Record<string, SubCommand> = {
  serve: {
    summary: "run one PoP from a config file",
    run: async (args) => (await import("./serve.ts")).runServe(args),
  },
  check: {
    summary: "check a config file and name every problem in it",
    run: async (args) => (await import("./cli-check.ts")).runCheck(args),
  },
  engine: {
    summary: "run an emulated engine, or a real one on a GGUF file",
    run: async (args) => (await import("./engine/main.ts")).runEngine(args),
  },
  ca: {
    summary: "make the authority of a grid, and the certificates of its PoPs",
    run: async (args) => (await import("./cli-ca.ts")).runCa(args),
  },
  top: {
    summary: "show a grid in the terminal, as one of its PoPs sees it",
    run: async (args) => (await import("./top.ts")).runTop(args),
  },
  demo: {
    summary: "run a grid of three PoPs with emulated engines on this machine",
    run: async (args) => (await import("./demo.ts")).runDemo(args),
  },
  drain: {
    summary: "take a running PoP, or one endpoint of it, out of new work and back in",
    run: async (args) => (await import("./cli-drain.ts")).runDrain(args),
  },
};

const names = Object.keys(COMMANDS);

function rootHelp(): string {
  const lines = names.map((name) => `  ${name.padEnd(8)}${COMMANDS[name].summary}`);
  return [
    "Gridpoint: the proxy that runs at every point of presence of an AI grid.",
    "",
    "Usage: gridpoint COMMAND [options]",
    "",
    ...lines,
    "",
    "  -h, --help     this text; after a command, that command's options",
    "  -v, --version  the version",
    "",
  ].join("\n");
}

/** The nearest package.json above is ours, run from source as well as installed. */
function version(): string {
  const file = new URL("../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "-h" || name === "--help" || name === "help") {
    process.stdout.write(rootHelp());
    return 0;
  }
  if (name === "-v" || name === "--version") {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    const near = nearest(name, names);
    const hint = near === undefined ? "" : ` Did you mean "${near}"?`;
    const what = name.startsWith("-") ? "option" : "command";
    throw new UsageError(`Unknown ${what} "${name}". Commands: ${names.join(", ")}.${hint}`);
  }
  endWithParent();
  return await COMMANDS[name].run(rest);
}

/** What a person can act on is one line; a stack is for faults of ours. */
function report(error: unknown, command: string | undefined): number {
  if (error instanceof UsageError) {
    const about = command !== undefined && Object.hasOwn(COMMANDS, command) ? ` ${command}` : "";
    process.stderr.write(`gridpoint: ${error.message}\nTry: gridpoint${about} --help\n`);
    return 2;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`gridpoint: ${text}\n`);
  return 1;
}

const args = process.argv.slice(2);
try {
  process.exitCode = await main(args);
} catch (error) {
  process.exitCode = report(error, args[0]);
}
// A socket or timer that somebody forgot must not keep a command that is done.
setTimeout(() => process.exit(), 500).unref();
