/** TCP on `node:net`, read past its streams: into one place for all connections. */
import { connect, type Socket } from "node:net";
import { SHARED_BYTES_MAX, TCP_KEEP_ALIVE_MS } from "./tcp.ts";
import type { TcpConnect, TcpHandler, TcpSocket } from "./tcp.ts";

/** What one read of a connection gets; it is taken out before the next. */
const PLACE = Buffer.allocUnsafeSlow(64 * 1024);

class NetTcp implements TcpSocket {
  private readonly socket: Socket;
  private readonly handler: TcpHandler;
  private error: Error | undefined;
  private over = false;

  constructor(host: string, port: number, handler: TcpHandler) {
    this.handler = handler;
    const callback = (bytes: number): boolean => {
      const came = PLACE.subarray(0, bytes);
      if (!this.over) handler.onData(bytes <= SHARED_BYTES_MAX ? came : Buffer.from(came));
      return true;
    };
    const socket = connect({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      onread: { buffer: PLACE, callback },
    });
    this.socket = socket;
    socket.on("connect", () => this.unlessOver(() => handler.onOpen()));
    socket.on("end", () => this.unlessOver(() => handler.onEnd()));
    socket.on("error", (error) => {
      this.error = error;
    });
    socket.on("close", () => this.closed());
  }

  get drained(): boolean {
    return this.socket.writableLength === 0;
  }

  write(bytes: Uint8Array, size: number = bytes.byteLength): void {
    // Node keeps what the other side does not take yet.
    const own = Buffer.allocUnsafe(size);
    own.set(size === bytes.byteLength ? bytes : bytes.subarray(0, size));
    this.socket.write(own);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  close(): void {
    this.over = true;
    this.socket.destroy();
  }

  private unlessOver(tell: () => void): void {
    if (!this.over) tell();
  }

  private closed(): void {
    if (this.over) return;
    this.over = true;
    this.handler.onClose(this.error);
  }
}

export const connectNet: TcpConnect = (host, port, handler) => new NetTcp(host, port, handler);
