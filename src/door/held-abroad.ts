/**
 * Responses are held by the PoP where the client came. Their ids carry its name, so that a request
 * that continues one may come to any PoP: that one asks the holder for the conversation and serves
 * the request like any other. Only words travel; where the KV cache is, the decision finds as ever.
 * The holder answers PoPs alone, at a path that does not exist for anybody else.
 */
import { GridError } from "../grid/errors.ts";
import type { Exchange } from "../grid/exchange.ts";
import { conversationOf, type HeldResponse, type ResponseStore } from "../state/response-store.ts";
import { isFields } from "../task/body-fields.ts";
import type { House } from "./app.ts";
import { replyJson } from "./reply.ts";

export const HELD_PATH = "/grid/responses";

/** What other PoPs, and other processes of this one, hold, as the door asks for it. */
export interface HeldAbroad {
  /** This PoP, as the ids of its responses name it. */
  readonly pop: string;
  /**
   * From the PoP that the id names. Undefined = nobody else holds it, or not any more.
   * @throws GridError previous_response_not_found: the holder cannot be asked
   */
  get(tenant: string, id: string): Promise<HeldResponse | undefined>;
  drop(tenant: string, id: string): Promise<boolean>;
}

/** Stands in no name of a PoP, and needs no escape in a path. */
const MARK = "~";
const POP = /^[A-Za-z0-9._-]{1,64}$/;

export function markedId(id: string, pop: string): string {
  return id.endsWith(MARK + pop) ? id : `${id}${MARK}${pop}`;
}

/** The PoP that holds a response; undefined where its id does not say. */
export function holderOf(id: string): string | undefined {
  const at = id.lastIndexOf(MARK);
  const pop = at > 0 ? id.slice(at + 1) : "";
  return POP.test(pop) ? pop : undefined;
}

/** A held response as it travels: what it continues is part of what it was given. */
export function heldText(held: HeldResponse): string {
  const input = [conversationOf(held.previous), held.input].filter((text) => text !== "").join();
  const { id, output, response, itemIds } = held;
  return JSON.stringify({ id, input, output, response, itemIds });
}

/** Undefined for what is none: each list must be items, the response an object. */
export function readHeld(text: string): HeldResponse | undefined {
  try {
    const { id, input, output, response, itemIds } = JSON.parse(text);
    const items = [input, output].every((list) => JSON.parse(`[${list}]`).every(isFields));
    const named = Array.isArray(itemIds) && itemIds.every((one) => typeof one === "string");
    if (typeof id !== "string" || !items || !named || !isFields(JSON.parse(response))) {
      return undefined;
    }
    return { id, previous: undefined, input, output, response, itemIds };
  } catch {
    return undefined;
  }
}

/** From here, else from the PoP that its id names. */
export async function findHeld(
  store: ResponseStore,
  abroad: HeldAbroad | undefined,
  tenant: string,
  id: string,
): Promise<HeldResponse | undefined> {
  return store.get(tenant, id) ?? (await abroad?.get(tenant, id));
}

/** `GET` and `DELETE /grid/responses/{id}`: for the PoPs of this grid. */
export async function serveHeld(house: House, exchange: Exchange, id: string): Promise<void> {
  const peer = house.peers.caller(exchange);
  const { method, path } = exchange;
  if (peer === undefined) {
    const message = `Nothing is at ${method} ${path.slice(0, 200)}. See GET /v1/responses/{id}.`;
    throw new GridError("not_found", message);
  }
  const { responses } = house;
  const { tenant } = peer;
  // Another process of this PoP may hold it; who is asked for a third PoP's does not ask on.
  const abroad = holderOf(id) === house.abroad?.pop ? house.abroad : undefined;
  if (method === "DELETE") {
    const deleted = responses.drop(tenant, id) || ((await abroad?.drop(tenant, id)) ?? false);
    return replyJson(exchange, 200, { deleted });
  }
  const held = await findHeld(responses, abroad, tenant, id);
  if (held === undefined) throw new GridError("not_found", "It is not held here (any more).");
  replyJson(exchange, 200, JSON.parse(heldText(held)));
}
