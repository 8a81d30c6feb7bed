/**
 * workerd's WebSocket in the form of the standard one: it has events only by `addEventListener`,
 * must be accepted before it works, and does not tell how much is unsent, so a door's `send`
 * never says that a client is slow.
 */
import type { LinkSocket } from "../src/mesh/link.ts";
import { attachDoor, type OpenSockets, type StandardRaw } from "./door-socket.ts";
import type { Dial } from "./fleet.ts";
import type { WebPeer } from "./web.ts";

export interface WorkerdRaw {
  binaryType?: string;
  readonly readyState: number;
  readonly protocol: string | null;
  accept(): void;
  send(message: string | ArrayBufferView): void;
  close(code?: number, reason?: string): void;
  addEventListener(name: string, listener: (event: never) => void): void;
}
declare const WebSocketPair: new () => { 0: WorkerdRaw; 1: WorkerdRaw };

/** 1005 and 1006 say that no code came; nobody may send them. */
const UNSENDABLE = [1005, 1006];

export class WorkerdSocket implements StandardRaw, LinkSocket {
  readonly bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  private readonly raw: WorkerdRaw;
  private readonly agreed: string;
  private closed = false;

  constructor(raw: WorkerdRaw, protocol = "") {
    this.raw = raw;
    this.agreed = protocol;
    raw.addEventListener("open", () => this.onopen?.());
    raw.addEventListener("message", ({ data }: { data: unknown }) => this.onmessage?.({ data }));
    raw.addEventListener("close", (event: { code: number; reason: string }) => {
      this.answerClose(event.code);
      this.onclose?.(event);
    });
    raw.addEventListener("error", () => this.onerror?.());
  }

  get binaryType(): string {
    return this.raw.binaryType ?? "arraybuffer";
  }

  set binaryType(type: string) {
    this.raw.binaryType = type;
  }

  get protocol(): string {
    return this.agreed;
  }

  get readyState(): number {
    return this.raw.readyState;
  }

  send(message: string | ArrayBufferView): void {
    this.raw.send(message);
  }

  close(code?: number, reason?: string): void {
    this.closed = true;
    this.raw.close(code, reason);
  }

  /** A close of the other end is ours to answer. */
  private answerClose(code: number): void {
    if (this.closed) return;
    this.closed = true;
    try {
      this.raw.close(UNSENDABLE.includes(code) ? 1000 : code);
    } catch {
      // Broken already.
    }
  }
}

export const dialWorkerd: Dial = (address) =>
  new WorkerdSocket(new WebSocket(address) as never as WorkerdRaw);

/** The server's end of a new socket, and the answer that carries the client's. */
export function acceptWorkerd(protocol = ""): { socket: WorkerdSocket; response: Response } {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  const headers: Record<string, string> = {};
  if (protocol !== "") headers["sec-websocket-protocol"] = protocol;
  const init = { status: 101, webSocket: client, headers };
  return { socket: new WorkerdSocket(server, protocol), response: new Response(null, init) };
}

/** How a door takes an upgrade here. */
export function takeSocket(sockets: OpenSockets): NonNullable<WebPeer["takeSocket"]> {
  return (terms, opened) => {
    const { socket, response } = acceptWorkerd(terms.protocol);
    attachDoor(socket, terms, opened, sockets);
    return response;
  };
}
