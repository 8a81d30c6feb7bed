/** The machine's monotonic clock: all processes read the same one, so they can be compared. */

/** Milliseconds with fraction. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
