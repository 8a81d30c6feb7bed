/**
 * Gridpoint on Node: an HTTP server whose requests become Exchanges, its sockets and undici as
 * Transport, `ws` for WebSockets. Everything else is `src/`.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { type AddressInfo, Server as NetServer } from "node:net";
import type { Exchange, Pop, PopConfig } from "../src/index.ts";
import { assemblePop, type Effects, localUrl, type ServedPop } from "./assemble.ts";
import { linksFor, nodeWays } from "./mesh-node.ts";
import { NodeExchange } from "./node-exchange.ts";
import { listen, makeServer } from "./node-server.ts";
import { NodeUpgrades } from "./node-upgrade.ts";
import { loadTlsPair, renewTls } from "./tls-files.ts";
import { atTurnsEnd, turnsDone } from "./turn.ts";

/** A PoP that hears of nobody for so long has no clients whom its end could surprise. */
const LISTEN_MS = 20;
/** Where it has: for requests that are on the way, which are refused with an answer. */
const LAST_ANSWERS_MS = 250;
/**
 * The answer of a route is written by its Exchange; Hono wants something to hold, and looks at none
 * of it. A real Response would load Node's own copy of undici (node-http.ts).
 */
const SENT = {} as Response;

/**
 * Creates the PoP and listens.
 * @throws Error with code EADDRINUSE when the port is taken
 * @throws IdentityError when a file of the PoP's identity or of TLS is missing or does not fit
 */
export async function serveNode(config: PopConfig, effects: Effects): Promise<ServedPop> {
  const { listen: place } = config;
  const { log, folder = "." } = effects;
  const pair = place.tls && loadTlsPair(place.tls, folder);
  const links = await linksFor(config);
  const assembled = assemblePop(config, effects, nodeWays(config, effects, links));
  const { pop, gossip } = assembled;
  const server = makeServer(config, pair, log);
  server.on("request", (incoming, outgoing) => handle(pop, incoming, outgoing));
  const link = effects.link ?? (gossip && links?.linkPath(gossip));
  const upgrades = new NodeUpgrades(server, link, (exchange) => enter(pop, exchange));
  try {
    await listen(server, place.host, place.port);
  } catch (error) {
    await assembled.close();
    throw error;
  }
  let isAsked = false;
  const renewal = place.tls && pair && renewTls(server as never, place.tls, folder, pair, log);
  if (renewal) assembled.expiries.push(renewal.expiry);
  return {
    url: assembled.listening(localUrl(place, (server.address() as AddressInfo).port)),
    pop,
    reload: (next) => pop.reload(next),
    drain: async () => {
      isAsked = await drain(server, pop);
    },
    close: async () => {
      clearInterval(renewal?.timer);
      await assembled.close();
      await upgrades.close();
      await turnsDone();
      const closed = stopListening(server);
      if (isAsked) await Promise.race([closed, waitMs(LAST_ANSWERS_MS)]);
      server.closeAllConnections();
      // Links that were passed on live as long as the process that has them, and count here.
      if (effects.link === undefined) await closed;
    },
  };
}

const waitMs = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function handle(pop: Pop, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const exchange = new NodeExchange(incoming, outgoing);
  atTurnsEnd({ proceed: () => enter(pop, exchange) });
}

/** A method and a path are all that Hono's router reads of a Request; handlers use the Exchange. */
function enter(pop: Pop, exchange: Exchange): void {
  const { method, path } = exchange;
  void pop.fetch({ method, url: `http://pop${path}` } as Request, { exchange, sent: SENT });
}

/**
 * Listens on while it drains: a load balancer's probe must see /readyz turn to 503. Each connection
 * is told to end with its next answer, so that few are cut with a request on the way.
 * @returns whether requests came all the while
 */
async function drain(server: Server, pop: Pop): Promise<boolean> {
  let isAsked = false;
  server.prependListener("request", (_incoming, outgoing: ServerResponse) => {
    isAsked = true;
    outgoing.shouldKeepAlive = false;
  });
  await Promise.all([pop.drain(), waitMs(LISTEN_MS)]);
  void stopListening(server);
  return isAsked;
}

/** HTTP's own `close` would cut connections whose request is still on the way. */
function stopListening(server: Server): Promise<unknown> {
  return new Promise((resolve) => NetServer.prototype.close.call(server, resolve));
}
