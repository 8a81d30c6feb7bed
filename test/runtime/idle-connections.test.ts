/** Idle connections are closed, and only those. */
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { IdleConnections } from "../../edge/idle-connections.ts";

const IDLE_MS = 80;
const GET = "GET / HTTP/1.1\r\nhost: pop\r\n\r\n";

let server: Server;
const held: ServerResponse[] = [];

beforeAll(async () => {
  server = createServer({ keepAliveTimeout: 0 }, ({ url }, outgoing) => {
    if (url === "/held") held.push(outgoing);
    else outgoing.end("yes");
  });
  server.on("upgrade", (_incoming, socket) => socket.write("HTTP/1.1 101 Yes\r\n\r\n"));
  void new IdleConnections(server, IDLE_MS);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

interface Line {
  socket: Socket;
  closed: boolean;
  ask(text: string): Promise<string>;
}

function dial(): Line {
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const line: Line = {
    socket,
    closed: false,
    ask: async (text) => {
      socket.write(text);
      const [answer] = (await once(socket, "data")) as [Buffer];
      return String(answer);
    },
  };
  socket.on("close", () => {
    line.closed = true;
  });
  return line;
}

const passed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("a connection is closed when it was idle, not while it is used", async () => {
  const line = dial();
  for (let times = 0; times < 5; times++) {
    expect(await line.ask(GET)).toContain("yes");
    await passed(IDLE_MS / 2);
    expect(line.closed).toBe(false);
  }
  await once(line.socket, "close");
});

test("an answer may take its time", async () => {
  const line = dial();
  line.socket.write(GET.replace("/", "/held"));
  await passed(4 * IDLE_MS);
  expect(line.closed).toBe(false);
  held.pop()?.end("late");
  expect(String((await once(line.socket, "data"))[0])).toContain("late");
  await once(line.socket, "close");
});

test("what has become another protocol is left alone", async () => {
  const line = dial();
  await line.ask(GET);
  const upgrade = "upgrade: websocket\r\nconnection: upgrade\r\n\r\n";
  expect(await line.ask(GET.replace("\r\n\r\n", `\r\n${upgrade}`))).toContain("101");
  await passed(4 * IDLE_MS);
  expect(line.closed).toBe(false);
  line.socket.destroy();
});
