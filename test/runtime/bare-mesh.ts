/**
 * The floor under gossip on a machine: as many processes in a full mesh of bare `ws` sockets, each
 * sending a report's bytes to every other one on the same beats, and doing nothing with what comes.
 * `startBareMesh` forks this file.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { WebSocket, WebSocketServer } from "ws";

/** A load report of one endpoint with its frame's header. */
const REPORT_BYTES = 24;
const LINKED_MS = 20_000;
const OPTIONS = { perMessageDeflate: false, maxPayload: 65_536 } as const;

interface Order {
  ports: number[];
  index: number;
  periodMs: number;
}

export interface BareMesh {
  pids: number[];
  stop(): Promise<void>;
}

/** @returns when every process has all its links and sends */
export async function startBareMesh(processes: number, periodMs: number): Promise<BareMesh> {
  const children: ChildProcess[] = [];
  const stop = async () => {
    const ends = children.map((child) => child.exitCode === null && once(child, "exit"));
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(ends);
  };
  try {
    const ports: number[] = [];
    for (let index = 0; index < processes; index++) {
      const child = fork(fileURLToPath(import.meta.url));
      children.push(child);
      const [port] = (await once(child, "message")) as [number];
      ports.push(port);
    }
    const signal = AbortSignal.timeout(LINKED_MS);
    const linked = children.map((child) => once(child, "message", { signal }));
    for (const [index, child] of children.entries()) {
      child.send({ ports, index, periodMs } satisfies Order);
    }
    await Promise.all(linked);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pids: children.map(({ pid }) => pid as number), stop };
}

function runChild(): void {
  const tell = (what: number) => process.send?.(what);
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", ...OPTIONS });
  const links: WebSocket[] = [];
  let wanted = Number.POSITIVE_INFINITY;
  const adopt = (link: WebSocket) => {
    links.push(link);
    link.on("message", () => {});
    if (links.length === wanted) tell(wanted);
  };
  server.on("connection", adopt);
  server.on("listening", () => tell((server.address() as AddressInfo).port));
  process.on("message", ({ ports, index, periodMs }: Order) => {
    wanted = ports.length - 1;
    if (links.length === wanted) tell(wanted);
    for (const port of ports.slice(0, index)) {
      const link = new WebSocket(`ws://127.0.0.1:${port}`, OPTIONS);
      link.on("open", () => adopt(link));
    }
    const later = () => setTimeout(say, periodMs - (Date.now() % periodMs));
    const say = () => {
      for (const link of links) link.send(new Uint8Array(REPORT_BYTES));
      later();
    };
    later();
  });
  process.on("disconnect", () => process.exit());
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) runChild();
