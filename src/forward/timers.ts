/** Timers as an argument, so that whoever waits can be tested without waiting. */
import type { Millis } from "../grid/units.ts";

export interface Timers {
  setTimeout(callback: () => void, ms: Millis): unknown;
  clearTimeout(handle: unknown): void;
}

/** The platform's own, the same in every runtime that knows web standards. */
export const platformTimers: Timers = {
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (handle) => clearTimeout(handle as ReturnType<typeof setTimeout>),
};
