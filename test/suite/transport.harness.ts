/** What both halves of the transport suite stand on: a fresh transport and servers per test. */
import { afterEach, beforeEach } from "vitest";
import type { OutCall, OutRequest, Transport } from "../../src/grid/exchange.ts";
import { type Loopback, Recorder } from "./loopback.ts";

/** Head of a chunked event stream, as raw bytes. */
export const CHUNKED =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

export const get = (origin: string, more: Partial<OutRequest> = {}): OutRequest => ({
  origin,
  method: "GET",
  path: "/",
  headers: {},
  ...more,
});

export const post = (origin: string, body = "{}"): OutRequest => ({
  origin,
  method: "POST",
  path: "/v1/chat/completions",
  headers: { "content-type": "application/json", "x-request-id": "r1" },
  body: Buffer.from(body),
});

export class TransportHarness {
  transport: Transport;
  private open: Loopback[] = [];

  constructor(make: () => Transport) {
    this.transport = make();
    beforeEach(() => {
      this.transport = make();
      this.open = [];
    });
    afterEach(async () => {
      await this.transport.close();
      await Promise.all(this.open.map((loopback) => loopback.close()));
    });
  }

  /** Keeps a server until the end of the test. */
  readonly keep = async (loopback: Promise<Loopback>): Promise<Loopback> => {
    const server = await loopback;
    this.open.push(server);
    return server;
  };

  readonly send = (
    request: OutRequest,
    recorder = new Recorder(),
  ): { recorder: Recorder; call: OutCall } => ({
    recorder,
    call: this.transport.send(request, recorder),
  });
}
