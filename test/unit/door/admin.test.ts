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
  const ask = (method: string, site?: string) => {
    const headers = site === undefined ? {} : { "sec-fetch-site": site };
    return answerDrain(known, { method, query: "", headers } as Exchange);
  };
  return { report, ask };
}

describe("draining", () => {
  test("is done for programs, and for pages of the PoP's own site", () => {
    for (const site of [undefined, "same-origin", "none"]) {
      const { report, ask } = house();
      expect(ask("POST", site).draining).toBe(true);
      ask("DELETE", site);
      expect(report.draining).toBe(false);
    }
  });

  test("is not done for a page of another site, which needs no key where none is set", () => {
    for (const site of ["cross-site", "same-site"]) {
      const { report, ask } = house();
      const refused = expect.objectContaining({ code: "invalid_request", status: 403 });
      expect(() => ask("POST", site)).toThrow(refused);
      expect(report.draining).toBe(false);
      expect(ask("GET", site)).toBe(report);
    }
  });
});
