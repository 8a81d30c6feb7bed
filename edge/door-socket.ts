/**
 * A door's socket on what the runtime has: `ws` on Node, the standard WebSocket of a server in
 * Deno and workerd. Only the standard part is used, and `ping` and `terminate` where they exist;
 * without `ping` a silent client cannot be told from a dead one, and the runtime's own rule counts.
 */
import {
  type DoorSocket,
  SOCKET_CLOSE,
  type SocketListener,
  type SocketTerms,
} from "../src/grid/socket.ts";

/** The part of a WebSocket that is used. */
export interface RawSocket {
  binaryType: string;
  readonly protocol: string;
  readonly readyState: number;
  /** Missing in workerd. */
  readonly bufferedAmount?: number;
  send(message: string | ArrayBufferView<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  ping?(): void;
  terminate?(): void;
}

/** With its events, as the standard has them; `onpong` where the adapter hears of it. */
export interface StandardRaw extends RawSocket {
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: unknown;
  onpong?: (() => void) | null;
}

type Opened = (socket: DoorSocket) => SocketListener;

const OPEN = 1;
/** Bytes of a reason that fit into a close frame (RFC 6455, 5.5). */
const REASON_BYTES_MAX = 123;
/** Time for the client to agree to a close. */
const CLOSE_MS = 3_000;
/** WebSockets have no event for "room again"; while somebody waits for it, it is looked at. */
const DRAIN_LOOK_MS = 5;
const encoder = new TextEncoder();

export class StandardSocket implements DoorSocket {
  readonly protocol: string;
  private readonly raw: RawSocket;
  private readonly terms: SocketTerms;
  private listener: SocketListener | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private drain: ReturnType<typeof setTimeout> | undefined;
  private ending: ReturnType<typeof setTimeout> | undefined;
  private heardSinceLook = true;
  private pinged = false;
  private over = false;

  constructor(raw: RawSocket, terms: SocketTerms) {
    this.raw = raw;
    this.terms = terms;
    this.protocol = terms.protocol ?? "";
    raw.binaryType = "arraybuffer";
  }

  /** Before anything can arrive. */
  begin(listener: SocketListener): void {
    this.listener = listener;
    if (this.raw.ping !== undefined) this.lookLater();
  }

  get bufferedBytes(): number {
    return this.raw.bufferedAmount ?? 0;
  }

  get open(): boolean {
    return !this.over && this.ending === undefined && this.raw.readyState === OPEN;
  }

  send(message: string | Uint8Array): boolean {
    if (!this.open) return true;
    const { bufferBytes } = this.terms;
    // Nobody holds back: a client that reads too slowly must not cost without bound. One long
    // message on its own is no offence, however long.
    if (this.bufferedBytes > 2 * bufferBytes) {
      this.cut();
      return false;
    }
    this.raw.send(message as string | Uint8Array<ArrayBuffer>);
    if (this.bufferedBytes <= bufferBytes) return true;
    this.drain ??= setTimeout(this.lookForRoom, DRAIN_LOOK_MS);
    return false;
  }

  close(code: number, reason: string): void {
    if (this.over || this.ending !== undefined) return;
    this.ending = setTimeout(() => this.cut(), CLOSE_MS);
    try {
      this.raw.close(code, fitting(reason));
    } catch {
      this.cut();
    }
  }

  cut(): void {
    if (this.over) return;
    if (this.raw.terminate !== undefined) this.raw.terminate();
    else this.raw.close();
    this.ended(SOCKET_CLOSE.abnormal, "");
  }

  /** The adapter calls these. */
  received(data: unknown): void {
    this.heard();
    if (this.over || this.ending !== undefined) return;
    if (typeof data !== "string") {
      const bytes = new Uint8Array(data as ArrayBuffer);
      if (bytes.byteLength > this.terms.messageBytes) return this.tooBig();
      return this.listener?.onBinary(bytes);
    }
    // Up to three bytes per unit; only what may be too long is counted exactly.
    const { messageBytes } = this.terms;
    const long = data.length * 3 > messageBytes && encoder.encode(data).length > messageBytes;
    if (long) this.tooBig();
    else this.listener?.onText(data);
  }

  /** A pong, too, says that the client lives. */
  heard(): void {
    this.heardSinceLook = true;
  }

  ended(code: number, reason: string): void {
    if (this.over) return;
    this.over = true;
    for (const timer of [this.silence, this.drain, this.ending]) clearTimeout(timer);
    this.listener?.onClose(code, reason);
  }

  private tooBig(): void {
    this.close(SOCKET_CLOSE.tooBig, `a message may have ${this.terms.messageBytes} bytes`);
  }

  /** Three looks: heard of no more, pinged, cut. */
  private lookLater(): void {
    this.silence = setTimeout(() => {
      if (!this.heardSinceLook && this.pinged) return this.cut();
      this.pinged = !this.heardSinceLook;
      if (this.pinged) this.raw.ping?.();
      this.heardSinceLook = false;
      this.lookLater();
    }, this.terms.silenceMs / 3);
  }

  private readonly lookForRoom = (): void => {
    this.drain = undefined;
    if (!this.open) return;
    if (this.bufferedBytes > this.terms.bufferBytes / 2) {
      this.drain = setTimeout(this.lookForRoom, DRAIN_LOOK_MS);
    } else this.listener?.onDrain();
  };
}

/** All sockets of the doors, so that none outlives the PoP. */
export class OpenSockets {
  private readonly open = new Set<DoorSocket>();

  add(socket: DoorSocket): void {
    this.open.add(socket);
  }

  delete(socket: DoorSocket): void {
    this.open.delete(socket);
  }

  /** Ends all; a client gets `graceMs` to agree. Resolves when none is left. */
  async close(graceMs = 500): Promise<void> {
    for (const socket of this.open) socket.close(SOCKET_CLOSE.goingAway, "the PoP stops");
    const endMs = performance.now() + graceMs;
    while (this.open.size > 0 && performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    for (const socket of this.open) socket.cut();
  }
}

/** Makes an open socket with standard events a door's. */
export function attachDoor(
  raw: StandardRaw,
  terms: SocketTerms,
  opened: Opened,
  sockets: OpenSockets,
): void {
  const socket = new StandardSocket(raw, terms);
  sockets.add(socket);
  raw.onmessage = ({ data }) => socket.received(data);
  raw.onpong = () => socket.heard();
  // What went wrong follows as a close.
  raw.onerror = () => {};
  raw.onclose = ({ code, reason }) => {
    sockets.delete(socket);
    socket.ended(code, reason);
  };
  socket.begin(opened(socket));
}

/** Cut at a character, not within one. */
export function fitting(reason: string): string {
  const { read } = encoder.encodeInto(reason, new Uint8Array(REASON_BYTES_MAX));
  return reason.slice(0, read);
}

/** What a client offers in `sec-websocket-protocol`. */
export function offeredProtocols(header: string | undefined): string[] {
  const names = (header ?? "").split(",").map((name) => name.trim());
  return names.filter((name) => name !== "");
}
