/**
 * Gridpoint on Bun: Bun.serve, its sockets and its fetch as Transport. `gridpoint serve` takes this
 * adapter by itself when Bun runs it.
 */
import type { Headers } from "../src/grid/exchange.ts";
import { HOT_PATHS, type PopConfig } from "../src/index.ts";
import { assemblePop, type Effects, localUrl, type ServedPop } from "./assemble.ts";
import { type BunServer, BunSocket, bunSockets, upgradeBun } from "./bun-socket.ts";
import { attachDoor, OpenSockets } from "./door-socket.ts";
import { KeptHeaders } from "./kept-headers.ts";
import { noLinksNow, webWays } from "./mesh-web.ts";
import { atTurnsEnd, turnsDone } from "./turn.ts";
import { dialNode } from "./tcp-node.ts";
import { connectBun } from "./tcp-bun.ts";
import { SplitTransport } from "./transport-split.ts";
import { TcpTransport } from "./transport-tcp.ts";
import { answer, WebExchange, type WebHost } from "./web.ts";
import { DirectBody } from "./web-body.ts";

declare const Bun: { serve(options: Record<string, unknown>): BunServer };

/** Bodies are bounded by our own limit, whose error says what to do; this is far above it. */
const BODY_BYTES_MAX = 2 ** 40;

/** Bun.serve's handlers: exchanges and door sockets to the host, links to gossip. */
export function bunHandlers(host: WebHost, sockets: OpenSockets, messageBytesMax: number) {
  const link = (request: Request, server: BunServer): Response => {
    const { gossip } = host;
    if (gossip?.started !== true) return noLinksNow();
    return upgradeBun(server, request, new BunSocket("", (open) => gossip.accept(open)));
  };
  const kept = new KeptHeaders();
  const makeHeaders = (headers: Headers) => kept.of(headers);
  const open = (request: Request, server: BunServer, path?: string): WebExchange =>
    new WebExchange(request, {
      path,
      leaving: host.leaving,
      makeHeaders,
      makeBody: (writer) => new DirectBody(writer),
      remoteAddress: () => server.requestIP(request)?.address,
      takeSocket: (terms, opened) => {
        const attach = (open: BunSocket) => attachDoor(open, terms, opened, sockets);
        return upgradeBun(server, request, new BunSocket(terms.protocol ?? "", attach));
      },
    });
  const take = (exchange: WebExchange): Promise<Response> => {
    atTurnsEnd({ proceed: () => void host.answer(exchange) });
    return exchange.response;
  };
  // What most requests ask for: Bun's router knows the path without making a URL of it.
  const routeOf = (path: string) => ({
    POST: (request: Request, server: BunServer) => take(open(request, server, path)),
  });
  const routes = Object.fromEntries([...HOT_PATHS.keys()].map((path) => [path, routeOf(path)]));
  const fetch = (request: Request, server: BunServer): Promise<Response> | Response => {
    const exchange = open(request, server);
    if (exchange.path === host.gossip?.path && exchange.upgrade) return link(request, server);
    return take(exchange);
  };
  return { fetch, routes, websocket: bunSockets(messageBytesMax) };
}

/** @throws IdentityError; Error with code EADDRINUSE when the port is taken */
export async function serveBun(config: PopConfig, effects: Effects): Promise<ServedPop> {
  const web = webWays(config);
  const transport = new SplitTransport(new TcpTransport(connectBun), web.transport);
  const ways = { ...web, transport, tcp: dialNode };
  const assembled = assemblePop(config, effects, ways);
  const { pop, gossip } = assembled;
  const sockets = new OpenSockets();
  const host: WebHost = { gossip, answer: (exchange) => answer(pop, exchange) };
  const messageBytesMax = Math.max(gossip?.frameBytes ?? 0, config.limits.bodyBytes);
  try {
    const server = Bun.serve({
      hostname: config.listen.host,
      port: config.listen.port,
      // Prefill and queue may be silent for longer than any time-out of a server; ours count.
      idleTimeout: 0,
      maxRequestBodySize: BODY_BYTES_MAX,
      // Else, unless NODE_ENV is production, Bun runs its debugging server, which costs more.
      development: false,
      ...bunHandlers(host, sockets, messageBytesMax),
    });
    return {
      url: assembled.listening(localUrl(config.listen, server.port)),
      pop,
      reload: (next) => pop.reload(next),
      // Listens on while it drains: a load balancer's probe must see /readyz turn to 503.
      drain: () => {
        host.leaving = true;
        return pop.drain();
      },
      close: async () => {
        await assembled.close();
        await sockets.close();
        await turnsDone();
        await server.stop(true);
      },
    };
  } catch (error) {
    await assembled.close();
    throw error;
  }
}
