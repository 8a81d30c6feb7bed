/** The trace bench in its smoke size: formats, engines, and a replay of each policy. */
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { Bench } from "../../../bench/traces/bench.ts";
import { chartOf } from "../../../bench/traces/chart.ts";
import { CONTENDERS, DEFAULT_POLICIES } from "../../../bench/traces/contenders.ts";
import { PREFILL_PER_MS } from "../../../bench/traces/engine.ts";
import { Events } from "../../../bench/traces/events.ts";
import { SimulatedFleet } from "../../../bench/traces/fleet.ts";
import { type ReadOptions, readTrace } from "../../../bench/traces/formats.ts";
import { optionsFrom } from "../../../bench/traces/options.ts";
import { readPlaces } from "../../../bench/traces/places.ts";
import { factsOf, type Trace } from "../../../bench/traces/trace.ts";

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/traces/${name}`, import.meta.url));

const READ: ReadOptions = {
  format: undefined,
  sessions: 0,
  windowMs: 360_000_000,
  gapMs: 300_000,
  seed: 1,
};

const sample = (name: string): Promise<Trace> => readTrace(fixture(name), READ);

function benchOf(trace: Trace, ...args: string[]): Bench {
  const options = optionsFrom(args);
  if (options === undefined) throw new Error("asked for help");
  return new Bench(trace, options);
}

const run = (bench: Bench, policy = "gridpoint") => bench.run(policy, {});

describe("formats", () => {
  test("Mooncake: equal prefixes have equal chains, others do not", async () => {
    const { requests, namesSessions } = await sample("mooncake-sample.jsonl");
    expect(requests).toHaveLength(80);
    const [a, b] = requests;
    expect([a.inputTokens, a.outputTokens, a.blocks.length]).toEqual([6758, 500, 14]);
    expect(a.chain.slice(0, 2)).toEqual(b.chain.slice(0, 2));
    expect(a.chain.slice(2, 4)).not.toEqual(b.chain.slice(2, 4));
    expect(namesSessions).toBe(false);
    expect(a.session).not.toBe(b.session);
  });

  test("Azure: hundreds of nanoseconds, and nothing is shared", async () => {
    const trace = await sample("azure-sample.csv");
    expect(trace.requests.slice(0, 2).map(({ inputTokens }) => inputTokens)).toEqual([374, 396]);
    expect(trace.requests[1].atMs).toBeCloseTo(4314.579, 3);
    expect(factsOf(trace).idealBlocks).toBe(0);
  });

  test("agentic: coarse blocks, capped pauses, sub-agents, ids that are local", async () => {
    const trace = await sample("agentic-sample.jsonl");
    expect(trace.namesSessions).toBe(true);
    const session = trace.requests.find(({ inputTokens }) => inputTokens === 1700)?.session;
    const own = trace.requests.filter((request) => request.session === session);
    expect(own.map(({ inputTokens }) => inputTokens)).toEqual([1100, 1700, 600]);
    expect(own[1].atMs - own[0].atMs).toBeCloseTo(300_000, 3);
    expect(own[2].atMs - own[1].atMs).toBeCloseTo(15_000, 3);
    // 1,024 of the first request's 1,100 tokens are whole blocks of 512, and come again.
    expect([...own[1].blocks.slice(0, 2)]).toEqual([...own[0].blocks.slice(0, 2)]);
    expect(own[1].blocks[2]).not.toBe(own[0].blocks[2]);
    const other = trace.requests.find((request) => request.session !== session);
    expect(other?.blocks[0]).not.toBe(own[0].blocks[0]);
  });

  test("a bad row is named with its line", async () => {
    const read = readTrace(fixture("azure-sample.csv"), { ...READ, format: "mooncake" });
    await expect(read).rejects.toThrow(/azure-sample\.csv, line 1: not mooncake/);
  });
});

describe("options", () => {
  test.each([
    [["--workers", "0"], /--workers must be a number between 1 and 256, not "0"/],
    [["--load", "X70"], /--load must be U70/],
    [["--policies", "best"], /"best" is none of gridpoint/],
    [["--engine", "gpu"], /--engine must be one of fcfs, sharing, step/],
    [["--nonsense"], /nonsense/],
  ])("%j is refused with advice", (args, message) => {
    expect(() => optionsFrom(args)).toThrow(message);
  });

  test("a number is a load in prompt tokens", () => {
    expect(optionsFrom(["--load", "42"])?.load).toBe("U42");
  });
});

describe("replay", () => {
  const KINDS = ["fcfs", "sharing", "step"];

  test.each(KINDS.slice(0, 2))("one worker of %s finds all there is", async (engine) => {
    const trace = await sample("mooncake-sample.jsonl");
    const bench = benchOf(trace, "--workers", "1", "--engine", engine, "--load", "1");
    const { row, refused } = run(bench);
    expect(refused).toBe(0);
    expect(row.hitRatio).toBeCloseTo(bench.facts.idealBlocks, 2);
  });

  test.each(KINDS)("an idle worker of %s prefills 8,000 tokens/s", async (engine) => {
    const trace = await sample("azure-sample.csv");
    const { ttftMs } = run(
      benchOf(trace, "--load", "0.05", "--engine", engine, "--assumed-rate", "8000"),
    ).row;
    const tokens = trace.requests.reduce((sum, { inputTokens }) => sum + inputTokens, 0);
    const ideal = tokens / trace.requests.length / 8;
    const overhead = engine === "step" ? 4 : 1e-6;
    expect(Math.abs(ttftMs.mean - ideal)).toBeLessThan(overhead);
  });

  test("the same seed gives the same run", async () => {
    const trace = await sample("mooncake-sample.jsonl");
    const once = () => run(benchOf(trace, "--workers", "4", "--routers", "2")).ttftMs;
    expect(once()).toEqual(once());
  });

  test("every policy answers every request, and the row has the stable form", async () => {
    const trace = await sample("mooncake-sample.jsonl");
    const bench = benchOf(trace, "--workers", "4");
    for (const policy of Object.keys(CONTENDERS)) {
      const { row, ttftMs } = run(bench, policy);
      expect(ttftMs).toHaveLength(80);
      expect(Object.keys(row)).toEqual(["policy", "hitRatio", "imbalance", "ttftMs", "usdPerMTok"]);
      expect(Object.keys(row.ttftMs)).toEqual(["mean", "p50", "p90", "p99", "max"]);
    }
    expect(DEFAULT_POLICIES[0]).toBe("gridpoint");
  });

  test("SLO capacity is a load whose p90 is within the SLO", async () => {
    const trace = await sample("mooncake-sample.jsonl");
    const policy = "least-prefill-tokens";
    const given = ["--workers", "4", "--slo-ttft-ms", "12000"];
    const capacity = run(benchOf(trace, ...given), policy).row.sloCapacity as number;
    const p90At = (share: number) => {
      const bench = benchOf(trace, "--workers", "4", "--load", String(share * 100));
      return run(bench, policy).row.ttftMs.p90;
    };
    expect(p90At(capacity)).toBeLessThanOrEqual(12_000);
    expect(p90At(capacity + 0.02)).toBeGreaterThan(12_000);
  });

  test("several PoPs find by gossip what one PoP finds", async () => {
    const trace = await sample("mooncake-sample.jsonl");
    const hits = (...more: string[]) =>
      run(benchOf(trace, "--workers", "4", "--load", "10", ...more)).row.hitRatio;
    const one = hits();
    expect(hits("--routers", "4", "--digest-ms", "200", "--gossip-ms", "100")).toBeGreaterThan(
      one * 0.95,
    );
  });

  test("users of a geo file pay the distance only when they are sent away", async () => {
    const trace = await sample("azure-sample.csv");
    const bench = benchOf(trace, "--load", "0.1", "--geo", fixture("geo-sample.json"));
    expect(bench.workers).toBe(3);
    const local = run(bench).row.ttftMs.mean;
    const anywhere = run(bench, "random").row.ttftMs.mean;
    expect(anywhere).toBeGreaterThan(local + 1);
  });

  test("what is on its way to an engine counts from the moment it is sent", async () => {
    const trace = await sample("azure-sample.csv");
    const [request] = trace.requests;
    const events = new Events();
    const engines = { workers: 2, engine: "fcfs", cacheBlocks: 8, seed: 1 } as const;
    const fleet = new SimulatedFleet(engines, trace, events);
    let prefilledMs = Number.NaN;
    const job = {
      ...{ request, worker: 1, uncachedTokens: 0, hitBlocks: 0, onEnd: () => {} },
      onPrefilled: (_: unknown, nowMs: number) => {
        prefilledMs = nowMs;
      },
    };
    fleet.send(job, 50, 0);
    expect([fleet.outstanding(0, 0), fleet.outstanding(1, 0)]).toEqual([0, request.inputTokens]);
    expect([fleet.inFlight(0), fleet.inFlight(1)]).toEqual([0, 1]);
    while (events.step());
    expect(prefilledMs).toBeCloseTo(50 + request.inputTokens / PREFILL_PER_MS, 6);
    expect([fleet.outstanding(1, events.nowMs), fleet.inFlight(1)]).toEqual([0, 0]);
  });
});

test("a geo file that is none is refused with advice", () => {
  expect(() => readPlaces(fixture("azure-sample.csv"))).toThrow(/no JSON file of places/);
  expect(readPlaces(fixture("geo-sample.json")).userShares).toEqual([0.75, 1]);
});

test("the chart has a curve and a name for every policy", () => {
  const svg = chartOf("a < b", [{ name: "x&y", ttftMs: Float64Array.of(100, 200) }]);
  expect(svg).toContain("a &#60; b");
  expect(svg.match(/x&#38;y/g)).toHaveLength(1);
  expect(svg.match(/fill="none"/g)).toHaveLength(1);
});
