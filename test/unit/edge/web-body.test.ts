/** Bun's kind of body, on a stand-in for the stream that only Bun has; Bun's own is in runtime/. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DirectBody } from "../../../edge/web-body.ts";

interface Source {
  type: string;
  pull(sink: Sink): Promise<void> | undefined;
  cancel(): void;
}

/** The server's end: it takes what it is given until `room` is used up. */
class Sink {
  readonly heard: string[] = [];
  room = Number.POSITIVE_INFINITY;
  free: ((bytes: number) => void) | undefined;

  write(chunk: Uint8Array): number | Promise<number> {
    this.heard.push(`write ${chunk.byteLength}`);
    this.room -= chunk.byteLength;
    if (this.room >= 0) return chunk.byteLength;
    return new Promise((resolve) => {
      this.free = resolve;
    });
  }

  end(): void {
    this.heard.push("end");
  }

  close(error: Error): void {
    this.heard.push(`close ${error.message}`);
  }
}

let source: Source;
const told: string[] = [];
const writer = { drained: () => told.push("drained"), left: () => told.push("left") };
const bytes = (length: number) => new Uint8Array(length);

beforeEach(() => {
  told.length = 0;
  vi.stubGlobal(
    "ReadableStream",
    class {
      constructor(given: Source) {
        source = given;
      }
    },
  );
});
afterEach(() => vi.unstubAllGlobals());

test("what was written before the server asked goes first", () => {
  const body = new DirectBody(writer);
  const sink = new Sink();
  body.write(bytes(3));
  body.write(bytes(4));
  void source.pull(sink);
  body.write(bytes(5));
  expect(source.type).toBe("direct");
  expect(sink.heard).toEqual(["write 3", "write 4", "write 5"]);
  expect(body.full).toBe(false);
});

test("a body that ended before the server asked is whole at once", () => {
  const body = new DirectBody(writer);
  const sink = new Sink();
  body.write(bytes(3));
  body.end();
  expect(source.pull(sink)).toBe(undefined);
  expect(sink.heard).toEqual(["write 3", "end"]);
});

test("the server's promise ends with the body", async () => {
  const body = new DirectBody(writer);
  const sink = new Sink();
  const open = source.pull(sink);
  body.end();
  await open;
  expect(sink.heard).toEqual(["end"]);
});

test("a write that does not fit says stop, and its promise says go, once", async () => {
  const body = new DirectBody(writer);
  const sink = new Sink();
  void source.pull(sink);
  sink.room = 4;
  body.write(bytes(3));
  expect(body.full).toBe(false);
  body.write(bytes(3));
  const { free } = sink;
  body.write(bytes(3));
  expect(body.full).toBe(true);
  expect(told).toEqual([]);
  free?.(3);
  await Promise.resolve();
  await Promise.resolve();
  expect(body.full).toBe(false);
  expect(told).toEqual(["drained"]);
});

test("much before the server asks says stop, and its asking says go", () => {
  const body = new DirectBody(writer);
  body.write(bytes(64 * 1024));
  expect(body.full).toBe(true);
  void source.pull(new Sink());
  expect(body.full).toBe(false);
  expect(told).toEqual(["drained"]);
});

test("a body that broke is closed with its error, before and after the server asked", () => {
  const late = new DirectBody(writer);
  const sinks = [new Sink(), new Sink()] as const;
  void source.pull(sinks[0]);
  late.fail(new Error("broken"));
  const early = new DirectBody(writer);
  early.fail(new Error("broken"));
  void source.pull(sinks[1]);
  for (const { heard } of sinks) expect(heard).toEqual(["close broken"]);
});

test("a client that leaves is told, and the server's promise ends", async () => {
  const body = new DirectBody(writer);
  const open = source.pull(new Sink());
  source.cancel();
  await open;
  expect(told).toEqual(["left"]);
  expect(body.full).toBe(false);
});
