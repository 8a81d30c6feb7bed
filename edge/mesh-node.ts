/**
 * Gossip on Node: `ws` as server on the PoP's own port and as client, the identity from files, the
 * epoch on disk.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Duplex } from "node:stream";
import { WebSocket, WebSocketServer } from "ws";
import { type GossipConfig, gossipLimits, linkAddress } from "../src/config-gossip.ts";
import { parseCertificate, sameBytes } from "../src/gossip/identity.ts";
import type { Clock, Log, Rng } from "../src/grid/effects.ts";
import { mayClaim } from "../src/mesh/claims.ts";
import { GossipFleet } from "../src/mesh/fleet.ts";
import type { LinkSocket } from "../src/mesh/link.ts";
import { MeshBus } from "../src/mesh/mesh-bus.ts";
import { certificateBytes, type Identity, loadIdentity, nidOf } from "./identity.ts";
import { SOCKET_BOUNDS, type UpgradePath } from "./node-upgrade.ts";

export interface NodeFleetOptions {
  pop: string;
  config: GossipConfig;
  clock: Clock;
  rng: Rng;
  log: Log;
  /** Against which file names in the config are read. */
  folder: string;
  /** Authorities to trust, PEM; undefined: the system's. */
  ca?: string[] | undefined;
}

export interface NodeFleet {
  fleet: GossipFleet;
  /** The gossip path of the server's upgrades. */
  link: UpgradePath;
  /** Begins to gossip. `url`: where other PoPs reach this one's door. */
  start(url: string): void;
  close(): Promise<void>;
}

/** A renewed certificate is seen after this long. */
const RENEWAL_MS = 30_000;
const HANDSHAKE_MS = 5_000;
/** Addresses whose fault is remembered, so that it is said once. */
const FAULTS_MAX = 1_000;

/** @throws IdentityError when the files of the identity do not fit together. */
export function createNodeFleet(options: NodeFleetOptions): NodeFleet {
  const { pop, config, clock, rng, log, folder, ca } = options;
  const identity = loadIdentity(config, pop, folder);
  for (const warning of identity.warnings) log("warn", "identity", { warning });
  const limits = gossipLimits(config);
  const bounds = { ...SOCKET_BOUNDS, maxPayload: limits.frameBytes };
  const address = (url: string) => linkAddress(url, config.path) as string;
  const timers = { setTimeout, clearTimeout };
  const fleet = new GossipFleet({ clock, timers, log, route: (url) => routed(config.via, url) });
  const nidOfPop = (name: string) => nidOf(config.grid, name);
  const join = (url: string): MeshBus =>
    new MeshBus({
      core: {
        address: address(url),
        certificate: identity.certificate,
        keyring: identity.keyring,
        seeds: config.seeds.map(address),
        ...{ limits, rng },
        persistedEpoch: identity.persistedEpoch,
        signHot: "none",
        accept: (author, key, value) => mayClaim(author, key, value, nidOfPop),
      },
      ...{ clock, timers, log },
      unixMs: () => Date.now(),
      dial: (to) => {
        const socket = new WebSocket(routed(config.via, to), {
          ...bounds,
          handshakeTimeout: HANDSHAKE_MS,
          followRedirects: false,
          ...(ca === undefined ? {} : { ca }),
        });
        faults.watch(to, socket);
        return socket as LinkSocket;
      },
      saveEpoch: identity.saveEpoch,
    });
  const server = new WebSocketServer({ ...bounds, noServer: true, clientTracking: false });
  const faults = new DialFaults(log);
  let bus: MeshBus | undefined;
  const renewal = renewLater(config, folder, identity, (bytes) => bus?.renew(bytes), log);
  return {
    fleet,
    link: {
      path: config.path,
      upgrade: (request, socket, head) => {
        const open = bus;
        if (open === undefined) return refuse(socket);
        server.handleUpgrade(request, socket, head, (peer) => open.accept(peer as LinkSocket));
      },
    },
    start: (url) => {
      if (/\/\/(0\.0\.0\.0|\[::\])(:|$)/.test(url)) {
        log("warn", "no address for other PoPs", { url, hint: "set peers.url" });
      }
      bus = join(url);
      fleet.start(bus);
      bus.start();
    },
    close: async () => {
      clearInterval(renewal);
      await fleet.leave();
      bus = undefined;
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

/** `via` names origins of doors; the scheme of a gossip address says the same with other words. */
export function routed(via: Record<string, string>, text: string): string {
  const url = new URL(text);
  const scheme = url.protocol.startsWith("ws") ? "ws" : "http";
  const secure = url.protocol === "wss:" || url.protocol === "https:";
  const origin = `${secure ? "https:" : "http:"}//${url.host}`;
  const other = Object.entries(via).find(([key]) => new URL(key).origin === origin);
  if (other === undefined) return text;
  const target = new URL(other[1]);
  const rest = url.pathname === "/" && !text.endsWith("/") ? "" : url.pathname;
  return `${scheme}${target.protocol === "https:" ? "s" : ""}://${target.host}${rest}`;
}

function refuse(socket: Duplex): void {
  const status = "503 Service Unavailable";
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

/** Certificates live for a week: a new one in the same file is taken over without a restart. */
function renewLater(
  config: GossipConfig,
  folder: string,
  identity: Identity,
  renew: (certificate: Uint8Array) => void,
  log: Log,
) {
  if (config.certificate === undefined) return undefined;
  const file = resolve(folder, config.certificate);
  let current = Buffer.from(identity.certificate);
  const look = () => {
    try {
      const next = Buffer.from(certificateBytes(readFileSync(file, "utf8"), file));
      if (next.equals(current)) return;
      current = next;
      if (!sameBytes(parseCertificate(next).certificate.publicKey, identity.publicKey)) {
        throw new Error("it is for another key; a restart takes both");
      }
      renew(next);
      log("info", "certificate renewed", { file });
    } catch (error) {
      log("warn", "certificate not renewed", { message: (error as Error).message });
    }
  };
  return setInterval(look, RENEWAL_MS).unref();
}
