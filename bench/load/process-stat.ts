/** CPU time and memory of a process and its children, as Linux counts them in /proc. */
import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ: 100 on every Linux that Node runs on. */
const TICK_US = 10_000;

/** The process and all that it started, of which it still is the parent. */
function tree(pid: number): number[] {
  const found = [pid];
  for (let at = 0; at < found.length; at++) {
    try {
      for (const task of readdirSync(`/proc/${found[at]}/task`)) {
        const children = readFileSync(`/proc/${found[at]}/task/${task}/children`, "utf8");
        for (const child of children.split(" ")) if (child !== "") found.push(Number(child));
      }
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** User and system time of all threads of the process tree so far, in microseconds. */
export function cpuUs(pid: number): number {
  let ticks = 0;
  for (const one of tree(pid)) {
    try {
      const stat = readFileSync(`/proc/${one}/stat`, "utf8");
      // The command name may hold spaces: fields count from behind its closing bracket.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It ended while we looked.
    }
  }
  return ticks * TICK_US;
}

/** Resident memory of the process tree, in MiB. */
export function rssMb(pid: number): number {
  let kib = 0;
  for (const one of tree(pid)) {
    try {
      kib += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${one}/status`, "utf8"))?.[1] ?? 0);
    } catch {
      // It ended while we looked.
    }
  }
  return kib / 1024;
}
