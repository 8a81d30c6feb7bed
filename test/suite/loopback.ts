/** Little servers on 127.0.0.1 for the suites, and a handler that remembers what it was told. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import type { GridError } from "../../src/grid/errors.ts";
import type { Headers, OutHandler } from "../../src/grid/exchange.ts";

export interface Loopback {
  origin: string;
  server: net.Server;
  sockets: Set<net.Socket>;
  /** Connections ever accepted. */
  accepted(): number;
  close(): Promise<void>;
}

async function open(server: net.Server): Promise<Loopback> {
  const sockets = new Set<net.Socket>();
  let accepted = 0;
  server.on("connection", (socket: net.Socket) => {
    accepted++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    server,
    sockets,
    accepted: () => accepted,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

export const openHttp = (listener: http.RequestListener): Promise<Loopback> =>
  open(http.createServer({ keepAliveTimeout: 60_000 }, listener));

/** A server of raw bytes: `onRequest` runs once per request head that has come in whole. */
export function openRaw(onRequest: (socket: net.Socket, nth: number) => void): Promise<Loopback> {
  let nth = 0;
  return open(
    net.createServer((socket) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        if (!text.includes("\r\n\r\n")) return;
        text = "";
        onRequest(socket, nth++);
      });
    }),
  );
}

/** Everything a call was told, and promises for the moments that tests wait for. */
export class Recorder implements OutHandler {
  status = 0;
  headers: Headers = {};
  heads = 0;
  ends = 0;
  errors: GridError[] = [];
  bytes = 0;
  chunks: Uint8Array[] = [];
  /** Answer of onData. */
  flowing = true;
  readonly head: Promise<void>;
  readonly firstData: Promise<void>;
  readonly settled: Promise<void>;
  private sawHead: () => void = () => {};
  private sawData: () => void = () => {};
  private settle: () => void = () => {};

  constructor() {
    this.head = new Promise((resolve) => {
      this.sawHead = resolve;
    });
    this.firstData = new Promise((resolve) => {
      this.sawData = resolve;
    });
    this.settled = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  onHead(status: number, headers: Headers): void {
    this.heads++;
    this.status = status;
    this.headers = headers;
    this.sawHead();
  }

  onData(chunk: Uint8Array): boolean {
    this.bytes += chunk.length;
    this.chunks.push(chunk);
    this.sawData();
    return this.flowing;
  }

  onEnd(): void {
    this.ends++;
    this.settle();
  }

  onError(error: GridError): void {
    this.errors.push(error);
    this.settle();
  }

  text(): string {
    return Buffer.concat(this.chunks).toString("utf8");
  }
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));
