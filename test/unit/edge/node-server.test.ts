import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { expect, test } from "vitest";
import { listen, makeServer } from "../../../edge/node-server.ts";
import { parseConfig } from "../../../src/config.ts";

test("connections beyond the limit are closed, and the operator hears of it once", async () => {
  const parsed = parseConfig({ limits: { connections: 2 } });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const lines: unknown[][] = [];
  const server = makeServer(parsed.config, undefined, (...line) => void lines.push(line));
  await listen(server, "127.0.0.1", 0);
  const { port } = server.address() as AddressInfo;
  const open = async () => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  const sockets = [await open(), await open(), await open(), await open()];
  await Promise.all(sockets.slice(2).map((socket) => socket.closed || once(socket, "close")));
  expect(lines).toEqual([["warn", "connections refused", expect.objectContaining({ open: 2 })]]);
  for (const socket of sockets) socket.destroy();
  server.close();
});
