import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config.ts";
import { gossipLimits, linkAddress } from "../../src/config-gossip.ts";
import { GOSSIP_LIMITS } from "../../src/gossip/limits.ts";
import { routed } from "../../edge/fleet.ts";

const KEY = "0123456789abcdef";

function wrong(gossip: object): Record<string, string> {
  const parsed = parseConfig({ gossip });
  if (parsed.ok) throw new Error("expected problems");
  return Object.fromEntries(parsed.problems.map(({ path, message }) => [path, message]));
}

describe("the section gossip", () => {
  test("left out or empty is a PoP alone", () => {
    for (const raw of [{}, { gossip: null }]) {
      const parsed = parseConfig(raw);
      expect(parsed.ok && parsed.config.gossip).toBeUndefined();
    }
  });

  test("with a shared key has the core's own limits", () => {
    const parsed = parseConfig({ gossip: { grid: "g", sharedKey: KEY } });
    if (!parsed.ok || parsed.config.gossip === undefined) throw new Error("not read");
    expect(parsed.config.gossip).toMatchObject({ path: "/grid/link", seeds: [], via: {} });
    expect(gossipLimits(parsed.config.gossip)).toEqual(GOSSIP_LIMITS);
  });

  test("names what is missing, what is too much and what contradicts itself", () => {
    expect(Object.keys(wrong({ grid: "g", key: "k" }))).toEqual([
      "gossip.certificate",
      "gossip.roots",
    ]);
    expect(wrong({ grid: "g", sharedKey: KEY, roots: "r" })["gossip.roots"]).toMatch(/not both/);
    expect(wrong({ sharedKey: KEY })["gossip.grid"]).toMatch(/is missing/);
    const times = { hotMinMs: 2_000, silenceMs: 700 };
    expect(wrong({ grid: "g", sharedKey: KEY, ...times })).toEqual({
      "gossip.hotMinMs": "is 2000, above hotMaxMs (1000)",
      "gossip.silenceMs": "is 700; one lost ping must be no death: at least 1000",
    });
    const other = {
      seeds: ["10.0.0.1:8801"],
      via: { "http://a/b": "http://c" },
      sharedKey: "short",
    };
    expect(Object.keys(wrong({ grid: "g", ...other })).sort()).toEqual([
      "gossip.seeds[0]",
      "gossip.sharedKey",
      "gossip.via.http://a/b",
    ]);
    expect(JSON.stringify(wrong({ grid: "g", ...other }))).not.toContain("short");
  });
});

test.each([
  ["http://a:1", "ws://a:1/grid/link"],
  ["https://a", "wss://a/grid/link"],
  ["wss://a/own", "wss://a/own"],
  ["ftp://a", undefined],
  ["http://user@a", undefined],
])("the address of %s is %s", (url, address) => {
  expect(linkAddress(url, "/grid/link")).toBe(address);
});

test("via leads to doors and links of the PoPs that it names, and leaves others alone", () => {
  const via = { "http://10.0.0.1:8801/": "http://127.0.0.1:9", "https://b": "http://127.0.0.1:8" };
  expect(routed(via, "http://10.0.0.1:8801")).toBe("http://127.0.0.1:9");
  expect(routed(via, "ws://10.0.0.1:8801/grid/link")).toBe("ws://127.0.0.1:9/grid/link");
  expect(routed(via, "wss://b/grid/link")).toBe("ws://127.0.0.1:8/grid/link");
  expect(routed(via, "http://b")).toBe("http://b");
});
