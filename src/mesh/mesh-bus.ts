/**
 * The FleetBus `ws-mesh`: a gossip core over WebSockets. Owns the core and the mesh that carries
 * it; how a socket is opened, where the epoch is kept and what time it is are handed in.
 */
import type { GossipEvent, GossipOptions } from "../gossip/context.ts";
import { CoreBus, type Input } from "../gossip/core-bus.ts";
import { GossipCore } from "../gossip/core.ts";
import type { FleetStats } from "../gossip/fleet-bus.ts";
import type { Clock, Log } from "../grid/effects.ts";
import type { LinkSocket } from "./link.ts";
import { Mesh, type MeshTimers } from "./mesh.ts";

export interface MeshBusHost {
  core: Omit<GossipOptions, "startMs" | "unixMs">;
  clock: Clock;
  /** Unix milliseconds now. */
  unixMs(): number;
  timers: MeshTimers;
  log: Log;
  /** Begins to connect. @throws when the address cannot be dialled at all. */
  dial(address: string): LinkSocket;
  /** The epoch, to be read at the next start. */
  saveEpoch(epoch: number): void;
}

/** Time for good-byes to leave before the sockets are cut. */
const LEAVE_MS = 300;
const LEAVE_POLL_MS = 10;
/** Epochs in a row that tell of a living twin: a start and its correction are two. */
const TWIN_EPOCHS = 3;
const TWIN_MS = 30_000;

export class MeshBus extends CoreBus {
  private readonly host: MeshBusHost;
  private readonly mesh: Mesh;
  private left = false;
  /** Epochs that came soon after the one before. */
  private epochs = 0;
  private epochAtMs = Number.NEGATIVE_INFINITY;

  /** @throws SchemaError when the certificate is not of this grid, or has run out. */
  constructor(host: MeshBusHost) {
    const { core, clock, timers } = host;
    super(new GossipCore({ ...core, unixMs: host.unixMs(), startMs: clock() }), clock);
    this.host = host;
    const dial = (address: string) => host.dial(address);
    const onEvent = (event: GossipEvent) => this.take(event);
    this.mesh = new Mesh(this.core, { clock, timers, dial, onEvent });
  }

  /** Begins to gossip. Who watches from before it misses nothing. */
  start(): void {
    this.mesh.start();
  }

  /** A socket on which another PoP came in. */
  accept(socket: LinkSocket): void {
    this.mesh.accept(socket);
  }

  /** A renewed certificate of this PoP. @throws SchemaError when it is not ours or old. */
  renew(certificate: Uint8Array): void {
    this.carry((core, nowMs) => core.renew(certificate, nowMs));
  }

  override awake(): void {
    this.mesh.awake();
  }

  override stats(): FleetStats {
    return { ...super.stats(), ...this.mesh.stats };
  }

  /** Says good-bye, then closes all sockets. */
  async leave(): Promise<void> {
    if (this.left) return;
    this.left = true;
    this.carry((core, nowMs) => core.leave(nowMs));
    this.mesh.close();
    const { clock, timers } = this.host;
    const untilMs = clock() + LEAVE_MS;
    while (this.mesh.open > 0 && clock() < untilMs) {
      await new Promise<void>((resolve) => {
        timers.setTimeout(resolve, LEAVE_POLL_MS);
      });
    }
    this.mesh.cut();
  }

  /** Ends at once and without a word, as a process does that is killed. */
  end(): void {
    this.left = true;
    this.mesh.close();
    this.mesh.cut();
  }

  protected carry(input: Input): void {
    this.mesh.carry(input);
  }

  private take(event: GossipEvent): void {
    if (event.type === "epoch") this.keepEpoch(event.epoch);
    else this.hear(event);
  }

  private keepEpoch(epoch: number): void {
    this.watchTwin();
    try {
      this.host.saveEpoch(epoch);
    } catch (error) {
      const message = (error as Error).message;
      const hint = "a restart within a second may be taken for the old process";
      this.host.log("error", "epoch not kept", { message, hint });
    }
  }

  /** A dead process of this id is overtaken once. One that lives overtakes this one in turn. */
  private watchTwin(): void {
    const nowMs = this.host.clock();
    this.epochs = nowMs - this.epochAtMs < TWIN_MS ? this.epochs + 1 : 1;
    this.epochAtMs = nowMs;
    if (this.epochs % TWIN_EPOCHS !== 0) return;
    const hint = "another process of this grid has the same pop.id: give each its own";
    this.host.log("error", "pop.id is taken", { hint });
  }
}
