/** The echo door on whatever runs this, through that runtime's adapter. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { bunHandlers } from "../../edge/bun.ts";
import { denoHandler } from "../../edge/deno.ts";
import { OpenSockets } from "../../edge/door-socket.ts";
import type { WebHost } from "../../edge/web.ts";
import { echoDoor } from "./echo-door.ts";

const host: WebHost = {
  gossip: undefined,
  answer: (exchange) => {
    echoDoor(exchange);
    return exchange.response;
  },
};
const say = (port: number) => console.log(`listening on http://127.0.0.1:${port}`);
const runtimes = globalThis as never as Record<string, { serve(...args: unknown[]): never }>;

if ("Bun" in globalThis) {
  const handlers = bunHandlers(host, new OpenSockets(), 10_000);
  const server = runtimes["Bun"].serve({ port: 0, hostname: "127.0.0.1", ...handlers });
  say((server as { port: number }).port);
} else if ("Deno" in globalThis) {
  const onListen = ({ port }: { port: number }) => say(port);
  const options = { port: 0, hostname: "127.0.0.1", onListen };
  runtimes["Deno"].serve(options, denoHandler(host, new OpenSockets()));
} else {
  const { isWebSocket, NodeUpgrades } = await import("../../edge/node-upgrade.ts");
  const server = createServer({ shouldUpgradeCallback: isWebSocket });
  new NodeUpgrades(server, undefined, echoDoor);
  server.listen(0, "127.0.0.1", () => say((server.address() as AddressInfo).port));
}
