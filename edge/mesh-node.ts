/** The ways out of Node: undici for requests, `ws` for gossip; and gossip's way in. */
import { WebSocket, WebSocketServer } from "ws";
import type { Log, PopConfig } from "../src/index.ts";
import type { LinkSocket } from "../src/mesh/link.ts";
import type { Effects, Ways } from "./assemble.ts";
import type { LocalFleet } from "./fleet.ts";
import { refuseUpgrade, SOCKET_BOUNDS, type UpgradePath } from "./node-upgrade.ts";
import { dialNode } from "./tcp-node.ts";
import { trustedAuthorities } from "./tls-files.ts";
import { UndiciTransport } from "./transport-undici.ts";
import { atTurnsEnd, type Waiting } from "./turn.ts";

const HANDSHAKE_MS = 5_000;
/** Addresses whose fault is remembered, so that it is said once. */
const FAULTS_MAX = 1_000;

/** @throws IdentityError when `peers.ca` holds no certificate */
export function nodeWays({ peers }: PopConfig, { folder = ".", log }: Effects): Ways {
  const ca = peers.ca === undefined ? undefined : trustedAuthorities(peers.ca, folder);
  const faults = new DialFaults(log);
  return {
    transport: new UndiciTransport(ca === undefined ? {} : { ca }),
    tcp: dialNode,
    dial: (address, frameBytes) => {
      const socket = new WebSocket(address, {
        ...SOCKET_BOUNDS,
        maxPayload: frameBytes,
        handshakeTimeout: HANDSHAKE_MS,
        followRedirects: false,
        ...(ca === undefined ? {} : { ca }),
      });
      faults.watch(address, socket);
      return new NodeLinkSocket(socket);
    },
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
      const accept = (peer: WebSocket) => gossip.accept(new NodeLinkSocket(peer));
      server.handleUpgrade(request, socket, head, accept);
    },
  };
}

/**
 * A socket of `ws` by its own events: its imitation of the DOM's makes an object and a copy of
 * every frame, of which thirty PoPs see hundreds a second.
 */
class NodeLinkSocket implements LinkSocket, Waiting {
  binaryType = "nodebuffer";
  onopen: (() => void) | undefined;
  onmessage: ((message: { data: unknown }) => void) | undefined;
  onclose: (() => void) | undefined;
  onerror: (() => void) | undefined;
  private readonly socket: WebSocket;
  private arrived: unknown[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("open", () => this.onopen?.());
    socket.on("message", (data, isBinary) => {
      if (this.arrived.push(isBinary ? data : data.toString()) === 1) atTurnsEnd(this);
    });
    socket.on("close", () => {
      this.proceed();
      this.onclose?.();
    });
    socket.on("error", () => this.onerror?.());
  }

  /** All PoPs report on the same beat: their frames are read when all of them have come. */
  proceed(): void {
    const these = this.arrived;
    if (these.length === 0) return;
    this.arrived = [];
    for (const data of these) this.onmessage?.({ data });
  }

  get bufferedAmount(): number {
    return this.socket.bufferedAmount;
  }

  get readyState(): number {
    return this.socket.readyState;
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.socket.send(bytes);
  }

  close(code?: number, reason?: string): void {
    this.socket.close(code, reason);
  }

  terminate(): void {
    this.socket.terminate();
  }
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
