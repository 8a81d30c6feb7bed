import { describe, expect, it } from "vitest";
import {
  mergeFacts,
  planMetrics,
  readApiPs,
  readLoads,
  readMetrics,
  readSlots,
  share,
} from "../../../src/forward/load-read.ts";

const page = (text: string) => new TextEncoder().encode(text);
const names = {
  running: [
    { name: "new_running", combine: "sum" as const },
    { name: "running", combine: "sum" as const },
  ],
  waiting: [{ name: "waiting", combine: "sum" as const }],
  blockTokens: [{ name: "size", combine: "max" as const }],
  blocks: [{ name: "blocks", combine: "sum" as const }],
  kvUsage: [{ name: "use", combine: "max" as const }],
};

describe("load-read", () => {
  it("prefers the new name and never adds old and new", () => {
    const plan = planMetrics(names);
    expect(readMetrics(page("running 5\nnew_running 6\n"), plan, false).running).toBe(6);
    expect(readMetrics(page("running 5\n"), plan, false).running).toBe(5);
  });

  it("takes the waiting out of a gauge that counts them in", () => {
    const plan = planMetrics(names);
    expect(readMetrics(page("running 5\nwaiting 2\n"), plan, true).running).toBe(3);
    expect(readMetrics(page("running 1\nwaiting 2\n"), plan, true).running).toBe(0);
    expect(readMetrics(page("waiting 2\n"), plan, true).running).toBeUndefined();
  });

  it("computes the cache from both factors or not at all", () => {
    const plan = planMetrics(names);
    expect(readMetrics(page("size 16\nblocks 10\n"), plan, false).kvTokens).toBe(160);
    expect(readMetrics(page("size 16\n"), plan, false).kvTokens).toBeUndefined();
    expect(readMetrics(page("size 16\nblocks 0\n"), plan, false).kvTokens).toBeUndefined();
  });

  it("does not believe a share in another unit", () => {
    expect([share(0.5), share(1.0004), share(62), share(undefined)]).toEqual([
      0.5,
      1,
      undefined,
      undefined,
    ]);
  });

  it("does not add up ranks of which one is silent", () => {
    const loads = [{ num_running_reqs: 1, num_waiting_reqs: 2 }, { num_running_reqs: 1 }];
    expect(readLoads({ loads })).toMatchObject({ running: 2, waiting: undefined });
    expect(readLoads({ loads: [{ num_running_reqs: -1 }] })).toMatchObject({ running: undefined });
  });

  it.each([undefined, null, 1, "x", [], {}, { loads: [] }, { loads: "x" }, [null, 3]])(
    "takes %j for no answer",
    (body) => {
      expect(readLoads(body)).toBeUndefined();
      expect(readSlots(body)).toBeUndefined();
      expect(readApiPs(body)).toBeUndefined();
    },
  );

  it("knows that nobody waits only while a slot is free", () => {
    const busy = {
      is_processing: true,
      n_ctx: 100,
      n_prompt_tokens: 50,
      n_prompt_tokens_processed: 50,
    };
    const free = { is_processing: false, n_ctx: 100 };
    expect(readSlots([busy, free])).toMatchObject({ running: 1, waiting: 0, queuedTokens: 0 });
    expect(readSlots([busy, busy])).toMatchObject({ running: 2, waiting: undefined });
    expect(readSlots([free])).toMatchObject({ running: 0, kvUsage: 0, kvTokens: 100 });
    expect(readSlots([{ is_processing: true }, free])).toMatchObject({ kvUsage: undefined });
  });

  it("fills only what was left open", () => {
    expect(mergeFacts({ running: 1, waiting: undefined }, { running: 9, waiting: 2 })).toEqual({
      running: 1,
      waiting: 2,
    });
  });
});
