import { expect, test } from "vitest";
import { RequestIds } from "../../src/pop-ids.ts";

const ids = (run?: string, seed = 7) => {
  const logged: unknown[][] = [];
  const own = new RequestIds(
    () => ++seed,
    (...line) => void logged.push(line),
    run,
  );
  return { own, logged };
};

test("the caller's id is kept, others are counted", () => {
  const { own } = ids();
  expect(own.of({ "x-request-id": "mine-1" })).toBe("mine-1");
  expect(own.of({})).toMatch(/^req_\w+_0$/);
  expect(own.of({})).not.toBe(own.of({}));
});

test("a request that comes back is refused, by whatever way, and said to the operator", () => {
  const { own, logged } = ids();
  const back = expect.objectContaining({ code: "hop_limit", status: 508 });
  expect(() => own.passed({ "x-grid-via": own.via }, "mine-1")).toThrow(back);
  expect(logged).toMatchObject([["warn", "request came back", { request: "mine-1" }]]);
  const { own: other } = ids(undefined, 70);
  const both = { "x-grid-via": `${own.via}, ${other.via}` };
  expect(() => own.passed(both, "a")).toThrow(back);
  expect(() => other.passed(both, "a")).toThrow(back);
});

test("all processes of a PoP know it", () => {
  const [first, second] = [ids("run-1", 1), ids("run-1", 2)];
  expect(() => first.own.passed({ "x-grid-via": second.own.via }, "a")).toThrow(/came back/);
});

test("other PoPs in front are remembered", () => {
  const { own, logged } = ids();
  const [edge, regional] = [ids("edge").own.via, ids("regional").own.via];
  expect(own.passed({ via: "1.1 balancer" }, "a")).toBeUndefined();
  const passed = `${edge}, ${regional}`;
  expect(own.passed({ "x-grid-via": passed }, "a")).toBe(passed);
  expect(logged).toEqual([]);
});

test("nothing passes more PoPs than a grid has tiers, and nobody else says the header", () => {
  const many = Array.from({ length: 16 }, (_, n) => `pop-${n}`).join(", ");
  expect(() => ids().own.passed({ "x-grid-via": many }, "a")).toThrow(/came back/);
  expect(() => ids().own.passed({ "x-grid-via": "a b" }, "a")).toThrow(/Leave it out/);
  expect(() => ids().own.passed({ "x-grid-via": "x".repeat(65) }, "a")).toThrow(/Leave it out/);
});
