/**
 * Carries one gossip core over WebSockets: does its effects in order, tells it what came in, owns
 * its timers. Everything is bounded: sockets, bytes unsent per socket, time that a socket may take
 * to close. How a socket is opened is the runtime's: `dial` and `accept` are handed in.
 */
import type { Arrival, GossipCore } from "../gossip/core.ts";
import type { Effect, GossipEvent, LinkId, TimerId } from "../gossip/context.ts";
import { isHotFrame } from "../gossip/message.ts";
import type { Clock } from "../grid/effects.ts";
import type { Millis } from "../grid/units.ts";
import { CLOSE, type LinkListener, type LinkSocket, MeshLink, turnAway } from "./link.ts";

export interface MeshTimers {
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: never): void;
}

export interface MeshHost {
  clock: Clock;
  timers: MeshTimers;
  /** Begins to connect. @throws when the address cannot be dialled at all. */
  dial(address: string): LinkSocket;
  onEvent(event: GossipEvent): void;
}

export interface MeshStats {
  links: number;
  framesIn: number;
  framesOut: number;
  /** Bytes of frames; the framing of WebSocket, 2 to 8 per frame, comes on top. */
  bytesIn: number;
  bytesOut: number;
  dials: number;
  dialFailures: number;
  refused: number;
  overflows: number;
}

/** A peer that does not answer a close is cut after this long. */
const CLOSE_MS = 1_000;
/** Times the core's own hard limit, above which a socket that does not drain is cut at once. */
const OVERFLOW = 2;
/** The core's upkeep may come so late where the PoP is awake anyway, as it is every 40 ms. */
const UPKEEP_LATE_MS = 60;
/** A PoP that was not awake for so long has no turns of its own to wait for. */
const AWAKE_MS = 100;
/** Load reports that wait for such a turn, and bytes of one. */
const WAITING_MAX = 256;
const WAITING_BYTES_MAX = 256;

export class Mesh implements LinkListener {
  readonly core: GossipCore;
  readonly stats: MeshStats = {
    ...{ links: 0, framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0 },
    ...{ dials: 0, dialFailures: 0, refused: 0, overflows: 0 },
  };
  private readonly host: MeshHost;
  private readonly links = new Map<LinkId, MeshLink>();
  /** Closed by the core, but the socket still lives. */
  private readonly closing = new Map<MeshLink, unknown>();
  /** Held bytes unsent when last looked at: the core is told when that is less. */
  private readonly backlogged = new Set<MeshLink>();
  /** Written over again and again: a Map of which things are deleted has to be made anew. */
  private readonly timers = new Map<TimerId, { atMs: Millis; handle: unknown; fire: () => void }>();
  private readonly waiting: Effect[] = [];
  /** Load reports that came since the PoP was awake. */
  private arrived: Arrival[] = [];
  private awakeMs: Millis = Number.NEGATIVE_INFINITY;
  private busy = false;
  private nextId = 1;
  private over = false;

  constructor(core: GossipCore, host: MeshHost) {
    this.core = core;
    this.host = host;
  }

  start(): void {
    this.perform(this.core.start(this.host.clock()));
  }

  /** An open socket on which a peer came in. */
  accept(socket: LinkSocket): void {
    const { maxLinks } = this.core.context.limits;
    if (this.over || this.links.size + this.closing.size >= maxLinks) {
      this.stats.refused++;
      turnAway(socket, "no room");
      return;
    }
    this.adopt(socket, undefined).adopt();
  }

  /** What the owner of the core asks of it. */
  carry(input: (core: GossipCore, nowMs: Millis) => Effect[]): void {
    this.readArrived();
    this.perform(input(this.core, this.host.clock()));
  }

  private perform(effects: readonly Effect[]): void {
    // An event may ask for more: in order, one after another.
    if (this.busy) {
      this.waiting.push(...effects);
      return;
    }
    if (effects.length === 0) return;
    this.busy = true;
    let done = 0;
    try {
      while (done < effects.length) this.do(effects[done++]);
      for (let effect = this.waiting.shift(); effect; effect = this.waiting.shift()) {
        this.do(effect);
      }
    } finally {
      this.busy = false;
      // A listener that threw keeps nobody else from what is theirs.
      if (done < effects.length) this.waiting.unshift(...effects.slice(done));
    }
  }

  /** The process is awake anyway: what waits, and upkeep that is due, needs no wake of its own. */
  awake(): void {
    this.awakeMs = this.host.clock();
    this.readArrived();
    const tick = this.timers.get("tick");
    if (tick?.handle === undefined || tick.atMs > this.awakeMs) return;
    this.host.timers.clearTimeout(tick.handle as never);
    this.fire("tick");
  }

  /** Ends timers and sockets; what was queued on them still goes out. */
  close(): void {
    this.over = true;
    for (const { handle } of this.timers.values()) {
      this.host.timers.clearTimeout(handle as never);
    }
    this.timers.clear();
    for (const link of this.links.values()) this.part(link, "closing");
    this.links.clear();
    this.stats.links = 0;
  }

  /** Cuts what has not closed. */
  cut(): void {
    for (const link of [...this.closing.keys()]) link.drop();
  }

  /** Sockets that are still to close. */
  get open(): number {
    return this.links.size + this.closing.size;
  }

  onUp(link: MeshLink): void {
    if (!this.links.has(link.id)) return;
    this.carry((core, nowMs) => core.onLink(link.id, "up", nowMs, link.address));
  }

  onFrame(link: MeshLink, bytes: Uint8Array): void {
    if (!this.links.has(link.id)) return;
    this.stats.framesIn++;
    this.stats.bytesIn += bytes.length;
    const atMs = this.host.clock();
    if (this.mayWait(bytes, atMs)) this.arrived.push({ id: link.id, bytes: bytes.slice(), atMs });
    else {
      this.readArrived();
      this.perform(this.core.onFrame(link.id, bytes, atMs));
    }
  }

  onDown(link: MeshLink): void {
    this.host.timers.clearTimeout(this.closing.get(link) as never);
    this.closing.delete(link);
    this.backlogged.delete(link);
    if (!this.links.delete(link.id)) return;
    this.stats.links = this.links.size;
    if (!link.up) this.stats.dialFailures++;
    const dialled = link.up ? undefined : link.address;
    this.carry((core, nowMs) => core.onLink(link.id, "down", nowMs, dialled));
  }

  /**
   * Nobody looks at a load before the PoP's next turn, so its report is read there, with all that
   * came in between: code that is run once per frame costs several times what it does in a row.
   */
  private mayWait(bytes: Uint8Array, atMs: Millis): boolean {
    if (atMs - this.awakeMs > AWAKE_MS || this.core.spread.relays) return false;
    return (
      bytes.length <= WAITING_BYTES_MAX && this.arrived.length < WAITING_MAX && isHotFrame(bytes)
    );
  }

  /** Before every other input: the core hears all in the order and with the times of coming. */
  private readArrived(): void {
    if (this.arrived.length === 0) return;
    const these = this.arrived;
    this.arrived = [];
    this.perform(this.core.onFrames(these));
  }

  private do(effect: Effect): void {
    switch (effect.kind) {
      case "send":
        return this.send(effect.link, effect.bytes);
      case "close": {
        const link = this.links.get(effect.link);
        this.links.delete(effect.link);
        this.stats.links = this.links.size;
        if (link !== undefined) this.part(link, effect.reason);
        return;
      }
      case "dial":
        return this.dial(effect.address);
      case "timer":
        return this.setTimer(effect.id, effect.atMs);
      case "event":
        return this.host.onEvent(effect.event);
    }
  }

  private send(id: LinkId, bytes: Uint8Array): void {
    const link = this.links.get(id);
    if (link === undefined) return;
    if (link.send(bytes, OVERFLOW * this.core.context.limits.hardBufferBytes)) {
      this.stats.framesOut++;
      this.stats.bytesOut += bytes.length;
      this.tellBuffered(link);
      return;
    }
    this.stats.overflows++;
    link.drop();
  }

  private tellBuffered(link: MeshLink): void {
    const { buffered } = link;
    this.core.onBuffered(link.id, buffered);
    if (buffered > 0) this.backlogged.add(link);
    else this.backlogged.delete(link);
  }

  private dial(address: string): void {
    if (this.over) return;
    this.stats.dials++;
    try {
      this.adopt(this.host.dial(address), address);
    } catch {
      this.stats.dialFailures++;
      const id = this.nextId++;
      // Not from within the effects of the input that asked for it.
      this.host.timers.setTimeout(() => {
        if (!this.over) this.carry((core, nowMs) => core.onLink(id, "down", nowMs, address));
      }, 0);
    }
  }

  private adopt(socket: LinkSocket, address: string | undefined): MeshLink {
    const link = new MeshLink(this.nextId++, socket, address, this);
    this.links.set(link.id, link);
    this.stats.links = this.links.size;
    return link;
  }

  private part(link: MeshLink, reason: string): void {
    this.closing.set(
      link,
      this.host.timers.setTimeout(() => link.drop(), CLOSE_MS),
    );
    link.close(CLOSE.normal, reason);
  }

  private setTimer(id: TimerId, atMs: number): void {
    if (this.over) return;
    let timer = this.timers.get(id);
    if (timer === undefined) {
      timer = { atMs, handle: undefined, fire: () => this.fire(id) };
      this.timers.set(id, timer);
    } else if (timer.handle !== undefined) this.host.timers.clearTimeout(timer.handle as never);
    timer.atMs = atMs;
    // Runtimes cut fractions off: the timer would come before its time.
    const nowMs = this.host.clock();
    const late = id === "tick" && nowMs - this.awakeMs <= AWAKE_MS ? UPKEEP_LATE_MS : 0;
    const waitMs = Math.max(0, Math.ceil(atMs - nowMs)) + late;
    timer.handle = this.host.timers.setTimeout(timer.fire, waitMs);
  }

  private fire(id: TimerId): void {
    const timer = this.timers.get(id);
    if (timer !== undefined) timer.handle = undefined;
    if (id === "tick") for (const link of this.backlogged) this.tellBuffered(link);
    this.carry((core, nowMs) => core.onTimer(id, nowMs));
  }
}
