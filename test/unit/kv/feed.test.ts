import { encode } from "@msgpack/msgpack";
import { beforeEach, describe, expect, test } from "vitest";
import { FEED_LIMITS, KvFeed, type FeedLimits } from "../../../src/kv/feed.ts";

const bytes8 = (value: number) => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value));
  return bytes;
};
const NONE = new Uint8Array(0);
/** Epoch tells the processes' payloads apart, as their times do. */
const payload = (sequence: number, epoch = 0) => encode([epoch, sequence]);
const END = [NONE, bytes8(-1), NONE];

class World {
  applied: number[] = [];
  resets: string[] = [];
  asked: number[] = [];
  hasReplay = true;
  keeps = false;
  clears = false;
  nowMs = 0;
  readonly feed: KvFeed;

  constructor(limits: Partial<FeedLimits> = {}) {
    const host = {
      apply: (bytes: Uint8Array) => {
        this.applied.push(bytes[bytes.length - 1] as number);
        return this.clears;
      },
      reset: (why: string) => this.resets.push(why),
      survives: () => this.keeps,
      askReplay: (from: number) => {
        if (this.hasReplay) this.asked.push(from);
        return this.hasReplay;
      },
    };
    this.feed = new KvFeed(host, { ...FEED_LIMITS, ...limits });
  }
  live(sequence: number, epoch = 0) {
    this.feed.live([NONE, bytes8(sequence), payload(sequence, epoch)], this.nowMs);
  }
  /** Older vLLM and SGLang: no topic; newer: with. */
  replayed(sequence: number, epoch = 0, topic = false) {
    const frames = [NONE, ...(topic ? [NONE] : []), bytes8(sequence), payload(sequence, epoch)];
    this.feed.replayedMessage(frames, this.nowMs);
  }
  end() {
    this.feed.replayedMessage(END, this.nowMs);
  }
  connect() {
    this.feed.connected(this.nowMs);
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe("in order", () => {
  test("from the start, without anything to replay", () => {
    world.connect();
    expect(world.asked).toEqual([0]);
    world.end();
    world.live(0);
    world.live(1);
    expect(world.applied).toEqual([0, 1]);
    expect(world.feed.isWhole).toBe(true);
  });

  test("a replay that brings nothing at all: nothing was published yet", () => {
    world.connect();
    expect(world.feed.isWhole).toBe(false);
    world.end();
    expect(world.feed.isWhole).toBe(true);
    world.live(4);
    expect(world.asked).toEqual([0, 0]);
    world.end();
    expect(world.applied).toEqual([4]);
    expect(world.feed.isWhole).toBe(false);
  });

  test.each([false, true])("joined late: the replay has all (topic: %s)", (topic) => {
    world.connect();
    world.live(3);
    for (const sequence of [0, 1, 2]) world.replayed(sequence, 0, topic);
    world.end();
    world.live(4);
    expect(world.applied).toEqual([0, 1, 2, 3, 4]);
    expect(world.feed.isWhole).toBe(true);
    expect(world.feed.counters).toMatchObject({ replayed: 3, gaps: 0, resets: 0 });
  });

  test("joined late: the replay's buffer starts later, so the picture is not whole", () => {
    world.connect();
    world.replayed(7);
    world.end();
    world.live(8);
    expect(world.applied).toEqual([7, 8]);
    expect(world.feed.isWhole).toBe(false);
    world.clears = true;
    world.live(9);
    expect(world.feed.isWhole).toBe(true);
  });

  test("what a replay brought and comes once more is no restart", () => {
    world.connect();
    for (const sequence of [0, 1, 2]) world.replayed(sequence);
    world.end();
    for (const sequence of [1, 2, 3]) world.live(sequence);
    expect(world.applied).toEqual([0, 1, 2, 3]);
    expect(world.resets).toEqual([]);
  });
});

describe("losses", () => {
  beforeEach(() => {
    world.connect();
    world.end();
    for (const sequence of [0, 1, 2]) world.live(sequence);
    world.applied.length = 0;
    world.asked.length = 0;
  });

  test("a gap is replayed from the last event applied; later ones wait", () => {
    world.live(5);
    expect(world.asked).toEqual([2]);
    world.live(6);
    for (const sequence of [2, 3, 4, 5]) world.replayed(sequence);
    world.end();
    expect(world.applied).toEqual([3, 4, 5, 6]);
    expect(world.feed.isWhole).toBe(true);
    expect(world.feed.counters).toMatchObject({ gaps: 1, missed: 2, resets: 0 });
  });

  test("a hole in the replay: reset, then on from there", () => {
    world.live(5);
    for (const sequence of [2, 5]) world.replayed(sequence);
    world.end();
    expect(world.resets).toEqual(["gap"]);
    expect(world.applied).toEqual([5]);
    expect(world.feed.isWhole).toBe(false);
  });

  test("the host may keep what it knows, which is then not whole", () => {
    world.keeps = true;
    world.live(5);
    for (const sequence of [2, 5]) world.replayed(sequence);
    world.end();
    expect(world.resets).toEqual([]);
    expect(world.applied).toEqual([5]);
    expect(world.feed.isWhole).toBe(false);
    expect(world.feed.counters.survived).toBe(1);
  });

  test("a replay that falls silent has failed after 2 s; what waited is applied", () => {
    world.live(5);
    world.replayed(2);
    world.feed.tick(1_999);
    expect(world.feed.isSyncing).toBe(true);
    world.feed.tick(2_000);
    expect(world.resets).toEqual(["gap"]);
    expect(world.applied).toEqual([5]);
    expect(world.feed.counters.replayFailures).toBe(1);
  });

  test("nobody to ask: reset at once", () => {
    world.hasReplay = false;
    world.live(5);
    expect(world.resets).toEqual(["gap"]);
    expect(world.applied).toEqual([5]);
  });

  test("a replay that brings nothing new is not asked for again and again", () => {
    world.live(5);
    world.replayed(2);
    world.end();
    expect(world.asked).toEqual([2]);
    expect(world.resets).toEqual(["gap"]);
    expect(world.applied).toEqual([5]);
  });

  test("a last event that was dropped is found when the stream falls quiet, once", () => {
    world.feed.tick(1_499);
    expect(world.asked).toEqual([]);
    world.feed.tick(1_500);
    world.replayed(2);
    world.replayed(3);
    world.end();
    expect(world.applied).toEqual([3]);
    world.feed.tick(10_000);
    expect(world.asked).toEqual([2]);
  });

  test("what waits for a replay has a bound", () => {
    world = new World({ waiting: 3 });
    world.connect();
    world.end();
    world.live(0);
    for (const sequence of [5, 6, 7, 8]) world.live(sequence);
    expect(world.feed.isSyncing).toBe(false);
    expect(world.applied).toEqual([0, 5, 6, 7, 8]);
  });
});

describe("restarts", () => {
  beforeEach(() => {
    world.connect();
    world.end();
    for (const sequence of [0, 1, 2]) world.live(sequence);
    world.applied.length = 0;
    world.asked.length = 0;
  });

  test("a new connection to the same process goes on where it was", () => {
    world.feed.disconnected();
    world.connect();
    for (const sequence of [2, 3]) world.replayed(sequence);
    world.end();
    expect(world.applied).toEqual([3]);
    expect(world.resets).toEqual([]);
    expect(world.feed.isWhole).toBe(true);
  });

  test("a process that does not have our last event is another one", () => {
    world.feed.disconnected();
    world.connect();
    world.end();
    expect(world.resets).toEqual(["restart"]);
    expect(world.asked).toEqual([2, 0]);
    world.replayed(0, 9);
    world.end();
    expect(world.applied).toEqual([0]);
    expect(world.feed.isWhole).toBe(true);
  });

  test("a process that has gone further than we were is told by its bytes", () => {
    world.feed.disconnected();
    world.connect();
    world.replayed(2, 9);
    expect(world.resets).toEqual(["restart"]);
    expect(world.asked).toEqual([2, 0]);
    for (const sequence of [0, 1, 2, 3]) world.replayed(sequence, 9);
    world.end();
    expect(world.applied).toEqual([0, 1, 2, 3]);
  });

  test("numbers that go back on one connection", () => {
    world.live(0, 9);
    expect(world.resets).toEqual(["restart"]);
    world.replayed(0, 9);
    world.end();
    world.live(1, 9);
    expect(world.applied).toEqual([0, 1]);
  });

  test("without a replay: the first number below what is known says it", () => {
    world.hasReplay = false;
    world.feed.disconnected();
    world.connect();
    world.live(0, 9);
    world.live(1, 9);
    expect(world.resets).toEqual(["restart"]);
    expect(world.applied).toEqual([0, 1]);
    expect(world.feed.isWhole).toBe(true);
  });
});

test("messages that are none are passed over", () => {
  world.connect();
  world.end();
  world.feed.live([NONE], 0);
  world.feed.live([NONE, new Uint8Array(7), NONE], 0);
  world.feed.live([NONE, bytes8(-1), NONE], 0);
  world.feed.replayedMessage([NONE, bytes8(0), NONE], 0);
  expect(world.applied).toEqual([]);
  expect(world.feed.counters.received).toBe(0);
});
