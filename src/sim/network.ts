/**
 * The network of the simulated grid: links are pairs of ordered byte streams. Loss shows as it does
 * over TCP, as a frame (and all behind it) held up by retransmission; bandwidth as a queue that
 * grows; a blocked direction parks what is sent until it heals; a half-open link swallows one
 * direction for good, and nobody is told.
 */
import type { Rng } from "../grid/effects.ts";
import type { Millis } from "../grid/units.ts";
import { type SimClock, unit } from "./clock.ts";

/** What a host does with what comes; `link` is the host's own number of it. */
export interface NetworkHost {
  readonly index: number;
  readonly address: string;
  /** The process runs and its machine is there. */
  readonly listening: boolean;
  /** The machine is gone: nothing is answered, not even with a reset. */
  readonly silent: boolean;
  linkUp(link: number, dialled: string | undefined): void;
  linkDown(link: number, dialled: string | undefined): void;
  frame(link: number, bytes: Uint8Array): void;
}

export interface NetworkOptions {
  /** One way, from host to host, without jitter. */
  latencyMs: (from: number, to: number) => Millis;
  /** Mean of an exponential that is added to each frame's way. */
  jitterMs: Millis;
  /** Share of frames whose packet is lost, 0..1. */
  loss: number;
  bytesPerS: number;
}

/** Meddles with what passes a direction: the frames to deliver instead, and their delay. */
export type Tamper = (bytes: Uint8Array) => { frames: Uint8Array[]; delayMs: Millis };

interface Stream {
  from: NetworkHost;
  to: NetworkHost;
  lastMs: Millis;
  freeMs: Millis;
  swallowed: boolean;
  parked: (() => void)[];
}

interface Wire {
  id: number;
  dialled: string;
  streams: [Stream, Stream];
  /** By side: this end is closed and hears nothing more. */
  closed: [boolean, boolean];
}

const HOSTS_MAX = 65_536;
const LEAST_RTO_MS = 200;
const DIAL_TIMEOUT_MS = 3000;
/** TCP, TLS 1.3 and the upgrade to WebSocket. */
const DIAL_ROUND_TRIPS = 3;

export class Network {
  readonly options: NetworkOptions;
  /** Largest backlog of one direction ever, bytes. */
  worstBacklog = 0;
  private readonly clock: SimClock;
  private readonly rng: Rng;
  private readonly wires = new Map<number, Wire>();
  /** Directions, as numbers. */
  private readonly blocked = new Set<number>();
  private readonly byAddress = new Map<string, NetworkHost>();
  private readonly tampers = new Map<number, Tamper>();
  private next = 1;

  constructor(clock: SimClock, rng: Rng, options: NetworkOptions) {
    this.clock = clock;
    this.rng = rng;
    this.options = options;
  }

  add(host: NetworkHost): void {
    this.byAddress.set(host.address, host);
  }

  dial(from: NetworkHost, address: string): void {
    const to = this.byAddress.get(address);
    const oneWayMs = to === undefined ? 0 : this.options.latencyMs(from.index, to.index);
    if (to === undefined || to.silent || !this.passes(from, to) || !this.passes(to, from)) {
      this.clock.at(this.clock.nowMs + DIAL_TIMEOUT_MS, () => from.linkDown(-1, address));
      return;
    }
    const upMs = this.clock.nowMs + 2 * DIAL_ROUND_TRIPS * oneWayMs;
    this.clock.at(upMs - oneWayMs, () => this.accept(from, to, address, upMs));
  }

  send(host: NetworkHost, link: number, bytes: Uint8Array): void {
    const wire = this.wires.get(link >> 1);
    const side = link & 1;
    if (wire === undefined || wire.closed[side]) return;
    const tamper = this.tampers.get(host.index);
    if (tamper === undefined) return this.carry(wire, side, bytes, 0);
    const { frames, delayMs } = tamper(bytes);
    for (const frame of frames) this.carry(wire, side, frame, delayMs);
  }

  /** Unsent bytes of the host's direction. */
  backlog(link: number): number {
    const stream = this.wires.get(link >> 1)?.streams[link & 1];
    if (stream === undefined) return 0;
    const queuedMs = Math.max(0, stream.freeMs - this.clock.nowMs);
    return (queuedMs * this.options.bytesPerS) / 1000;
  }

  /** The host's end is closed at once; the other hears of it after what was sent before. */
  close(link: number): void {
    const wire = this.wires.get(link >> 1);
    const side = link & 1;
    if (wire === undefined || wire.closed[side]) return;
    wire.closed[side] = true;
    if (wire.closed[1 - side]) {
      this.wires.delete(wire.id);
      return;
    }
    const { from, to } = wire.streams[side];
    const atMs = this.clock.nowMs + this.options.latencyMs(from.index, to.index);
    this.deliver(wire, side, atMs, () => this.hearClose(wire, 1 - side));
  }

  /** Every link of a process that ended; silently when the machine went with it. */
  closeAll(host: NetworkHost, silently: boolean): void {
    for (const wire of this.wires.values()) {
      if (wire.streams[0].from !== host && wire.streams[1].from !== host) continue;
      if (silently) wire.closed[sideOf(wire, host)] = true;
      else this.close(linkOf(wire, sideOf(wire, host)));
    }
  }

  /** Breaks the links between two hosts: both ends hear of it. */
  reset(a: NetworkHost, b: NetworkHost): void {
    for (const wire of this.between(a, b)) {
      for (const host of [a, b]) this.close(linkOf(wire, sideOf(wire, host)));
      for (const host of [a, b]) {
        const link = linkOf(wire, sideOf(wire, host));
        this.clock.at(this.clock.nowMs, () => host.linkDown(link, undefined));
      }
    }
  }

  /** From now on nothing of `a` reaches `b` on the links they have. */
  halfOpen(a: NetworkHost, b: NetworkHost): void {
    for (const wire of this.between(a, b)) wire.streams[sideOf(wire, a)].swallowed = true;
  }

  /** Blocks one direction until `heal`. */
  block(from: number, to: number): void {
    this.blocked.add(from * HOSTS_MAX + to);
  }

  heal(): void {
    this.blocked.clear();
    for (const wire of this.wires.values()) {
      for (const stream of wire.streams) {
        const parked = stream.parked.splice(0);
        for (const arrive of parked) {
          const { from, to } = stream;
          stream.lastMs = Math.max(
            stream.lastMs,
            this.clock.nowMs + this.options.latencyMs(from.index, to.index),
          );
          this.clock.at(stream.lastMs, arrive);
        }
      }
    }
  }

  /** Meddles with all that the host sends; undefined ends it. */
  tamper(host: NetworkHost, tamper: Tamper | undefined): void {
    if (tamper === undefined) this.tampers.delete(host.index);
    else this.tampers.set(host.index, tamper);
  }

  passes(from: NetworkHost, to: NetworkHost): boolean {
    if (this.blocked.size === 0) return true;
    return !this.blocked.has(from.index * HOSTS_MAX + to.index);
  }

  private between(a: NetworkHost, b: NetworkHost): Wire[] {
    return [...this.wires.values()].filter(({ streams: [out] }) => {
      return (out.from === a && out.to === b) || (out.from === b && out.to === a);
    });
  }

  private accept(from: NetworkHost, to: NetworkHost, address: string, upMs: Millis): void {
    if (!to.listening || !from.listening) {
      this.clock.at(upMs, () => from.linkDown(-1, address));
      return;
    }
    const id = this.next++;
    const stream = (a: NetworkHost, b: NetworkHost): Stream => {
      return { from: a, to: b, lastMs: upMs, freeMs: 0, swallowed: false, parked: [] };
    };
    const wire: Wire = {
      id,
      dialled: address,
      streams: [stream(from, to), stream(to, from)],
      closed: [false, false],
    };
    this.wires.set(id, wire);
    this.clock.at(upMs, () => {
      if (!wire.closed[0]) from.linkUp(linkOf(wire, 0), address);
    });
    to.linkUp(linkOf(wire, 1), undefined);
  }

  private carry(wire: Wire, side: number, bytes: Uint8Array, delayMs: Millis): void {
    const stream = wire.streams[side];
    const { options, clock, rng } = this;
    stream.freeMs =
      Math.max(clock.nowMs, stream.freeMs) + (bytes.length * 1000) / options.bytesPerS;
    this.worstBacklog = Math.max(
      this.worstBacklog,
      ((stream.freeMs - clock.nowMs) * options.bytesPerS) / 1000,
    );
    const oneWayMs = options.latencyMs(stream.from.index, stream.to.index);
    let atMs = stream.freeMs + oneWayMs + delayMs;
    if (options.jitterMs > 0) atMs -= options.jitterMs * Math.log(1 - unit(rng));
    for (let rto = Math.max(LEAST_RTO_MS, 3 * oneWayMs); unit(rng) < options.loss; rto *= 2) {
      atMs += rto;
    }
    this.deliver(wire, side, atMs, () => {
      if (!wire.closed[1 - side] && !stream.swallowed)
        stream.to.frame(linkOf(wire, 1 - side), bytes);
    });
  }

  private deliver(wire: Wire, side: number, atMs: Millis, act: () => void): void {
    const stream = wire.streams[side];
    stream.lastMs = Math.max(stream.lastMs, atMs);
    const arrive = () => {
      if (this.passes(stream.from, stream.to)) act();
      else stream.parked.push(arrive);
    };
    this.clock.at(stream.lastMs, arrive);
  }

  private hearClose(wire: Wire, side: number): void {
    if (wire.closed[side]) return;
    wire.closed[side] = true;
    this.wires.delete(wire.id);
    const dialled = side === 0 ? wire.dialled : undefined;
    wire.streams[side].from.linkDown(linkOf(wire, side), dialled);
  }
}

/** Each end has its own number of a wire, which tells the end, too. */
function linkOf(wire: Wire, side: number): number {
  return 2 * wire.id + side;
}

function sideOf(wire: Wire, host: NetworkHost): 0 | 1 {
  return wire.streams[0].from === host ? 0 : 1;
}
