/**
 * Gridpoint on Deno: Deno.serve, its fetch as Transport, its sockets. `gridpoint serve` takes this
 * adapter by itself when Deno runs it.
 */
import type { PopConfig } from "../src/index.ts";
import type { LinkSocket } from "../src/mesh/link.ts";
import { assemblePop, type Effects, localUrl, type ServedPop } from "./assemble.ts";
import { attachDoor, OpenSockets, type StandardRaw } from "./door-socket.ts";
import { noLinksNow, webWays } from "./mesh-web.ts";
import { dialNode } from "./tcp-node.ts";
import { answer, WebExchange, type WebHost } from "./web.ts";

interface DenoServer {
  addr: { port: number };
  shutdown(): Promise<void>;
}
type Upgraded = { socket: WebSocket; response: Response };
export type Handler = (
  request: Request,
  info: { remoteAddr: { hostname?: string } },
) => Response | Promise<Response>;
declare const Deno: {
  serve(options: Record<string, unknown>, handler: Handler): DenoServer;
  upgradeWebSocket(request: Request, options: { idleTimeout: number }): Upgraded;
};

/** Deno.serve's handler: exchanges and door sockets to the host, links to gossip. */
export function denoHandler(host: WebHost, sockets: OpenSockets): Handler {
  const link = (request: Request): Response => {
    const { gossip } = host;
    if (gossip?.started !== true) return noLinksNow();
    // Gossip has pings of its own.
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    socket.binaryType = "arraybuffer";
    socket.onopen = () => gossip.accept(socket as LinkSocket);
    return response;
  };
  return (request, { remoteAddr }) => {
    const exchange = new WebExchange(request, {
      leaving: host.leaving,
      remoteAddress: () => remoteAddr.hostname,
      takeSocket: (terms, opened) => {
        // Deno pings by itself after a while of silence, and ends what does not answer.
        const idleTimeout = Math.max(Math.round(terms.silenceMs / 2_000), 1);
        const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout });
        // Its own option knows a list of protocols only with a blank after each comma.
        const { protocol } = terms;
        if (protocol !== undefined) response.headers.set("sec-websocket-protocol", protocol);
        socket.onopen = () => attachDoor(socket as StandardRaw, terms, opened, sockets);
        return response;
      },
    });
    if (exchange.path === host.gossip?.path && exchange.upgrade) return link(request);
    return host.answer(exchange);
  };
}

/** @throws IdentityError; Error with code EADDRINUSE when the port is taken */
export async function serveDeno(config: PopConfig, effects: Effects): Promise<ServedPop> {
  const assembled = assemblePop(config, effects, { ...webWays(config), tcp: dialNode });
  const { pop, gossip } = assembled;
  const sockets = new OpenSockets();
  const abort = new AbortController();
  const host: WebHost = { gossip, answer: (exchange) => answer(pop, exchange) };
  try {
    const { host: hostname, port } = config.listen;
    const server = Deno.serve(
      { hostname, port, signal: abort.signal, onListen: () => {} },
      denoHandler(host, sockets),
    );
    return {
      url: assembled.listening(localUrl(config.listen, server.addr.port)),
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
        abort.abort();
      },
    };
  } catch (error) {
    await assembled.close();
    throw error;
  }
}
