/**
 * The two seams of bytes, both push: Exchange is one request of a client with the sink for its
 * answer; Transport sends one request to an endpoint. An adapter implements them on what its
 * runtime does cheapest (raw sockets in Node, web streams elsewhere). Headers are lower-case
 * names to one string each; repeated headers are joined with ", ".
 */
import type { GridError } from "./errors.ts";
import type { Upgrade } from "./socket.ts";
import type { Millis } from "./units.ts";

export type Headers = Record<string, string>;

/** What all bodies together may take of the memory. */
export interface BodyRoom {
  /** @throws GridError saturated */
  take(bytes: number): void;
  give(bytes: number): void;
}

export interface Exchange {
  readonly method: string;
  /** Path without query, percent-encoding kept. */
  readonly path: string;
  readonly query: string;
  readonly headers: Headers;
  /** Address of the other end of the connection, where the runtime tells. */
  readonly remoteAddress?: string | undefined;
  /** Where the client asks for a WebSocket: take it, or answer like any other request. */
  readonly upgrade?: Upgrade | undefined;
  /**
   * The whole body, at most `limitBytes`, within `timeoutMs`. Call once. One that does not come in
   * one piece with its head takes room until the exchange is over.
   * @throws GridError payload_too_large, request_timeout, client_gone, saturated
   */
  body(limitBytes: number, timeoutMs: Millis, room?: BodyRoom): Promise<Uint8Array>;
  /** Called at most once, when the client is gone before `end` or `destroy`. One listener. */
  onGone(listener: () => void): void;
  /** Sends status and headers. Once; before any `write`. */
  head(status: number, headers: Headers): void;
  /** Queues bytes. False: buffer is full, wait for `onDrain`. A chunk is not kept by the caller. */
  write(chunk: Uint8Array): boolean;
  /** The one listener for "room again"; replaces an earlier one. */
  onDrain(listener: () => void): void;
  end(chunk?: Uint8Array): void;
  /** Breaks the connection so that the client sees a failure, never a clean end. */
  destroy(error: Error): void;
  readonly headSent: boolean;
  /** True after end, destroy or the client's leaving: nothing more can be sent. */
  readonly closed: boolean;
}

export interface OutRequest {
  /** Scheme, host and port: `http://127.0.0.1:8000`. */
  origin: string;
  method: "GET" | "POST" | "DELETE";
  path: string;
  headers: Headers;
  body?: Uint8Array;
  /** 0 = the transport's default. */
  connectTimeoutMs?: Millis;
  /** It went there just before and found a stale connection: it wants a new one. */
  fresh?: boolean;
  /** And others could serve it: a stale connection is no excuse twice. */
  again?: boolean;
}

/** Called in the order onHead, onData*, then exactly one of onEnd or onError. */
export interface OutHandler {
  onHead(status: number, headers: Headers): void;
  /** False: pause; the call's `resume` starts it again. The chunk is the receiver's. */
  onData(chunk: Uint8Array): boolean;
  onEnd(): void;
  /** connect_failed, connect_timeout, disconnected, or the reason given to abort. */
  onError(error: GridError): void;
}

export interface OutCall {
  /** Ends the call at once and frees the endpoint: the connection is closed. Idempotent. */
  abort(reason: GridError): void;
  resume(): void;
}

export interface Transport {
  send(request: OutRequest, handler: OutHandler): OutCall;
  /** Closes idle connections to an origin that is gone. */
  forget(origin: string): void;
  close(): Promise<void>;
}

/** One small buffered request (probes, polls). */
export interface SmallResponse {
  status: number;
  headers: Headers;
  body: Uint8Array;
}
