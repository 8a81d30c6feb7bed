/** Programs of faults under the invariants: fixed seeds, and programs that fast-check shrinks. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvariantError } from "../../src/sim/checkers.ts";
import { type Program, programOf, runProgram, STEP_NAMES, stepOf } from "./program.ts";

describe("programs of fixed seeds keep every invariant and end in agreement", () => {
  test.each([0, 10, 20, 30])("five seeds from %i hundred", (hundreds) => {
    for (let seed = hundreds * 100; seed < hundreds * 100 + 5; seed++) {
      expect(runProgram(programOf(seed)).checkers.checked).toBeGreaterThan(1000);
    }
  });
});

test("one seed has one history, another seed another", () => {
  const traces = [7, 7, 8].map((seed) => runProgram(programOf(seed)).clock.traceHash);
  expect(traces[1]).toBe(traces[0]);
  expect(traces[2]).not.toBe(traces[0]);
});

/** Steps that need no wait until bans run out. */
const calmSteps = STEP_NAMES.filter((name) => name !== "relay");
const steps = (pops: number) =>
  fc.array(
    fc
      .tuple(fc.constantFrom(...calmSteps), fc.nat(4000), fc.nat(60), fc.nat(60), fc.nat(60))
      .map(([name, waitMs, a, b, c]) => ({ waitMs, step: stepOf(name, pops, a, b, c) })),
    { maxLength: 12 },
  );

test("any list of faults; a failing one is shrunk to its shortest form", () => {
  const program: fc.Arbitrary<Program> = fc
    .tuple(fc.nat(1000), fc.integer({ min: 3, max: 5 }))
    .chain(([seed, pops]) => steps(pops).map((list) => ({ seed, pops, steps: list })));
  fc.assert(
    fc.property(program, (one) => {
      runProgram(one);
    }),
    { seed: 20, numRuns: 25 },
  );
});

describe("the checkers see", () => {
  const grid = () => runProgram({ seed: 1, pops: 3, steps: [] });

  test("a claim that nobody made", () => {
    const world = grid();
    const held = world.member(world.carriers[0], world.carriers[1]);
    if (held !== undefined) held.claim = { ...held.claim, inc: held.claim.inc + 1 };
    expect(() => world.run(1000)).toThrow(/SEED=1 I4 at .* was never reached/);
  });

  test("a load report that nobody wrote", () => {
    const world = grid();
    const held = world.member(world.carriers[0], world.carriers[1]);
    if (held?.hot !== undefined) held.hot = { ...held.hot, seq: held.hot.seq + 9 };
    // What a PoP holds is looked at when it hears a report, here of the third.
    world.publish(world.carriers[2]);
    expect(() => world.run(200)).toThrow(InvariantError);
  });

  test("the dead that rise, and a PoP that is held for dead", () => {
    const world = grid();
    const [holder, victim] = world.carriers;
    victim.end("dead");
    world.run(15_000);
    const held = world.member(holder, victim);
    expect(held?.state).toBe("down");
    if (held !== undefined) held.state = "alive";
    expect(() => world.run(1000)).toThrow(/I3/);
  });

  test("views that differ", () => {
    const world = grid();
    world.carriers[2].end("dead");
    world.run(1000);
    expect(() => world.expect((checkers, carriers) => checkers.quiescent(carriers, 1400))).toThrow(
      /as live/,
    );
  });
});
