/**
 * Our ZMTP against libzmq itself: the `zeromq` package publishes in vLLM's exact layout (PUB and a
 * ROUTER for replay, distributed/kv_events.py), both encodings, int and bytes hashes, both replay
 * framings; and it subscribes to the emulated engine's publisher.
 */
import { encode } from "@msgpack/msgpack";
import { afterEach, expect, test } from "vitest";
import * as zmq from "zeromq";
import { KvPublisher } from "../../edge/engine/kv-publisher.ts";
import { dialNode } from "../../edge/tcp-node.ts";
import { BlockTable } from "../../src/kv/block-table.ts";
import { KvSource } from "../../src/kv/source.ts";

const IDS = Array.from({ length: 16 }, (_, at) => at);
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const bytes8 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

async function eventually(what: string, found: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!found()) {
    if (performance.now() > end) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** vLLM's ZmqEventPublisher. `framing`: with the topic in replays (newer) or without. */
class LibzmqPublisher {
  readonly pub = new zmq.Publisher();
  readonly router = new zmq.Router();
  private readonly buffer: [bigint, Uint8Array][] = [];
  private next = 0n;
  private readonly topic: string;
  private readonly framing: "topic" | "bare";

  constructor(topic: string, framing: "topic" | "bare") {
    this.topic = topic;
    this.framing = framing;
  }

  async start(): Promise<{ url: string; replay: string }> {
    await this.pub.bind("tcp://127.0.0.1:*");
    await this.router.bind("tcp://127.0.0.1:*");
    void this.serve();
    closers.push(() => {
      this.pub.close();
      this.router.close();
    });
    return { url: this.pub.lastEndpoint as string, replay: this.router.lastEndpoint as string };
  }

  async send(events: unknown[], isLost = false): Promise<void> {
    const payload = encode([Date.now() / 1000, events, 0], { useBigInt64: true });
    const sequence = this.next++;
    this.buffer.push([sequence, payload]);
    if (!isLost) await this.pub.send([this.topic, bytes8(sequence), payload]);
  }

  private async serve(): Promise<void> {
    for await (const [id, empty, start] of this.router) {
      const from = (start as Buffer).readBigInt64BE();
      const topic = this.framing === "topic" ? [this.topic] : [];
      for (const [sequence, payload] of this.buffer) {
        if (sequence < from) continue;
        await this.router.send([id, empty, ...topic, bytes8(sequence), payload] as Buffer[]);
      }
      await this.router.send([id, empty, ...topic, bytes8(-1n), ""] as Buffer[]);
    }
  }
}

function follow(urls: { url: string; replay?: string | undefined }, topic: string) {
  const held = new Set<string>();
  const table = new BlockTable({
    onHeld: (low, high) => held.add(`${low}.${high}`),
    onGone: (low, high) => held.delete(`${low}.${high}`),
    onBlockSize: () => {},
  });
  const place = (url: string) => ({ host: "127.0.0.1", port: Number(new URL(url).port) });
  const address = {
    events: place(urls.url),
    replay: urls.replay === undefined ? undefined : place(urls.replay),
    topic,
  };
  const clock = () => performance.now();
  const effects = { dial: dialNode, rng: () => 0, clock };
  const listener = { onReset: () => {}, onNews: () => {} };
  const source = new KvSource(0, address, table, effects, listener);
  const timer = setInterval(() => source.tick(clock()), 20);
  closers.push(() => {
    clearInterval(timer);
    source.close();
  });
  return { source, held };
}

const sha = (last: number) => Uint8Array.from({ length: 32 }, (_, at) => (at === 31 ? last : at));
const map = (hash: unknown, parent: unknown) => ({
  type: "BlockStored",
  block_hashes: [hash],
  parent_block_hash: parent,
  token_ids: IDS,
  block_size: 16,
  lora_id: null,
  medium: "GPU",
  lora_name: null,
  extra_keys: [null],
  group_idx: 0,
  kv_cache_spec_kind: "full_attention",
});
const array = (hash: unknown, parent: unknown) => [
  "BlockStored",
  [hash],
  parent,
  IDS,
  16,
  null,
  "GPU",
];

test.each([
  ["maps and bytes, topic in replays", "topic", map, (n: number) => sha(n)],
  ["arrays and ints above 2^63, bare replays", "bare", array, (n: number) => 2n ** 63n + BigInt(n)],
] as const)("%s: live, lost, replayed, removed", async (_, framing, stored, hash) => {
  const publisher = new LibzmqPublisher("kv-events", framing);
  const urls = await publisher.start();
  await publisher.send([stored(hash(1), null)]);
  const { source, held } = follow(urls, "kv");
  await eventually("what was before", () => held.size === 1);
  await publisher.send([stored(hash(2), hash(1))]);
  await eventually("a live one", () => held.size === 2);
  await publisher.send([stored(hash(3), hash(2))], true);
  await publisher.send([stored(hash(4), hash(3))]);
  await eventually("the lost one", () => held.size === 4);
  expect(source.trust).toBe("whole");
  expect(source.feed.counters).toMatchObject({ gaps: 1, missed: 1, resets: 0 });
  expect(source.table.orphans).toBe(0);
  const removal =
    framing === "topic"
      ? { type: "BlockRemoved", block_hashes: [hash(4)], medium: "GPU", group_idx: 0 }
      : ["BlockRemoved", [hash(4)], "GPU"];
  await publisher.send([removal]);
  await eventually("the removal", () => held.size === 3);
});

test("a topic that is not ours does not reach us", async () => {
  const publisher = new LibzmqPublisher("other", "topic");
  const { url } = await publisher.start();
  const { source } = follow({ url }, "kv");
  await eventually("the connection", () => source.feed.isConnected);
  for (let n = 0; n < 50; n++) await publisher.send([map(sha(n), null)]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(source.feed.counters.received).toBe(0);
});

test("libzmq's heartbeats are answered: the connection outlives their time-out", async () => {
  const publisher = new LibzmqPublisher("", "topic");
  publisher.pub.heartbeatInterval = 100;
  publisher.pub.heartbeatTimeout = 300;
  const urls = await publisher.start();
  const { source, held } = follow(urls, "");
  await eventually("the connection", () => source.feed.isConnected);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(source.feed.isConnected).toBe(true);
  await publisher.send([map(sha(1), null)]);
  await eventually("an event after it", () => held.size === 1);
});

test("libzmq subscribes to the emulated engine, and asks it for a replay", async () => {
  const options = { host: "127.0.0.1", port: 0, replayPort: 0, topic: "kv", steps: 100 };
  const publisher = new KvPublisher({ ...options, topicInReplay: true });
  await publisher.start();
  closers.push(() => publisher.close());
  const subscriber = new zmq.Subscriber();
  subscriber.connect(publisher.url);
  subscriber.subscribe("kv");
  const request = new zmq.Dealer();
  request.connect(publisher.replayUrl as string);
  closers.push(() => {
    subscriber.close();
    request.close();
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  publisher.publish(Uint8Array.of(1));
  publisher.publish(new Uint8Array(1_000).fill(2));
  const first = await subscriber.receive();
  expect(first.map((frame) => frame.toString("hex"))).toEqual(["6b76", "0000000000000000", "01"]);
  expect((await subscriber.receive())[2]).toHaveLength(1_000);
  await request.send(["", bytes8(1n)]);
  const replayed = await request.receive();
  expect(replayed.map((frame) => frame.length)).toEqual([0, 2, 8, 1_000]);
  expect((await request.receive())[2]?.toString("hex")).toBe("ffffffffffffffff");
});
