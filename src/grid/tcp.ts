/** A plain TCP connection, as the runtime adapter makes it: bytes both ways, nothing else. */

export interface TcpHandler {
  onOpen(): void;
  /** The bytes belong to the runtime: copy what must outlive the call. */
  onData(bytes: Uint8Array): void;
  /** Exactly once, also when it never opened; not after `close`. */
  onClose(why: string): void;
}

export interface TcpLink {
  /** Before `onOpen` nothing may be written. */
  write(bytes: Uint8Array): void;
  /** Ends it at once; nothing more is heard. */
  close(): void;
}

/** Starts to connect; never throws. */
export type Dial = (host: string, port: number, handler: TcpHandler) => TcpLink;
