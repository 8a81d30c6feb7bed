/**
 * Gridpoint on Node: an HTTP server whose requests become Exchanges, undici as Transport, the
 * kernel instantiated from the committed bytes. Everything else is `src/`.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import kernelModule from "#kernel-module";
import { createPop, type Exchange, type Log, type Pop } from "../src/index.ts";
import type { PopConfig } from "../src/index.ts";
import type { Fleet } from "../src/grid/fleet.ts";
import type { KernelExports } from "../src/kernel/wasm.ts";
import { createNodeFleet, type NodeFleet, type NodeFleetOptions } from "./mesh-node.ts";
import { NodeExchange } from "./node-exchange.ts";
import { listen, makeServer } from "./node-server.ts";
import { NodeUpgrades } from "./node-upgrade.ts";
import { bufferedRandom } from "./random.ts";
import { dialNode } from "./tcp-node.ts";
import { loadTlsPair, renewTls, trustedAuthorities } from "./tls-files.ts";
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

/**
 * Creates the PoP and listens.
 * @throws Error with code EADDRINUSE when the port is taken
 * @throws IdentityError when a file of the PoP's identity or of TLS is missing or does not fit
 */
export async function serveNode(
  config: PopConfig,
  effects: { log: Log; fleet?: Fleet; folder?: string },
): Promise<ServedPop> {
  const { log, folder = "." } = effects;
  const { listen: place, peers } = config;
  const pair = place.tls && loadTlsPair(place.tls, folder);
  const ca = peers.ca === undefined ? undefined : trustedAuthorities(peers.ca, folder);
  const clock = () => performance.now();
  const rng = bufferedRandom();
  const gossip = joinGrid(config, { clock, rng, log, folder, ca });
  const transport = new UndiciTransport(ca === undefined ? {} : { ca });
  const pop = createPop(config, {
    ...{ clock, rng, log },
    fleet: gossip?.fleet ?? effects.fleet,
    transport,
    dial: dialNode,
    kernelExports: () =>
      new WebAssembly.Instance(kernelModule, {}).exports as never as KernelExports,
  });
  const server = makeServer(config, pair);
  server.on("request", (incoming, outgoing) => handle(pop, incoming, outgoing));
  const upgrades = new NodeUpgrades(server, gossip?.link, (exchange) => enter(pop, exchange));
  try {
    await listen(server, place.host, place.port);
  } catch (error) {
    await pop.close();
    await gossip?.close();
    await transport.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  const host = place.host.includes(":") ? `[${place.host}]` : place.host;
  const url = `${pair === undefined ? "http" : "https"}://${host}:${port}`;
  const renewal = place.tls && pair && renewTls(server as never, place.tls, folder, pair, log);
  gossip?.start(config.peers.url ?? url);
  pop.announce(url);
  return {
    url,
    pop,
    reload: (next) => pop.reload(next),
    drain: () => drain(server, pop),
    close: async () => {
      clearInterval(renewal?.timer);
      await pop.close();
      await gossip?.close();
      await upgrades.close();
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
  enter(pop, new NodeExchange(incoming, outgoing));
}

/** A method and a path are all that Hono's router reads of a Request; handlers use the Exchange. */
function enter(pop: Pop, exchange: Exchange): void {
  const { method, path } = exchange;
  void pop.fetch({ method, url: `http://pop${path}` } as Request, { exchange, sent: SENT });
}

/** Listens on while it drains: a load balancer's probe must see /readyz turn to 503. */
async function drain(server: Server, pop: Pop): Promise<void> {
  await pop.drain();
  server.close();
  server.closeIdleConnections();
}
