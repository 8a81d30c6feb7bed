/** Links of gossip on Node, by `ws`: those that a PoP dials, and the way in for others'. */
import { WebSocket, WebSocketServer } from "ws";
import type { Log } from "../src/index.ts";
import type { Dial, LocalFleet } from "./fleet.ts";
import { NodeLinkSocket } from "./node-link.ts";
import { refuseUpgrade, SOCKET_BOUNDS, type UpgradePath } from "./node-upgrade.ts";

const HANDSHAKE_MS = 5_000;
/** Addresses whose fault is remembered, so that it is said once. */
const FAULTS_MAX = 1_000;

/** @param ca authorities to trust, PEM; undefined: the system's */
export function dialer(ca: string[] | undefined, log: Log): Dial {
  const faults = new DialFaults(log);
  return (address, frameBytes) => {
    const socket = new WebSocket(address, {
      ...SOCKET_BOUNDS,
      maxPayload: frameBytes,
      handshakeTimeout: HANDSHAKE_MS,
      followRedirects: false,
      ...(ca === undefined ? {} : { ca }),
    });
    faults.watch(address, socket);
    return new NodeLinkSocket(socket);
  };
}

/** The way in for other PoPs. */
export function linkPath(gossip: LocalFleet): UpgradePath {
  const { frameBytes, path } = gossip;
  const bounds = { ...SOCKET_BOUNDS, maxPayload: frameBytes };
  const server = new WebSocketServer({ ...bounds, noServer: true, clientTracking: false });
  return {
    path,
    upgrade: (request, socket, head) => {
      if (!gossip.started) return refuseUpgrade(socket);
      const accept = (peer: WebSocket) => gossip.accept(new NodeLinkSocket(peer, socket));
      server.handleUpgrade(request, socket, head, accept);
    },
  };
}

/** Says why a PoP cannot be dialled: once, until it can or the reason is another. */
class DialFaults {
  private readonly log: Log;
  private readonly said = new Map<string, string>();

  constructor(log: Log) {
    this.log = log;
  }

  watch(address: string, socket: WebSocket): void {
    socket.once("open", () => this.said.delete(address));
    socket.once("error", (error: Error & { code?: string }) => {
      const message = error.message || String(error.code);
      if (this.said.get(address) === message) return;
      if (this.said.size >= FAULTS_MAX) this.said.clear();
      this.said.set(address, message);
      const tls = /certificate|altname|issuer|signed|TLS|SSL|EPROTO/i.test(
        `${message} ${error.code}`,
      );
      const hint = "its listen.tls.cert must name this address; peers.ca, whom this PoP trusts";
      this.log("warn", "pop not dialled", { address, message, ...(tls ? { hint } : {}) });
    });
  }
}
