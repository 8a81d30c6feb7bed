/**
 * How long processes were ready to run and had to wait for a core that another one had, as Linux
 * counts it per thread (/proc/PID/task/TID/schedstat). A bound on time is a bound on what the
 * software takes; on a quiet machine this is next to nothing, and elsewhere it reads as 0.
 */
import { readdirSync, readFileSync } from "node:fs";

type Waits = Map<string, number>;

function waitsOf(pid: number): Waits {
  const waits: Waits = new Map();
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [, waitedNs] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ");
      waits.set(thread, Number(waitedNs) / 1e6);
    }
  } catch {
    // Not Linux, or the thread has just ended.
  }
  return waits;
}

/**
 * Starts to look; what it returns tells the milliseconds since then that these processes waited:
 * of each its thread that waited most, since waits of threads beside each other are one wait.
 */
export function runDelay(pids: readonly number[]): () => number {
  const before = pids.map(waitsOf);
  return () => {
    let sum = 0;
    for (const [at, pid] of pids.entries()) {
      const grown = [...waitsOf(pid)].map(([thread, ms]) => ms - (before[at]?.get(thread) ?? ms));
      sum += Math.max(0, ...grown);
    }
    return sum;
  };
}
