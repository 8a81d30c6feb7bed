import { expect, test } from "vitest";
import { LaterTransport } from "../../../edge/transport-later.ts";
import { GridError } from "../../../src/grid/errors.ts";
import type { OutHandler, OutRequest, Transport } from "../../../src/grid/exchange.ts";

const REQUEST: OutRequest = { origin: "https://e", method: "GET", path: "/", headers: {} };

class Told implements Transport {
  readonly seen: string[] = [];

  send({ path }: OutRequest): { abort(reason: GridError): void; resume(): void } {
    this.seen.push(path);
    return {
      abort: ({ code }) => this.seen.push(`abort ${path} ${code}`),
      resume: () => this.seen.push(`resume ${path}`),
    };
  }

  forget(origin: string): void {
    this.seen.push(`forget ${origin}`);
  }

  async close(): Promise<void> {
    this.seen.push("close");
  }
}

function listener(errors: GridError[] = []): OutHandler {
  return { onHead() {}, onData: () => true, onEnd() {}, onError: (error) => errors.push(error) };
}

const at = (path: string): OutRequest => ({ ...REQUEST, path });

test("calls wait for what they load, once and in their order, and are its own then", async () => {
  const told = new Told();
  let loads = 0;
  const later = new LaterTransport(async () => {
    loads++;
    return told;
  });
  later.forget("https://e");
  const first = later.send(at("/1"), listener());
  later.send(at("/2"), listener());
  first.resume();
  expect(told.seen).toEqual([]);
  await Promise.resolve();
  later.send(at("/3"), listener());
  await later.close();
  first.resume();
  first.abort(new GridError("client_gone", "gone"));
  expect(loads).toBe(1);
  expect(told.seen.filter((what) => what.startsWith("/"))).toEqual(["/1", "/2", "/3"]);
  expect(told.seen.slice(-3)).toEqual(["close", "resume /1", "abort /1 client_gone"]);
});

test("a call that ends before it is sent is never sent, and hears its reason once", async () => {
  const told = new Told();
  const later = new LaterTransport(async () => told);
  const errors: GridError[] = [];
  const call = later.send(at("/1"), listener(errors));
  const reason = new GridError("client_gone", "gone");
  call.abort(reason);
  call.abort(reason);
  await later.close();
  expect(errors).toEqual([reason]);
  expect(told.seen).toEqual(["close"]);
});

test("what cannot be loaded is a failed connection, and is looked for again", async () => {
  const told = new Told();
  const loads = [() => Promise.reject(new Error("no such file")), () => Promise.resolve(told)];
  const later = new LaterTransport(() => (loads.shift() as () => Promise<Transport>)());
  const errors: GridError[] = [];
  await new Promise((resolve) => {
    later.send(at("/1"), { ...listener(errors), onError: (error) => resolve(errors.push(error)) });
  });
  expect(errors.map(({ code, message }) => [code, message])).toEqual([
    ["connect_failed", "the transport for https://e cannot be loaded: no such file"],
  ]);
  later.send(at("/2"), listener(errors));
  await later.close();
  expect(told.seen).toEqual(["/2", "close"]);
});

test("once closed it loads nothing", async () => {
  const later = new LaterTransport(() => Promise.reject(new Error("loaded")));
  await later.close();
  const error = await new Promise<GridError>((onError) => {
    later.send(REQUEST, { ...listener(), onError });
  });
  expect(error.message).toBe("the transport for https://e cannot be loaded: it is closed");
});
