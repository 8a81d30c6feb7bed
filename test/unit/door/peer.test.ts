import { describe, expect, test } from "vitest";
import { parseConfig, type PopConfig } from "../../../src/config.ts";
import { PeerGate, readHandover } from "../../../src/door/peer.ts";
import type { GridError } from "../../../src/grid/errors.ts";
import type { Exchange, Headers } from "../../../src/grid/exchange.ts";

const KEY = "k".repeat(16);
const HEADERS: Headers = {
  "x-grid-hops": "1",
  "x-grid-forwarded-by": "tokyo",
  "x-grid-deadline-ms": "1500",
  "x-grid-tenant": "acme",
};

function config(raw: Record<string, unknown> = {}): PopConfig {
  const parsed = parseConfig({ pop: { id: "here" }, ...raw });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}

const keys = { auth: { keys: [{ sha256: "a".repeat(64), tenant: "t" }] } };

function outcome(raw: Record<string, unknown>, headers: Headers, remoteAddress?: string): string {
  const gate = new PeerGate(config(raw));
  try {
    const caller = gate.caller({ headers, remoteAddress } as Exchange);
    return caller === undefined ? "a client" : caller.tenant;
  } catch (error) {
    return (error as GridError).code;
  }
}

describe("who is believed to be a peer", () => {
  const withKey = (key: string) => ({ ...HEADERS, "x-grid-peer-key": key });
  test.each<[string, Record<string, unknown>, Headers, string | undefined, string]>([
    ["without the header", {}, { "x-grid-tenant": "acme" }, "127.0.0.1", "a client"],
    ["from this machine", {}, HEADERS, "127.0.0.1", "acme"],
    ["from this machine, IPv6", {}, HEADERS, "::1", "acme"],
    ["from this machine, mapped", {}, HEADERS, "::ffff:127.0.0.9", "acme"],
    ["from elsewhere", {}, HEADERS, "10.0.0.1", "peer_not_trusted"],
    ["address that only looks alike", {}, HEADERS, "127.0.0.1.evil", "peer_not_trusted"],
    ["address unknown", {}, HEADERS, undefined, "peer_not_trusted"],
    ["through a proxy", {}, { ...HEADERS, via: "1.1 x" }, "127.0.0.1", "peer_not_trusted"],
    ["where API keys protect the door", keys, HEADERS, "127.0.0.1", "peer_not_trusted"],
    ["open by config", { peers: { open: true }, ...keys }, HEADERS, "10.0.0.1", "acme"],
    ["right key", { peers: { key: KEY }, ...keys }, withKey(KEY), "10.0.0.1", "acme"],
    ["wrong key", { peers: { key: KEY } }, withKey(`${KEY}k`), "127.0.0.1", "peer_not_trusted"],
    ["shorter key", { peers: { key: KEY } }, withKey("k"), "127.0.0.1", "peer_not_trusted"],
    ["no key", { peers: { key: KEY, open: true } }, HEADERS, "127.0.0.1", "peer_not_trusted"],
    ["second hop", {}, { ...HEADERS, "x-grid-hops": "2" }, "::1", "hop_limit"],
    ["came by here", {}, { ...HEADERS, "x-grid-forwarded-by": "a,here" }, "::1", "hop_limit"],
  ])("%s", (_, raw, headers, address, expected) => {
    expect(outcome(raw, headers, address)).toBe(expected);
  });
});

describe("what a peer says", () => {
  test("is read", () => {
    const more = {
      "x-grid-endpoint": "gpu-1",
      "x-grid-expected-ttft-ms": "12.5",
      "x-grid-elsewhere-ttft-ms": "700",
    };
    expect(readHandover({ ...HEADERS, ...more })).toEqual({
      hops: 1,
      forwardedBy: ["tokyo"],
      tenant: "acme",
      leftMs: 1500,
      endpoint: "gpu-1",
      expectedTtftMs: 12.5,
      elsewhereTtftMs: 700,
    });
    expect(readHandover(HEADERS)).toMatchObject({
      elsewhereTtftMs: undefined,
      expectedTtftMs: undefined,
    });
  });

  test.each([
    ["x-grid-hops", "0"],
    ["x-grid-hops", "one"],
    ["x-grid-forwarded-by", ""],
    ["x-grid-forwarded-by", "a b"],
    ["x-grid-forwarded-by", "a,".repeat(9)],
    ["x-grid-deadline-ms", ""],
    ["x-grid-deadline-ms", "Infinity"],
    ["x-grid-deadline-ms", "-5"],
    ["x-grid-tenant", ""],
    ["x-grid-tenant", "a/b"],
    ["x-grid-endpoint", "a b"],
    ["x-grid-expected-ttft-ms", "soon"],
    ["x-grid-elsewhere-ttft-ms", "-1"],
  ])("%s: %j is refused by name", (name, value) => {
    expect(() => readHandover({ ...HEADERS, [name]: value })).toThrow(`Header ${name} must`);
  });
});
