import { expect, test } from "vitest";
import { Refusals } from "../../../src/mesh/refusals.ts";

function refusals() {
  const time = { nowMs: 0 };
  const lines: [string, string, object | undefined][] = [];
  const own = new Refusals(
    () => time.nowMs,
    (...line) => void lines.push(line as never),
  );
  return { own, time, lines };
}

test("what a person has to see to is said once a minute for each PoP, with what to do", () => {
  const { own, time, lines } = refusals();
  for (let i = 0; i < 5; i++) own.say("gossip refused", "expired", { pop: "a" });
  own.say("gossip refused", "expired", { pop: "b" });
  expect(lines).toEqual([
    ["warn", "gossip refused", expect.objectContaining({ reason: "expired", pop: "a" })],
    ["warn", "gossip refused", expect.objectContaining({ reason: "expired", pop: "b" })],
  ]);
  expect(lines[0]?.[2]).toHaveProperty("hint", expect.stringContaining("ca issue"));
  time.nowMs = 60_000;
  own.say("gossip refused", "expired", { pop: "a" });
  expect(lines).toHaveLength(3);
});

test("strangers who make up names do not fill the log", () => {
  const { own, time, lines } = refusals();
  for (let i = 0; i < 1_000; i++) own.say("gossip refused", "auth", { pop: `${i}` });
  expect(lines).toHaveLength(64);
  time.nowMs = 60_000;
  own.say("gossip refused", "auth", { pop: "new" });
  expect(lines).toHaveLength(65);
});

test("the ways of a grid are for those who look closely", () => {
  const { own, lines } = refusals();
  own.say("turned away by a pop", "full", { pop: "a" });
  expect(lines).toEqual([["debug", "turned away by a pop", { reason: "full", pop: "a" }]]);
});
