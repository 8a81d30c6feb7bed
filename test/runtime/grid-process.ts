/**
 * Several real PoP processes that are one grid, for the suites that end, stop and cut them: each
 * with its certificate from one authority, on ports asked for before.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ca } from "../../edge/cli-ca.ts";
import { freePorts } from "./free-ports.ts";
import {
  eventually,
  type PopEntry,
  type PopOptions,
  type ServerProcess,
  startPop,
} from "./pop-process.ts";

export interface PopSeen {
  id: string;
  state: string;
  reachable: boolean;
  routable: boolean;
  draining: boolean;
  endpoints: { phase: string }[];
  rttMs: number | null;
  loadAgeMs: number | null;
  /** Number of its last load report. */
  loadSeq: number | null;
}

export interface GridState {
  pops: PopSeen[];
  gossip: Record<string, number>;
}

export interface GridProcess {
  folder: string;
  ports: number[];
  /** Starts the PoP of that index; again after it ended. */
  start(index: number, change?: Partial<PopEntry>, options?: PopOptions): Promise<ServerProcess>;
  /** Issues the certificate of a PoP from an authority in `folder/authority`. */
  issue(name: string, authority?: string): void;
  close(): Promise<void>;
}

export const gridState = (pop: ServerProcess): Promise<GridState> => pop.json("/grid/state");

/** How one PoP sees another; undefined: not at all. */
export async function seen(by: ServerProcess, id: string): Promise<PopSeen | undefined> {
  return (await gridState(by)).pops.find((pop) => pop.id === id);
}

/** Does it for 0 to count - 1, four at a time: processes that start need a core each. */
export async function fewAtOnce<T>(count: number, act: (index: number) => Promise<T>) {
  const done: T[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) done[index] = await act(index);
  };
  await Promise.all(Array.from({ length: 4 }, work));
  return done;
}

/** An authority and certificates for `p0`, `p1`, ... */
export async function makeGrid(count: number): Promise<GridProcess> {
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-grid-"));
  const ports = await freePorts(count);
  const started: ServerProcess[] = [];
  const issue = (name: string, authority = "ca") => {
    ca("issue", ["--dir", join(folder, authority), "--pop", name, "--out", folder]);
  };
  for (const name of ["ca", "strangers"]) {
    ca("init", ["--dir", join(folder, name), "--grid", "test"]);
  }
  for (let i = 0; i < count; i++) issue(`p${i}`);
  return {
    folder,
    ports,
    issue,
    start: async (index, change = {}, options = {}) => {
      const name = `p${index}`;
      const pop = await startPop(
        {
          pop: { id: name },
          listen: { host: "127.0.0.1", port: ports[index] },
          endpoints: [],
          peers: { open: true },
          gossip: {
            grid: "test",
            certificate: join(folder, `${name}.cert`),
            key: join(folder, `${name}.key`),
            roots: join(folder, "roots.pub"),
            seeds: ports.slice(0, 2).map((port) => `http://127.0.0.1:${port}`),
          },
          ...change,
        },
        { ready: false, ...options },
      );
      started.push(pop);
      return pop;
    },
    close: async () => {
      await Promise.all(
        started.map((pop) => {
          // A stopped process hears no SIGTERM.
          pop.child.kill("SIGCONT");
          return pop.kill("SIGKILL");
        }),
      );
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Everybody has all others as alive and reachable. */
export async function untilMet(pops: readonly ServerProcess[], withinMs: number): Promise<void> {
  await eventually(
    "every PoP sees every other",
    async () => {
      const states = await Promise.all(pops.map(gridState));
      return states.every(({ pops: others }) => {
        const fine = others.filter(({ state, reachable }) => state === "alive" && reachable);
        return fine.length === pops.length - 1;
      });
    },
    withinMs,
  );
}
