/** A Transport of two: one for `http:`, which is most of what a PoP forwards, one for TLS. */
import type { OutCall, OutHandler, OutRequest, Transport } from "../src/grid/exchange.ts";

export class SplitTransport implements Transport {
  private readonly plain: Transport;
  private readonly secure: Transport;

  /**
   * @param plain for `http:`
   * @param secure for `https:`
   */
  constructor(plain: Transport, secure: Transport) {
    this.plain = plain;
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
