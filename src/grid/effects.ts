/**
 * How pure code is given the world. Nothing in `src/` reads a clock, draws a random number or
 * prints by itself: it is handed these.
 */
import type { Millis } from "./units.ts";

/** Monotonic milliseconds with sub-millisecond fraction where the runtime has it. */
export type Clock = () => Millis;

/** Uniform 32-bit unsigned integers. */
export type Rng = () => number;

export type LogLevel = "debug" | "info" | "warn" | "error";

/** One structured line: what happened, and the facts of it. Never prompts, never keys. */
export type Log = (
  level: LogLevel,
  event: string,
  facts?: Record<string, string | number | boolean | undefined>,
) => void;
