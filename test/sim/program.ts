/**
 * Programs of faults: plain lists of steps, so that they can be drawn from a seed, shrunk and
 * printed. A run does the steps under the checkers, then ends all faults, waits, and demands that
 * every running PoP holds the truth.
 */
import { encode } from "../../src/gossip/codec.ts";
import { seededRng, unit } from "../../src/sim/clock.ts";
import { SimGrid } from "../../src/sim/grid.ts";
import { roundTrips } from "./cities.ts";
import { makeForger, makeNoise, makeReplayer } from "./relays.ts";

export type Step =
  | { do: "load"; pop: number }
  | { do: "set"; pop: number; key: number }
  | { do: "delete"; pop: number; key: number }
  | { do: "end" | "die" | "leave"; pop: number }
  | { do: "restart"; pop: number; diskLost: boolean }
  | { do: "pause"; pop: number; forMs: number }
  | { do: "cut"; pop: number; other: number; bothWays: boolean }
  | { do: "split"; at: number }
  | { do: "heal" }
  | { do: "reset" | "halfOpen"; pop: number; other: number }
  | { do: "loss"; share: number }
  | { do: "relay"; pop: number; how: "drop" | "delay" | "replay" | "forge" | "noise" | "fair" };

export interface Program {
  seed: number;
  pops: number;
  /** Steps, each with the wait before it, ms. */
  steps: { waitMs: number; step: Step }[];
}

/** Redials wait up to 10 s, suspicion 5 s, comparisons up to 13 s. */
const SETTLE_MS = 40_000;
const CALM_MS = 4000;
const BOOT_MS = 200;
/** A ban outlasts the faults that earned it. Minutes of it would only show PoPs that wait. */
const BAN_MS = 20_000;
const MAX_AGE_MS = 1400;

export const STEP_NAMES: Step["do"][] = [
  "load",
  "load",
  "set",
  "set",
  "delete",
  "end",
  "die",
  "leave",
  "restart",
  "restart",
  "pause",
  "pause",
  "cut",
  "cut",
  "split",
  "heal",
  "heal",
  "reset",
  "halfOpen",
  "loss",
  "relay",
];
const RELAYS = ["drop", "delay", "replay", "forge", "noise", "fair"] as const;
const LOSSES = [0, 0.02, 0.2];
const PAUSES = [200, 400, 1000, 3000, 6000, 20_000];

/** A step from plain numbers; any numbers give a step. */
export function stepOf(name: Step["do"], pops: number, a: number, b: number, c: number): Step {
  const pop = a % pops;
  const other = (pop + 1 + (b % Math.max(1, pops - 1))) % pops;
  switch (name) {
    case "load":
    case "end":
    case "die":
    case "leave":
      return { do: name, pop };
    case "set":
    case "delete":
      return { do: name, pop, key: b % 6 };
    case "restart":
      return { do: name, pop, diskLost: b % 2 === 1 };
    case "pause":
      return { do: name, pop, forMs: PAUSES[c % PAUSES.length] };
    case "cut":
      return { do: name, pop, other, bothWays: c % 2 === 1 };
    case "reset":
    case "halfOpen":
      return { do: name, pop, other };
    case "split":
      return { do: name, at: 1 + (a % Math.max(1, pops - 1)) };
    case "loss":
      return { do: name, share: LOSSES[c % LOSSES.length] };
    case "relay":
      return { do: name, pop, how: RELAYS[c % RELAYS.length] };
    default:
      return { do: "heal" };
  }
}

/** The program of a seed: 3 to 7 PoPs, up to 25 steps. */
export function programOf(seed: number): Program {
  const rng = seededRng(seed);
  const pops = 3 + (rng() % 5);
  const steps = Array.from({ length: 5 + (rng() % 20) }, () => {
    const waitMs = Math.floor(unit(rng) ** 3 * 6000);
    const name = STEP_NAMES[rng() % STEP_NAMES.length];
    const [a, b, c] = [rng() >>> 3, rng() >>> 3, rng() >>> 3];
    return { waitMs, step: stepOf(name, pops, a, b, c) };
  });
  return { seed, pops, steps };
}

/** Runs it to the end; throws InvariantError with seed and story. */
export function runProgram({ seed, pops, steps }: Program): SimGrid {
  const relayed = steps.some(({ step }) => step.do === "relay");
  const grid = new SimGrid({
    seed,
    pops,
    rttMs: roundTrips(),
    limits: { banMs: BAN_MS },
    signHot: relayed ? "each" : "none",
    // Whoever starts again must be able to find anybody who is left.
    seeds: pops,
    clockOffsetS: (index) => ((index * 7919) % 7200) - 3600,
  });
  grid.startAll(500);
  grid.run(2000);
  for (const { waitMs, step } of steps) {
    grid.run(waitMs);
    grid.say(JSON.stringify(step));
    perform(grid, step);
  }
  grid.run(CALM_MS);
  grid.say("all faults end");
  grid.network.heal();
  grid.network.options.loss = 0;
  for (const carrier of grid.carriers) grid.network.tamper(carrier, undefined);
  grid.run(relayed ? BAN_MS + CALM_MS + SETTLE_MS : SETTLE_MS);
  grid.expect((checkers, carriers) => checkers.quiescent(carriers, MAX_AGE_MS));
  return grid;
}

function perform(grid: SimGrid, step: Step): void {
  const { carriers, network } = grid;
  const all = carriers.map(({ index }) => index);
  const who = "pop" in step ? carriers[step.pop] : carriers[0];
  switch (step.do) {
    case "load":
      return grid.publish(who);
    case "set":
    case "delete": {
      const value = step.do === "delete" ? null : encode(grid.clock.done);
      return who.act((core, nowMs) => core.setLocal(`key-${step.key}`, value, nowMs));
    }
    case "end":
      return who.end("ended");
    case "die":
      return who.end("dead");
    case "leave":
      return who.leave();
    case "restart":
      who.end("ended");
      grid.run(BOOT_MS);
      who.restart(step.diskLost);
      return grid.publish(who);
    case "pause":
      return who.pause(step.forMs);
    case "cut":
      return grid.cut([step.pop], [step.other], step.bothWays);
    case "split":
      return grid.cut(all.slice(0, step.at), all.slice(step.at));
    case "heal":
      return network.heal();
    case "reset":
      return network.reset(who, carriers[step.other]);
    case "halfOpen":
      return network.halfOpen(who, carriers[step.other]);
    case "loss":
      network.options.loss = step.share;
      return;
    case "relay":
      return relay(grid, step);
  }
}

function relay({ network, carriers, clock }: SimGrid, step: Step & { do: "relay" }): void {
  const rng = seededRng(step.pop + clock.done);
  const tampers = {
    drop: () => (bytes: Uint8Array) => ({ frames: unit(rng) < 0.3 ? [] : [bytes], delayMs: 0 }),
    delay: () => (bytes: Uint8Array) => ({ frames: [bytes], delayMs: 800 }),
    replay: () => makeReplayer(rng),
    forge: () => makeForger(rng),
    noise: () => makeNoise(rng),
    fair: () => undefined,
  };
  network.tamper(carriers[step.pop], tampers[step.how]());
}
