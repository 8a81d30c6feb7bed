/**
 * Bun's server sockets in the form of a standard WebSocket: Bun has one set of handlers per server
 * and calls them with the socket; doors and mesh links have handlers per socket.
 */
import type { RawSocket } from "./door-socket.ts";

export interface BunServer {
  readonly port: number;
  upgrade(
    request: Request,
    options: { data: BunSocket; headers?: Record<string, string> },
  ): boolean;
  requestIP(request: Request): { address: string } | null;
  stop(closeActive: boolean): Promise<void>;
}

interface BunRaw {
  data: BunSocket;
  binaryType: string;
  readonly readyState: number;
  getBufferedAmount(): number;
  send(message: string | ArrayBufferView): number;
  close(code?: number, reason?: string): void;
  terminate(): void;
  ping(): number;
}

const CONNECTING = 0;
/** Above every bound of ours: a message beyond Bun's would be dropped without a word. */
const BACKPRESSURE_MAX = 2 ** 30;

export class BunSocket implements RawSocket {
  binaryType = "arraybuffer";
  readonly protocol: string;
  onopen: unknown = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: unknown = null;
  onpong: (() => void) | null = null;
  private readonly opened: (socket: BunSocket) => void;
  private raw: BunRaw | undefined;

  constructor(protocol: string, opened: (socket: BunSocket) => void) {
    this.protocol = protocol;
    this.opened = opened;
  }

  get readyState(): number {
    return this.raw?.readyState ?? CONNECTING;
  }

  get bufferedAmount(): number {
    return this.raw?.getBufferedAmount() ?? 0;
  }

  /** Of Bun's handlers. */
  begin(raw: BunRaw): void {
    raw.binaryType = "arraybuffer";
    this.raw = raw;
    this.opened(this);
  }

  send(message: string | ArrayBufferView): void {
    this.raw?.send(message);
  }

  close(code?: number, reason?: string): void {
    this.raw?.close(code, reason);
  }

  terminate(): void {
    this.raw?.terminate();
  }

  ping(): void {
    this.raw?.ping();
  }
}

/** The `websocket` section of Bun.serve. Silence is judged by doors and gossip, not by Bun. */
export function bunSockets(messageBytesMax: number): Record<string, unknown> {
  return {
    maxPayloadLength: messageBytesMax,
    backpressureLimit: BACKPRESSURE_MAX,
    idleTimeout: 0,
    sendPings: false,
    perMessageDeflate: false,
    open: (raw: BunRaw) => raw.data.begin(raw),
    message: (raw: BunRaw, data: unknown) => raw.data.onmessage?.({ data }),
    pong: (raw: BunRaw) => raw.data.onpong?.(),
    ping: (raw: BunRaw) => raw.data.onpong?.(),
    close: (raw: BunRaw, code: number, reason: string) => raw.data.onclose?.({ code, reason }),
  };
}

/** Bun answers the upgrade itself; its handler then returns nothing. */
export function upgradeBun(server: BunServer, request: Request, data: BunSocket): Response {
  const { protocol } = data;
  const answer = protocol === "" ? undefined : { "sec-websocket-protocol": protocol };
  if (server.upgrade(request, { data, ...(answer && { headers: answer }) }))
    return undefined as never;
  return new Response("The WebSocket handshake is faulty.\n", { status: 400 });
}
