/**
 * Options of one command: parsed by `node:util`, described once. An unknown option or a value out
 * of bounds is a UsageError that names what is allowed; `cli.ts` prints it and exits with 2.
 */
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { nearest } from "../src/knob.ts";

export class UsageError extends Error {}

export interface CommandOption {
  type: "string" | "boolean";
  short?: string;
  /** What stands for the value in the help: `PORT`. */
  value?: string;
  help: string;
}

export interface Command {
  /** `gridpoint serve --config FILE`. */
  usage: string;
  summary: string;
  options: Record<string, CommandOption>;
  /** Names of what stands without an option, in order; all are needed. */
  positionals?: string[];
  /** Lines below the options. */
  notes?: string[];
}

export interface CommandLine {
  help: boolean;
  positionals: string[];
  text(name: string): string | undefined;
  flag(name: string): boolean;
  /** @throws UsageError unless a whole number in `min..max`. */
  count(name: string, min: number, max: number): number | undefined;
}

const HELP: CommandOption = { type: "boolean", short: "h", help: "this text" };

/** @throws UsageError */
export function parseCommandLine(command: Command, args: readonly string[]): CommandLine {
  const options: Record<string, CommandOption> = { ...command.options, help: HELP };
  const { values, positionals } = parseStrictly(options, args);
  const help = values.help === true;
  const wanted = command.positionals ?? [];
  if (!help) checkPositionals(positionals, wanted);
  const text = (name: string) => values[name] as string | undefined;
  return {
    help,
    positionals,
    text,
    flag: (name) => values[name] === true,
    count: (name, min, max) => wholeNumber(name, text(name), min, max),
  };
}

function parseStrictly(options: Record<string, CommandOption>, args: readonly string[]) {
  const config: ParseArgsOptionsConfig = {};
  for (const [name, { type, short }] of Object.entries(options)) {
    config[name] = short === undefined ? { type } : { type, short };
  }
  try {
    return parseArgs({ args: [...args], options: config, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split(". ")[0]}. ${allowed(options, args)}`);
  }
}

function allowed(options: Record<string, CommandOption>, args: readonly string[]): string {
  const names = Object.keys(options);
  const given = args.filter((arg) => arg.startsWith("--")).map((arg) => arg.slice(2).split("=")[0]);
  const unknown = given.find((name) => !names.includes(name));
  const near = unknown === undefined ? undefined : nearest(unknown, names);
  const hint = near === undefined ? "" : ` Did you mean --${near}?`;
  return `Allowed: ${names.map((name) => `--${name}`).join(", ")}.${hint}`;
}

function checkPositionals(given: string[], wanted: string[]): void {
  if (given.length < wanted.length) throw new UsageError(`${wanted[given.length]} is missing.`);
  if (given.length > wanted.length) {
    throw new UsageError(`"${given[wanted.length]}" is not expected here.`);
  }
}

function wholeNumber(name: string, value: string | undefined, min: number, max: number) {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= min && number <= max) return number;
  throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, got "${value}".`);
}

export function helpText(command: Command): string {
  const rows = Object.entries({ ...command.options, help: HELP }).map(([name, option]) => {
    const short = option.short === undefined ? "    " : `-${option.short}, `;
    const value = option.value === undefined ? "" : ` ${option.value}`;
    return [`  ${short}--${name}${value}`, option.help];
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  const lines = rows.map(([left, right]) => left.padEnd(width) + right);
  const notes = command.notes === undefined ? [] : ["", ...command.notes];
  const parts = [command.summary, "", `Usage: ${command.usage}`, "", ...lines, ...notes];
  return `${parts.join("\n")}\n`;
}
