/** Tenants under real skew: ServeGen's clients ask for a third more than the engines can do. */
import { beforeAll, describe, expect, test } from "vitest";
import { type QueueHost, WaitQueue } from "../../../src/admission/queue.ts";
import { type Decision, EXCLUSIONS } from "../../../src/grid/decision.ts";
import { FAIR_TOKENS } from "../../../src/admission/order.ts";
import { GridError } from "../../../src/grid/errors.ts";
import type { Task } from "../../../src/task/task.ts";
import { readArchive, readFixture, type ServeGenClient } from "../../servegen.ts";

const ENGINES = 4;
const TOKENS_PER_MS = 5;
const SECONDS = 60;
/** The queues fill at first. */
const FROM_MS = 15_000;

/** Uniform in 0..1 (mulberry32). */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

interface Arrival {
  atMs: number;
  client: number;
  tokens: number;
}

function arrivalsOf(clients: ServeGenClient[], scale: number): Arrival[] {
  const random = uniform(11);
  const all = clients.flatMap(({ perS, inputTokens }, client) => {
    const own: Arrival[] = [];
    for (let atMs = 0; ; ) {
      atMs -= (Math.log(1 - random()) * 1000) / (perS * scale);
      if (atMs > SECONDS * 1000) return own;
      const tokens = inputTokens[Math.floor(random() * inputTokens.length)] as number;
      own.push({ atMs, client, tokens });
    }
  });
  return all.sort((a, b) => a.atMs - b.atMs);
}

interface Outcome {
  asked: number;
  served: number;
  waitsMs: number[];
}

/** Engines that prefill one request after the other; each goes where least work stands. */
class World implements QueueHost<void> {
  readonly outcomes: Outcome[];
  readonly queue: WaitQueue<void>;
  private nowMs = 0;
  private readonly freeAtMs = new Array<number>(ENGINES).fill(0);
  private readonly waitingAt = new Array<number>(ENGINES).fill(0);
  private readonly tenantOf: (client: number) => string;

  constructor(clients: ServeGenClient[], tenantOf: (client: number) => string) {
    this.tenantOf = tenantOf;
    this.outcomes = clients.map(() => ({ asked: 0, served: 0, waitsMs: [] }));
    const never = 1e9;
    const bounds = { queueLength: never, queueBytes: never, queueAgeMs: never };
    this.queue = new WaitQueue(this, { ...bounds, queueWaitMs: never, queueBatchWaitMs: never });
  }

  run(arrivals: Arrival[]): Outcome[] {
    for (const { atMs, client, tokens } of arrivals) {
      this.serveUntil(atMs);
      if (atMs >= FROM_MS) (this.outcomes[client] as Outcome).asked += tokens;
      const task = {
        ...{ id: `${client}`, tenant: this.tenantOf(client), priority: "default", arrivedMs: atMs },
        ...{ promptTokens: tokens, sloTtftMs: Number.POSITIVE_INFINITY, body: new Uint8Array() },
      } as Task;
      void this.queue.turn(task, [], atMs, () => {});
    }
    return this.outcomes;
  }

  private serveUntil(atMs: number): void {
    for (;;) {
      const next = Math.min(...this.freeAtMs.filter((freeAt) => freeAt > this.nowMs));
      this.nowMs = Math.min(next, atMs);
      if (next > atMs) return;
      this.queue.wake(this.nowMs);
    }
  }

  decide({ promptTokens }: Task): Decision {
    const waits = this.freeAtMs.map((freeAtMs, row) => {
      const waiting = this.waitingAt[row] as number;
      return Math.max(freeAtMs - this.nowMs, 0) + waiting / TOKENS_PER_MS;
    });
    const waitMs = Math.min(...waits);
    const ttftMs = waitMs + promptTokens / TOKENS_PER_MS;
    const excluded = new Uint32Array(EXCLUSIONS.length);
    const row = waits.indexOf(waitMs);
    return { row, uncachedTokens: promptTokens, waitMs, ttftMs, excluded } as Decision;
  }

  canStart(row: number): boolean {
    return (this.freeAtMs[row] as number) <= this.nowMs;
  }

  start({ id, arrivedMs, promptTokens }: Task, { row }: Decision): void {
    this.freeAtMs[row] = this.nowMs + promptTokens / TOKENS_PER_MS;
    if (this.nowMs < FROM_MS) return;
    const outcome = this.outcomes[Number(id)] as Outcome;
    outcome.served += promptTokens;
    outcome.waitsMs.push(this.nowMs - arrivedMs);
  }

  waiting(row: number, tokens: number): void {
    (this.waitingAt[row] as number) += tokens;
  }

  clearWaiting(): void {
    this.waitingAt.fill(0);
  }

  refuse(): GridError {
    return new GridError("no_endpoint", "nobody");
  }

  retryAfterS(): number {
    return 1;
  }
}

/** What each may have at most, so that all together have what there is. */
function levelOf(asked: number[], capacity: number): number {
  let left = capacity;
  const sorted = [...asked].sort((a, b) => a - b);
  for (const [index, one] of sorted.entries()) {
    const level = left / (sorted.length - index);
    if (one > level) return level;
    left -= one;
  }
  return Number.POSITIVE_INFINITY;
}

const p99 = (values: number[]): number =>
  values.sort((a, b) => a - b)[Math.floor(values.length * 0.99)] as number;
const meanSize = (all: Outcome[], n: number): number =>
  (all[n]?.served ?? 0) / (all[n]?.waitsMs.length ?? 1);
const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

function playWith(clients: ServeGenClient[]) {
  const perS = clients.reduce((sum, one) => sum + one.perS * mean(one.inputTokens), 0);
  const arrivals = arrivalsOf(clients, (ENGINES * TOKENS_PER_MS * 1000 * 1.33) / perS);
  const fair = new World(clients, (client) => `client-${client}`).run(arrivals);
  const blind = new World(clients, () => "everybody").run(arrivals);
  const largest = Math.max(...arrivals.map(({ tokens }) => tokens));
  const capacity = ENGINES * TOKENS_PER_MS * (SECONDS * 1000 - FROM_MS);
  const asked = fair.map((one) => one.asked);
  return { fair, blind, largest, level: levelOf(asked, capacity) };
}

describe("tenants with ServeGen's skew at 1.33 times the capacity", () => {
  let run: ReturnType<typeof playWith>;
  beforeAll(() => {
    run = playWith(readFixture());
  });

  test("who asks for less than a fair share gets it all, the others about the share", () => {
    const { fair, level, largest } = run;
    expect(fair.filter(({ asked }) => asked > level)).toHaveLength(3);
    for (const { asked, served } of fair) {
      // At the end one may have come just now.
      expect(served).toBeGreaterThan(0.9 * Math.min(asked, level) - FAIR_TOKENS - largest);
      expect(served).toBeLessThan(1.1 * level + FAIR_TOKENS + largest);
    }
  });

  test("who asks for less than half of it waits for few steps of the others", () => {
    const { fair, blind, level } = run;
    const isLight = fair.map(({ asked }) => asked < level / 2);
    const waits = (all: Outcome[]) => all.flatMap(({ waitsMs }, n) => (isLight[n] ? waitsMs : []));
    // Of the three that ask for more than their share, and one to spare.
    const stepsMs = (4 * FAIR_TOKENS) / (ENGINES * TOKENS_PER_MS);
    expect(p99(waits(fair))).toBeLessThan(2 * stepsMs);
    expect(Math.max(...waits(fair))).toBeLessThan(Math.max(...waits(blind)) / 4);
  });

  test("large prompts of a tenant that asks for little are not starved by small ones", () => {
    const { fair, blind, level } = run;
    const largest = fair.findIndex(({ asked }, n) => asked < level && meanSize(fair, n) > 16_384);
    expect(fair[largest]?.served).toBeGreaterThan(0.6 * (fair[largest]?.asked ?? 0));
    expect(blind[largest]?.served).toBe(0);
  });
});

test("the fixture is what the data set says", ({ skip }) => {
  const archive = readArchive();
  if (archive === undefined) return skip("the data set is not beside this checkout");
  expect(readFixture()).toEqual(archive);
});
