/** Node's HTTP or HTTPS server with the bounds of a PoP, and its answer to what is no HTTP. */
import type { Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import { malformed, type PopConfig } from "../src/index.ts";
import { IdleConnections, KEEP_ALIVE_MS } from "./idle-connections.ts";
import { createServer } from "./node-http.ts";
import { isWebSocket } from "./node-upgrade.ts";
import type { TlsPair } from "./tls-files.ts";

const HEADER_BYTES_MAX = 16_384;

/** @param pair given: the server speaks TLS, with this certificate and key */
export function makeServer({ limits }: PopConfig, pair: TlsPair | undefined): Server {
  const { headerTimeoutMs } = limits;
  const options = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: headerTimeoutMs,
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(1_000, headerTimeoutMs),
    keepAliveTimeout: 0,
    noDelay: true,
    shouldUpgradeCallback: isWebSocket,
  };
  const server =
    pair === undefined
      ? createServer(options)
      : createTlsServer({ ...options, ...pair, handshakeTimeout: headerTimeoutMs });
  server.maxConnections = limits.connections;
  server.on("clientError", refuseMalformed);
  void new IdleConnections(server, KEEP_ALIVE_MS);
  return server;
}

/** Resolves when it listens. @throws Error with a code, EADDRINUSE when the port is taken */
export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

/** What the HTTP parser refuses still gets an answer that says why. */
function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const { status, reason, body } = malformed(error.code ?? "", error.message);
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
