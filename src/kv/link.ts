/**
 * One ZMTP connection over a dialled socket that is kept up: it dials, shakes hands, listens, and
 * after a failure dials again with doubling pauses and jitter, so that the subscribers of an engine
 * that restarts do not all come back at once. Time comes by `tick`; it has no timers.
 */
import type { Rng } from "../grid/effects.ts";
import type { Dial, TcpLink } from "../grid/tcp.ts";
import type { Millis } from "../grid/units.ts";
import { ZmtpConnection, ZmtpError, type ZmtpType } from "./zmtp.ts";

export interface ZmtpAddress {
  host: string;
  port: number;
}

export interface LinkHandler {
  /** The handshake is done. */
  onReady(link: ZmtpLink): void;
  onMessage(frames: Uint8Array[]): void;
  /** It failed, or could not be had at all. */
  onLost(why: string): void;
}

export interface LinkEffects {
  dial: Dial;
  rng: Rng;
  /** Now: bytes come between ticks. */
  clock(): Millis;
}

/** A local engine is back within a second of its port; a far one costs a packet a second. */
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 1_000;
const CONNECT_MS = 5_000;

export class ZmtpLink {
  isReady = false;
  private readonly address: ZmtpAddress;
  private readonly type: ZmtpType;
  private readonly effects: LinkEffects;
  private readonly handler: LinkHandler;
  /** False: one try, then it is over. */
  private readonly keepUp: boolean;
  private socket: TcpLink | undefined;
  private zmtp: ZmtpConnection | undefined;
  private dialledMs: Millis = 0;
  private retryAtMs: Millis | undefined;
  private pauseMs = PAUSE_MIN_MS;
  private isClosed = false;

  constructor(
    address: ZmtpAddress,
    type: ZmtpType,
    effects: LinkEffects,
    handler: LinkHandler,
    keepUp: boolean,
  ) {
    this.address = address;
    this.type = type;
    this.effects = effects;
    this.handler = handler;
    this.keepUp = keepUp;
    this.dial();
  }

  send(frames: readonly Uint8Array[]): void {
    this.zmtp?.send(frames);
  }

  subscribe(topic: Uint8Array): void {
    this.zmtp?.subscribe(topic);
  }

  tick(nowMs: Millis): void {
    if (this.isClosed) return;
    if (this.retryAtMs !== undefined) {
      if (nowMs >= this.retryAtMs) this.dial();
    } else if (this.zmtp !== undefined) {
      this.guard(() => this.zmtp?.tick(nowMs));
    } else if (nowMs - this.dialledMs >= CONNECT_MS) {
      this.lost(`no connection within ${CONNECT_MS} ms`);
    }
  }

  close(): void {
    this.isClosed = true;
    this.isReady = false;
    this.socket?.close();
  }

  private dial(): void {
    const { host, port } = this.address;
    this.retryAtMs = undefined;
    this.dialledMs = this.effects.clock();
    this.socket = this.effects.dial(host, port, {
      onOpen: () => this.opened(),
      onData: (bytes) => this.guard(() => this.zmtp?.receive(bytes, this.effects.clock())),
      onClose: (why) => this.lost(why),
    });
  }

  private opened(): void {
    const handler = {
      write: (bytes: Uint8Array) => this.socket?.write(bytes),
      ready: () => {
        this.isReady = true;
        this.pauseMs = PAUSE_MIN_MS;
        this.handler.onReady(this);
      },
      message: (frames: Uint8Array[]) => {
        if (!this.isClosed) this.handler.onMessage(frames);
      },
    };
    this.zmtp = new ZmtpConnection(this.type, handler, this.effects.clock());
  }

  /** What the peer does wrong ends the connection; what we do wrong must be seen. */
  private guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof ZmtpError)) throw error;
      this.socket?.close();
      this.lost(error.message);
    }
  }

  private lost(why: string): void {
    if (this.isClosed) return;
    this.socket?.close();
    this.isReady = false;
    this.zmtp = undefined;
    if (this.keepUp) {
      const random = this.effects.rng() / 0x1_0000_0000;
      this.retryAtMs = this.effects.clock() + this.pauseMs * (0.5 + random);
      this.pauseMs = Math.min(this.pauseMs * 2, PAUSE_MAX_MS);
    } else this.isClosed = true;
    this.handler.onLost(why);
  }
}
