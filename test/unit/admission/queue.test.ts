import { describe, expect, test } from "vitest";
import { type QueueHost, WaitQueue } from "../../../src/admission/queue.ts";
import { type Decision, EXCLUSIONS } from "../../../src/grid/decision.ts";
import { GridError } from "../../../src/grid/errors.ts";
import type { Task } from "../../../src/task/task.ts";

interface Flight {
  id: string;
  row: number;
}

/** Two endpoints with one place each; a task names the row it wants, -1 = nobody. */
function grid() {
  const free = [1, 1];
  const waiting = [0, 0];
  const wants = new Map<string, number>();
  /** Work that each decision saw waiting before it. */
  const ahead: number[] = [];
  const host: QueueHost<Flight> = {
    decide(task) {
      ahead.push(waiting[wants.get(task.id) ?? 0]);
      const row = wants.get(task.id) ?? 0;
      const excluded = new Uint32Array(EXCLUSIONS.length);
      return { row, uncachedTokens: 100, excluded } as Decision;
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
  const queue = new WaitQueue<Flight>(host, { length: 3, waitMs: 1000 });
  const leaves: ((error: GridError) => void)[] = [];
  const turn = (id: string, nowMs = 0) =>
    queue.turn({ id } as Task, [], nowMs, (leave) => leaves.push(leave));
  return { free, waiting, wants, queue, turn, leaves, ahead };
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
    queue.wake(-1);
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
    queue.wake(1);
    expect(await b).toEqual({ id: "b", row: 1 });
  });

  test("beyond its length it refuses with Retry-After and names the limit", () => {
    const { turn } = grid();
    turn("a");
    for (const id of ["b", "c", "d"]) void turn(id);
    expect(() => turn("e")).toThrow(/wait queue is full \(3 requests\)/);
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
    queue.wake(-1);
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
