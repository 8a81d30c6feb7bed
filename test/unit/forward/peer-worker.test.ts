import { describe, expect, test } from "vitest";
import { readHandover } from "../../../src/door/peer.ts";
import { PeerWorker } from "../../../src/forward/workers/peer-worker.ts";
import { toTask } from "../../../src/task/from-exchange.ts";
import type { ParsedBody, Task } from "../../../src/task/task.ts";

const refusals: [string, string | undefined][] = [];
const worker = new PeerWorker({
  via: "run-a",
  pop: "oregon",
  url: "https://oregon.example:8443/grid/",
  key: "secret-secret-16",
  onRefusal: (code, load) => refusals.push([code, load]),
});
const body = new Uint8Array([1]);
const CONTEXT = {
  id: "r-1",
  tenant: "acme",
  nowMs: 0,
  sloTtftMs: 2_000,
  sloItlMs: 100,
  path: "/v1/chat/completions",
};
const WISHES = {
  "x-grid-session": "s-1",
  "x-grid-region": "eu,us-or",
  "x-grid-slo-ttft-ms": "300",
  "x-grid-max-cost": "0.02",
  "x-grid-priority": "batch",
  "x-grid-slice": "gold",
};
const HANDOVER = {
  hops: 1,
  forwardedBy: ["tokyo"],
  tenant: "acme",
  leftMs: 1499.7,
  endpoint: "gpu-1",
  expectedTtftMs: 12.34567,
  elsewhereTtftMs: 512.5,
};

const task = (headers: Record<string, string>, parsed: Partial<ParsedBody> = {}): Task =>
  toTask({ route: "chat", body, ...parsed } as ParsedBody, headers, CONTEXT);

describe("the way to another PoP", () => {
  test("carries the hand-over and the caller's wishes", () => {
    const request = worker.outbound(task(WISHES), HANDOVER);
    expect(request).toMatchObject({
      origin: "https://oregon.example:8443",
      path: "/grid/v1/chat/completions",
      method: "POST",
    });
    expect(request.body).toBe(body);
    expect(request.headers["x-grid-via"]).toBe("run-a");
    const passed = worker.outbound({ ...task({}), via: "run-z" }, HANDOVER);
    expect(passed.headers["x-grid-via"]).toBe("run-z, run-a");
    expect(request.headers).toMatchObject({ ...WISHES, "x-request-id": "r-1" });
    expect(request.headers["x-grid-peer-key"]).toBe("secret-secret-16");
    expect(readHandover(request.headers)).toEqual({
      ...HANDOVER,
      leftMs: 1499,
      expectedTtftMs: 12.346,
    });
    // What it says is what the next PoP understands.
    const there = task(request.headers);
    const here = task(WISHES);
    expect({ ...there }).toEqual({ ...here });
  });

  test("a session key of the body stays in the body: it may hold what no header can", () => {
    const keyed = task({}, { cacheKey: "ключ\n" });
    expect(keyed.session).toBe("ключ\n");
    const { headers } = worker.outbound(keyed, HANDOVER);
    expect(headers["x-grid-session"]).toBeUndefined();
    expect(headers["x-grid-max-cost"]).toBeUndefined();
  });

  test("a typed refusal goes elsewhere whatever its status, others by their status", () => {
    expect(worker.refusal(400, { "content-type": "x" })).toBeUndefined();
    const load = "[1]";
    const error = worker.refusal(429, {
      "x-grid-refusal": "saturated",
      "x-grid-load": load,
      "retry-after": "3",
    });
    expect(error).toMatchObject({ code: "peer_refused", retry: "elsewhere", retryAfterS: 3 });
    expect(worker.refusal(400, { "x-grid-refusal": "<b>" })?.message).toContain("unknown");
    expect(refusals).toEqual([
      ["saturated", load],
      ["unknown", undefined],
    ]);
  });
});
