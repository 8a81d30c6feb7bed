/**
 * The Responses API over HTTP, and the door to its WebSocket. A response is held at the PoP where
 * the client came, for as long as the config says; any other asks that one for it. When it is gone,
 * the client sends the whole conversation, as it must after any loss of the vendor's own state.
 */
import { GridError } from "../grid/errors.ts";
import type { Exchange, Headers } from "../grid/exchange.ts";
import type { Caller } from "../proxy.ts";
import { conversationOf, type HeldResponse } from "../state/response-store.ts";
import { type Fields, invalid, isFields } from "../task/body-fields.ts";
import { modelOf, readJsonBody } from "../task/json-body.ts";
import type { Route } from "../task/route.ts";
import type { House } from "./app.ts";
import { COMPACT_INSTRUCTIONS, sealed } from "./compaction.ts";
import { findHeld } from "./held-abroad.ts";
import { ResponseExchange } from "./response-exchange.ts";
import { checkMedia, replyJson } from "./reply.ts";
import { itemsOf, parsed, ResponseTurn } from "./response-turn.ts";
import { ResponsesSession } from "./responses-session.ts";
import { WholeAnswer } from "./whole-answer.ts";

const strict = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();
const PAGE = 20;
const PAGE_MAX = 100;

/** `POST /v1/responses` and what is like it. */
export async function serveResponses(
  house: House,
  exchange: Exchange,
  route: Route,
): Promise<void> {
  checkMedia(exchange.headers);
  const peer = house.peers.caller(exchange);
  // The door where the client came holds its responses.
  if (peer !== undefined) return house.serve(exchange, route, peer);
  const caller = await house.auth.caller(exchange.headers);
  const scopes = { tenant: caller.tenant, abroad: house.abroad };
  const turn = new ResponseTurn(house.responses, scopes);
  return house.serve(new ResponseExchange(exchange, turn), route, caller);
}

/** `GET /v1/responses`, which is for WebSockets. */
export async function openResponsesSocket(house: House, exchange: Exchange): Promise<void> {
  const { upgrade, headers } = exchange;
  if (upgrade === undefined) {
    const message = "GET /v1/responses is for WebSockets. Use POST, or GET /v1/responses/{id}.";
    throw new GridError("method_not_allowed", message);
  }
  const caller = await house.auth.caller(headers);
  house.sockets.admit();
  const { frameBytes, bufferBytes, silenceMs } = house.sockets.limits;
  // A frame over the bound is to be told so; one far over it ends the socket.
  const terms = { messageBytes: 2 * frameBytes, bufferBytes, silenceMs };
  upgrade.accept(terms, (socket) => {
    const session = new ResponsesSession(house, socket, caller, headers);
    house.sockets.add(session);
    return session;
  });
}

export async function getResponse(house: House, exchange: Exchange, id: string): Promise<void> {
  const { held } = await find(house, exchange, id);
  if (new URLSearchParams(exchange.query).get("stream") === "true") {
    throw invalid("stream", "is not supported here: a response that is held has ended");
  }
  replyJson(exchange, 200, JSON.parse(held.response));
}

export async function deleteResponse(house: House, exchange: Exchange, id: string): Promise<void> {
  const { caller } = await find(house, exchange, id);
  const here = house.responses.drop(caller.tenant, id);
  if (!here) await house.abroad?.drop(caller.tenant, id);
  replyJson(exchange, 200, { id, object: "response", deleted: true });
}

export async function cancelResponse(house: House, exchange: Exchange, id: string): Promise<void> {
  await find(house, exchange, id);
  const message =
    "Only a response in the background can be cancelled, and this one has ended. To stop a " +
    "response while it is streamed, close its connection.";
  throw new GridError("invalid_request", message);
}

/** The items that the response was given, the newest first unless asked otherwise. */
export async function inputItems(house: House, exchange: Exchange, id: string): Promise<void> {
  const { held } = await find(house, exchange, id);
  const query = new URLSearchParams(exchange.query);
  const limit = Number(query.get("limit") ?? PAGE);
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_MAX) {
    throw invalid("limit", `must be a whole number from 1 to ${PAGE_MAX}`);
  }
  const order = query.get("order") ?? "desc";
  if (order !== "asc" && order !== "desc") throw invalid("order", "must be asc or desc");
  const before = [conversationOf(held.previous), held.input].filter((text) => text !== "");
  const items = (JSON.parse(`[${before.join(",")}]`) as Fields[]).map((item, n) => ({
    id: `item_${id.slice(0, 128)}_${n}`,
    ...item,
  }));
  if (order === "desc") items.reverse();
  const after = query.get("after");
  const from = after === null ? 0 : items.findIndex((item) => item.id === after) + 1;
  if (after !== null && from === 0) throw invalid("after", "names no item of this response");
  const data = items.slice(from, from + limit);
  replyJson(exchange, 200, {
    object: "list",
    data,
    has_more: from + limit < items.length,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  });
}

interface Found {
  caller: Caller;
  held: HeldResponse;
}

/** @throws GridError not_found */
async function find(house: House, exchange: Exchange, id: string): Promise<Found> {
  const caller = await house.auth.caller(exchange.headers);
  const held = await findHeld(house.responses, house.abroad, caller.tenant, id);
  if (held !== undefined) return { caller, held };
  const message =
    `Response with id '${id.slice(0, 128)}' not found. A PoP holds what was answered there with ` +
    "store, for a limited time.";
  throw new GridError("not_found", message);
}

/** `POST /v1/responses/compact`: a model writes the summary that stands for what was said. */
export async function compactResponse(house: House, exchange: Exchange): Promise<void> {
  checkMedia(exchange.headers);
  const caller = await house.auth.caller(exchange.headers);
  const { bodyBytes, bodyTimeoutMs } = house.limits();
  const scopes = { tenant: caller.tenant, abroad: house.abroad };
  const turn = new ResponseTurn(house.responses, scopes);
  const bytes = await turn.prepare(
    await exchange.body(bodyBytes, bodyTimeoutMs, house.bodyRoom),
    bodyBytes,
  );
  const fields = readJsonBody(bytes, (one) => strict.decode(one));
  const model = modelOf(fields);
  const items = itemsOf(fields.input);
  const { instructions, prompt_cache_key } = fields;
  const summary = { type: "message", role: "user", content: COMPACT_INSTRUCTIONS };
  const asked = { model, instructions, prompt_cache_key, store: false, input: [...items, summary] };
  const answer = new WholeAnswer(exchange, encoder.encode(JSON.stringify(asked)));
  await house.serve(answer, "responses", caller);
  const response = answer.status === 200 ? parsed(answer.text) : undefined;
  if (response === undefined) return answer.passOn();
  const said = textOf(response);
  if (said === "") throw new GridError("bad_response", "The model wrote no summary. Try again.");
  replyCompaction(exchange, response, items, said, answer.answerHeaders);
}

function replyCompaction(
  exchange: Exchange,
  response: Fields,
  items: readonly unknown[],
  summary: string,
  headers: Headers,
): void {
  const id = String(response.id).replace(/^resp_/, "");
  const kept = items.filter((item) => isFields(item) && item.role === "user");
  const { created_at, usage } = response;
  const body = {
    id: `resp_cmp_${id}`,
    object: "response.compaction",
    created_at,
    output: [...kept, sealed(`cmp_${id}`, summary)],
    usage,
  };
  replyJson(exchange, 200, body, headers);
}

function textOf({ output }: Fields): string {
  const items = Array.isArray(output) ? output : [];
  return items
    .flatMap((item) => (isFields(item) && Array.isArray(item.content) ? item.content : []))
    .map((part) => (isFields(part) && typeof part.text === "string" ? part.text : ""))
    .join("");
}
