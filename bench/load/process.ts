/** Child processes of the bench: started, waited for, ended by their own handle. */
import { spawn, type ChildProcess } from "node:child_process";
import { connect, createServer } from "node:net";

const READY_MS = 30_000;
const MOST_OUTPUT = 16_384;

export interface Running {
  child: ChildProcess;
  pid: number;
  output(): string;
  stop(): Promise<void>;
}

export function launch(
  command: string,
  args: string[],
  environment: Record<string, string> = {},
): Running {
  const child = spawn(command, args, {
    // Ours end with us, however we end: they hold the other end of a channel.
    env: { ...process.env, GRIDPOINT_ENDS_WITH_PARENT: "1", ...environment },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let output = "";
  const keep = (bytes: Buffer): void => {
    if (output.length < MOST_OUTPUT) output += bytes.toString();
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  child.on("error", (error) => keep(Buffer.from(error.message)));
  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    const hard = setTimeout(() => child.kill("SIGKILL"), 2_000);
    await gone;
    clearTimeout(hard);
  };
  return { child, pid: child.pid ?? 0, output: () => output, stop };
}

/** Polls `found` until it gives a value. @throws Error with the process' own words. */
export async function until<T>(
  running: Running,
  what: string,
  found: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const end = Date.now() + READY_MS;
  while (Date.now() < end && running.child.exitCode === null && running.pid !== 0) {
    const value = await found();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await running.stop();
  throw new Error(`${what} did not become ready:\n${running.output().slice(-2_000)}`);
}

export const announced = (running: Running): string | undefined =>
  /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(running.output())?.[1];

export function accepts(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(undefined));
  });
}

/** A port that was free a moment ago, for servers that cannot choose one themselves. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
