/**
 * A Transport that is loaded with its first call, which waits for it. undici brings TLS and HTTP/2
 * with it, and a PoP whose endpoints are all `http:` starts without.
 */
import { GridError } from "../src/grid/errors.ts";
import type { OutCall, OutHandler, OutRequest, Transport } from "../src/grid/exchange.ts";

export class LaterTransport implements Transport {
  private readonly load: () => Promise<Transport>;
  private loading: Promise<Transport> | undefined;
  private loaded: Transport | undefined;
  private closed = false;

  constructor(load: () => Promise<Transport>) {
    this.load = load;
  }

  send(request: OutRequest, handler: OutHandler): OutCall {
    if (this.loaded !== undefined) return this.loaded.send(request, handler);
    const call = new WaitingCall(request, handler);
    this.loading ??= this.closed ? Promise.reject(new Error("it is closed")) : this.load();
    void this.loading.then(
      (transport) => {
        this.loaded = transport;
        call.start(transport);
      },
      (cause: Error) => {
        // The files of the program were taken away, or replaced: the next call looks again.
        this.loading = undefined;
        const why = `the transport for ${request.origin} cannot be loaded: ${cause.message}`;
        call.abort(new GridError("connect_failed", why, { cause }));
      },
    );
    return call;
  }

  forget(origin: string): void {
    this.loaded?.forget(origin);
  }

  async close(): Promise<void> {
    this.closed = true;
    const transport = await this.loading?.catch(() => undefined);
    await transport?.close();
  }
}

/** Until it is sent it can be ended; from then on it is the call that it has become. */
class WaitingCall implements OutCall {
  private readonly request: OutRequest;
  private readonly handler: OutHandler;
  private waiting = true;
  private call: OutCall | undefined;

  constructor(request: OutRequest, handler: OutHandler) {
    this.request = request;
    this.handler = handler;
  }

  start(transport: Transport): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.call = transport.send(this.request, this.handler);
  }

  abort(reason: GridError): void {
    this.call?.abort(reason);
    if (!this.waiting) return;
    this.waiting = false;
    this.handler.onError(reason);
  }

  resume(): void {
    this.call?.resume();
  }
}
