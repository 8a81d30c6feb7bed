import { expect, test } from "vitest";
import type { Headers } from "../../src/grid/exchange.ts";
import { RequestIds } from "../../src/pop-ids.ts";

const ids = () => {
  const logged: unknown[] = [];
  let seed = 0.25;
  const own = new RequestIds(() => (seed += 0.125));
  const enter = (id: string | undefined, ...running: string[]) => {
    const headers: Headers = id === undefined ? {} : { "x-request-id": id };
    const list = () => running.map((taskId) => ({ taskId }));
    own.refuseLoop(headers, list, (...line) => void logged.push(line));
  };
  return { own, enter, logged };
};

test("the caller's id is kept, others are counted", () => {
  const { own } = ids();
  expect(own.of({ "x-request-id": "mine-1" })).toBe("mine-1");
  expect(own.of({})).toMatch(/^req_[\w.]+_0$/);
  expect(own.of({})).not.toBe(own.of({}));
});

test("a request that comes back while it runs is refused, and said to the operator", () => {
  const { own, enter, logged } = ids();
  const id = own.of({});
  expect(() => enter(id, "other", id)).toThrow(/url of an endpoint leads to this PoP itself/);
  expect(logged).toMatchObject([["warn", "request came back", { request: id }]]);
});

test("an id of ours from earlier, and one that a caller uses twice, are no loop", () => {
  const { own, enter, logged } = ids();
  enter(own.of({}), "other");
  enter("mine-1", "mine-1");
  enter(undefined, "other");
  expect(logged).toEqual([]);
});
