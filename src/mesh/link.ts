/**
 * One socket that carries gossip. Knows the WebSocket of any runtime: frames in as bytes, frames
 * out up to a bound, one end only. What a frame means is the core's business.
 */
import type { LinkId } from "../gossip/context.ts";

/**
 * The part of a WebSocket that is used; `terminate` where the runtime can drop a peer at once. A
 * message's data is an ArrayBuffer or, where that saves a copy, a Uint8Array of it.
 */
export interface LinkSocket {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly readyState: number;
  /** Bytes do not change afterwards. */
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  terminate?(): void;
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
}

export interface LinkListener {
  onUp(link: MeshLink): void;
  onFrame(link: MeshLink, bytes: Uint8Array): void;
  /** Once, however it ended. */
  onDown(link: MeshLink): void;
}

const OPEN = 1;
const CLOSING = 2;
/** Close codes of RFC 6455: done, a message of a kind not taken, too much for us now. */
export const CLOSE = { normal: 1000, kind: 1003, policy: 1008, later: 1013 } as const;

/** Closes a socket that never becomes a link; what goes wrong with it is nobody's business. */
export function turnAway(socket: LinkSocket, reason: string): void {
  socket.onerror = () => undefined;
  socket.close(CLOSE.later, reason);
}

export class MeshLink {
  readonly id: LinkId;
  /** The address that was dialled; undefined when the peer came. */
  readonly address: string | undefined;
  up = false;
  private readonly socket: LinkSocket;
  private readonly listener: LinkListener;
  private over = false;

  constructor(id: LinkId, socket: LinkSocket, address: string | undefined, listener: LinkListener) {
    this.id = id;
    this.address = address;
    this.socket = socket;
    this.listener = listener;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.opened();
    socket.onmessage = (message: { data: unknown }) => this.received(message.data);
    socket.onclose = () => this.end();
    // What went wrong is told to no program by design; the close that follows is what counts.
    socket.onerror = () => this.drop();
  }

  /** A socket that the runtime hands over open says so never again. */
  adopt(): void {
    if (this.socket.readyState === OPEN) this.opened();
    else if (this.socket.readyState >= CLOSING) this.end();
  }

  get buffered(): number {
    return this.socket.bufferedAmount;
  }

  /** False: it would hold more than `most` bytes unsent, or is not open; nothing was sent. */
  send(bytes: Uint8Array, most: number): boolean {
    if (this.over || this.socket.readyState !== OPEN) return false;
    if (this.socket.bufferedAmount + bytes.length > most) return false;
    try {
      this.socket.send(bytes as Uint8Array<ArrayBuffer>);
      return true;
    } catch {
      return false;
    }
  }

  /** Lets what is queued go out first. */
  close(code: number, reason: string): void {
    try {
      this.socket.close(code, reason.slice(0, 100));
    } catch {
      this.drop();
    }
  }

  /** At once, without a word to a peer that does not listen. */
  drop(): void {
    if (this.socket.terminate !== undefined) this.socket.terminate();
    else if (this.socket.readyState < CLOSING) this.socket.close();
    this.end();
  }

  private opened(): void {
    if (this.over || this.up) return;
    this.up = true;
    this.listener.onUp(this);
  }

  private received(data: unknown): void {
    if (this.over) return;
    const bytes = plainBytes(data);
    if (bytes !== undefined) this.listener.onFrame(this, bytes);
    else this.close(CLOSE.kind, "gossip is binary");
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.listener.onDown(this);
  }
}

/** A runtime's own kind of bytes may share memory where a copy is asked for (Node's `slice`). */
function plainBytes(data: unknown): Uint8Array | undefined {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (!(data instanceof Uint8Array)) return undefined;
  if (data.constructor === Uint8Array) return data;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
