import { describe, expect, it } from "vitest";
import { GridError } from "../../../src/grid/errors.ts";
import type { OutRequest } from "../../../src/grid/exchange.ts";
import type { LoadSample, Probe, Worker } from "../../../src/forward/worker.ts";
import { type WatchOptions, watchEndpoint } from "../../../src/forward/watch.ts";
import { FakeTimers, settle } from "./fake-timers.ts";

class FakeWorker implements Worker {
  readonly spec = {} as Worker["spec"];
  asked: string[] = [];
  now: Probe = { phase: "ready" };
  sample: Partial<LoadSample> | GridError = {};
  hangs = false;
  inFlight = 0;
  inFlightMax = 0;

  private async read<T>(what: string, value: () => T): Promise<T> {
    this.asked.push(what);
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight);
    if (this.hangs) await new Promise(() => {});
    await Promise.resolve();
    this.inFlight--;
    return value();
  }

  dialect = () => "chat" as const;
  phase = () => this.read("phase", () => this.now);
  probe = () => this.read("probe", () => ({ ...this.now, version: "1" }));
  load = () =>
    this.read("load", () => {
      if (this.sample instanceof GridError) throw this.sample;
      return { atMs: 0, source: "metrics", running: 1, ...this.sample } as LoadSample;
    });
  outbound = () => ({}) as OutRequest;
  inboundHeaders = () => ({});
}

function setUp(more: Partial<WatchOptions> = {}, now: Probe = { phase: "ready" }) {
  const timers = new FakeTimers();
  const worker = new FakeWorker();
  worker.now = now;
  const heard = { phases: [] as Probe[], loads: 0, errors: [] as string[] };
  const options = {
    pollMs: 250,
    jitter: 0,
    timeoutMs: 1_000,
    failuresToDown: 3,
    successesToUp: 2,
    reprobeMs: 60_000,
    ...more,
  };
  const watch = watchEndpoint(
    worker,
    options,
    {
      onPhase: (probe) => heard.phases.push(probe),
      onLoad: () => heard.loads++,
      onLoadError: (message) => heard.errors.push(message),
    },
    timers.clock,
    () => 0xffff_ffff,
    timers,
  );
  const rounds = async (count: number, ms = 250) => {
    for (let i = 0; i < count; i++) {
      timers.advance(ms);
      await settle();
    }
  };
  return { timers, worker, heard, watch, rounds };
}

const phases = (heard: { phases: Probe[] }) => heard.phases.map(({ phase }) => phase);
const DOWN: Probe = { phase: "down", detail: "ECONNREFUSED" };

describe("watch", () => {
  it("probes in full at once, then reads the load", async () => {
    const { worker, heard, rounds } = setUp();
    await settle();
    expect(worker.asked).toEqual(["probe", "load"]);
    expect(heard.phases).toEqual([{ phase: "ready", version: "1" }]);
    await rounds(2);
    expect(worker.asked).toEqual(["probe", "load", "load", "load"]);
    expect(heard.loads).toBe(3);
  });

  it("reports the first probe whatever it says", async () => {
    const { heard, worker } = setUp({}, { phase: "loading", detail: "Loading model" });
    await settle();
    expect(phases(heard)).toEqual(["loading"]);
    expect(worker.asked).toEqual(["probe"]);
  });

  it("asks for health in every fourth round though the load can be read", async () => {
    const { worker, rounds } = setUp();
    await settle();
    await rounds(8);
    expect(worker.asked.filter((what) => what === "phase")).toHaveLength(2);
  });

  it("takes it out only after enough failures in a row", async () => {
    const { worker, heard, rounds } = setUp();
    await settle();
    worker.sample = new GridError("connect_failed", "nobody there");
    worker.now = DOWN;
    await rounds(2);
    worker.now = { phase: "ready" };
    await rounds(1);
    worker.now = DOWN;
    await rounds(2);
    expect(phases(heard)).toEqual(["ready"]);
    await rounds(1);
    expect(phases(heard)).toEqual(["ready", "down"]);
    await rounds(80);
    expect(phases(heard)).toEqual(["ready", "down"]);
  });

  it("believes at once what the engine itself says", async () => {
    const { worker, heard, watch } = setUp();
    await settle();
    worker.now = { phase: "draining" };
    watch.nudge();
    await settle();
    expect(phases(heard)).toEqual(["ready", "draining"]);
  });

  it("brings it back after enough good checks, by a full probe", async () => {
    const { worker, heard, rounds } = setUp({}, DOWN);
    await settle();
    worker.now = { phase: "ready" };
    await rounds(1);
    expect(phases(heard)).toEqual(["down"]);
    await rounds(1);
    expect(phases(heard)).toEqual(["down", "ready"]);
    expect(worker.asked).toEqual(["probe", "phase", "phase", "probe", "load"]);
    expect(heard.phases[1].version).toBe("1");
  });

  it("starts counting again when a good check is followed by a bad one", async () => {
    const { worker, heard, rounds } = setUp({}, DOWN);
    await settle();
    worker.now = { phase: "ready" };
    await rounds(1);
    worker.now = DOWN;
    await rounds(1);
    worker.now = { phase: "ready" };
    await rounds(1);
    expect(phases(heard)).toEqual(["down"]);
  });

  it("backs off while it is down, never beyond two seconds", async () => {
    const { timers, rounds } = setUp({ timeoutMs: 777 }, DOWN);
    await settle();
    await rounds(60);
    const pauses = timers.asked.filter((ms) => ms !== 777 && ms !== 777 * 6);
    expect(pauses.slice(0, 7)).toEqual([250, 250, 250, 500, 1_000, 2_000, 2_000]);
    expect(Math.max(...pauses)).toBe(2_000);
  });

  it("does not let a dead scraper stop dispatch", async () => {
    const { worker, heard, rounds } = setUp();
    await settle();
    worker.sample = new GridError("bad_response", "status 500");
    await rounds(20);
    expect(phases(heard)).toEqual(["ready"]);
    expect(heard.errors).toHaveLength(20);
    expect(heard.errors[0]).toBe("status 500");
  });

  it("probes again after a restart and says so", async () => {
    const { worker, heard, rounds } = setUp();
    await settle();
    worker.sample = { restarted: true };
    await rounds(1);
    worker.sample = {};
    expect(heard.phases[1]).toEqual({ phase: "ready", version: "1", restarted: true });
    await rounds(3);
    expect(heard.phases).toHaveLength(2);
  });

  it("probes again from time to time", async () => {
    const { worker, rounds } = setUp({ reprobeMs: 1_000 });
    await settle();
    await rounds(12);
    expect(worker.asked.filter((what) => what === "probe")).toHaveLength(4);
  });

  it("nudge checks health now, also when a round is under way", async () => {
    const { worker, heard, watch } = setUp();
    watch.nudge();
    await settle();
    expect(worker.asked).toEqual(["probe", "load", "phase"]);
    worker.now = DOWN;
    for (let i = 0; i < 3; i++) {
      watch.nudge();
      await settle();
    }
    expect(phases(heard)).toEqual(["ready", "down"]);
  });

  it("has one read in flight, and takes one that never ends for a failure", async () => {
    const { worker, heard, rounds, watch } = setUp({ failuresToDown: 1 });
    await settle();
    expect(worker.inFlightMax).toBe(1);
    worker.hangs = true;
    watch.nudge();
    await rounds(1, 1_000);
    expect(heard.phases[1]).toEqual({ phase: "down", detail: "no answer within 1000 ms" });
  });

  it("spreads the pauses by the jitter", async () => {
    const { timers } = setUp({ jitter: 0.2 });
    await settle();
    expect(timers.asked[timers.asked.length - 1]).toBeCloseTo(275, 3);
  });

  it("stop means silence, also for a read under way", async () => {
    const { timers, worker, heard, watch, rounds } = setUp();
    watch.stop();
    await settle();
    watch.nudge();
    await rounds(4);
    expect([worker.asked.length, heard.phases.length, heard.loads, timers.size]).toEqual([
      1, 0, 0, 0,
    ]);
  });
});
