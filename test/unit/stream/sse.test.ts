import { describe, expect, it } from "vitest";
import { type SseEvent, SseParser } from "../../../src/stream/sse.ts";

const encoder = new TextEncoder();

function read(text: string | Uint8Array, step = Number.POSITIVE_INFINITY) {
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  const events: SseEvent[] = [];
  const parser = new SseParser((event) => events.push(event));
  for (let at = 0; at < bytes.length; at += step) parser.feed(bytes.subarray(at, at + step));
  return { events, tail: parser.finish() };
}

describe("SseParser", () => {
  it.each([
    ["LF", "data: a\n\ndata: b\n\n"],
    ["CRLF", "data: a\r\n\r\ndata: b\r\n\r\n"],
    ["CR", "data: a\r\rdata: b\r\r"],
    ["mixed", "data: a\r\n\ndata: b\n\r\n"],
    ["a mark before", "\ufeffdata: a\n\ndata: b\n\n"],
    ["blank lines between", "\n\ndata: a\n\n\n\r\n\rdata: b\n\n\n"],
  ])("ends events at %s, whole and byte by byte", (_name, text) => {
    for (const step of [1, 2, 3, 1000]) {
      const { events, tail } = read(text, step);
      expect(events.map((event) => event.data)).toEqual(["a", "b"]);
      expect(tail?.data).toBeUndefined();
    }
  });

  it("reads names, ids, several data lines and one space after the colon", () => {
    const { events } = read("event: ping\nid: 7\ndata: one\ndata:two\ndata:  three\ndata\n\n");
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ event: "ping", id: "7", data: "one\ntwo\n three\n" });
    expect(events[0].dataLines).toBe(4);
  });

  it("skips comments and events without data", () => {
    const { events } = read(": keep-alive\n\nevent: x\n\ndata: y\n\n");
    expect(events.map((event) => event.data)).toEqual(["y"]);
  });

  it("keeps characters whole that a chunk cuts", () => {
    const { events } = read("data: grüße 日本 👋\n\n", 1);
    expect(events[0].data).toBe("grüße 日本 👋");
  });

  it("gives JSON that was never framed as the tail", () => {
    const { events, tail } = read('data: a\n\n{"error":\n  {"message":"out of memory"}}', 5);
    expect(events).toHaveLength(1);
    expect(JSON.parse(tail?.raw ?? "")).toEqual({ error: { message: "out of memory" } });
  });

  it("dispatches at a CR without waiting for an LF", () => {
    const events: SseEvent[] = [];
    const parser = new SseParser((event) => events.push(event));
    parser.feed(encoder.encode("data: a\r\n\r"));
    expect(events).toHaveLength(1);
    parser.feed(encoder.encode("\ndata: b\r\n\r\n"));
    expect(events.map((event) => event.data)).toEqual(["a", "b"]);
  });

  it("refuses an event over the bound, in one chunk and in many", () => {
    const long = encoder.encode(`data: ${"x".repeat(2000)}\n\n`);
    const whole = new SseParser(() => {}, 1024);
    expect(() => whole.feed(long)).toThrow(/more than 1024 bytes/);
    const bits = new SseParser(() => {}, 1024);
    let fed = 0;
    const drip = (): void => {
      for (; fed < long.length; fed++) bits.feed(long.subarray(fed, fed + 1));
    };
    expect(drip).toThrow(expect.objectContaining({ code: "bad_response", source: "endpoint" }));
    expect(fed).toBe(1024);
  });

  it("takes many events that are larger together than the bound of one", () => {
    let count = 0;
    const parser = new SseParser(() => count++, 64);
    parser.feed(encoder.encode("data: 0123456789\n\n".repeat(100)));
    expect(count).toBe(100);
  });
});
