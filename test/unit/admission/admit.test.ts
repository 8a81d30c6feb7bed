import { describe, expect, test } from "vitest";
import { admit, refuse } from "../../../src/admission/admit.ts";
import { type Decision, EXCLUSIONS, type Exclusion } from "../../../src/grid/decision.ts";
import { GridError } from "../../../src/grid/errors.ts";
import type { Task } from "../../../src/task/task.ts";

const task = { model: "m", route: "chat", promptTokens: 10 } as Task;
const gate = (over = {}) => ({
  draining: false,
  hasModel: (model: string) => model === "m",
  models: () => ["m", "n"],
  allowedModels: [],
  ...over,
});
const nobody = (counts: Partial<Record<Exclusion, number>>): Decision =>
  ({ row: -1, excluded: Uint32Array.from(EXCLUSIONS, (e) => counts[e] ?? 0) }) as Decision;

describe("admission", () => {
  test("lets a known model in", () => {
    expect(() => admit(task, gate())).not.toThrow();
  });

  test("an unknown model is answered with the known ones", () => {
    const unknown = { ...task, model: "gpt-9" } as Task;
    expect(() => admit(unknown, gate())).toThrow(/'gpt-9' is not served here.*Known models: m, n/);
  });

  test("a key that is for other models is told which", () => {
    expect(() => admit(task, gate({ allowedModels: ["n"] }))).toThrow(/may not use.*Allowed: n/);
  });

  test("a draining PoP sends away with Retry-After", () => {
    try {
      admit(task, gate({ draining: true }));
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "draining", status: 503, retryAfterS: 1 });
    }
  });
});

describe("when nobody is left", () => {
  test.each([
    ["region", /x-grid-region/],
    ["tier", /tier ceiling/],
    ["down", /are down/],
    ["capability", /body asks for/],
    ["cost", /x-grid-max-cost/],
  ] as const)("the error says that it was the %s", (rule, words) => {
    const error = refuse(task, nobody({ [rule]: 2, model: 5 }), 3);
    expect(error).toMatchObject({ code: "no_endpoint", status: 503, retryAfterS: 3 });
    expect(error.message).toMatch(words);
    expect(error.message).toContain(`${rule} 2`);
  });

  test("what was tried is told by how it failed", () => {
    const failure = new GridError("endpoint_error", "The endpoint answered 500.");
    const error = refuse({ ...task, failure }, nobody({ tried: 1 }), 3);
    expect(error).toMatchObject({ code: "no_endpoint", status: 503, retryAfterS: 3 });
    expect(error.message).toContain("tried 1). The last attempt failed: The endpoint answered 500");
  });

  test("a rate limit stays one, for as long as its endpoint said", () => {
    const detail = { status: 429, retryAfterS: 7 };
    const failure = new GridError("endpoint_busy", "The endpoint answered 429.", detail);
    const error = refuse({ ...task, failure }, nobody({ down: 1 }), 1);
    expect(error).toMatchObject({ code: "no_endpoint", ...detail });
  });

  test("nor is it another thing for who comes while the endpoint rests", () => {
    const rest = { limited: true, leftMs: 6_400 };
    const error = refuse(task, nobody({ down: 1 }), 1, rest);
    expect(error).toMatchObject({ code: "no_endpoint", status: 429, retryAfterS: 6.4 });
    expect(error.message).toMatch(/One said that it is at its rate limit for another 7 s\.$/);
    const busy = refuse(task, nobody({ down: 1 }), 1, { ...rest, limited: false });
    expect(busy).toMatchObject({ status: 503, retryAfterS: 6.4 });
    expect(refuse(task, nobody({ region: 1 }), 1, rest).retryAfterS).toBe(1);
  });

  test("a prompt that fits nowhere is the caller's to shorten", () => {
    const error = refuse(task, nobody({ context: 3 }), 1);
    expect(error).toMatchObject({ code: "context_length_exceeded", status: 400 });
  });

  test("several rules are all named", () => {
    const error = refuse(task, nobody({ region: 1, down: 2 }), 1);
    expect(error.message).toMatch(/regions allowed.*down.*region 1, down 2/);
  });
});
