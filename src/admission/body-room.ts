/**
 * Bodies that are read or run, all together: each is bounded, but hundreds that come at once, or
 * drip, would together take all of the memory, and the process with it.
 */
import { GridError } from "../grid/errors.ts";
import type { BodyRoom } from "../grid/exchange.ts";

export class BoundedRoom implements BodyRoom {
  private readonly most: () => number;
  private taken = 0;

  /** @param most bytes */
  constructor(most: () => number) {
    this.most = most;
  }

  get bytes(): number {
    return this.taken;
  }

  take(bytes: number): void {
    const most = this.most();
    if (this.taken + bytes <= most) {
      this.taken += bytes;
      return;
    }
    const message =
      `This PoP holds request bodies of ${most} bytes, and takes no more at once. Retry after ` +
      "the time in Retry-After, or send less; operators: limits.bodiesBytes.";
    throw new GridError("saturated", message, { retryAfterS: 1 });
  }

  give(bytes: number): void {
    this.taken -= bytes;
  }
}
