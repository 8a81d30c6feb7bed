/**
 * A door's WebSocket as the door sees it, on Node: taken or refused, whole messages within their
 * bound, the signal to hold back, silence, and one end however it comes.
 */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { isWebSocket, NodeUpgrades } from "../../edge/node-upgrade.ts";
import { serveNode } from "../../edge/node.ts";
import { parseConfig } from "../../src/index.ts";
import type { Exchange } from "../../src/grid/exchange.ts";
import type { DoorSocket, SocketTerms } from "../../src/grid/socket.ts";
import { eventually } from "./pop-process.ts";

const TERMS: SocketTerms = { messageBytes: 1_000, bufferBytes: 100_000, silenceMs: 300 };

interface Taken {
  socket: DoorSocket;
  heard: string[];
  drains: number;
  closes: [number, string][];
}

let server: Server;
let upgrades: NodeUpgrades;
let base: string;
const taken: Taken[] = [];

/** A door that takes `/socket` with the sub-protocol `grid`, where a key is shown. */
function door(exchange: Exchange): void {
  const { upgrade, headers, path } = exchange;
  if (upgrade === undefined || path !== "/socket" || headers["authorization"] === undefined) {
    exchange.head(401, { "content-type": "application/json" });
    exchange.end(new TextEncoder().encode('{"error":"no key"}'));
    return;
  }
  const protocol = upgrade.protocols.find((name) => name === "grid");
  upgrade.accept({ ...TERMS, protocol }, (socket) => {
    const one: Taken = { socket, heard: [], drains: 0, closes: [] };
    taken.push(one);
    return {
      onText: (text) => {
        one.heard.push(text);
        socket.send(`echo ${text}`);
      },
      onBinary: (bytes) => one.heard.push(`${bytes.length} bytes`),
      onDrain: () => one.drains++,
      onClose: (code, reason) => one.closes.push([code, reason]),
    };
  });
}

beforeAll(async () => {
  server = createServer({ shouldUpgradeCallback: isWebSocket }, (_, answer) => answer.end("plain"));
  upgrades = new NodeUpgrades(server, undefined, door);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  await upgrades.close(50);
  server.closeAllConnections();
  server.close();
});

function dial(path = "/socket", protocols: string[] = [], autoPong = true): WebSocket {
  const headers = { authorization: "Bearer key" };
  return new WebSocket(`ws://${base}${path}`, protocols, { headers, autoPong } as never);
}

/** The door's end of a socket that is open at both. */
async function pair(...args: Parameters<typeof dial>): Promise<[WebSocket, Taken]> {
  const before = taken.length;
  const client = dial(...args);
  await once(client, "open");
  return [client, taken[before]];
}

test("text and bytes arrive whole, and the sub-protocol is the door's choice", async () => {
  const [client, one] = await pair("/socket", ["other", "grid"]);
  expect([client.protocol, one.socket.protocol, one.socket.open]).toEqual(["grid", "grid", true]);
  const answer = once(client, "message");
  client.send("hällo");
  expect(String((await answer)[0])).toBe("echo hällo");
  client.send(new Uint8Array(7));
  await eventually("the bytes", () => one.heard.length === 2);
  expect(one.heard).toEqual(["hällo", "7 bytes"]);
  client.close(1000, "done");
  await eventually("the end", () => one.closes.length > 0);
  expect(one.closes).toEqual([[1000, "done"]]);
  expect(one.socket.open).toBe(false);
});

test("a refusal is an ordinary answer", async () => {
  const client = dial("/elsewhere");
  const [, response] = await once(client, "unexpected-response");
  expect(response.statusCode).toBe(401);
  expect(response.headers.connection).toBe("close");
  let body = "";
  for await (const chunk of response) body += String(chunk);
  expect(body).toBe('{"error":"no key"}');
});

test("without a protocol that the door knows, none is named", async () => {
  const [client] = await pair();
  expect(client.protocol).toBe("");
  client.terminate();
});

test("a message over the bound ends the socket with 1009", async () => {
  const [client, one] = await pair();
  const closed = once(client, "close");
  client.send("x".repeat(1_001));
  expect((await closed)[0]).toBe(1009);
  await eventually("the end", () => one.closes.length > 0);
  expect(one.heard).toEqual([]);
});

test("a client that reads too slowly is said to, and read again it is drained", async () => {
  const [client, one] = await pair();
  client.pause();
  const piece = "x".repeat(20_000);
  let sent = 0;
  while (one.socket.send(piece)) if (++sent > 100_000) throw new Error("never full");
  expect(one.socket.bufferedBytes).toBeGreaterThan(TERMS.bufferBytes);
  expect(one.drains).toBe(0);
  client.resume();
  await eventually("room again", () => one.drains === 1);
  expect(one.socket.send("more")).toBe(true);
  client.terminate();
});

test("a door that does not hold back loses the socket, not its memory", async () => {
  const [client, one] = await pair();
  client.pause();
  const piece = "x".repeat(20_000);
  for (let i = 0; i < 100_000 && one.socket.open; i++) one.socket.send(piece);
  expect(one.closes).toEqual([[1006, ""]]);
  client.terminate();
});

test("a silent client that answers pings stays, one that does not is cut", async () => {
  const [alive, one] = await pair();
  const [dead, other] = await pair("/socket", [], false);
  await eventually("the dead one's end", () => other.closes.length > 0, 2_000);
  expect(other.closes[0][0]).toBe(1006);
  expect(one.closes).toEqual([]);
  expect(one.socket.open).toBe(true);
  alive.terminate();
  dead.terminate();
});

test("the door closes with code and reason, and nothing is sent after it", async () => {
  const [client, one] = await pair();
  const said: string[] = [];
  client.on("message", (data) => said.push(String(data)));
  const closed = once(client, "close");
  one.socket.send("last words");
  one.socket.close(1012, "ü".repeat(200));
  one.socket.send("too late");
  const [code, reason] = await closed;
  expect([code, String(reason)]).toEqual([1012, "ü".repeat(61)]);
  expect(said).toEqual(["last words"]);
  await eventually("the end", () => one.closes.length > 0);
  expect(one.closes).toHaveLength(1);
});

test("a client that vanishes is an end like any other", async () => {
  const [client, one] = await pair();
  client.terminate();
  await eventually("the end", () => one.closes.length > 0);
  expect(one.closes).toEqual([[1006, ""]]);
});

test("a wish for another protocol is no upgrade", async () => {
  const headers = { connection: "upgrade", upgrade: "h2c" };
  const { request } = await import("node:http");
  const outgoing = request(`http://${base}/socket`, { headers }).end();
  const [response] = await once(outgoing, "response");
  expect(response.statusCode).toBe(200);
  response.resume();
});

test("a PoP answers an upgrade that no door takes, and closes while one is open", async () => {
  const parsed = parseConfig({ pop: { id: "test" }, listen: { port: 0 } });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const served = await serveNode(parsed.config, { log: () => {} });
  const client = new WebSocket(`${served.url.replace("http", "ws")}/v1/nothing`);
  const [, response] = await once(client, "unexpected-response");
  expect(response.statusCode).toBe(404);
  let body = "";
  for await (const chunk of response) body += String(chunk);
  expect(JSON.parse(body).error.code).toBe("not_found");
  await served.close();
});

test("closing ends every open socket with 1001", async () => {
  const [client, one] = await pair();
  const closed = once(client, "close");
  await upgrades.close();
  expect((await closed)[0]).toBe(1001);
  expect(one.closes[0][0]).toBe(1001);
});
