/**
 * The publisher beside the emulated engine: PUB for KV events and ROUTER for their replay, over
 * TCP, as vLLM's ZmqEventPublisher (distributed/kv_events.py). Frames: topic, number (8 bytes,
 * big-endian), payload. A replay answers with an empty frame, the topic where `topicInReplay`
 * (newer vLLM), number and payload, and ends with number -1. What a subscriber does not read in
 * time is dropped for it, as at PUB's high-water mark.
 */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { ZmtpConnection, ZmtpError, type ZmtpType } from "../../src/kv/zmtp.ts";

export interface PublisherOptions {
  host: string;
  /** 0 = any free port. */
  port: number;
  /** Undefined = no replay. */
  replayPort: number | undefined;
  topic: string;
  /** Batches that the replay has. */
  steps: number;
  topicInReplay: boolean;
}

/** Bytes that a subscriber may leave unread before its messages are dropped. */
const UNREAD_MAX = 64 * 1024 * 1024;
const END = -1;
const NO_BYTES = new Uint8Array(0);

interface Peer {
  socket: Socket;
  zmtp: ZmtpConnection;
  topics: string[];
}

export class KvPublisher {
  /** tcp:// addresses, once started. */
  url = "";
  replayUrl: string | undefined;
  private readonly options: PublisherOptions;
  private readonly topic: Uint8Array;
  private readonly peers = new Set<Peer>();
  private servers: Server[] = [];
  private buffer: { sequence: number; payload: Uint8Array }[] = [];
  private next = 0;
  private readonly clock = setInterval(() => this.tick(), 500).unref();

  constructor(options: PublisherOptions) {
    this.options = options;
    this.topic = new TextEncoder().encode(options.topic);
  }

  /** @throws Error when a port is taken */
  async start(): Promise<void> {
    const { host, port, replayPort } = this.options;
    this.url = await this.listen("PUB", host, portOf(this.url) ?? port);
    if (replayPort === undefined) return;
    this.replayUrl = await this.listen("ROUTER", host, portOf(this.replayUrl) ?? replayPort);
  }

  /** `sent: false` loses it on the way; `kept: false` keeps it from the replay. */
  publish(payload: Uint8Array, sent = true, kept = true): void {
    const sequence = this.next++;
    if (kept) this.buffer.push({ sequence, payload });
    if (this.buffer.length > this.options.steps) this.buffer.shift();
    if (!sent) return;
    const message = [this.topic, number8(sequence), payload];
    for (const peer of this.peers) {
      const isWanted = peer.topics.some((topic) => this.options.topic.startsWith(topic));
      if (isWanted && peer.socket.writableLength < UNREAD_MAX) peer.zmtp.send(message);
    }
  }

  /** As a new process on the same ports: connections are cut, numbers start at 0. */
  async restart(downMs: number): Promise<void> {
    await this.stop();
    this.buffer = [];
    this.next = 0;
    if (downMs > 0) await new Promise((resolve) => setTimeout(resolve, downMs));
    await this.start();
  }

  async close(): Promise<void> {
    clearInterval(this.clock);
    await this.stop();
  }

  private async stop(): Promise<void> {
    const closed = this.servers.map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    this.servers = [];
    for (const { socket } of this.peers) socket.resetAndDestroy();
    await Promise.all(closed);
  }

  private async listen(type: ZmtpType, host: string, port: number): Promise<string> {
    const server = createServer({ noDelay: true }, (socket) => this.meet(socket, type));
    this.servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => resolve());
    });
    const address = server.address() as AddressInfo;
    const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
    return `tcp://${name}:${address.port}`;
  }

  private meet(socket: Socket, type: ZmtpType): void {
    const topics: string[] = [];
    const handler = {
      write: (bytes: Uint8Array) => void socket.write(bytes),
      ready: () => {},
      message: (frames: Uint8Array[]) => this.replay(zmtp, frames),
      subscribed: (topic: Uint8Array, on: boolean) => {
        const text = new TextDecoder().decode(topic);
        if (on) topics.push(text);
        else if (topics.includes(text)) topics.splice(topics.indexOf(text), 1);
      },
    };
    const zmtp = new ZmtpConnection(type, handler, performance.now());
    const peer = { socket, zmtp, topics };
    this.peers.add(peer);
    socket.on("data", (bytes: Uint8Array) => {
      this.guard(peer, () => zmtp.receive(bytes, performance.now()));
    });
    socket.on("error", () => {});
    socket.on("close", () => this.peers.delete(peer));
  }

  /** The request: an empty frame from whoever speaks like REQ, then the first number wanted. */
  private replay(zmtp: ZmtpConnection, frames: Uint8Array[]): void {
    const asked = frames[frames.length - 1];
    if (asked.length !== 8) return;
    const view = new DataView(asked.buffer, asked.byteOffset, 8);
    const first = Number(view.getBigInt64(0));
    const { topicInReplay } = this.options;
    const answer = (topic: Uint8Array, sequence: number, payload: Uint8Array) =>
      zmtp.send([NO_BYTES, ...(topicInReplay ? [topic] : []), number8(sequence), payload]);
    for (const { sequence, payload } of this.buffer) {
      if (sequence >= first) answer(this.topic, sequence, payload);
    }
    answer(NO_BYTES, END, NO_BYTES);
  }

  private tick(): void {
    for (const peer of this.peers) this.guard(peer, () => peer.zmtp.tick(performance.now()));
  }

  private guard(peer: Peer, step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof ZmtpError)) throw error;
      peer.socket.destroy();
    }
  }
}

function number8(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value));
  return bytes;
}

function portOf(url: string | undefined): number | undefined {
  return url === undefined || url === "" ? undefined : Number(url.slice(url.lastIndexOf(":") + 1));
}
