/**
 * Who runs on which core. By default all share all. With `--cores own` what is measured has one for
 * itself, generator and engine have the others: no scheduler moves it about then, but its clients
 * come from fewer cores, so that fewer of their requests come together, which costs a small binary
 * more than a runtime. Linux with `taskset` only.
 */
import { execFileSync } from "node:child_process";
import { processTree } from "./process-stat.ts";

/** Set by `keepCore`: the number of the core that is kept for what is measured. */
let kept: string | undefined;

/** The numbers that a list like `0-3,8` stands for. */
function numbersOf(list: string): number[] {
  return list.split(",").flatMap((part) => {
    const [from = 0, to = from] = part.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, at) => from + at);
  });
}

function taskset(...args: string[]): string {
  return execFileSync("taskset", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

/** Those that this process may use; none where there is no `taskset`. */
export function coresHere(): number[] {
  try {
    return numbersOf(taskset("-cp", String(process.pid)).split(":")[1] as string);
  } catch {
    return [];
  }
}

/** Gives a process, all that it started and all that it will start to these cores. */
export function moveTo(cores: number[], pid: number): void {
  for (const one of processTree(pid)) taskset("-acp", cores.join(","), String(one));
}

/**
 * Takes this process off one core, and what it starts from now on except by `onCore`.
 * @returns what was done, in words
 */
export function keepCore(): string {
  const cores = coresHere();
  if (cores.length === 0) return "all cores shared: there is no taskset here";
  if (cores.length === 1) return "one core for all";
  const own = cores.pop() as number;
  taskset("-acp", cores.join(","), String(process.pid));
  kept = String(own);
  return `core ${kept} for what is measured, ${cores.join(",")} for generator and engine`;
}

/** The command that runs another on the kept core. */
export function onCore(command: string, args: string[]): [command: string, args: string[]] {
  return kept === undefined ? [command, args] : ["taskset", ["-c", kept, command, ...args]];
}
