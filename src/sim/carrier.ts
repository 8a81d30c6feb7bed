/**
 * One simulated process: a gossip core and whatever does its effects. It can be stopped dead, end
 * with or without its machine, start again with or without its disk, and be paused: then all that
 * comes, timers too, waits in order until it wakes.
 */
import { CoreBus, type Input } from "../gossip/core-bus.ts";
import type { Effect, GossipEvent, GossipOptions, TimerId } from "../gossip/context.ts";
import { GossipCore } from "../gossip/core.ts";
import type { Nid } from "../gossip/identity.ts";
import type { Millis } from "../grid/units.ts";
import type { SimClock } from "./clock.ts";
import type { Network, NetworkHost } from "./network.ts";

export type ProcessState = "running" | "ended" | "dead" | "left";

/** WebSocket, TLS, TCP and acknowledgement of one frame; research figure, bytes. */
export const FRAME_OVERHEAD = 138;

/** Unsent bytes of a link that no limit is near to. */
const BACKLOG_TOLD = 16_384;

/** Sees every input after its effects are done. */
export type Watcher = (carrier: Carrier, events: readonly GossipEvent[]) => void;

/** What the rest of a simulated process would see of the grid. */
class SimBus extends CoreBus {
  private readonly carrier: Carrier;

  constructor(carrier: Carrier, core: GossipCore, clock: SimClock) {
    super(core, () => clock.nowMs);
    this.carrier = carrier;
  }

  async leave(): Promise<void> {
    this.carry((core, nowMs) => core.leave(nowMs));
  }

  /** A bus of an earlier process is silent. */
  protected carry(input: Input): void {
    if (this.carrier.core === this.core) this.carrier.act(input);
  }
}

export class Carrier implements NetworkHost {
  readonly index: number;
  readonly address: string;
  readonly nid: Nid;
  core: GossipCore;
  bus: CoreBus;
  state: ProcessState = "ended";
  /** What its disk holds. */
  persistedEpoch = 0;
  pausedUntilMs = 0;
  private pausedFromMs = 0;
  /** When it woke from the last sleep that was long enough to be noticed. */
  wokeMs = Number.NEGATIVE_INFINITY;
  /** Counts processes of this PoP; an input for an earlier one is dropped. */
  life = 0;
  bytesOut = 0;
  framesOut = 0;
  private readonly clock: SimClock;
  private readonly network: Network;
  private readonly makeOptions: (carrier: Carrier) => GossipOptions;
  private readonly watcher: Watcher;
  private readonly timers = new Map<TimerId, number>();
  private timerCount = 0;
  /** Links whose unsent bytes may matter: the core is told anew before each tick. */
  private readonly backlogged = new Set<number>();

  constructor(
    index: number,
    nid: Nid,
    clock: SimClock,
    network: Network,
    makeOptions: (carrier: Carrier) => GossipOptions,
    watcher: Watcher,
  ) {
    this.index = index;
    this.nid = nid;
    this.address = `sim://${index}`;
    this.clock = clock;
    this.network = network;
    this.makeOptions = makeOptions;
    this.watcher = watcher;
    this.core = new GossipCore(makeOptions(this));
    this.bus = new SimBus(this, this.core, this.clock);
    network.add(this);
  }

  get listening(): boolean {
    return this.state === "running";
  }

  get silent(): boolean {
    return this.state === "dead";
  }

  /** The first process; `restart` makes the later ones. */
  start(): void {
    this.state = "running";
    this.core = new GossipCore(this.makeOptions(this));
    this.bus = new SimBus(this, this.core, this.clock);
    this.input(() => this.core.start(this.clock.nowMs));
  }

  /** The process ends; peers get a FIN, unless the machine goes with it. */
  end(how: "ended" | "dead"): void {
    if (this.state !== "running") return;
    this.state = how;
    this.life++;
    this.pausedUntilMs = 0;
    this.network.closeAll(this, how === "dead");
  }

  /** Says good-bye, then ends. */
  leave(): void {
    this.act((core, nowMs) => core.leave(nowMs));
    this.end("ended");
    this.state = "left";
  }

  /** A new process of the same PoP. */
  restart(diskLost: boolean): void {
    if (this.state === "running") this.end("ended");
    if (diskLost) this.persistedEpoch = 0;
    this.life++;
    this.timers.clear();
    this.wokeMs = Number.NEGATIVE_INFINITY;
    this.start();
  }

  pause(forMs: Millis): void {
    if (this.state !== "running") return;
    const { nowMs } = this.clock;
    if (nowMs >= this.pausedUntilMs) this.pausedFromMs = nowMs;
    this.pausedUntilMs = Math.max(this.pausedUntilMs, nowMs + forMs);
    const { stallMs, tickMs } = this.core.context.limits;
    const notable = this.pausedUntilMs - this.pausedFromMs > stallMs + tickMs;
    if (notable) this.wokeMs = this.pausedUntilMs;
  }

  /** An input of the PoP itself: `act((core, now) => core.setLocal(...))`. */
  act(input: Input): void {
    if (this.state === "running") this.input(() => input(this.core, this.clock.nowMs));
  }

  linkUp(link: number, dialled: string | undefined): void {
    this.input(() => this.core.onLink(link, "up", this.clock.nowMs, dialled));
  }

  linkDown(link: number, dialled: string | undefined): void {
    this.input(() => this.core.onLink(link, "down", this.clock.nowMs, dialled));
  }

  frame(link: number, bytes: Uint8Array): void {
    this.input(() => this.core.onFrame(link, bytes, this.clock.nowMs), bytes.length);
  }

  private input(act: () => Effect[], size = 0): void {
    const { life } = this;
    const perform = () => {
      if (this.life !== life || this.state !== "running") return;
      if (this.clock.nowMs < this.pausedUntilMs) {
        this.clock.at(this.pausedUntilMs, perform);
        return;
      }
      this.clock.trace(this.index, this.clock.nowMs * 1000, size);
      this.carry(act());
    };
    perform();
  }

  private carry(effects: readonly Effect[]): void {
    const events: GossipEvent[] = [];
    for (const effect of effects) {
      if (effect.kind === "send") this.send(effect.link, effect.bytes);
      else if (effect.kind === "close") this.network.close(effect.link);
      else if (effect.kind === "dial") this.network.dial(this, effect.address);
      else if (effect.kind === "timer") this.timer(effect.id, effect.atMs);
      else {
        if (effect.event.type === "epoch") this.persistedEpoch = effect.event.epoch;
        events.push(effect.event);
      }
    }
    for (const event of events) this.bus.hear(event);
    this.watcher(this, events);
  }

  private send(link: number, bytes: Uint8Array): void {
    this.bytesOut += bytes.length + FRAME_OVERHEAD;
    this.framesOut++;
    this.network.send(this, link, bytes);
    const backlog = this.network.backlog(link);
    this.core.onBuffered(link, backlog);
    if (backlog > BACKLOG_TOLD) this.backlogged.add(link);
  }

  private timer(id: TimerId, atMs: Millis): void {
    const number = ++this.timerCount;
    this.timers.set(id, number);
    const { life } = this;
    this.clock.at(atMs, () => {
      if (this.life !== life || this.timers.get(id) !== number) return;
      this.input(() => {
        if (id === "tick") this.tellBuffered();
        return this.core.onTimer(id, this.clock.nowMs);
      });
    });
  }

  private tellBuffered(): void {
    for (const link of this.backlogged) {
      const backlog = this.network.backlog(link);
      this.core.onBuffered(link, backlog);
      if (backlog <= BACKLOG_TOLD) this.backlogged.delete(link);
    }
  }
}
