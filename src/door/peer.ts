/**
 * Hand-overs from other PoPs at the door. Whoever is believed here names the tenant, so the rule is
 * strict: with a key only who has it; without one, only where nothing is protected by keys anyhow
 * and the connection comes from this very machine, or where the config says "open". A request that
 * says it was handed over but is not believed is refused, never served as a client's: served so it
 * could be handed on again, and two PoPs with different keys would play ping-pong.
 */
import type { PopConfig } from "../config.ts";
import { GridError } from "../grid/errors.ts";
import type { Exchange, Headers } from "../grid/exchange.ts";
import { HANDOVER_HEADER, type Handover, HOPS_MAX } from "../grid/handover.ts";
import type { Millis } from "../grid/units.ts";
import type { Caller } from "../proxy.ts";

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const POPS_MAX = 8;
const TIME_MAX_MS = 24 * 3_600_000;
/** What a reverse proxy adds: behind one, everybody seems to come from this machine. */
const SIGNS_OF_A_PROXY = ["x-forwarded-for", "forwarded", "via", "x-real-ip"];

export class PeerGate {
  private config: PopConfig;

  constructor(config: PopConfig) {
    this.config = config;
  }

  configure(config: PopConfig): void {
    this.config = config;
  }

  /**
   * The caller of a handed-over request; undefined for a client's own.
   * @throws GridError peer_not_trusted, hop_limit, invalid_request
   */
  caller(exchange: Exchange): Caller | undefined {
    if (exchange.headers[HANDOVER_HEADER.hops] === undefined) return undefined;
    if (!this.trusts(exchange)) {
      throw new GridError(
        "peer_not_trusted",
        `${HANDOVER_HEADER.hops} is for the PoPs of this grid. Clients leave it out; operators ` +
          "set the same peers.key at every PoP.",
      );
    }
    const handover = readHandover(exchange.headers);
    const { id } = this.config.pop;
    if (handover.hops > HOPS_MAX || handover.forwardedBy.includes(id)) {
      const trail = handover.forwardedBy.join(", ");
      const message = `The request came by ${trail} after ${handover.hops} hops: not taken here.`;
      throw new GridError("hop_limit", message);
    }
    return { tenant: handover.tenant, models: [], handover };
  }

  private trusts({ headers, remoteAddress }: Exchange): boolean {
    const { peers, auth } = this.config;
    if (peers.key !== undefined) return sameText(headers[HANDOVER_HEADER.key] ?? "", peers.key);
    if (peers.open) return true;
    const proxied = SIGNS_OF_A_PROXY.some((name) => headers[name] !== undefined);
    return auth.keys.length === 0 && !proxied && isLoopback(remoteAddress);
  }
}

/** @throws GridError invalid_request naming the header */
export function readHandover(headers: Headers): Handover {
  const hops = number(headers, HANDOVER_HEADER.hops, 1, 255);
  const forwardedBy = (headers[HANDOVER_HEADER.forwardedBy] ?? "").split(",").map((x) => x.trim());
  if (forwardedBy.length > POPS_MAX || !forwardedBy.every((id) => NAME.test(id))) {
    throw bad(HANDOVER_HEADER.forwardedBy, `must name 1 to ${POPS_MAX} PoPs`);
  }
  const tenant = headers[HANDOVER_HEADER.tenant] ?? "";
  if (!NAME.test(tenant)) throw bad(HANDOVER_HEADER.tenant, "must name the tenant");
  const endpoint = headers[HANDOVER_HEADER.endpoint];
  if (endpoint !== undefined && !NAME.test(endpoint)) {
    throw bad(HANDOVER_HEADER.endpoint, "must be an endpoint's id");
  }
  const time = (name: string): Millis | undefined =>
    headers[name] === undefined ? undefined : number(headers, name, 0, TIME_MAX_MS);
  return {
    hops,
    forwardedBy,
    tenant,
    leftMs: number(headers, HANDOVER_HEADER.deadline, 1, TIME_MAX_MS),
    endpoint,
    expectedTtftMs: time(HANDOVER_HEADER.expectedTtft),
    elsewhereTtftMs: time(HANDOVER_HEADER.elsewhereTtft),
  };
}

function number(headers: Headers, name: string, min: number, max: number): number {
  const text = headers[name] ?? "";
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!(value >= min && value <= max)) throw bad(name, `must be a number from ${min} to ${max}`);
  return value;
}

function bad(name: string, rule: string): GridError {
  return new GridError("invalid_request", `Header ${name} ${rule}.`, { param: name });
}

/** As long for a wrong text as for the right one. */
function sameText(given: string, wanted: string): boolean {
  let difference = given.length ^ wanted.length;
  for (let at = 0; at < wanted.length; at++) {
    difference |= given.charCodeAt(at) ^ wanted.charCodeAt(at);
  }
  return difference === 0;
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(::1|(::ffff:)?127(\.\d{1,3}){3})$/.test(address);
}
