import { describe, expect, test } from "vitest";
import { answerDrain, type DrainHouse } from "../../../src/door/admin.ts";
import type { Exchange } from "../../../src/grid/exchange.ts";

function house() {
  const report = { pop: "p", draining: false, running: 0, queued: 0, endpoints: [] };
  const known: DrainHouse = {
    drainReport: () => report,
    drain: (_, on) => {
      report.draining = on;
      return true;
    },
  };
  const ask = (method: string) => answerDrain(known, { method, query: "" } as Exchange);
  return { report, ask };
}

describe("draining", () => {
  test("is done, undone and looked at", () => {
    const { report, ask } = house();
    expect(ask("POST").draining).toBe(true);
    expect(ask("GET")).toBe(report);
    expect(ask("DELETE").draining).toBe(false);
  });
});
