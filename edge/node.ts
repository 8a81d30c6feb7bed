/**
 * Gridpoint on Node: an HTTP server whose requests become Exchanges, undici as Transport, the
 * kernel instantiated from the committed bytes. Everything else is `src/`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import kernelModule from "#kernel-module";
import { createPop, type Log, malformed, type Pop, type PopConfig } from "../src/index.ts";
import type { Fleet } from "../src/grid/fleet.ts";
import type { KernelExports } from "../src/kernel/wasm.ts";
import { createNodeFleet, type NodeFleet, type NodeFleetOptions } from "./mesh-node.ts";
import { NodeExchange } from "./node-exchange.ts";
import { bufferedRandom } from "./random.ts";
import { dialNode } from "./tcp-node.ts";
import { UndiciTransport } from "./transport-undici.ts";

export interface ServedPop {
  url: string;
  pop: Pop;
  reload(config: PopConfig): { changed: string[]; needsRestart: string[] };
  /** Takes nothing new, waits for running requests (at most timeouts.drainMs). */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** The answer of a route is written by its Exchange; Hono wants something to hold. */
const SENT = new Response(null);
/** Idle client connections live longer than the usual load balancer's minute. */
const KEEP_ALIVE_MS = 75_000;
const HEADER_BYTES_MAX = 16_384;

/**
 * Creates the PoP and listens.
 * @throws Error with code EADDRINUSE when the port is taken
 */
export async function serveNode(
  config: PopConfig,
  effects: { log: Log; fleet?: Fleet; folder?: string },
): Promise<ServedPop> {
  const { log } = effects;
  const clock = () => performance.now();
  const rng = bufferedRandom();
  const gossip = joinGrid(config, { clock, rng, log, folder: effects.folder ?? "." });
  const transport = new UndiciTransport();
  const pop = createPop(config, {
    ...{ clock, rng, log },
    fleet: gossip?.fleet ?? effects.fleet,
    transport,
    dial: dialNode,
    kernelExports: () =>
      new WebAssembly.Instance(kernelModule, {}).exports as never as KernelExports,
  });
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: config.limits.headerTimeoutMs,
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(1_000, config.limits.headerTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
  });
  server.maxConnections = config.limits.connections;
  server.on("request", (incoming, outgoing) => handle(pop, incoming, outgoing));
  server.on("clientError", refuseMalformed);
  gossip?.attach(server);
  try {
    await listen(server, config.listen.host, config.listen.port);
  } catch (error) {
    await pop.close();
    await gossip?.close();
    await transport.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  const host = config.listen.host.includes(":") ? `[${config.listen.host}]` : config.listen.host;
  const url = `http://${host}:${port}`;
  gossip?.start(config.peers.url ?? url);
  pop.announce(url);
  return {
    url,
    pop,
    reload: (next) => pop.reload(next),
    drain: () => drain(server, pop),
    close: async () => {
      await pop.close();
      await gossip?.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await transport.close();
    },
  };
}

function joinGrid(
  config: PopConfig,
  effects: Omit<NodeFleetOptions, "pop" | "config">,
): NodeFleet | undefined {
  if (config.gossip === undefined) return undefined;
  return createNodeFleet({ pop: config.pop.id, config: config.gossip, ...effects });
}

function handle(pop: Pop, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const target = incoming.url as string;
  const url = target.startsWith("/") ? target : pathOf(target);
  const exchange = new NodeExchange(incoming, outgoing, url);
  // All that Hono's router reads of a Request; the handlers only use the Exchange.
  const request = { method: incoming.method, url: `http://pop${exchange.path}` } as Request;
  void pop.fetch(request, { exchange, sent: SENT });
}

/** Absolute-form targets (`GET http://host/path`) are legal; anything else is not found. */
function pathOf(target: string): string {
  const url = URL.parse(target);
  return url === null ? "/*" : url.pathname + url.search;
}

/** What the HTTP parser refuses still gets an answer that says why. */
function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const { status, reason, body } = malformed(error.code ?? "", error.message);
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

/** Listens on while it drains: a load balancer's probe must see /readyz turn to 503. */
async function drain(server: Server, pop: Pop): Promise<void> {
  await pop.drain();
  server.close();
  server.closeIdleConnections();
}
