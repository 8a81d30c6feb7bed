/** CPU time and memory of a process and its children, as Linux counts them in /proc. */
import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ: 100 on every Linux that Node runs on. */
const TICK_US = 10_000;

/** The process and all that it started, of which it still is the parent. */
export function processTree(pid: number): number[] {
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

/** User and system time of all threads so far, in microseconds, of each process of the tree. */
export function cpuUsEach(pid: number): Map<number, number> {
  const each = new Map<number, number>();
  for (const one of processTree(pid)) {
    try {
      const stat = readFileSync(`/proc/${one}/stat`, "utf8");
      // The command name may hold spaces: fields count from behind its closing bracket.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      each.set(one, (Number(fields[11]) + Number(fields[12])) * TICK_US);
    } catch {
      // It ended while we looked.
    }
  }
  return each;
}

/** The same of all of them together. */
export function cpuUs(pid: number): number {
  let sum = 0;
  for (const us of cpuUsEach(pid).values()) sum += us;
  return sum;
}

export interface CpuCount {
  /** As `cpuUs`: of all threads, whole ticks of 10 ms. */
  ticksUs: number;
  /** Without threads that have ended, to the nanosecond. */
  exactUs: number;
}

export function cpuCount(pid: number): CpuCount {
  let exactUs = 0;
  for (const one of processTree(pid)) {
    try {
      for (const task of readdirSync(`/proc/${one}/task`)) {
        const text = readFileSync(`/proc/${one}/task/${task}/schedstat`, "utf8");
        exactUs += Number(text.split(" ")[0]) / 1_000;
      }
    } catch {
      // It ended while we looked, or this kernel does not count so.
    }
  }
  return { ticksUs: cpuUs(pid), exactUs };
}

/**
 * CPU time between two counts, in microseconds: to the nanosecond, unless that differs from the
 * ticks by more than their grain, since then a thread ended or the kernel has no exact count.
 */
export function cpuBetween(before: CpuCount, after: CpuCount): number {
  const ticks = after.ticksUs - before.ticksUs;
  const exact = after.exactUs - before.exactUs;
  return Math.abs(exact - ticks) <= 3 * TICK_US ? exact : ticks;
}

/** Resident memory of the process tree, in MiB. */
export function rssMb(pid: number): number {
  let kib = 0;
  for (const one of processTree(pid)) {
    try {
      kib += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${one}/status`, "utf8"))?.[1] ?? 0);
    } catch {
      // It ended while we looked.
    }
  }
  return kib / 1024;
}
