/**
 * The third seam of bytes, push like the others: one WebSocket of a client. A request that asks
 * for one comes to the door as an Exchange with `upgrade`: same routes, same keys, and a refusal
 * is an ordinary answer. Ping and pong, fragments, masks, UTF-8 and the closing handshake are the
 * adapter's; a door sees whole messages and one end.
 *
 *     exchange.upgrade.accept(terms, (socket) => ({ onText, onBinary, onDrain, onClose }))
 */
import type { Millis } from "./units.ts";

export interface SocketTerms {
  /** One of the client's `protocols`, which the answer names; undefined for none. */
  protocol?: string | undefined;
  /** A longer message ends the socket with 1009. */
  messageBytes: number;
  /** Above so much unsent, `send` answers false; sent on above twice as much, it is cut. */
  bufferBytes: number;
  /** A client that is silent is pinged, and cut when it has been silent for so long. */
  silenceMs: Millis;
}

export interface SocketListener {
  onText(text: string): void;
  /** The bytes are the listener's. */
  onBinary(bytes: Uint8Array): void;
  /** Room again after `send` answered false. */
  onDrain(): void;
  /** Once, however it ended; 1006: without a closing handshake. Nothing is called after it. */
  onClose(code: number, reason: string): void;
}

export interface DoorSocket {
  /** As agreed; empty for none. */
  readonly protocol: string;
  /** Queued here and not yet taken by the system. 0 where the runtime does not tell. */
  readonly bufferedBytes: number;
  /** True from the end of the opening handshake to `close`, `cut` or the client's leaving. */
  readonly open: boolean;
  /** Queues one message. False: hold back until `onDrain`. Does nothing when not open. */
  send(message: string | Uint8Array): boolean;
  /** Ends it when all that was sent is out; the client gets some seconds to agree. */
  close(code: number, reason: string): void;
  /** Ends it at once. */
  cut(): void;
}

export interface Upgrade {
  /** Sub-protocols that the client offers, in its order. */
  readonly protocols: readonly string[];
  /**
   * Ends the exchange and makes it a socket; call once, before any `head`. `opened` may run
   * within the call or later, or never, when the client is gone or its handshake is faulty (it
   * is told so).
   */
  accept(terms: SocketTerms, opened: (socket: DoorSocket) => SocketListener): void;
}

/** Close codes of RFC 6455, section 7.4.1, and 1012 of IANA's registry. */
export const SOCKET_CLOSE = {
  normal: 1000,
  /** The PoP drains or stops. */
  goingAway: 1001,
  kind: 1003,
  abnormal: 1006,
  policy: 1008,
  tooBig: 1009,
  internal: 1011,
  restart: 1012,
  later: 1013,
} as const;
