/** For servers that cannot choose a port themselves, or that others must know before. */
import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

/** Below what systems give to outgoing connections and to port 0: nobody takes it meanwhile. */
const FROM = 10_000;
const BELOW = 32_000;
const TRIES = 20;

function taken(port: number): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

async function anyTaken(): Promise<[number, Server]> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = randomInt(FROM, BELOW);
    const server = await taken(port);
    if (server !== undefined) return [port, server];
  }
  throw new Error(`none of ${TRIES} ports is free`);
}

/** Ports that are free now. */
export async function freePorts(count: number): Promise<number[]> {
  const found = await Promise.all(Array.from({ length: count }, anyTaken));
  await Promise.all(
    found.map(([, server]) => new Promise<void>((resolve) => server.close(() => resolve()))),
  );
  return found.map(([port]) => port);
}
