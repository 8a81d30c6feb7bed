/**
 * The shipped worker with more paths, which only tests have a use for, and with timers that are
 * counted by who set them: the object, the worker in front of it, or neither.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import shipped, { GridpointPop as Shipped } from "../../edge/workerd.ts";
import { takeSocket } from "../../edge/workerd-socket.ts";
import type { Bindings, ObjectState } from "../../edge/workerd-state.ts";
import { WebExchange } from "../../edge/web.ts";
import { decisions } from "./decisions.ts";
import { echoDoor } from "./echo-door.ts";

type Owner = "object" | "front" | "nobody";
const owner = new AsyncLocalStorage<Owner>();
const timers: Record<Owner, number> = { object: 0, front: 0, nobody: 0 };

for (const name of ["setTimeout", "setInterval"] as const) {
  const set = globalThis[name] as (...args: unknown[]) => never;
  const counting = (...args: unknown[]) => {
    timers[owner.getStore() ?? "nobody"]++;
    return set(...args);
  };
  Object.assign(globalThis, { [name]: counting });
}

export default {
  fetch: (...args: Parameters<typeof shipped.fetch>): Promise<Response> =>
    owner.run("front", () => shipped.fetch(...args)),
};

export class GridpointPop extends Shipped {
  constructor(state: ObjectState, env: Bindings) {
    super(
      {
        storage: state.storage,
        blockConcurrencyWhile: (work) =>
          state.blockConcurrencyWhile(() => owner.run("object", work)),
        abort: (why) => state.abort(why),
      },
      env,
    );
  }

  override fetch(request: Request): Promise<Response> {
    return owner.run("object", () => this.answer(request));
  }

  override alarm(): Promise<void> {
    return owner.run("object", () => super.alarm());
  }

  private async answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/test/decisions") return new Response(decisions());
    if (pathname === "/test/timers") return Response.json(timers);
    if (pathname === "/test/restart") this.state.abort("a test asks for it");
    if (pathname !== "/socket") return await super.fetch(request);
    const exchange = new WebExchange(request, { takeSocket: takeSocket(this.sockets) });
    echoDoor(exchange);
    return await exchange.response;
  }
}
