/** Node's HTTP or HTTPS server with the bounds of a PoP, and its answer to what is no HTTP. */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { malformed, type PopConfig } from "../src/index.ts";
import type { Log } from "../src/grid/effects.ts";
import { IdleConnections, KEEP_ALIVE_MS } from "./idle-connections.ts";
import { createServer } from "./node-http.ts";
import { isWebSocket } from "./node-upgrade.ts";
import type { TlsPair } from "./tls-files.ts";

const HEADER_BYTES_MAX = 16_384;

/** While connections are refused for their number it is said so often. */
const FULL_MS = 10_000;

/** @param pair given: the server speaks TLS, with this certificate and key */
export function makeServer({ limits }: PopConfig, pair: TlsPair | undefined, log: Log): Server {
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
      : process
          .getBuiltinModule("node:https")
          .createServer({ ...options, ...pair, handshakeTimeout: headerTimeoutMs });
  server.maxConnections = limits.connections;
  sayWhenFull(server, limits.connections, log);
  server.on("clientError", refuseMalformed);
  void new IdleConnections(server, KEEP_ALIVE_MS);
  return server;
}

/** A refused connection is closed without a word to its client: only here can it be found out. */
function sayWhenFull(server: Server, most: number, log: Log): void {
  let refused = 0;
  server.on("drop", () => {
    if (refused++ > 0) return;
    log("warn", "connections refused", { open: most, hint: "limits.connections are open" });
    setTimeout(() => {
      if (refused > 1) log("warn", "connections refused", { again: refused - 1 });
      refused = 0;
    }, FULL_MS).unref();
  });
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
