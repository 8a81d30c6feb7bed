/**
 * The ways out of Node: for requests its sockets, and undici where there is TLS; for gossip `ws`.
 */
import type { PopConfig } from "../src/index.ts";
import type { Effects, Ways } from "./assemble.ts";
import { connectNet } from "./tcp-net.ts";
import { dialNode } from "./tcp-node.ts";
import { trustedAuthorities } from "./tls-files.ts";
import { LaterTransport } from "./transport-later.ts";
import { SplitTransport } from "./transport-split.ts";
import { TcpTransport } from "./transport-tcp.ts";

type Links = typeof import("./mesh-links.ts");

/**
 * `ws`, and TLS with it, are a fifth of a PoP's start: loaded where there is gossip, else with the
 * first WebSocket of a client.
 */
export async function linksFor({ gossip }: PopConfig): Promise<Links | undefined> {
  return gossip === undefined ? undefined : await import("./mesh-links.ts");
}

/** @throws IdentityError when `peers.ca` holds no certificate */
export function nodeWays(
  { peers }: PopConfig,
  { folder = ".", log }: Effects,
  links: Links | undefined,
): Ways {
  const ca = peers.ca === undefined ? undefined : trustedAuthorities(peers.ca, folder);
  const secure = new LaterTransport(async () => {
    const { UndiciTransport } = await import("./transport-undici.ts");
    return new UndiciTransport(ca === undefined ? {} : { ca });
  });
  return {
    transport: new SplitTransport(new TcpTransport(connectNet), secure),
    tcp: dialNode,
    dial: links?.dialer(ca, log),
  };
}
