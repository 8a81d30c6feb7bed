/** TCP on Bun's own sockets, without the streams of `node:net` above them. */
import { TCP_KEEP_ALIVE_MS, type TcpHandler, type TcpSocket } from "./tcp.ts";

interface RawSocket {
  data: BunTcp;
  /** Bytes taken; -1 when it is closed. */
  write(bytes: Uint8Array, from: number, size: number): number;
  pause(): void;
  resume(): void;
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean, firstMs: number): void;
  terminate(): void;
}

declare const Bun: {
  connect(options: {
    hostname: string;
    port: number;
    data: BunTcp;
    socket: Record<string, (socket: RawSocket, what: never) => void>;
  }): Promise<unknown>;
};

class BunTcp implements TcpSocket {
  private readonly handler: TcpHandler;
  private raw: RawSocket | undefined;
  private over = false;
  /** Written, but not taken yet. */
  private readonly rest: Uint8Array[] = [];

  constructor(handler: TcpHandler) {
    this.handler = handler;
  }

  get drained(): boolean {
    return this.rest.length === 0;
  }

  write(bytes: Uint8Array, size: number = bytes.byteLength): void {
    const taken = this.rest.length > 0 ? 0 : this.put(bytes, size);
    if (taken < size) this.rest.push(bytes.slice(taken, size));
  }

  pause(): void {
    this.raw?.pause();
  }

  resume(): void {
    this.raw?.resume();
  }

  close(): void {
    this.over = true;
    this.rest.length = 0;
    this.raw?.terminate();
  }

  opened(raw: RawSocket): void {
    if (this.over) return raw.terminate();
    this.raw = raw;
    raw.setNoDelay(true);
    raw.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    this.handler.onOpen();
  }

  came(bytes: Buffer): void {
    if (!this.over) this.handler.onData(bytes);
  }

  ended(): void {
    if (!this.over) this.handler.onEnd();
  }

  closed(error?: Error): void {
    if (this.over) return;
    this.over = true;
    this.handler.onClose(error);
  }

  drain(): void {
    const { rest } = this;
    while (rest.length > 0) {
      const first = rest[0] as Uint8Array;
      const taken = this.put(first, first.byteLength);
      if (taken < first.byteLength) {
        rest[0] = first.subarray(taken);
        return;
      }
      rest.shift();
    }
  }

  private put(bytes: Uint8Array, size: number): number {
    return Math.max(0, this.raw?.write(bytes, 0, size) ?? 0);
  }
}

/** For all sockets: each has what it is about in `data`. */
const HANDLERS = {
  open: (raw: RawSocket) => raw.data.opened(raw),
  data: ({ data }: RawSocket, bytes: Buffer) => data.came(bytes),
  drain: ({ data }: RawSocket) => data.drain(),
  end: ({ data }: RawSocket) => data.ended(),
  close: ({ data }: RawSocket, error?: Error) => data.closed(error),
  error: ({ data }: RawSocket, error: Error) => data.closed(error),
};

export function connectBun(hostname: string, port: number, handler: TcpHandler): TcpSocket {
  const socket = new BunTcp(handler);
  const connecting = Bun.connect({ hostname, port, data: socket, socket: HANDLERS });
  connecting.catch((error: Error) => socket.closed(error));
  return socket;
}
