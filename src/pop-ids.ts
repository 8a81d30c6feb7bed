/** The ids of requests, and what they give away. Part of `pop.ts`. */
import type { Log, Rng } from "./grid/effects.ts";
import { GridError } from "./grid/errors.ts";
import type { Headers } from "./grid/exchange.ts";
import { requestIdOf } from "./task/from-exchange.ts";

const LOOP = "the url of an endpoint leads to this PoP itself";

export class RequestIds {
  /** Random, of this run: nobody else's ids begin so. */
  private readonly prefix: string;
  private count = 0;

  constructor(rng: Rng) {
    this.prefix = `req_${rng().toString(36)}${rng().toString(36)}_`;
  }

  /** The caller's own, or a new one. */
  of(headers: Headers): string {
    return requestIdOf(headers) ?? `${this.prefix}${(this.count++).toString(36)}`;
  }

  /**
   * An id that was given here comes in while its request runs: it would go around until its time is
   * up, and hold a place each time.
   * @throws GridError hop_limit
   */
  refuseLoop(headers: Headers, running: () => readonly { taskId: string }[], log: Log): void {
    const id = headers["x-request-id"];
    if (id === undefined || !id.startsWith(this.prefix)) return;
    if (!running().some(({ taskId }) => taskId === id)) return;
    log("warn", "request came back", { request: id, hint: LOOP });
    throw new GridError("hop_limit", `The request came back to the PoP that sent it: ${LOOP}.`);
  }
}
