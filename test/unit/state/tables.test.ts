import { describe, expect, test } from "vitest";
import { ModelTable } from "../../../src/state/model-table.ts";
import { Places } from "../../../src/state/places.ts";
import { SessionTable } from "../../../src/state/session-table.ts";

describe("the model table", () => {
  test("tells the kernel of every start and stop, and gives numbers back", () => {
    const told: string[] = [];
    const models = new ModelTable(2, (id, row, serves) => told.push(`${id}:${row}:${serves}`));
    expect(models.setRow(0, ["a", "b"])).toEqual([]);
    expect(models.setRow(1, ["a", "c"])).toEqual(["c"]); // full
    expect(models.names()).toEqual(["a", "b"]);
    models.setRow(0, ["a"]);
    expect(models.has("b")).toBe(false);
    expect(models.idOf("b")).toBe(-1);
    expect(models.setRow(1, ["a", "c"])).toEqual([]); // b's number is free again
    expect(models.idOf("c")).toBe(1);
    expect(told).toEqual(["0:0:true", "1:0:true", "0:1:true", "1:0:false", "1:1:true"]);
  });
});

describe("regions", () => {
  test("a code allows itself and what lies within it, not its neighbours", () => {
    const places = new Places();
    const ids = ["eu-de", "eu-fr-paris", "eux", "us"].map((region) => places.regionId(region));
    const set = places.regionSet(["eu"]) as Uint32Array;
    expect(ids.map((id) => (set[id >>> 5] >>> (id & 31)) & 1)).toEqual([1, 1, 0, 0]);
    expect(places.regionSet([])).toBeUndefined();
    expect((places.regionSet(["mars"]) as Uint32Array).every((word) => word === 0)).toBe(true);
  });

  test("there are 256 of them", () => {
    const places = new Places();
    for (let i = 0; i < 256; i++) expect(places.regionId(`r${i}`)).toBe(i);
    expect(places.regionId("one-more")).toBe(-1);
    expect(places.regionId("r7")).toBe(7);
  });
});

describe("tenants", () => {
  test("only those that an endpoint is reserved for have a bit of their own", () => {
    const places = new Places();
    expect(places.tenantMask([])).toBe(0xffffffff);
    const mask = places.tenantMask(["acme"]) as number;
    expect(mask & places.tenantBit("acme")).not.toBe(0);
    expect(mask & places.tenantBit("somebody-else")).toBe(0);
  });

  test("31 have one", () => {
    const places = new Places();
    const names = Array.from({ length: 31 }, (_, i) => `t${i}`);
    expect(places.tenantMask(names)).toBe(0xfffffffe);
    expect(places.tenantMask(["t31"])).toBeUndefined();
  });
});

describe("the session table", () => {
  test("forgets after its time and beyond its number, and keeps tenants apart", () => {
    let nowMs = 1;
    const sessions = new SessionTable({ max: 2, ttlMs: 100, clock: () => nowMs });
    sessions.pin("t", "s1", "gpu-1");
    expect(sessions.endpointOf("t", "s1")).toBe("gpu-1");
    expect(sessions.endpointOf("other", "s1")).toBeUndefined();
    nowMs = 90;
    expect(sessions.endpointOf("t", "s1")).toBe("gpu-1"); // use renews it
    nowMs = 180;
    expect(sessions.endpointOf("t", "s1")).toBe("gpu-1");
    nowMs = 300;
    expect(sessions.endpointOf("t", "s1")).toBeUndefined();
    sessions.pin("t", "a", "x");
    sessions.pin("t", "b", "x");
    sessions.pin("t", "c", "x");
    expect(sessions.size).toBe(2);
    expect(sessions.endpointOf("t", "a")).toBeUndefined();
  });

  test("takes room for the sessions it has, not for those it may have", () => {
    const before = process.memoryUsage().heapUsed;
    const sessions = new SessionTable({ max: 10_000_000, ttlMs: 100, clock: () => 1 });
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10 * 1024 * 1024);
    sessions.pin("t", "s", "gpu-1");
    expect(sessions.endpointOf("t", "s")).toBe("gpu-1");
  });
});
