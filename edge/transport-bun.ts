/** The Bun transport: its sockets for `http:`, another way where there is TLS. */
import type { OutCall, OutHandler, OutRequest, Transport } from "../src/grid/exchange.ts";
import { connectBun } from "./tcp-bun.ts";
import { TcpTransport } from "./transport-tcp.ts";

export class BunTransport implements Transport {
  private readonly plain = new TcpTransport(connectBun);
  private readonly secure: Transport;

  /** @param secure for `https:` */
  constructor(secure: Transport) {
    this.secure = secure;
  }

  send(request: OutRequest, handler: OutHandler): OutCall {
    return this.of(request.origin).send(request, handler);
  }

  forget(origin: string): void {
    this.of(origin).forget(origin);
  }

  async close(): Promise<void> {
    await Promise.all([this.plain.close(), this.secure.close()]);
  }

  private of(origin: string): Transport {
    return origin.startsWith("http:") ? this.plain : this.secure;
  }
}
