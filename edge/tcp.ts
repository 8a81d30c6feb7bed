/**
 * A TCP connection as a transport wants it. Beside the grid's own seam (`src/grid/tcp.ts`), which
 * is for small messages: a brake, the other side's end, and errors with their codes.
 */

/**
 * After so long without a byte, in a long prefill, the connection is shown to be alive to what is
 * between, ms.
 */
export const TCP_KEEP_ALIVE_MS = 60_000;

/** What came at once, up to here, may lie where the next will: a copy costs less than a place. */
export const SHARED_BYTES_MAX = 4_096;

export interface TcpHandler {
  onOpen(): void;
  /** Up to SHARED_BYTES_MAX of them are there during the call only; more are the receiver's. */
  onData(bytes: Buffer): void;
  /** The other side says no more. */
  onEnd(): void;
  /** Exactly once, also when it never opened; not after `close`. */
  onClose(error?: Error): void;
}

export interface TcpSocket {
  /**
   * Takes all of it, also what the other side does not take yet; keeps no view of it.
   * @param size so many of the bytes, where it is not all
   */
  write(bytes: Uint8Array, size?: number): void;
  /** What was written has been taken by the operating system. */
  readonly drained: boolean;
  /** Reads no more until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends it at once, also before it opened; nothing more is heard. */
  close(): void;
}

/** Starts to connect; never throws. */
export type TcpConnect = (host: string, port: number, handler: TcpHandler) => TcpSocket;
