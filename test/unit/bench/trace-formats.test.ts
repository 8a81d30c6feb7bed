/** Traces that nobody chose for us: what is odd is read, what is wrong is named. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Bench } from "../../../bench/traces/bench.ts";
import { type ReadOptions, readTrace } from "../../../bench/traces/formats.ts";
import { optionsFrom } from "../../../bench/traces/options.ts";
import { factsOf, type Trace } from "../../../bench/traces/trace.ts";

const READ: ReadOptions = {
  ...{ format: undefined, sessions: 0, windowMs: 7_200_000, gapMs: 300_000, seed: 1 },
};
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "gridpoint-traces-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function read(content: string | Buffer, name = "t.jsonl", options = {}): Promise<Trace> {
  const file = join(folder, `${files++}-${name}`);
  writeFileSync(file, content);
  return readTrace(file, { ...READ, ...options });
}

const row = (timestamp: unknown, input: unknown, ids: unknown, output: unknown = 5) =>
  JSON.stringify({ timestamp, input_length: input, output_length: output, hash_ids: ids });
const lines = (...rows: string[]) => `${rows.join("\n")}\n`;
const session = (requests: unknown[], more = {}) =>
  JSON.stringify({ id: "s", block_size: 64, requests, ...more });
const HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens";

describe("read in spite of it", () => {
  test("rows out of order are put in order, equal times keep theirs", async () => {
    const trace = await read(
      lines(row(9000, 30, [1]), row(2000, 10, [2]), row(9000, 40, [3]), row(5000, 20, [4])),
    );
    expect(trace.requests.map(({ inputTokens }) => inputTokens)).toEqual([10, 20, 30, 40]);
    expect(trace.requests.map(({ atMs }) => atMs)).toEqual([0, 3000, 7000, 7000]);
  });

  test("ids of 64 bits stay apart, and words are ids too", async () => {
    const wide =
      '{"timestamp":0,"input_length":512,"output_length":1,"hash_ids":[9007199254740993]}';
    const other = wide.replace("993]", "992]");
    const trace = await read(lines(wide, other, wide, row(1, 512, ["a"]), row(2, 512, ["a"])));
    expect(trace.uniqueBlocks).toBe(3);
    expect(factsOf(trace).idealBlocks).toBeCloseTo(2 / 5, 6);
  });

  test("no tokens count as one; ids beyond the prompt, or too few, do no harm", async () => {
    const trace = await read(lines(row(0, 0, [], 0), row(1, 100, [7, 8, 9]), row(2, 9999, [7])));
    const sizes = trace.requests.map(({ inputTokens, blocks }) => [inputTokens, blocks.length]);
    expect(sizes).toEqual([
      [1, 0],
      [100, 1],
      [9999, 1],
    ]);
  });

  test("compressed files, Windows line ends, a byte order mark, no last line end", async () => {
    const first = "2023-11-16 18:15:46.6805900,374,44";
    const csv = `\ufeff${HEADER}\r\n${first}\r\n\r\n2024-05-10 00:00:00+00:00,1,2`;
    const [gz, br] = await Promise.all([
      read(gzipSync(csv), "t.csv.gz"),
      read(brotliCompressSync(csv), "t.csv.br"),
    ]);
    expect(gz.requests.map(({ inputTokens }) => inputTokens)).toEqual([374, 1]);
    expect(br.requests.map(({ atMs }) => atMs)).toEqual(gz.requests.map(({ atMs }) => atMs));
  });

  test("ids of a global scope are the same block in every session", async () => {
    const requests = [{ t: 0, in: 512, out: 1, hash_ids: [1, 2, 3, 4, 5, 6, 7, 8] }];
    const blocksOf = async (scope: string) =>
      (await read(lines(...[1, 2].map(() => session(requests, { hash_id_scope: scope })))))
        .uniqueBlocks;
    expect(await blocksOf("global")).toBe(1);
    expect(await blocksOf("local")).toBe(2);
  });
});

describe("named, with what to change", () => {
  test.each([
    ["", /no request in the trace/],
    ["\n\n", /no request in the trace/],
    [HEADER, /no request in the trace/],
    ["what is this", /line 1: not azure: the header must have the columns TIMESTAMP/],
    ['{"a":1}', /the format is not clear: say --format/],
    ['{"a":', /JSON/],
    [lines(row(0, 1, [1]), "{"), /line 2: not mooncake/],
    [row(0, 1, undefined), /line 1: not mooncake: hash_ids must be a list/],
    [row(0, 1, [null]), /hash_ids must be a list of numbers or strings/],
    [row(undefined, 1, [1]), /timestamp must be a number/],
    [row(-5, 1, [1]), /timestamp must be a number from 0/],
    [row(0, "many", [1]), /input_length must be a number/],
    [row(0, 1e12, [1]), /input_length must be a number from 0 to 100000000, not 1000000000000/],
    [lines(row(0, 1, [1]), "[1]"), /each line must be a JSON object/],
    [`${HEADER}\nyesterday,1,2`, /line 2: not azure: TIMESTAMP must be like 2023-11-16/],
    [`${HEADER}\n2023-11-16 18:15:46,1`, /GeneratedTokens must be a number/],
    [session([{ t: 0, in: 5, out: 1, hash_ids: [] }], { block_size: 100 }), /block_size 100/],
    [session([{ t: 0, out: 1, hash_ids: [] }]), /in must be a number/],
    [session([7]), /each line must be a JSON object|must be/],
  ])("%j", async (content, message) => {
    await expect(read(content)).rejects.toThrow(message);
  });

  test("a file that is not there, or not what its name says", async () => {
    await expect(readTrace(join(folder, "none.jsonl"), READ)).rejects.toThrow(
      /none\.jsonl: ENOENT/,
    );
    await expect(read("plain", "t.jsonl.gz")).rejects.toThrow(/t\.jsonl\.gz: /);
    const half = gzipSync(lines(row(0, 1, [1]))).subarray(0, 30);
    await expect(read(half, "t.jsonl.gz")).rejects.toThrow(/t\.jsonl\.gz/);
  });
});

describe("replayed", () => {
  const benchOf = (trace: Trace, engine: string, ...more: string[]) => {
    const options = optionsFrom(["--workers", "4", "--engine", engine, ...more]);
    return new Bench(trace, options as NonNullable<typeof options>);
  };

  test.each(["fcfs", "sharing", "step"])("one row, and all at one time: %s", async (engine) => {
    const one = await read(row(0, 8000, [1, 2, 3]));
    const { row: alone, refused } = benchOf(one, engine, "--slo-ttft-ms", "5000").run(
      "gridpoint",
      {},
    );
    expect(refused).toBe(0);
    expect(alone.ttftMs.mean).toBeCloseTo(1000, -2);
    expect(alone.sloCapacity).toBeGreaterThan(0);
    const crowd = await read(lines(...Array.from({ length: 50 }, (_, i) => row(7, 800, [i, 90]))));
    for (const policy of ["gridpoint", "lmetric"]) {
      expect(benchOf(crowd, engine).run(policy, {}).ttftMs).toHaveLength(50);
    }
  });

  test("one giant session: its prompt is larger than any cache", async () => {
    const ids = (count: number) => Array.from({ length: count }, (_, id) => id);
    const requests = Array.from({ length: 12 }, (_, at) => {
      return { t: at * 9, in: 64_000 * (at + 1), out: 9, hash_ids: ids(1000 * (at + 1)) };
    });
    const trace = await read(session(requests), "t.jsonl", { windowMs: 1e9 });
    expect(trace.requests).toHaveLength(12);
    for (const engine of ["fcfs", "step"]) {
      const { row: found, refused } = benchOf(trace, engine, "--cache", "0.1x").run(
        "gridpoint",
        {},
      );
      expect(refused).toBe(0);
      expect(Number.isFinite(found.ttftMs.max)).toBe(true);
    }
  });
});
