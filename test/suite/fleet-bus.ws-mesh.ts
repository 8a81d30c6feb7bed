/**
 * FleetBuses over real WebSockets on 127.0.0.1, one server for all of them: the `ws-mesh`
 * implementation, with Ed25519 identities. A PoP that is isolated has its frames held back, as TCP
 * would hold them, until it heals.
 */
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { ed25519Signer, nidOf, rawPublicKey } from "../../edge/identity.ts";
import { bufferedRandom } from "../../edge/random.ts";
import type { FleetBus } from "../../src/gossip/fleet-bus.ts";
import { issueCertificate, Keyring, ROLE } from "../../src/gossip/identity.ts";
import { GOSSIP_LIMITS } from "../../src/gossip/limits.ts";
import type { LinkSocket } from "../../src/mesh/link.ts";
import { MeshBus } from "../../src/mesh/mesh-bus.ts";
import type { Fleet } from "./fleet-bus.suite.ts";

const GRID = "suite";
const POLL_MS = 5;
const FORMED_MS = 10_000;
/** The suite waits for redials and suspicion in real time: these are short. */
const LIMITS = { ...GOSSIP_LIMITS, dialMaxMs: 500, rescueDialMs: 500, suspectMs: 1500 };

type Held = { from: number; to: number; act: () => void };

export class WebSocketFleet implements Fleet {
  private readonly server: Server;
  private readonly sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  private readonly buses: MeshBus[] = [];
  private readonly epochs: number[] = [];
  private readonly stopped = new Set<number>();
  private readonly isolated = new Set<number>();
  private held: Held[] = [];
  private readonly makeBus: (index: number) => MeshBus;

  private constructor(pops: number, server: Server) {
    this.server = server;
    const root = generateKeyPairSync("ed25519").privateKey;
    const roots = [rawPublicKey(root)];
    const { port } = server.address() as AddressInfo;
    const address = (index: number) => `ws://127.0.0.1:${port}/${index}`;
    const keys = Array.from({ length: pops }, () => generateKeyPairSync("ed25519").privateKey);
    const certificates = keys.map((key, index) => {
      const facts = { zone: "z", roles: ROLE.relay, capacity: 100, notAfterS: 2 ** 40 };
      const claims = { nid: nidOf(GRID, `p${index}`), publicKey: rawPublicKey(key), ...facts };
      return issueCertificate(claims, GRID, ed25519Signer(root));
    });
    this.makeBus = (index) =>
      new MeshBus({
        core: {
          certificate: certificates[index],
          keyring: new Keyring(GRID, ed25519Signer(keys[index]), roots),
          address: address(index),
          seeds: [address(0), address(1)],
          limits: LIMITS,
          rng: bufferedRandom(),
          persistedEpoch: this.epochs[index] ?? 0,
          signHot: "none",
          accept: () => true,
        },
        clock: () => performance.now(),
        unixMs: () => Date.now(),
        timers: { setTimeout, clearTimeout },
        log: () => undefined,
        dial: (to) => this.dial(index, to),
        saveEpoch: (epoch) => {
          this.epochs[index] = epoch;
        },
      });
    server.on("upgrade", (request, stream, head) => {
      const [, to, from] = (request.url as string).split("/").map(Number);
      const gone = this.stopped.has(to) || this.isCut(from, to);
      if (gone) stream.destroy();
      else {
        this.sockets.handleUpgrade(request, stream, head, (socket) => {
          this.buses[to].accept(this.holding(socket, to, from));
        });
      }
    });
    for (let index = 0; index < pops; index++) this.start(index);
  }

  /** Fleets that have found each other. */
  static async make(pops: number): Promise<WebSocketFleet> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const fleet = new WebSocketFleet(pops, server);
    const met = () =>
      fleet.buses.every((bus) => bus.view().filter(({ routable }) => routable).length === pops);
    await fleet.until(met, FORMED_MS);
    return fleet;
  }

  bus(index: number): FleetBus {
    return this.buses[index];
  }

  pass(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  async until(met: () => boolean, mostMs: number): Promise<void> {
    const endMs = performance.now() + mostMs;
    while (!met() && performance.now() < endMs) await this.pass(POLL_MS);
  }

  stop(index: number): void {
    this.stopped.add(index);
    this.buses[index].end();
  }

  restart(index: number): void {
    this.buses[index].end();
    this.start(index);
  }

  isolate(index: number): void {
    this.isolated.add(index);
  }

  heal(): void {
    this.isolated.clear();
    const { held } = this;
    this.held = [];
    for (const { act } of held) act();
  }

  async close(): Promise<void> {
    for (const bus of this.buses) bus.end();
    this.sockets.close();
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  private start(index: number): void {
    this.stopped.delete(index);
    this.buses[index] = this.makeBus(index);
    this.buses[index].start();
  }

  private dial(from: number, to: string): LinkSocket {
    const index = Number(to.slice(to.lastIndexOf("/") + 1));
    if (this.isCut(from, index)) throw new Error("no way there");
    return this.holding(new WebSocket(`${to}/${from}`, { perMessageDeflate: false }), from, index);
  }

  private isCut(from: number, to: number): boolean {
    return this.isolated.has(from) || this.isolated.has(to);
  }

  /** Nothing of the socket's own passes while one of both ends is isolated. */
  private holding(socket: WebSocket, from: number, to: number): LinkSocket {
    const later = (act: () => void): void => {
      if (this.isCut(from, to)) this.held.push({ from, to, act });
      else act();
    };
    const send = socket.send.bind(socket);
    const close = socket.close.bind(socket);
    // Frames are views of a buffer that the core writes anew.
    socket.send = (bytes: unknown) => {
      const kept = (bytes as Uint8Array).slice();
      later(() => send(kept, () => undefined));
    };
    socket.close = (code?: number, reason?: string | Buffer) => later(() => close(code, reason));
    return socket as LinkSocket;
  }
}
