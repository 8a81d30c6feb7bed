/**
 * The same seam on fetch, for the runtimes where fetch is the cheapest client (Bun, Deno, workerd).
 * What fetch cannot tell: when the connection stands. So `connectTimeoutMs` has no effect (the
 * platform's own limit counts) and redirects are answers, never followed.
 */
import { GridError } from "../src/grid/errors.ts";
import type { Headers, OutCall, OutHandler, OutRequest, Transport } from "../src/grid/exchange.ts";
import { errorCodeOf, plainHeaders, transportError } from "./transport-errors.ts";

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Failures before a connection stood, in the words of Node, Bun, Deno and workerd. */
const NOT_CONNECTED = new RegExp(
  [
    "ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|CONNECT_TIMEOUT|UND_ERR_INVALID",
    "ConnectionRefused|FailedToOpenSocket|unable to connect",
    "tcp connect error|dns error",
    "bad port|internal error",
  ].join("|"),
  "i",
);

function headersOf(response: Response): Headers {
  // Bun has a quick way of its own.
  const { toJSON } = response.headers as { toJSON?: () => Headers };
  const headers: Headers = toJSON === undefined ? {} : plainHeaders(toJSON.call(response.headers));
  if (toJSON === undefined) {
    for (const [name, value] of response.headers) {
      headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value;
    }
  }
  // fetch has undone the encoding already: these two would describe bytes that are gone.
  if ("content-encoding" in headers) {
    delete headers["content-encoding"];
    delete headers["content-length"];
  }
  return headers;
}

/** An answer that is taken in one piece, which is cheaper than to read it as a stream. */
const WHOLE_BYTES_MAX = 64 * 1024;

function isSmall({ headers }: Response): boolean {
  const length = headers.get("content-length");
  return length !== null && Number(length) <= WHOLE_BYTES_MAX && !headers.has("content-encoding");
}

class FetchCall implements OutCall {
  /** Where it stands in the list of those that run. */
  slot = -1;
  private readonly request: OutRequest;
  private readonly out: OutHandler;
  private readonly controller = new AbortController();
  /** It may go out on a connection that has carried another. */
  private readonly reused: boolean;
  private done = false;
  private headSeen = false;
  private wake: (() => void) | undefined;

  constructor(request: OutRequest, out: OutHandler, reused: boolean) {
    this.request = request;
    this.out = out;
    this.reused = reused;
  }

  /** @param ended it came to its end, and its connection can carry another */
  async run(fetcher: Fetch, ended: () => void): Promise<void> {
    try {
      const { origin, path, method, headers, body } = this.request;
      const response = await fetcher(origin + path, {
        method,
        headers,
        body: body as BodyInit | undefined,
        redirect: "manual",
        signal: this.controller.signal,
      });
      if (this.done) return;
      this.headSeen = true;
      this.out.onHead(response.status, headersOf(response));
      if (isSmall(response)) await this.whole(response);
      else if (response.body !== null) await this.pump(response.body.getReader());
      if (this.done) return;
      this.done = true;
      ended();
      this.out.onEnd();
    } catch (error) {
      this.fail(error);
    }
  }

  private async whole(response: Response): Promise<void> {
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (!this.done && bytes.byteLength > 0) this.out.onData(bytes);
  }

  private async pump(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    while (!this.done) {
      const { done, value } = await reader.read();
      if (done || this.done) return;
      if (!this.out.onData(value)) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
    }
  }

  private fail(error: unknown): void {
    if (this.done) return;
    this.done = true;
    const root = (error as { cause?: unknown }).cause ?? error;
    const text = `${errorCodeOf(root)} ${root instanceof Error ? root.message : String(root)}`;
    const started = this.headSeen || !NOT_CONNECTED.test(text);
    this.controller.abort(error);
    this.out.onError(transportError(root, this.request, started, this.headSeen, this.reused));
  }

  abort(reason: GridError): void {
    if (this.done) return;
    this.done = true;
    this.controller.abort(reason);
    this.resume();
    this.out.onError(reason);
  }

  resume(): void {
    const wake = this.wake;
    this.wake = undefined;
    wake?.();
  }
}

export class FetchTransport implements Transport {
  private readonly fetcher: Fetch;
  /**
   * Those that run. An array with slots, not a Set: JavaScriptCore links every outgrown hash table
   * to its successor, so that a dead one keeps what came after it alive until a full collection.
   */
  private readonly calls: FetchCall[] = [];
  /**
   * Origins whose last call ended well: the platform probably keeps a connection to them. A call
   * that breaks before the head may have found it just closed; the next one will not.
   */
  private readonly kept = new Set<string>();
  private closed = false;

  /** @param fetcher the platform's fetch unless another is given */
  constructor(fetcher: Fetch = (url, init) => fetch(url, init)) {
    this.fetcher = fetcher;
  }

  send(request: OutRequest, handler: OutHandler): OutCall {
    const { origin } = request;
    // The platform's own choice, also for who was told to take a new connection.
    const reused = this.kept.has(origin) || request.fresh === true;
    const call = new FetchCall(request, handler, reused);
    const fetcher = this.closed ? refuse : this.fetcher;
    call.slot = this.calls.push(call) - 1;
    let ended = false;
    const keep = (): void => {
      ended = true;
      this.kept.add(origin);
    };
    void call.run(fetcher, keep).then(() => {
      this.leave(call);
      if (!ended) this.kept.delete(origin);
    });
    return call;
  }

  /** The last takes the place of the one that leaves. */
  private leave({ slot }: FetchCall): void {
    const last = this.calls.pop() as FetchCall;
    if (last.slot === slot) return;
    last.slot = slot;
    this.calls[slot] = last;
  }

  /** The platform owns the idle connections. */
  forget(origin: string): void {
    this.kept.delete(origin);
  }

  async close(): Promise<void> {
    this.closed = true;
    const reason = new GridError("disconnected", "The transport is closed.");
    for (const call of [...this.calls]) call.abort(reason);
  }
}

async function refuse(): Promise<Response> {
  throw new GridError("connect_failed", "The transport is closed.");
}
