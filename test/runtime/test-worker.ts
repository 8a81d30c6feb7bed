/** The shipped worker with three more paths, which only tests have a use for. */
import { GridpointPop as Shipped } from "../../edge/workerd.ts";
import { takeSocket } from "../../edge/workerd-socket.ts";
import { WebExchange } from "../../edge/web.ts";
import { decisions } from "./decisions.ts";
import { echoDoor } from "./echo-door.ts";

export { default } from "../../edge/workerd.ts";

export class GridpointPop extends Shipped {
  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/test/decisions") return new Response(decisions());
    if (pathname === "/test/restart") this.state.abort("a test asks for it");
    if (pathname !== "/socket") return await super.fetch(request);
    const exchange = new WebExchange(request, { takeSocket: takeSocket(this.sockets) });
    echoDoor(exchange);
    return await exchange.response;
  }
}
