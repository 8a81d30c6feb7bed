import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { NodeLinkSocket } from "../../edge/node-link.ts";

const MESSAGE_BYTES_MAX = 1_000;
const bounds = { perMessageDeflate: false, maxPayload: MESSAGE_BYTES_MAX } as const;
const ended: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

/** What a link heard, as texts, and how it ended. */
interface Heard {
  link: NodeLinkSocket;
  messages: string[];
  closed: Promise<void>;
}

function listen(link: NodeLinkSocket): Heard {
  const messages: string[] = [];
  link.onmessage = ({ data }) => {
    messages.push(typeof data === "string" ? data : Buffer.from(data as Uint8Array).toString());
  };
  const closed = new Promise<void>((resolve) => {
    link.onclose = resolve;
  });
  return { link, messages, closed };
}

/** A server whose sockets become links, and what its first link hears. */
async function startServer() {
  const sockets = new WebSocketServer({ ...bounds, noServer: true });
  const server: Server = createServer();
  const accepted = new Promise<Heard>((resolve) => {
    server.on("upgrade", (request, stream, head) => {
      ended.push(() => stream.destroy());
      sockets.handleUpgrade(request, stream, head, (peer) =>
        resolve(listen(new NodeLinkSocket(peer, stream))),
      );
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ended.push(() => new Promise((resolve) => server.close(resolve)));
  return { port: (server.address() as AddressInfo).port, accepted };
}

const HANDSHAKE = [
  "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
  "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
].join("");

/** A client that writes bytes as they are told. `first`: with the handshake, in one segment. */
async function rawClient(port: number, first: Uint8Array = new Uint8Array()): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  ended.push(() => socket.destroy());
  socket.on("error", () => undefined);
  socket.setNoDelay(true);
  socket.write(Buffer.concat([Buffer.from(HANDSHAKE), first]));
  await once(socket, "data");
  return socket;
}

const OP = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const MASK = [0x11, 0x22, 0x33, 0x44];

function frame(
  opcode: number,
  payload: string | Buffer,
  { fin = true, masked = true, rsv = 0 } = {},
) {
  const bytes = Buffer.from(payload as string);
  const first = (fin ? 0x80 : 0) | rsv | opcode;
  const long = bytes.length > 125;
  const length = long ? [126, bytes.length >> 8, bytes.length & 0xff] : [bytes.length];
  if (masked) length[0] |= 0x80;
  const body = masked ? bytes.map((byte, i) => byte ^ MASK[i % 4]) : bytes;
  return Buffer.concat([Buffer.from([first, ...length, ...(masked ? MASK : [])]), body]);
}

/** Frames of every kind, and the messages that they carry. */
function everyKind(random: () => number): { bytes: Buffer; messages: string[] } {
  const parts: Buffer[] = [];
  const messages: string[] = [];
  for (let i = 0; i < 60; i++) {
    const text = `${i}:${"x".repeat(random() % 3 === 0 ? random() % 600 : random() % 40)}`;
    const kind = random() % 8;
    if (kind === 0) parts.push(frame(OP.ping, "are you there"));
    else if (kind === 1) parts.push(frame(OP.pong, ""));
    else messages.push(text);
    if (kind === 2) parts.push(frame(OP.text, text));
    if (kind === 3 && i > 40) {
      parts.push(frame(OP.binary, text.slice(0, 2), { fin: false }), frame(OP.ping, "between"));
      parts.push(frame(OP.continuation, text.slice(2)));
    } else if (kind > 2) parts.push(frame(OP.binary, text));
  }
  return { bytes: Buffer.concat(parts), messages };
}

/** Small numbers, the same for the same seed. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
}

/** Each as a segment of its own, that the other end has read before the next. */
async function send(client: Socket, parts: readonly Uint8Array[]): Promise<void> {
  for (const part of parts) {
    client.write(part);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const until = async (fine: () => boolean): Promise<void> => {
  for (let i = 0; i < 2_000 && !fine(); i++) await new Promise((resolve) => setTimeout(resolve, 2));
};

test.for([1, 2, 3, 4, 5, 6, 7, 8])(
  "messages of every kind, cut anywhere: seed %i",
  async (seed) => {
    const random = numbers(seed);
    const { port, accepted } = await startServer();
    const { bytes, messages } = everyKind(random);
    const head = seed % 2 === 0 ? random() % 100 : 0;
    const client = await rawClient(port, bytes.subarray(0, head));
    const heard = await accepted;
    for (let at = head; at < bytes.length; ) {
      const size = 1 + (random() % 300);
      client.write(bytes.subarray(at, at + size));
      at += size;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => heard.messages.length >= messages.length);
    expect(heard.messages).toEqual(messages);
    expect(heard.link.readyState).toBe(WebSocket.OPEN);
  },
);

test.for([true, false])("no message is seen in the midst of another: %s", async (withHandshake) => {
  const { port, accepted } = await startServer();
  const seeming = frame(OP.binary, "never said");
  const lead = 200;
  // On the wire, masked, it is a whole frame, and a segment begins with it.
  const hidden = seeming.map((byte, i) => byte ^ (MASK[(lead + i) % 4] as number));
  const message = Buffer.concat([Buffer.alloc(lead, "x"), hidden, Buffer.alloc(50, "y")]);
  const bytes = frame(OP.binary, message);
  const cut = bytes.indexOf(seeming);
  const parts = [bytes.subarray(0, cut), seeming, bytes.subarray(cut + seeming.length)];
  const client = await rawClient(port, withHandshake ? parts.shift() : undefined);
  const heard = await accepted;
  await send(client, [...parts, frame(OP.binary, "behind")]);
  await until(() => heard.messages.length >= 2);
  expect(heard.messages).toEqual([message.toString(), "behind"]);
});

test.for([
  ["a frame that is not masked", frame(OP.binary, "plain", { masked: false })],
  ["a bit of an extension", frame(OP.binary, "odd", { rsv: 0x40 })],
  ["a continuation of nothing", frame(OP.continuation, "rest")],
  ["a message over the bound", frame(OP.binary, "x".repeat(MESSAGE_BYTES_MAX + 1))],
  ["a message within another", frame(OP.binary, "fi", { fin: false })],
] as const)("%s ends the link, behind what was right", async ([, faulty]) => {
  const { port, accepted } = await startServer();
  const client = await rawClient(port);
  const heard = await accepted;
  client.resume();
  const end = once(client, "end");
  await send(client, [frame(OP.binary, "right"), faulty, frame(OP.binary, "late")]);
  await end;
  client.end();
  await heard.closed;
  expect(heard.messages).toEqual(["right"]);
});

test("two links understand each other, also what is long, and end with a word", async () => {
  const { port, accepted } = await startServer();
  const far = new WebSocket(`ws://127.0.0.1:${port}`, bounds);
  const near = listen(new NodeLinkSocket(far));
  await new Promise<void>((resolve) => {
    near.link.onopen = resolve;
  });
  const other = await accepted;
  const said = ["", "a", "b".repeat(125), "c".repeat(126), "d".repeat(900), "e"];
  const bytes = said.map((text) => new TextEncoder().encode(text));
  for (const one of [...bytes, ...bytes]) {
    near.link.send(one);
    other.link.send(one);
  }
  await until(() => near.messages.length + other.messages.length >= 4 * said.length);
  expect(near.messages).toEqual([...said, ...said]);
  expect(other.messages).toEqual([...said, ...said]);
  // What was sent is the caller's own still.
  expect(bytes.map((one) => new TextDecoder().decode(one))).toEqual(said);
  near.link.close(1000, "done");
  await Promise.all([near.closed, other.closed]);
  expect(() => near.link.send(bytes[1])).not.toThrow();
});

test("what comes with the answer to the handshake is the first message", async () => {
  const server = createServer();
  server.on("upgrade", (request, stream) => {
    ended.push(() => stream.destroy());
    const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    const answer = `HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n`;
    const first = frame(OP.binary, "first", { masked: false });
    // The second is cut: its end comes later.
    const second = frame(OP.binary, "second", { masked: false });
    const line = Buffer.from(`${answer}sec-websocket-accept: ${accept}\r\n\r\n`);
    stream.write(Buffer.concat([line, first, second.subarray(0, 4)]));
    setImmediate(() => {
      stream.write(second.subarray(4));
      stream.write(frame(OP.binary, "third", { masked: false }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ended.push(() => new Promise((resolve) => server.close(resolve)));
  const { port } = server.address() as AddressInfo;
  const heard = listen(new NodeLinkSocket(new WebSocket(`ws://127.0.0.1:${port}`, bounds)));
  await until(() => heard.messages.length >= 3);
  expect(heard.messages).toEqual(["first", "second", "third"]);
});

test("what a client sends is masked, each time with another mask", async () => {
  const { port, accepted } = await startServer();
  const far = new WebSocket(`ws://127.0.0.1:${port}`, bounds);
  const link = new NodeLinkSocket(far);
  let written: Buffer[] = [];
  far.once("upgrade", ({ socket }) => {
    const write = socket.write.bind(socket);
    socket.write = ((chunk: Buffer) => {
      written.push(chunk);
      return write(chunk);
    }) as typeof socket.write;
  });
  await new Promise<void>((resolve) => {
    link.onopen = resolve;
  });
  const heard = await accepted;
  written = [];
  for (let i = 0; i < 20; i++) link.send(new TextEncoder().encode("the same"));
  await until(() => heard.messages.length >= 20);
  expect(heard.messages).toEqual(new Array(20).fill("the same"));
  expect(written.every((one) => (one[1] & 0x80) !== 0)).toBe(true);
  expect(new Set(written.map((one) => one.subarray(2, 6).toString("hex"))).size).toBe(20);
});
