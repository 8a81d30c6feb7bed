/**
 * One structured line per event on standard error: text for people, JSON for collectors. Standard
 * output stays free for what scripts read (the address that is listened on).
 */
import type { Log, LogLevel } from "../src/grid/effects.ts";

export interface LogOptions {
  level: LogLevel;
  format: "text" | "json";
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** @param write Where a finished line goes; default standard error. */
export function createLog(options: LogOptions, write: (line: string) => void = toStderr): Log {
  const lowest = LEVELS.indexOf(options.level);
  const format = options.format === "json" ? jsonLine : textLine;
  return (level, event, facts = {}) => {
    if (LEVELS.indexOf(level) < lowest) return;
    write(format(new Date().toISOString(), level, event, facts));
  };
}

type Facts = NonNullable<Parameters<Log>[2]>;

function jsonLine(time: string, level: LogLevel, event: string, facts: Facts): string {
  return `${JSON.stringify({ time, level, event, ...facts })}\n`;
}

function textLine(time: string, level: LogLevel, event: string, facts: Facts): string {
  let line = `${time} ${level.padEnd(5)} ${event}`;
  for (const [name, value] of Object.entries(facts)) {
    if (value !== undefined) line += ` ${name}=${quoted(String(value))}`;
  }
  return `${line}\n`;
}

/** Quotes what has spaces or control characters: one event stays one line. */
function quoted(value: string): string {
  return /^[\x21\x23-\x7e]+$/.test(value) ? value : JSON.stringify(value);
}

function toStderr(line: string): void {
  process.stderr.write(line);
}

/** For who serves: a full disk, or a reader of its output that left, is no reason to end. */
export function outliveOutput(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}
