import { describe, expect, test } from "vitest";
import { type QueueHost, WaitQueue } from "../../../src/admission/queue.ts";
import { type Decision, EXCLUSIONS } from "../../../src/grid/decision.ts";
import { GridError } from "../../../src/grid/errors.ts";
import type { Task } from "../../../src/task/task.ts";

interface Flight {
  id: string;
  row: number;
}

const LIMITS = {
  ...{ queueLength: 3, queueBytes: 1_000, queueAgeMs: 30_000 },
  ...{ queueWaitMs: 1_000, queueBatchWaitMs: 5_000 },
};
const TOKENS_PER_MS = 10;

/** Two endpoints with one place each; a task names the row it wants, -1 = nobody. */
function grid(limits = LIMITS) {
  const free = [1, 1];
  const waiting = [0, 0];
  const wants = new Map<string, number>();
  const sizes = new Map<string, number>();
  let decisions = 0;
  /** Work that each decision saw waiting before it. */
  const ahead: number[] = [];
  const host: QueueHost<Flight> = {
    decide(task) {
      decisions++;
      const row = wants.get(task.id) ?? 0;
      ahead.push(waiting[row]);
      const excluded = new Uint32Array(EXCLUSIONS.length);
      const uncachedTokens = sizes.get(task.id) ?? 100;
      const waitMs = waiting[row] / TOKENS_PER_MS;
      const ttftMs = waitMs + uncachedTokens / TOKENS_PER_MS;
      return { row, uncachedTokens, waitMs, ttftMs, excluded } as Decision;
    },
    canStart: (row) => free[row] > 0,
    start(task, decision) {
      free[decision.row]--;
      return { id: task.id, row: decision.row };
    },
    waiting(row, tokens) {
      waiting[row] += tokens;
    },
    clearWaiting: () => void waiting.fill(0),
    refuse: () => new GridError("no_endpoint", "nobody"),
    retryAfterS: () => 7,
  };
  const queue = new WaitQueue<Flight>(host, limits);
  const leaves: ((error: GridError) => void)[] = [];
  const turn = (id: string, nowMs = 0, more: Partial<Task> = {}) => {
    const plain = {
      tenant: "t",
      priority: "default",
      sloTtftMs: Number.POSITIVE_INFINITY,
    } as const;
    const own = { arrivedMs: nowMs, tried: [], body: new Uint8Array(10) };
    const task = { id, ...plain, ...own, ...more };
    return queue.turn(task as Task, [], nowMs, (leave) => leaves.push(leave));
  };
  /** Row 0 serves one after the other, and is busy at the end; the order in which they start. */
  const serve = (nowMs: number, stepMs = 0): string[] => {
    const order: string[] = [];
    const { start } = host;
    host.start = (task, decision) => {
      order.push(task.id);
      return start(task, decision);
    };
    for (let at = nowMs; queue.length > 0; at += stepMs) {
      free[0] = 1;
      queue.wake(at);
    }
    host.start = start;
    return order;
  };
  const count = () => decisions;
  return { free, waiting, wants, sizes, queue, turn, leaves, ahead, serve, count, host };
}

describe("the wait queue binds late", () => {
  test("a request whose endpoint is free starts at once, without a promise", () => {
    const { turn } = grid();
    expect(turn("a")).toEqual({ id: "a", row: 0 });
  });

  test("who finds its endpoint busy waits, and is first served when it frees", async () => {
    const { turn, free, queue, waiting } = grid();
    turn("a");
    const b = turn("b");
    const c = turn("c");
    expect(waiting[0]).toBe(200);
    free[0] = 1;
    queue.wake(0);
    expect(await b).toEqual({ id: "b", row: 0 });
    expect(queue.length).toBe(1);
    free[0] = 1;
    queue.wake(0);
    expect(await c).toEqual({ id: "c", row: 0 });
    expect(waiting[0]).toBe(0);
  });

  test("a waiting request sees the work before it, not the work behind", () => {
    const { turn, queue, ahead } = grid();
    for (const id of ["a", "b", "c", "d"]) void turn(id);
    ahead.length = 0;
    queue.wake(0);
    expect(ahead).toEqual([0, 100, 200]);
  });

  test("nobody overtakes those who wait for the same endpoint", async () => {
    const { turn, free, queue } = grid();
    turn("a");
    const b = turn("b");
    free[0] = 1; // freed, but the wake has not come yet
    const c = turn("c");
    expect(c).toBeInstanceOf(Promise);
    queue.wake(0);
    expect(await b).toEqual({ id: "b", row: 0 });
    expect(queue.length).toBe(1);
  });

  test("a waiting request moves to another endpoint when that has become its best", async () => {
    const { turn, wants, queue } = grid();
    turn("a");
    const b = turn("b");
    wants.set("b", 1);
    queue.wake(0);
    expect(await b).toEqual({ id: "b", row: 1 });
  });

  test("beyond its length it refuses with Retry-After and names the limit", () => {
    const { turn } = grid();
    turn("a");
    for (const id of ["b", "c", "d"]) void turn(id);
    expect(() => turn("e")).toThrow(/wait queue is full \(3 requests of priority 'default'\)/);
    try {
      turn("e");
    } catch (error) {
      expect(error).toMatchObject({ code: "saturated", status: 429, retryAfterS: 7 });
    }
  });

  test("waiting has an end", async () => {
    const { turn, queue } = grid();
    turn("a");
    const b = turn("b", 0) as Promise<Flight>;
    const late = turn("c", 500) as Promise<Flight>;
    queue.expire(1000);
    await expect(b).rejects.toMatchObject({ code: "queue_timeout", status: 503 });
    expect(queue.length).toBe(1);
    queue.expire(1500);
    await expect(late).rejects.toMatchObject({ code: "queue_timeout" });
  });

  test("a client that leaves gives its place back at once", async () => {
    const { turn, queue, leaves, waiting } = grid();
    turn("a");
    const b = turn("b") as Promise<Flight>;
    leaves[0](new GridError("client_gone", "left"));
    await expect(b).rejects.toMatchObject({ code: "client_gone" });
    expect(queue.length).toBe(0);
    expect(waiting[0]).toBe(0);
    leaves[0](new GridError("client_gone", "left")); // twice is harmless
    expect(waiting[0]).toBe(0);
  });

  test("when nobody is left to serve it, a waiting request is told so", async () => {
    const { turn, queue, wants } = grid();
    turn("a");
    const b = turn("b") as Promise<Flight>;
    wants.set("b", -1);
    queue.wake(0);
    await expect(b).rejects.toMatchObject({ code: "no_endpoint" });
  });

  test("closing refuses everybody", async () => {
    const { turn, queue, waiting } = grid();
    turn("a");
    const b = turn("b") as Promise<Flight>;
    queue.close(new GridError("draining", "bye"));
    await expect(b).rejects.toMatchObject({ code: "draining" });
    expect(waiting[0]).toBe(0);
  });
});

const WIDE = { ...LIMITS, queueLength: 2_000, queueBytes: 1_000_000, queueWaitMs: 1e9 };

describe("the order of those who wait", () => {
  test("is the response ratio: a small one passes, a large one's turn comes all the same", () => {
    const { turn, sizes, serve, queue } = grid(WIDE);
    turn("running");
    sizes.set("large", 10_000).set("small", 100).set("late", 100);
    void turn("large", 0);
    void turn("small", 1_000);
    // 0.15 per token against 5.
    queue.wake(1_000);
    expect(serve(1_000)).toEqual(["small", "large"]);
    void turn("large", 2_000);
    void turn("late", 62_000, { arrivedMs: 62_000 - 50 });
    // After a minute 6.05 per token against 5.5.
    expect(serve(62_000)).toEqual(["large", "late"]);
  });

  test("puts classes before all else, but nobody waits for ever", () => {
    const { turn, serve, queue } = grid(WIDE);
    turn("running");
    const slow = { sloTtftMs: 1e9 };
    void turn("batch", 0, { priority: "batch" });
    void turn("default", 1, {});
    void turn("interactive", 2, { priority: "interactive", ...slow });
    expect(serve(10)).toEqual(["interactive", "default", "batch"]);
    void turn("old batch", 0, { priority: "batch" });
    for (let n = 0; n < 3; n++) void turn(`default ${n}`, 29_000 + n);
    // Aged into their class, in which it has waited since then: they were there before.
    queue.wake(30_100);
    expect(serve(30_100)).toEqual(["default 0", "default 1", "default 2", "old batch"]);
    void turn("old batch", 0, { priority: "batch" });
    for (let n = 0; n < 3; n++) void turn(`default ${n}`, 40_000 + n);
    expect(serve(40_010)).toEqual(["old batch", "default 0", "default 1", "default 2"]);
  });

  test("serves first what would miss its target, while it can still meet it", () => {
    const { turn, serve, sizes } = grid(WIDE);
    turn("running");
    sizes.set("large", 5_000).set("hopeless", 5_000);
    void turn("hopeless", 0, { sloTtftMs: 700 });
    void turn("large", 0, { sloTtftMs: 2_000 });
    for (let n = 0; n < 3; n++) void turn(`small ${n}`, 1_100);
    // Of the 1,500 ms that it may wait beside 500 of prefill, less than a quarter is left.
    expect(serve(1_200)[0]).toBe("large");
    void turn("hopeless", 0, { sloTtftMs: 700 });
    for (let n = 0; n < 3; n++) void turn(`small ${n}`, 1_100);
    expect(serve(1_200).at(-1)).toBe("hopeless");
  });

  test("gives tenants their turn, however much one of them sends", () => {
    const { turn, serve, sizes, queue } = grid(WIDE);
    turn("running");
    for (let n = 0; n < 200; n++) {
      sizes.set(`flood ${n}`, 1_000);
      void turn(`flood ${n}`, 0, { tenant: "flood" });
    }
    for (let n = 0; n < 5; n++) {
      sizes.set(`other ${n}`, 2_000);
      void turn(`other ${n}`, 1_000, { tenant: "other" });
    }
    expect(queue.length).toBe(205);
    const order = serve(1_100, 100);
    const last = order.findLastIndex((id) => id.startsWith("other"));
    // 10,000 tokens of its own, as many of the other's, and one step of 8,192 between them.
    expect(last).toBeLessThan(10 + 5 + 9 + 3);
    expect(order).toHaveLength(205);
  });

  test("is told to others as the size below which a newcomer passes", () => {
    const { turn, sizes, queue } = grid(WIDE);
    turn("running");
    sizes.set("large", 10_000).set("old", 10_000);
    void turn("large", 4_500);
    void turn("old", 0);
    void turn("batch", 0, { priority: "batch" });
    void turn("interactive", 0, { priority: "interactive", sloTtftMs: 1e9 });
    queue.wake(4_500);
    const told: number[][] = [];
    queue.each((_row, tokens, passedBelow) => told.push([tokens, Math.round(passedBelow)]));
    expect(told).toEqual([
      [100, 0],
      [10_000, 1_000],
      [10_000, 10_000],
      [100, Number.POSITIVE_INFINITY],
    ]);
  });

  test("a newcomer that goes before those who wait for its place starts at once", () => {
    const { turn, free, sizes } = grid(WIDE);
    turn("running");
    sizes.set("large", 100_000);
    void turn("large", 0);
    free[0] = 1; // freed, but the wake has not come yet
    expect(turn("small", 10)).toEqual({ id: "small", row: 0 });
    expect(turn("large too", 11)).toBeInstanceOf(Promise);
  });
});

describe("the wait queue's bounds", () => {
  test("an interactive request is in time or refused at once", () => {
    const { turn, sizes } = grid(WIDE);
    turn("running");
    sizes.set("first", 14_000);
    void turn("first", 0, { priority: "interactive", sloTtftMs: 2_000 });
    // Ratio 500 / 10,000: it goes first and is in time; what is larger would wait behind it.
    sizes.set("fits", 10_000).set("too late", 20_000);
    expect(turn("fits", 0, { priority: "interactive", sloTtftMs: 2_000 })).toBeInstanceOf(Promise);
    const late = { priority: "interactive", sloTtftMs: 2_000 } as const;
    expect(() => turn("too late", 0, late)).toThrow(/take about 4400 ms, more than its target of/);
    try {
      turn("too late", 0, late);
    } catch (error) {
      expect(error).toMatchObject({ code: "saturated", status: 429, retryAfterS: 3 });
    }
    expect(turn("patient", 0, { priority: "default" })).toBeInstanceOf(Promise);
  });

  test("late first tokens make it let fewer in", () => {
    const { turn, sizes, queue } = grid(WIDE);
    turn("running");
    const fast = { priority: "interactive", sloTtftMs: 2_000 } as const;
    const waits = { ...fast, arrivedMs: 0, tried: [] };
    for (let n = 0; n < 10; n++) {
      queue.firstContent({ ...waits, promisedTtftMs: 1_900 } as unknown as Task, 2_300);
    }
    sizes.set("fits no more", 17_000);
    expect(() => turn("fits no more", 0, fast)).toThrow(/take about 1700 ms/);
  });

  test("one class does not fill the queue of another", () => {
    const { turn } = grid();
    turn("running");
    for (let n = 0; n < 3; n++) void turn(`batch ${n}`, 0, { priority: "batch" });
    expect(() => turn("one more", 0, { priority: "batch" })).toThrow(/priority 'batch'/);
    expect(turn("default", 0)).toBeInstanceOf(Promise);
  });

  test("what it holds is bounded in bytes, and given back", async () => {
    const { turn, leaves } = grid();
    turn("running");
    const a = turn("a", 0, { body: new Uint8Array(600) }) as Promise<Flight>;
    expect(() => turn("b", 0, { body: new Uint8Array(600) })).toThrow(/full \(1000 bytes\)/);
    leaves[0](new GridError("client_gone", "left"));
    await expect(a).rejects.toMatchObject({ code: "client_gone" });
    expect(turn("b", 0, { body: new Uint8Array(600) })).toBeInstanceOf(Promise);
  });

  test("batch may wait for longer", async () => {
    const { turn, queue } = grid();
    turn("running");
    const batch = turn("batch", 0, { priority: "batch" }) as Promise<Flight>;
    const usual = turn("default", 0) as Promise<Flight>;
    queue.expire(4_999);
    await expect(usual).rejects.toMatchObject({ code: "queue_timeout" });
    expect(queue.length).toBe(1);
    queue.expire(5_000);
    await expect(batch).rejects.toThrow(/within 5000 ms.*limits.queueBatchWaitMs/);
  });

  test("a wake decides a bounded number anew, and everybody soon", () => {
    const { turn, queue, count, host } = grid(WIDE);
    turn("running");
    for (let n = 0; n < 1_000; n++) void turn(`${n}`, n);
    const decided = new Set<string>();
    const { decide } = host;
    host.decide = (task, tried) => {
      decided.add(task.id);
      return decide(task, tried);
    };
    for (let wake = 0; wake < 32; wake++) {
      const before = count();
      queue.wake(1_000 + wake * 2);
      expect(count() - before).toBeLessThanOrEqual(64);
    }
    expect(decided.size).toBe(1_000);
    expect(queue.length).toBe(1_000);
  });

  test("a fault in a start is the end of that request alone", async () => {
    const { turn, queue, free, host } = grid(WIDE);
    turn("running");
    const [a, b] = ["a", "b"].map((id) => turn(id) as Promise<Flight>);
    const { start } = host;
    host.start = (task, decision) => {
      if (task.id === "a") throw new Error("ours");
      return start(task, decision);
    };
    free[0] = 1;
    queue.wake(1);
    await expect(a).rejects.toThrow("ours");
    expect(await b).toEqual({ id: "b", row: 0 });
    expect(queue.length).toBe(0);
  });

  test("a wake from within a start does no harm", async () => {
    const { turn, queue, free, host } = grid(WIDE);
    turn("running");
    const waiting = ["a", "b", "c"].map((id) => turn(id) as Promise<Flight>);
    const { start } = host;
    host.start = (task, decision) => {
      const flight = start(task, decision);
      queue.wake(1);
      return flight;
    };
    free[0] = 3;
    queue.wake(1);
    expect((await Promise.all(waiting)).map(({ id }) => id)).toEqual(["a", "b", "c"]);
    expect(queue.length).toBe(0);
  });
});
