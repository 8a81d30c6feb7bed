/**
 * WebSockets on Node's server, by `ws`: the gossip path goes to the mesh, every other upgrade to
 * the door as an Exchange that it may take. A refusal is written by Node's own response object.
 */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { ServerOptions } from "ws";
import type { Exchange } from "../src/grid/exchange.ts";
import type { DoorSocket, SocketListener, SocketTerms, Upgrade } from "../src/grid/socket.ts";
import { attachDoor, offeredProtocols, OpenSockets, type StandardRaw } from "./door-socket.ts";
import { NodeExchange, targetOf } from "./node-exchange.ts";
import { ServerResponse } from "./node-http.ts";
import { sendWithTurn } from "./turn.ts";

/** Small and dense messages: compression would cost memory per socket and invite bombs. */
export const SOCKET_BOUNDS = {
  perMessageDeflate: false,
  maxFragments: 64,
  maxBufferedChunks: 1_024,
} satisfies ServerOptions;

/** One path whose upgrades are not the door's. */
export interface UpgradePath {
  path: string;
  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** For `createServer`: a request to speak another protocol, like h2c, is answered as it is. */
export function isWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && headers.upgrade?.toLowerCase() === "websocket";
}

/** This PoP takes no links now. */
export function refuseUpgrade(socket: Duplex): void {
  const status = "503 Service Unavailable";
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

export class NodeUpgrades {
  private readonly sockets = new OpenSockets();
  private readonly handle: (exchange: Exchange) => void;
  /** `ws`, from the first socket on: mesh-node.ts has the reason. */
  private library: typeof import("ws") | undefined;
  private loading: Promise<unknown> | undefined;

  /** @param handle a door: answers the exchange, or takes its `upgrade` */
  constructor(server: Server, own: UpgradePath | undefined, handle: (exchange: Exchange) => void) {
    this.handle = handle;
    server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      // Node has taken its own listeners off.
      socket.on("error", () => socket.destroy());
      const path = targetOf(incoming).split("?", 1)[0];
      if (path === own?.path) own.upgrade(incoming, socket, head);
      else this.offer(incoming, socket, head);
    });
  }

  async close(graceMs?: number): Promise<void> {
    await this.loading?.catch(() => undefined);
    await this.sockets.close(graceMs);
  }

  private offer(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const outgoing = new ServerResponse(incoming);
    outgoing.shouldKeepAlive = false;
    outgoing.assignSocket(socket as never);
    outgoing.once("finish", () => socket.end());
    const protocols = offeredProtocols(incoming.headers["sec-websocket-protocol"]);
    const upgrade: Upgrade = {
      protocols,
      accept: (terms, opened) => {
        exchange.detach();
        outgoing.detachSocket(socket as never);
        const accept = () => this.accept(incoming, socket, head, terms, opened);
        if (this.library !== undefined) return accept();
        this.loading ??= import("ws").then((library) => {
          this.library = library;
        });
        // Nobody reads the socket until then, so that nothing of it is lost.
        void this.loading.then(accept, () => {
          // The files of the program were taken away, or replaced: the next one looks again.
          this.loading = undefined;
          socket.destroy();
        });
      },
    };
    const exchange = new NodeExchange(incoming, outgoing, upgrade);
    this.handle(exchange);
  }

  private accept(
    incoming: IncomingMessage,
    stream: Duplex,
    head: Buffer,
    terms: SocketTerms,
    opened: (socket: DoorSocket) => SocketListener,
  ): void {
    const { WebSocketServer } = this.library as typeof import("ws");
    const server = new WebSocketServer({
      ...SOCKET_BOUNDS,
      noServer: true,
      clientTracking: false,
      maxPayload: terms.messageBytes,
      handleProtocols: () => terms.protocol ?? false,
    });
    server.handleUpgrade(incoming, stream, head, (peer) => {
      const raw = sendInTurns(peer as never as StandardRaw, stream);
      attachDoor(raw, terms, opened, this.sockets);
      peer.on("pong", () => raw.onpong?.());
      peer.on("ping", () => raw.onpong?.());
    });
  }
}

/** Messages of a turn leave as one write, with those of all other sockets (turn.ts). */
function sendInTurns(raw: StandardRaw, stream: Duplex): StandardRaw {
  const send = raw.send.bind(raw);
  let held = false;
  const uncork = (): void => {
    held = false;
    stream.uncork();
  };
  const turn = { uncork };
  raw.send = (message) => {
    if (!held) {
      held = true;
      stream.cork();
      sendWithTurn(turn);
    }
    send(message);
  };
  return raw;
}
