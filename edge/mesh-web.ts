/**
 * The ways out of Bun, Deno and workerd: fetch, and the standard WebSocket for gossip. That one has
 * no bound for a message that comes in: the core refuses a frame that is too long once it is here.
 */
import type { PopConfig } from "../src/index.ts";
import type { LinkSocket } from "../src/mesh/link.ts";
import type { Ways } from "./assemble.ts";
import type { Dial } from "./fleet.ts";
import { IdentityError } from "./identity.ts";
import { FetchTransport } from "./transport-fetch.ts";

const dialStandard: Dial = (address) => new WebSocket(address) as LinkSocket;

/** fetch for requests, WebSocket for gossip. @throws IdentityError where that is not enough */
export function webWays({ listen, peers }: PopConfig, dial = dialStandard): Ways {
  const nodeOnly = {
    "listen.tls": [listen.tls, "let a proxy in front end TLS"],
    "peers.ca": [peers.ca, "name the authority in NODE_EXTRA_CA_CERTS (Bun) or DENO_CERT (Deno)"],
  } as const;
  for (const [key, [value, instead]] of Object.entries(nodeOnly)) {
    if (value !== undefined) throw new IdentityError(`${key} is for Node; here, ${instead}`);
  }
  return { transport: new FetchTransport(), dial };
}

/** This PoP takes no links now. */
export function noLinksNow(): Response {
  return new Response(null, { status: 503 });
}
