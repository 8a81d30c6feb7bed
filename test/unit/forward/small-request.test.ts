import { describe, expect, it } from "vitest";
import type { GridError } from "../../../src/grid/errors.ts";
import type { OutHandler, OutRequest, Transport } from "../../../src/grid/exchange.ts";
import { requestSmall } from "../../../src/forward/small-request.ts";
import { FakeTimers } from "./fake-timers.ts";

const request: OutRequest = { origin: "http://e", method: "GET", path: "/health", headers: {} };

function setUp() {
  const timers = new FakeTimers();
  const aborted: GridError[] = [];
  let handler: OutHandler | undefined;
  const transport: Transport = {
    send: (_request, out) => {
      handler = out;
      return {
        abort: (reason) => {
          aborted.push(reason);
          out.onError(reason);
        },
        resume: () => {},
      };
    },
    forget: () => {},
    close: async () => {},
  };
  const answer = requestSmall(transport, request, { timeoutMs: 100, limitBytes: 8, timers });
  return { timers, aborted, answer, handler: handler as unknown as OutHandler };
}

describe("requestSmall", () => {
  it("joins the pieces and leaves no timer", async () => {
    const { timers, answer, handler } = setUp();
    handler.onHead(503, { "retry-after": "1" });
    handler.onData(Uint8Array.of(1, 2));
    handler.onData(Uint8Array.of(3));
    handler.onEnd();
    const response = await answer;
    expect([response.status, [...response.body], response.headers]).toEqual([
      503,
      [1, 2, 3],
      { "retry-after": "1" },
    ]);
    expect(timers.size).toBe(0);
  });

  it("cuts off what takes too long, from the first to the last byte", async () => {
    const { timers, aborted, answer, handler } = setUp();
    handler.onHead(200, {});
    timers.advance(99);
    expect(aborted).toHaveLength(0);
    timers.advance(1);
    await expect(answer).rejects.toMatchObject({ code: "total_timeout", source: "endpoint" });
    await expect(answer).rejects.toThrow("GET http://e/health: no complete answer within 100 ms");
  });

  it("cuts off what is too large", async () => {
    const { timers, answer, handler } = setUp();
    handler.onHead(200, {});
    handler.onData(new Uint8Array(8));
    handler.onData(new Uint8Array(1));
    await expect(answer).rejects.toMatchObject({ code: "bad_response" });
    expect(timers.size).toBe(0);
  });
});
