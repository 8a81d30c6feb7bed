/** Node's exchange on real sockets: how a body is taken, and how chunks go out, byte for byte. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NodeExchange } from "../../edge/node-exchange.ts";
import { BoundedRoom } from "../../src/admission/body-room.ts";
import type { GridError } from "../../src/grid/errors.ts";
import { eventually } from "./pop-process.ts";

const LIMIT_BYTES = 100;
const TIMEOUT_MS = 300;
/** For bodies that come in pieces: one and a half of the longest. */
const room = new BoundedRoom(() => 150);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

let server: Server;
let port: number;

/** Says the body back in two chunks, the second with the end. */
async function echo(exchange: NodeExchange): Promise<void> {
  try {
    if (exchange.path === "/late") return await count(exchange);
    const body = await exchange.body(LIMIT_BYTES, TIMEOUT_MS, room);
    exchange.head(200, { "content-type": "text/plain" });
    exchange.write(body);
    exchange.write(new Uint8Array(0));
    exchange.end(bytes("end"));
  } catch (error) {
    exchange.head(400, { "content-length": "0", "x-code": (error as GridError).code });
    exchange.end();
  }
}

/** Asks for the body when all of it has come. */
async function count(exchange: NodeExchange): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 30));
  const { byteLength } = await exchange.body(1_000_000, TIMEOUT_MS);
  exchange.head(200, { "content-type": "text/plain" });
  exchange.end(bytes(`length ${byteLength}`));
}

beforeAll(async () => {
  server = createServer((incoming, outgoing) => void echo(new NodeExchange(incoming, outgoing)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
});

afterAll(() => server.close());

/** A connection, and what it has heard up to a text. */
function dial(): { socket: Socket; until(text: string): Promise<string> } {
  const socket = connect(port, "127.0.0.1");
  let heard = "";
  socket.on("data", (part) => {
    heard += String(part);
  });
  const until = async (text: string): Promise<string> => {
    while (!heard.includes(text)) await once(socket, "data");
    const whole = heard;
    heard = "";
    return whole;
  };
  return { socket, until };
}

const bodyOf = (answer: string): string => answer.slice(answer.indexOf("\r\n\r\n") + 4);
const post = (length: number, body: string, version = "1.1"): string =>
  `POST / HTTP/${version}\r\nhost: pop\r\ncontent-length: ${length}\r\n\r\n${body}`;

test("a body in one piece and one in parts; the connection goes on", async () => {
  const { socket, until } = dial();
  socket.write(post(5, "hello"));
  expect(bodyOf(await until("0\r\n\r\n"))).toBe("5\r\nhello\r\n3\r\nend\r\n0\r\n\r\n");
  socket.write(post(12, "hello "));
  setTimeout(() => socket.write("world!"), 20);
  expect(bodyOf(await until("0\r\n\r\n"))).toBe("c\r\nhello world!\r\n3\r\nend\r\n0\r\n\r\n");
  socket.write(post(0, ""));
  expect(bodyOf(await until("0\r\n\r\n"))).toBe("3\r\nend\r\n0\r\n\r\n");
  socket.destroy();
});

// All of it is there before it is asked for, in more pieces than one.
test.each([
  ["66 KB", [66_000], ""],
  ["100 KB", [100_000], ""],
  ["125 KB", [125_000], ""],
  ["three chunks in one segment", [5, 7, 9], "chunked"],
  ["chunks of 30 KB", [30_000, 30_000, 30_000], "chunked"],
])("a body that waits: %s", async (_, sizes, chunked) => {
  const pieces = sizes.map((size, n) => String(n).repeat(size));
  const framing = chunked ? "transfer-encoding: chunked" : `content-length: ${sizes[0]}`;
  const body = chunked
    ? `${pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join("")}0\r\n\r\n`
    : (pieces[0] as string);
  const { socket, until } = dial();
  socket.write(`POST /late HTTP/1.1\r\nhost: pop\r\n${framing}\r\n\r\n${body}`);
  const length = sizes.reduce((sum, size) => sum + size, 0);
  expect(bodyOf(await until("0\r\n\r\n"))).toContain(`length ${length}`);
  socket.destroy();
});

test("HTTP/1.0 has no chunks", async () => {
  const { socket, until } = dial();
  socket.write(post(5, "hello", "1.0"));
  const closed = once(socket, "close");
  const answer = await until("end");
  await closed;
  expect(answer).not.toContain("Transfer-Encoding");
  expect(bodyOf(answer)).toBe("helloend");
});

test.each([
  ["promised too long", post(LIMIT_BYTES + 1, ""), "payload_too_large"],
  [
    "chunked, in one piece and too long",
    "POST / HTTP/1.1\r\nhost: pop\r\ntransfer-encoding: chunked\r\n\r\n" +
      `c8\r\n${"x".repeat(200)}\r\n0\r\n\r\n`,
    "payload_too_large",
  ],
  ["too slow", post(5, "he"), "request_timeout"],
])("a body that is %s", async (_, request, code) => {
  const { socket, until } = dial();
  socket.write(request);
  expect(await until("\r\n\r\n")).toContain(`x-code: ${code}`);
  socket.destroy();
});

test("bodies that drip take room together, and give it back however they end", async () => {
  const [first, second, third] = [dial(), dial(), dial()];
  first.socket.write(post(90, "x"));
  await eventually("it is read", () => room.bytes === 1);
  first.socket.write("x".repeat(79));
  await eventually("it is read", () => room.bytes === 80);
  second.socket.write(post(90, "y"));
  await eventually("both are", () => room.bytes === 81);
  second.socket.write("y".repeat(79));
  expect(await second.until("\r\n\r\n")).toContain("x-code: saturated");
  await eventually("the second's is free", () => room.bytes === 80);
  first.socket.write("x".repeat(10));
  await first.until("0\r\n\r\n");
  await eventually("the first's, too", () => room.bytes === 0);
  third.socket.write(post(90, "z"));
  await eventually("it is read", () => room.bytes === 1);
  third.socket.destroy();
  await eventually("who left holds none", () => room.bytes === 0);
  for (const { socket } of [first, second]) socket.destroy();
});
