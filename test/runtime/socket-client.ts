/** A client of the door's WebSockets that keeps every event until it is asked for. */
import { once } from "node:events";
import { WebSocket } from "ws";

const ANSWER_MS = 10_000;

export type Event = Record<string, never> & { type: string };

export class SocketClient {
  readonly socket: WebSocket;
  readonly events: Event[] = [];
  closed: { code: number; reason: string } | undefined;
  #wake: (() => void) | undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (bytes) => {
      this.events.push(JSON.parse(String(bytes)) as Event);
      this.#wake?.();
    });
    socket.on("close", (code, reason) => {
      this.closed = { code, reason: String(reason) };
      this.#wake?.();
    });
    socket.on("error", () => {});
  }

  /** @param url with ws: or http: */
  static async open(url: string, headers: Record<string, string> = {}): Promise<SocketClient> {
    const socket = new WebSocket(url.replace(/^http/, "ws"), { headers });
    const client = new SocketClient(socket);
    await once(socket, "open");
    return client;
  }

  send(event: object): void {
    this.socket.send(JSON.stringify(event));
  }

  /** Takes events out up to and with the first that fits. */
  async until(fits: (event: Event) => boolean, what = "an event"): Promise<Event[]> {
    const endMs = performance.now() + ANSWER_MS;
    for (;;) {
      const at = this.events.findIndex(fits);
      if (at >= 0) return this.events.splice(0, at + 1);
      if (this.closed !== undefined) throw new Error(`closed with ${this.closed.code}: no ${what}`);
      await this.#next(endMs, what);
    }
  }

  async type(type: string): Promise<Event> {
    return (await this.until((event) => event.type === type, type)).at(-1) as Event;
  }

  async end(): Promise<{ code: number; reason: string }> {
    const endMs = performance.now() + ANSWER_MS;
    while (this.closed === undefined) await this.#next(endMs, "close");
    return this.closed;
  }

  #next(endMs: number, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const missing = `no ${what}: ${JSON.stringify(this.events.slice(-3))}`;
      const timer = setTimeout(() => reject(new Error(missing)), endMs - performance.now());
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
