/** The ids of requests, and by which PoPs they came. Part of `pop.ts`. */
import type { Log, Rng } from "./grid/effects.ts";
import { GridError } from "./grid/errors.ts";
import type { Headers } from "./grid/exchange.ts";
import { VIA_HEADER } from "./grid/handover.ts";
import { requestIdOf } from "./task/from-exchange.ts";

const LOOP = "the url of an endpoint leads to this PoP itself, or to a PoP that sends to this one";
/** PoPs in a row, each an endpoint of the one before: more than any grid has tiers. */
const PASSED_MAX = 16;
const PASSED = /^[\w.-]{1,64}(, ?[\w.-]{1,64})*$/;

export class RequestIds {
  /** What this PoP adds to `x-grid-via` of what it sends: nobody else says it. */
  readonly via: string;
  private readonly prefix: string;
  private readonly log: Log;
  private count = 0;

  /** @param run names this run of the PoP, the same in all of its processes */
  constructor(rng: Rng, log: Log, run: string | undefined) {
    const own = `${rng().toString(36)}${rng().toString(36)}`;
    this.prefix = `req_${own}_`;
    this.via = run ?? own;
    this.log = log;
  }

  /** The caller's own, or a new one. */
  of(headers: Headers): string {
    return requestIdOf(headers) ?? `${this.prefix}${(this.count++).toString(36)}`;
  }

  /**
   * The PoPs that it came by; undefined: none.
   * @throws GridError hop_limit when one is this: it would go around until its time is up, and hold
   *   a place each time; invalid_request
   */
  passed(headers: Headers, id: string): string | undefined {
    const passed = headers[VIA_HEADER];
    if (passed === undefined) return undefined;
    if (!PASSED.test(passed)) {
      const message = `Header ${VIA_HEADER} is for the PoPs of a grid. Leave it out.`;
      throw new GridError("invalid_request", message, { param: VIA_HEADER });
    }
    const pops = passed.split(/, ?/);
    if (!pops.includes(this.via) && pops.length < PASSED_MAX) return passed;
    this.log("warn", "request came back", { request: id, hint: LOOP });
    throw new GridError("hop_limit", `The request came back to a PoP that had sent it: ${LOOP}.`);
  }
}
