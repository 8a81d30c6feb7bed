/**
 * One small buffered request over the push Transport: probes and polls. Both bounds are hard: a
 * peer that sends too much or too slowly is cut off, since a poller must never hold memory or a
 * connection on behalf of a sick engine.
 */
import { GridError } from "../grid/errors.ts";
import type {
  Headers,
  OutCall,
  OutHandler,
  OutRequest,
  SmallResponse,
  Transport,
} from "../grid/exchange.ts";
import type { Millis } from "../grid/units.ts";
import { platformTimers, type Timers } from "./timers.ts";

export interface SmallRequestOptions {
  /** From the call to the last byte, ms. */
  timeoutMs: Millis;
  /** Largest body, bytes. */
  limitBytes: number;
  timers?: Timers;
}

class Collector implements OutHandler {
  status = 0;
  headers: Headers = {};
  bytes = 0;
  readonly chunks: Uint8Array[] = [];
  private readonly limitBytes: number;
  private readonly settle: (error: GridError | undefined) => void;
  private readonly overflow: () => void;

  constructor(
    limitBytes: number,
    settle: (error: GridError | undefined) => void,
    overflow: () => void,
  ) {
    this.limitBytes = limitBytes;
    this.settle = settle;
    this.overflow = overflow;
  }

  onHead(status: number, headers: Headers): void {
    this.status = status;
    this.headers = headers;
  }

  onData(chunk: Uint8Array): boolean {
    this.bytes += chunk.length;
    if (this.bytes > this.limitBytes) this.overflow();
    else this.chunks.push(chunk);
    return true;
  }

  onEnd(): void {
    this.settle(undefined);
  }

  onError(error: GridError): void {
    this.settle(error);
  }
}

function join(chunks: Uint8Array[], bytes: number): Uint8Array {
  if (chunks.length === 1) return chunks[0];
  const body = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

/**
 * Sends a request and collects the answer, whatever its status.
 * @throws GridError connect_failed, connect_timeout, disconnected, `total_timeout` (not answered in
 *   time), `bad_response` (body over the limit)
 */
export function requestSmall(
  transport: Transport,
  request: OutRequest,
  options: SmallRequestOptions,
): Promise<SmallResponse> {
  const timers = options.timers ?? platformTimers;
  const what = `${request.method} ${request.origin}${request.path}`;
  return new Promise((resolve, reject) => {
    let call: OutCall | undefined;
    const fail = (code: "total_timeout" | "bad_response", why: string) =>
      call?.abort(new GridError(code, `${what}: ${why}`, { source: "endpoint" }));
    const settle = (error: GridError | undefined) => {
      timers.clearTimeout(timer);
      if (error !== undefined) reject(error);
      else {
        const { status, headers, chunks, bytes } = collector;
        resolve({ status, headers, body: join(chunks, bytes) });
      }
    };
    const collector = new Collector(options.limitBytes, settle, () =>
      fail("bad_response", `the body is larger than ${options.limitBytes} bytes`),
    );
    const timer = timers.setTimeout(
      () => fail("total_timeout", `no complete answer within ${options.timeoutMs} ms`),
      options.timeoutMs,
    );
    call = transport.send(request, collector);
  });
}
