import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type Distance, startDistance } from "../../edge/distance.ts";

const RTT_MS = 60;
let server: Server;
let distance: Distance;

/** A server that does `serve` with each socket, `RTT_MS` away. */
async function away(serve: (socket: Socket) => void): Promise<Socket> {
  server = createServer({ allowHalfOpen: true }, serve);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  distance = await startDistance(
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    RTT_MS,
  );
  return connect({ host: "127.0.0.1", port: Number(new URL(distance.url).port) });
}

afterEach(() => {
  distance.close();
  server.close();
});

async function received(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

test("a question and its answer take a round trip, and arrive whole and in order", async () => {
  const client = await away((socket) => socket.pipe(socket));
  const sent = Buffer.from(Uint32Array.from({ length: 1 << 20 }, (_, index) => index).buffer);
  const startedMs = performance.now();
  client.end(sent);
  expect((await received(client)).equals(sent)).toBe(true);
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(RTT_MS - 1);
});

test("a reset at the far end is a failure here, never a clean end", async () => {
  const client = await away((socket) => {
    socket.once("data", () => socket.resetAndDestroy());
  });
  client.write("x");
  await expect(received(client)).rejects.toThrow(/ECONNRESET/);
});

test("a far end that is not there is a failure too", async () => {
  const client = await away(() => undefined);
  client.destroy();
  server.close();
  const again = connect({ host: "127.0.0.1", port: Number(new URL(distance.url).port) });
  await expect(received(again)).rejects.toThrow(/ECONNRESET/);
});
